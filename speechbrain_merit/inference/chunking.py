"""Speech of any length in overlapping chunks, and one result out of theirs.

Authors
 * The speechbrain-merit developers 2026
"""

import math
from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

import torch

# Longer than any training utterance, and within every encoder's reach.
CHUNK_S = 20.0
OVERLAP_S = 2.0


class Chunk(NamedTuple):
    """A stretch of a signal.

    Arguments
    ---------
    start : int
        Position of its first sample in the signal.
    samples : torch.Tensor
        Its samples, `[time]`.
    """

    start: int
    samples: torch.Tensor

    @property
    def end(self) -> int:
        """Position after its last sample."""
        return self.start + len(self.samples)


class EmotionSegment(NamedTuple):
    """What is heard in a stretch of speech.

    Arguments
    ---------
    start_s : float
        Its beginning, in seconds from that of the file.
    end_s : float
        Its end, in seconds.
    posteriors : dict
        Probability of every emotion by its name.
    """

    start_s: float
    end_s: float
    posteriors: dict[str, float]


def split_into_chunks(
    blocks: Iterable[torch.Tensor],
    chunk_size: int,
    overlap: int,
    grid: int = 1,
) -> Iterator[Chunk]:
    """Cuts a signal that comes in blocks into chunks that overlap.

    No chunk is shorter than `chunk_size` unless the signal is: the last one
    begins earlier, so that the model knows as much of its surroundings as
    elsewhere. It may be longer by less than `grid`. Two chunks of samples and
    one block are held in memory at most.

    Arguments
    ---------
    blocks : iterable of torch.Tensor
        Consecutive samples, `[time]` each, of any lengths.
    chunk_size : int
        Samples in a chunk, a multiple of the grid.
    overlap : int
        Samples that a chunk shares with the next one, a multiple of the grid
        and half a chunk at most; the last two may share more.
    grid : int
        Every chunk starts at a multiple of it: with the distance between a
        model's frames, the frames of all chunks fall together.

    Yields
    ------
    Chunk
        The next one; none for a signal without samples.

    Raises
    ------
    ValueError
        If the sizes do not go together.

    Example
    -------
    >>> blocks = torch.arange(23.0).split(9)
    >>> [(c.start, c.end) for c in split_into_chunks(blocks, 10, 4)]
    [(0, 10), (6, 16), (12, 22), (13, 23)]
    """
    _check_sizes(chunk_size, overlap, grid)
    start, step = 0, 0
    buffer = torch.zeros(0)
    for block in blocks:
        buffer = torch.cat([buffer, block])
        # With a step of the grid to spare, there is more than this chunk and
        # the last one is another.
        while len(buffer) >= step + chunk_size + grid:
            # This chunk's samples stay: the last one may begin among them.
            buffer, start = buffer[step:], start + step
            yield Chunk(start, buffer[:chunk_size])
            step = chunk_size - overlap
    if len(buffer):
        last = max(len(buffer) - chunk_size, 0) // grid * grid
        yield Chunk(start + last, buffer[last:])


def _check_sizes(chunk_size: int, overlap: int, grid: int) -> None:
    if grid < 1 or chunk_size < grid or not 0 <= overlap <= chunk_size // 2:
        raise ValueError(
            f"Chunks of {chunk_size} samples cannot overlap by {overlap}: give "
            f"at least {max(grid, 1)} to a chunk, and at most half of it to "
            "the overlap."
        )
    if chunk_size % grid or overlap % grid:
        raise ValueError(
            f"Chunks of {chunk_size} samples with an overlap of {overlap} are "
            f"not on the grid of {grid}: make both multiples of it."
        )


