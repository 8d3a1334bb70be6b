"""Speech of any length in overlapping chunks, and one signal out of theirs.

Authors
 * The speechbrain-merit developers 2026
"""

import math
from typing import NamedTuple

import torch

# About what models hear in training: in more, encoders give other features, and
# emotions are mistaken more often.
CHUNK_S = 4.0
OVERLAP_S = 0.5


class Chunk(NamedTuple):
    """A stretch of a signal.

    Arguments
    ---------
    start : int
        Position of its first sample in the signal.
    samples : torch.Tensor
        Its samples, `[..., time]`.
    """

    start: int
    samples: torch.Tensor

    @property
    def end(self) -> int:
        """Position after its last sample."""
        return self.start + self.samples.shape[-1]


class ChunkSplitter:
    """Cuts a signal that comes in blocks into chunks that overlap.

    No chunk is shorter than `chunk_size` unless the signal is: the last one
    begins earlier, so that the model knows as much of its surroundings as
    elsewhere. It may be longer by less than `grid`. Two chunks of samples and
    one block are held in memory at most.

    Arguments
    ---------
    chunk_size : int
        Samples in a chunk, a multiple of the grid.
    overlap : int
        Samples that a chunk shares with the next one, a multiple of the grid
        and half a chunk at most; the last two may share more.
    grid : int
        Every chunk starts at a multiple of it: with the distance between a
        model's frames, the frames of all chunks fall together.

    Raises
    ------
    ValueError
        If the sizes do not go together.

    Example
    -------
    >>> splitter = ChunkSplitter(10, 4)
    >>> [(c.start, c.end) for c in splitter.push(torch.arange(18.0))]
    [(0, 10), (6, 16)]
    >>> [(c.start, c.end) for c in splitter.flush()]
    [(8, 18)]
    """

    def __init__(self, chunk_size: int, overlap: int, grid: int = 1) -> None:
        _check_sizes(chunk_size, overlap, grid)
        self.chunk_size = chunk_size
        self.overlap = overlap
        self.grid = grid
        self._buffer = torch.zeros(0)
        self._start = 0
        self._step = 0

    def push(self, block: torch.Tensor) -> list[Chunk]:
        """Takes the next block.

        Arguments
        ---------
        block : torch.Tensor
            Samples, `[..., time]`, as many as there are.

        Returns
        -------
        list of Chunk
            Those that are complete and not the last one.
        """
        chunks = []
        self._buffer = torch.cat([self._buffer, block], dim=-1)
        # With a step of the grid to spare, there is more than this chunk and
        # the last one is another.
        least = self.chunk_size + self.grid
        while self._buffer.shape[-1] >= self._step + least:
            # This chunk's samples stay: the last one may begin among them.
            self._buffer = self._buffer[..., self._step :]
            self._start += self._step
            samples = self._buffer[..., : self.chunk_size]
            chunks.append(Chunk(self._start, samples))
            self._step = self.chunk_size - self.overlap
        return chunks

    def flush(self) -> list[Chunk]:
        """Ends the signal.

        Returns
        -------
        list of Chunk
            The last one; none for a signal without samples.
        """
        size = self._buffer.shape[-1]
        surplus = max(size - self.chunk_size, 0)
        last = surplus // self.grid * self.grid
        if size == 0:
            return []
        return [Chunk(self._start + last, self._buffer[..., last:])]


def _check_sizes(chunk_size: int, overlap: int, grid: int) -> None:
    on_grid = grid >= 1 and chunk_size % grid == overlap % grid == 0
    if not (on_grid and 0 <= overlap <= chunk_size // 2 and chunk_size > 0):
        raise ValueError(
            f"Chunks of {chunk_size} samples cannot overlap by {overlap} on a "
            f"grid of {grid}: give multiples of it, at least one to a chunk, "
            "and at most half of the chunk to the overlap."
        )


class CrossFade:
    r"""Joins processed chunks into one signal.

    From a chunk to the next, the weights follow `\sin^2` and `\cos^2`, whose
    sum is one: where both agree, nothing is changed. The fade takes the last
    `overlap` samples of the earlier chunk.

    Arguments
    ---------
    overlap : int
        As for `ChunkSplitter`.

    Example
    -------
    >>> fade = CrossFade(4)
    >>> fade.push(Chunk(0, torch.ones(10)))
    tensor([1., 1., 1., 1., 1., 1.])
    >>> fade.flush()
    tensor([1., 1., 1., 1.])
    """

    def __init__(self, overlap: int) -> None:
        self.overlap = overlap
        phase = (torch.arange(overlap) + 0.5) / max(overlap, 1) * math.pi / 2
        self._rising = phase.sin().square()
        self._tail: torch.Tensor | None = None
        self._end = 0

    def push(self, chunk: Chunk) -> torch.Tensor:
        """Takes the next chunk.

        Arguments
        ---------
        chunk : Chunk
            As `ChunkSplitter` cut it, processed.

        Returns
        -------
        torch.Tensor
            The samples that no later chunk has a part in, `[time]`.
        """
        samples = chunk.samples
        if self._tail is not None:
            begin = self._end - self.overlap - chunk.start
            samples = samples[..., begin:].clone()
            samples[..., : self.overlap] *= self._rising
            samples[..., : self.overlap] += self._tail * (1 - self._rising)
        final = max(samples.shape[-1] - self.overlap, 0)
        # A copy: a part of the chunk would keep all of it in memory.
        self._tail, self._end = samples[..., final:].clone(), chunk.end
        return samples[..., :final]

    def flush(self) -> torch.Tensor:
        """Ends the signal.

        Returns
        -------
        torch.Tensor
            Its last samples, `[time]`.
        """
        return torch.zeros(0) if self._tail is None else self._tail
