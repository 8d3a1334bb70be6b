"""Emotions over the course of a signal that is heard in chunks.

Authors
 * The speechbrain-merit developers 2026
"""

import math
from collections.abc import Callable, Sequence
from typing import NamedTuple

import torch

# About the length of the utterances that models are trained on.
WINDOW_S = 4.0
TIMELINE_STEP_S = 1.0
NO_SPEECH = "no speech"


class EmotionSegment(NamedTuple):
    """What is heard in a stretch of a recording.

    Arguments
    ---------
    start_s : float
        Its beginning, in seconds from that of the file.
    end_s : float
        Its end, in seconds.
    posteriors : dict
        Probability of every emotion by its name, from the speech of the 4 s
        around the stretch; all the same where there is none.
    speech_s : float
        How much of the stretch is speech, in seconds.

    Example
    -------
    >>> EmotionSegment(0.0, 1.0, {"angry": 0.3, "sad": 0.7}, 0.6).emotion
    'sad'
    >>> EmotionSegment(1.0, 2.0, {"angry": 0.3, "sad": 0.7}, 0.0).emotion
    'no speech'
    """

    start_s: float
    end_s: float
    posteriors: dict[str, float]
    speech_s: float

    @property
    def emotion(self) -> str:
        """The most probable emotion, or `no speech`."""
        if self.speech_s == 0:
            return NO_SPEECH
        return max(self.posteriors, key=self.posteriors.__getitem__)