def cross_fade(chunks: Iterable[Chunk], overlap: int) -> Iterator[torch.Tensor]:
    r"""Joins processed chunks into one signal.

    From a chunk to the next, the weights follow `\sin^2` and `\cos^2`, whose
    sum is one: where both agree, nothing is changed. The fade takes the last
    `overlap` samples of the earlier chunk.

    Arguments
    ---------
    chunks : iterable of Chunk
        In order, as `split_into_chunks` cut them.
    overlap : int
        As for `split_into_chunks`.

    Yields
    ------
    torch.Tensor
        The next samples, `[time]`; as many in total as were cut.

    Example
    -------
    >>> signal = torch.rand(23)
    >>> chunks = split_into_chunks([signal], 10, 4)
    >>> torch.allclose(torch.cat(list(cross_fade(chunks, 4))), signal)
    True
    """
    phase = (torch.arange(overlap) + 0.5) / max(overlap, 1) * math.pi / 2
    rising = phase.sin().square()
    pending, end = None, 0
    for chunk in chunks:
        samples = chunk.samples
        if pending is not None:
            seam = len(pending) - overlap
            yield pending[:seam]
            samples = samples[end - overlap - chunk.start :].clone()
            samples[:overlap] *= rising
            samples[:overlap] += pending[seam:] * (1 - rising)
        pending, end = samples, chunk.end
    if pending is not None:
        yield pending


class EmotionTimeline:
    """Collects what is heard in every chunk.

    Of two chunks that overlap, each counts up to the middle of the fade
    between them: the segments cover the signal once and without gaps. A
    segment's posteriors come from its whole chunk, so the overlap included.

    Arguments
    ---------
    emotions : sequence of str
        Names of the classes in the order of the posteriors.
    sample_rate_hz : int
        Sample rate of the chunks.
    overlap : int
        As for `split_into_chunks`.

    Example
    -------
    >>> timeline = EmotionTimeline(["angry", "sad"], 10, overlap=4)
    >>> timeline.append(0, 10, torch.tensor([0.9, 0.1]).log())
    >>> timeline.append(6, 16, torch.tensor([0.1, 0.9]).log())
    >>> [(s.start_s, s.end_s) for s in timeline.segments()]
    [(0.0, 0.8), (0.8, 1.6)]
    >>> timeline.log_posteriors().exp()
    tensor([0.5000, 0.5000])
    """

    def __init__(
        self, emotions: Sequence[str], sample_rate_hz: int, overlap: int
    ) -> None:
        self.emotions = list(emotions)
        self.sample_rate_hz = sample_rate_hz
        self.overlap = overlap
        self._bounds = [0.0]
        # Plain numbers: a tensor that stays in memory after every chunk keeps
        # the large ones around it from being returned to the system.
        self._log_posteriors: list[list[float]] = []

    def append(
        self, start: int, end: int, log_posteriors: torch.Tensor
    ) -> None:
        """Takes the next chunk's posteriors.

        Arguments
        ---------
        start : int
            Position of the chunk's first sample.
        end : int
            Position after its last sample.
        log_posteriors : torch.Tensor
            Logarithm of every emotion's probability, `[class]`.
        """
        if self._log_posteriors:
            # The previous chunk's end is the fade's end.
            self._bounds[-1] -= self.overlap / 2
        else:
            self._bounds[0] = float(start)
        self._bounds.append(float(end))
        self._log_posteriors.append(log_posteriors.tolist())

    def segments(self) -> list[EmotionSegment]:
        """Gives what was heard, in order.

        Returns
        -------
        list of EmotionSegment
            One for every chunk.
        """
        times = [bound / self.sample_rate_hz for bound in self._bounds]
        return [
            EmotionSegment(
                start_s,
                end_s,
                dict(zip(self.emotions, map(math.exp, row), strict=True)),
            )
            for start_s, end_s, row in zip(
                times[:-1], times[1:], self._log_posteriors, strict=True
            )
        ]

    def log_posteriors(self) -> torch.Tensor:
        """Gives one judgement of the whole signal.

        Returns
        -------
        torch.Tensor
            Mean of the segments' log-posteriors weighted by the segments'
            durations, and normalised so that the probabilities sum to one,
            `[class]`.
        """
        bounds = torch.tensor(self._bounds, dtype=torch.float64)
        durations = bounds.diff()
        weights = (durations / durations.sum()).float()
        mean = weights @ torch.tensor(self._log_posteriors)
        return mean.log_softmax(dim=0)
