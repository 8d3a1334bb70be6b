"""Whole signals through what takes them chunk by chunk.

Authors
 * The speechbrain-merit developers 2026
"""

from collections.abc import Iterable, Iterator

import torch

from speechbrain_merit.inference.chunking import Chunk, ChunkSplitter, CrossFade


def split_into_chunks(
    blocks: Iterable[torch.Tensor], chunk_size: int, overlap: int, grid: int = 1
) -> Iterator[Chunk]:
    """Cuts a signal as `ChunkSplitter` does.

    Arguments
    ---------
    blocks : iterable of torch.Tensor
        Consecutive samples, `[time]` each.
    chunk_size : int
        As for `ChunkSplitter`.
    overlap : int
        As for `ChunkSplitter`.
    grid : int
        As for `ChunkSplitter`.

    Yields
    ------
    Chunk
        The next one.
    """
    splitter = ChunkSplitter(chunk_size, overlap, grid)
    for block in blocks:
        yield from splitter.push(block)
    yield from splitter.flush()


def cross_fade(chunks: Iterable[Chunk], overlap: int) -> Iterator[torch.Tensor]:
    """Joins chunks as `CrossFade` does.

    Arguments
    ---------
    chunks : iterable of Chunk
        In order.
    overlap : int
        As for `CrossFade`.

    Yields
    ------
    torch.Tensor
        The next samples, `[time]`.
    """
    fade = CrossFade(overlap)
    for chunk in chunks:
        yield fade.push(chunk)
    yield fade.flush()