class EmotionTimeline:
    """Judges windows of 4 s, one for every step, from the frames of chunks.

    Windows do not depend on chunks: a frame that two chunks share counts as
    the earlier one has it up to the middle of the fade between them. A
    segment's window lies around it, and within the recording as far as that
    is long enough, so that a recording of up to 4 s is judged as one. Frames
    without speech have no part in it. What is held in memory is the frames of
    a window and a chunk.

    Arguments
    ---------
    emotions : sequence of str
        Names of the classes in the order of the posteriors.
    judge : callable
        From frames, `[1, time, channel]`, to the logarithm of every emotion's
        probability, `[1, class]`.
    sample_rate_hz : int
        Sample rate of the chunks.
    samples_per_frame : int
        Of the encoder.
    overlap : int
        As for `ChunkSplitter`.
    step_s : float
        Length of a segment, in seconds, rounded to frames. Where it exceeds
        4 s, windows are as long.

    Raises
    ------
    ValueError
        If the step is not a length of time.

    Example
    -------
    >>> judge = lambda frames: frames.mean(dim=1).log_softmax(dim=1)
    >>> timeline = EmotionTimeline(["angry", "sad"], judge, 10, 1)
    >>> timeline.append(
    ...     0, 25, torch.tensor([0.0, 9.0]).repeat(1, 25, 1), torch.ones(1, 25)
    ... )
    >>> [(s.start_s, s.end_s, s.emotion) for s in timeline.segments()]
    [(0.0, 1.0, 'sad'), (1.0, 2.0, 'sad'), (2.0, 2.5, 'sad')]
    """

    def __init__(
        self,
        emotions: Sequence[str],
        judge: Callable[[torch.Tensor], torch.Tensor],
        sample_rate_hz: int,
        samples_per_frame: int,
        overlap: int = 0,
        step_s: float = TIMELINE_STEP_S,
    ) -> None:
        if not 0 < step_s < math.inf:
            raise ValueError(
                f"The step of the time line is {step_s} s: give a positive "
                "number."
            )
        self.sample_rate_hz = sample_rate_hz
        self.samples_per_frame = samples_per_frame
        self._emotions = emotions
        self._judge = judge
        self._overlap = overlap
        frames_per_s = sample_rate_hz / samples_per_frame
        self._step = max(round(step_s * frames_per_s), 1)
        self._window = max(round(WINDOW_S * frames_per_s), self._step)
        # Plain numbers: a tensor that stays in memory after every chunk keeps
        # the large ones around it from being returned to the system.
        self._segments: list[EmotionSegment] = []
        self._first = self._end = 0
        self._features = torch.zeros(1, 0, 0)
        self._speech = torch.zeros(1, 0, dtype=torch.bool)

    def append(
        self,
        start: int,
        end: int,
        features: torch.Tensor,
        speech: torch.Tensor,
    ) -> None:
        """Takes the next chunk's frames.

        Arguments
        ---------
        start : int
            Position of the chunk's first sample, that of a frame.
        end : int
            Position after its last sample.
        features : torch.Tensor
            What the emotions are judged by, `[channel, time, feature]`, of
            every channel of the recording.
        speech : torch.Tensor
            Which of these frames are speech, `[channel, time]`.
        """
        first = start // self.samples_per_frame
        if self._end:
            seam = self._seam()
            # Where chunks share nothing and convolutions leave out the last
            # frame, the one before counts twice.
            old = torch.arange(self._first, seam).clamp(max=self._last())
            old, new = old - self._first, slice(seam - first, None)
            features = torch.cat([self._features[:, old], features[:, new]], 1)
            speech = torch.cat([self._speech[:, old], speech[:, new]], 1)
        self._features, self._speech, self._end = features, speech.bool(), end
        self._finish()

    def _seam(self) -> int:
        """The frame from which on the next chunk's frames count."""
        return (self._end - self._overlap // 2) // self.samples_per_frame

    def _last(self) -> int:
        return self._first + self._features.shape[1] - 1

    def _finish(self) -> None:
        """Judges what no later chunk has a part in, and forgets its frames."""
        settled = min(self._seam(), self._last() + 1)
        number = len(self._segments)
        while self._window_start(number) + self._window <= settled:
            self._segments.append(self._segment(number, settled))
            number += 1
        # The last window may begin a window before the end.
        unused = max(settled - self._window - self._first, 0)
        self._features = self._features[:, unused:].clone()
        self._speech = self._speech[:, unused:].clone()
        self._first += unused

    def _window_start(self, number: int) -> int:
        middle = number * self._step + self._step // 2
        return max(middle - self._window // 2, 0)

    def _segment(self, number: int, end: int) -> EmotionSegment:
        start = min(self._window_start(number), max(end - self._window, 0))
        window = slice(start - self._first, start - self._first + self._window)
        # Of all channels together.
        speech = self._features[:, window][self._speech[:, window]]
        posteriors = torch.full((len(self._emotions),), 1 / len(self._emotions))
        if len(speech) > 0:
            posteriors = self._judge(speech.unsqueeze(0))[0].exp()
        start = number * self._step
        own = self._speech[:, start - self._first :][:, : self._step]
        frame_s = self.samples_per_frame / self.sample_rate_hz
        return EmotionSegment(
            start * frame_s,
            min(
                (start + self._step) * frame_s, self._end / self.sample_rate_hz
            ),
            dict(zip(self._emotions, posteriors.tolist(), strict=True)),
            own.sum().item() / len(own) * frame_s,
        )

    def segments(self) -> list[EmotionSegment]:
        """Gives what was heard so far, in order, as if the signal ended here.

        Returns
        -------
        list of EmotionSegment
            One for every step.
        """
        end = self._last() + 1
        numbers = range(len(self._segments), math.ceil(end / self._step))
        found = [*self._segments, *(self._segment(n, end) for n in numbers)]
        if found:
            end_s = self._end / self.sample_rate_hz
            found[-1] = found[-1]._replace(end_s=end_s)
        return found

    def log_posteriors(self) -> torch.Tensor:
        """Gives one judgement of the whole signal.

        Returns
        -------
        torch.Tensor
            Mean of the segments' log-posteriors weighted by their speech, and
            normalised so that the probabilities sum to one, `[class]`; all
            the same where there is no speech.
        """
        segments = self.segments()
        rows = torch.tensor([[*s.posteriors.values()] for s in segments])
        # One that is too small for a number still counts as one.
        rows = rows.clamp(min=torch.finfo(rows.dtype).tiny)
        weights = torch.tensor([segment.speech_s for segment in segments])
        weights = weights / weights.sum().clamp(min=1e-9)
        return (weights @ rows.log()).log_softmax(dim=0)
