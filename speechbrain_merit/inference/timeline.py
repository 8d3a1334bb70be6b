"""Emotions over the course of a signal that is heard in chunks.

Authors
 * The speechbrain-merit developers 2026
"""

import math
from collections.abc import Sequence
from itertools import pairwise
from typing import NamedTuple

import torch


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
        As for `ChunkSplitter`.

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

    @property
    def is_empty(self) -> bool:
        """Whether nothing was heard yet."""
        return not self._log_posteriors

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
        times = pairwise(bound / self.sample_rate_hz for bound in self._bounds)
        posteriors = (
            dict(zip(self.emotions, map(math.exp, row), strict=True))
            for row in self._log_posteriors
        )
        return [
            EmotionSegment(*stretch, found)
            for stretch, found in zip(times, posteriors, strict=True)
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
