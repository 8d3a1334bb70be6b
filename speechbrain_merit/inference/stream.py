"""Speech that is enhanced and judged while it comes in.

Authors
 * The speechbrain-merit developers 2026
"""

import math
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import torch

from speechbrain_merit.data.samples import as_samples

from .batch_processing import HeardSpeech
from .chunking import Chunk, ChunkSplitter, CrossFade
from .timeline import EmotionTimeline

# Shorter chunks answer sooner, and know less of their surroundings.
STREAM_CHUNK_S = 2.0
STREAM_OVERLAP_S = 0.5
# A level is that of so much before the end of a chunk.
LEVEL_S = 30.0


class SpeechStream:
    """Takes blocks of samples of any sizes and returns enhanced samples.

    The model hears chunks that overlap and fade into each other. What comes
    out is what `JointEnhancementClassifier.process_file` gives for the same
    chunks, however the blocks are cut, and as long as what went in once
    `flush` has been called. Made by `JointEnhancementClassifier.stream`.

    Where a model normalises the level of utterances, that of a chunk is the
    level of the last 30 s up to its end, or of all that there is: a pause
    stays quiet. It is there with the first chunk, and a change of gain is
    settled after 30 s.

    Arguments
    ---------
    hear : callable
        Gives the `HeardSpeech` of a chunk's samples, `[batch, time]`, and the
        samples whose level counts, under the name `recent`.
    make_timeline : callable
        Makes the `EmotionTimeline` for an overlap of so many samples.
    sample_rate_hz : int
        Sample rate of the chunks.
    samples_per_frame : int
        Of the encoder.
    chunk_s : float
        Length of a chunk, in seconds.
    overlap_s : float
        What two chunks share, in seconds; half a chunk at most. Both are
        rounded to whole frames of the encoder.

    Raises
    ------
    ValueError
        If the chunks cannot overlap by so much.
    """

    def __init__(
        self,
        hear: Callable[..., HeardSpeech],
        make_timeline: Callable[[int], EmotionTimeline],
        sample_rate_hz: int,
        samples_per_frame: int,
        chunk_s: float,
        overlap_s: float,
    ) -> None:
        if not math.isfinite(chunk_s) or not math.isfinite(overlap_s):
            raise ValueError(
                f"Chunks of {chunk_s} s cannot overlap by {overlap_s} s: give "
                "finite numbers."
            )
        grid = samples_per_frame
        chunk_size, overlap = (
            round(duration_s * sample_rate_hz / grid) * grid
            for duration_s in (chunk_s, overlap_s)
        )
        self.sample_rate_hz = sample_rate_hz
        self.timeline = make_timeline(overlap)
        self._hear = hear
        self._splitter = ChunkSplitter(chunk_size, overlap, grid)
        self._fade = CrossFade(overlap)
        self._recent = torch.zeros(1, 0)
        self._end = 0
        self._finished = False

    @property
    def latency_samples(self) -> int:
        """After so many further samples, a sample has come out at the latest.

        The time that the model takes for a chunk comes on top.
        """
        return self._splitter.chunk_size + self._splitter.grid - 1

    @property
    def latency_s(self) -> float:
        """The same in seconds."""
        return self.latency_samples / self.sample_rate_hz

    @property
    def log_posteriors(self) -> torch.Tensor | None:
        """Logarithm of every emotion's probability so far, `[class]`.

        None as long as no chunk is complete, or without the task `emotion`.
        """
        if not self.timeline.segments():
            return None
        return self.timeline.log_posteriors()

    def push(self, samples: Any) -> torch.Tensor:
        """Takes the next samples and gives those that are ready.

        Arguments
        ---------
        samples : torch.Tensor or array or list
            At the model's `sample_rate_hz`, `[time]`, as many as there are,
            as for `as_samples`; or `[channel, time]`, to enhance each.

        Returns
        -------
        torch.Tensor
            The next enhanced samples, of the same channels, on the CPU; often
            none, and never any without the task `enhance`.

        Raises
        ------
        ValueError
            If these are not samples, or the stream is finished.
        """
        if self._finished:
            raise ValueError("The stream is finished: make another one.")
        samples = as_samples(samples)
        if samples.ndim not in (1, 2) or not torch.isfinite(samples).all():
            raise ValueError(
                "A stream takes samples as [time] or [channel, time], finite "
                "numbers, not "
                f"{samples} of the shape {tuple(samples.shape)}."
            )
        chunks = self._splitter.push(samples.detach().cpu())
        return _join(map(self._process, chunks))

    def flush(self) -> torch.Tensor:
        """Ends the stream.

        Returns
        -------
        torch.Tensor
            All enhanced samples that are left, `[time]`.
        """
        if self._finished:
            return torch.zeros(0)
        self._finished = True
        rest = map(self._process, self._splitter.flush())
        return _join([*rest, self._fade.flush()])

    def run(self, blocks: Iterable[torch.Tensor]) -> Iterator[torch.Tensor]:
        """Processes a whole signal.

        Arguments
        ---------
        blocks : iterable of torch.Tensor
            Consecutive samples, `[time]` each.

        Yields
        ------
        torch.Tensor
            The next enhanced samples, `[time]`.
        """
        for block in blocks:
            yield self.push(block)
        yield self.flush()

    def _process(self, chunk: Chunk) -> torch.Tensor:
        samples = torch.atleast_2d(chunk.samples)
        new = samples[:, self._end - chunk.start :]
        recent = torch.cat([self._recent.expand(len(new), -1), new], dim=1)
        # A copy: a part of it would keep all of it in memory.
        self._recent = recent[
            :, -round(LEVEL_S * self.sample_rate_hz) :
        ].clone()
        self._end = chunk.end
        heard = self._hear(samples, recent=self._recent)
        if heard.frames is not None:
            self.timeline.append(chunk.start, chunk.end, *heard.frames)
        if heard.enhanced is None:
            return torch.zeros(0)
        enhanced = heard.enhanced.cpu().reshape(chunk.samples.shape)
        return self._fade.push(Chunk(chunk.start, enhanced))


def _join(parts: Iterable[torch.Tensor]) -> torch.Tensor:
    # No samples go with any number of channels.
    return torch.cat([torch.zeros(0), *parts], dim=-1)
