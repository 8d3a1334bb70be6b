"""Intrusive scores of enhanced speech, and their means over a test set.

Every score compares an estimate with the clean reference of the same length.
A score that cannot be computed is NaN: zero would bias a mean, an exception
would lose the run. `EnhancementStats` counts these utterances and leaves them
out of its means.

Authors
 * The speechbrain-merit developers 2026
"""

import math
import warnings
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import pesq
import pystoi
import torch
from joblib import Parallel, delayed, parallel_config

from speechbrain_merit.metrics.composite import (
    COMPOSITE_METRICS,
    composite_scores,
)
from speechbrain_merit.metrics.dnsmos import (
    DNSMOS_METRICS,
    dnsmos_scores,
    load_dnsmos,
)
from speechbrain_merit.metrics.json_stats import JsonStats
from speechbrain_merit.metrics.merging import merge_rows

# The C code behind the package pesq writes past an array, and may take the
# process down, where the reference holds more than 50 stretches of speech. A
# stretch lasts 50 frames of 4 ms or more and so does the pause after it, so
# that this much holds 50 at the most.
PESQ_MAX_DURATION_S = 20.0

# STOI correlates over 30 frames of 256 samples every 128, at 10 kHz.
STOI_MIN_DURATION_S = (256 + 29 * 128) / 10000

# Enough for the slowest utterance of a chunk not to idle the other jobs.
UTTERANCES_PER_JOB = 8


def pesq_wb(
    estimate: torch.Tensor, reference: torch.Tensor, sample_rate_hz: int = 16000
) -> float:
    """Scores quality by wide-band PESQ (ITU-T P.862.2), package `pesq`.

    Arguments
    ---------
    estimate : torch.Tensor
        Enhanced speech, `[time]`.
    reference : torch.Tensor
        Clean speech, `[time]`.
    sample_rate_hz : int
        Sample rate of both; wide-band PESQ is defined at 16000 alone.

    Returns
    -------
    float
        MOS-LQO from 1.0 to 4.64; NaN where a sample is not finite, the
        reference is silent or holds no utterance that PESQ detects, the
        estimate is silent, or the signals are shorter than 0.25 s or longer
        than `PESQ_MAX_DURATION_S`.

    Raises
    ------
    ValueError
        If the sample rate is not 16000 or the lengths differ.
    RuntimeError
        If PESQ fails in a way that does not come from the signals.

    Example
    -------
    >>> speech = torch.randn(16000, generator=torch.Generator().manual_seed(0))
    >>> round(pesq_wb(speech, speech), 2)
    4.64
    >>> pesq_wb(speech, torch.zeros(16000))
    nan
    """
    _check_wide_band(sample_rate_hz)
    too_long = len(reference) > PESQ_MAX_DURATION_S * sample_rate_hz
    if not _can_be_scored(estimate, reference) or too_long:
        return math.nan
    # Asked for codes, not exceptions: a NaN score, which a silent estimate
    # gets, would fail as an unknown error.
    score = pesq.pesq(
        sample_rate_hz,
        reference.numpy(),
        estimate.numpy(),
        mode="wb",
        on_error=pesq.PesqError.RETURN_VALUES,
    )
    if score in (
        pesq.PesqError.NO_UTTERANCES_DETECTED,
        pesq.PesqError.BUFFER_TOO_SHORT,
    ):
        return math.nan
    if score < 0:
        message = pesq.cypesq.cypesq_error_message(int(score)).decode()
        raise RuntimeError(f"PESQ failed with code {score}: {message}.")
    return float(score)


def stoi(
    estimate: torch.Tensor, reference: torch.Tensor, sample_rate_hz: int = 16000
) -> float:
    """Scores intelligibility by STOI, not extended, package `pystoi`.

    Reference: C. H. Taal et al., "An Algorithm for Intelligibility Prediction
    of Time-Frequency Weighted Noisy Speech", IEEE TASLP vol. 19, 2011.

    Arguments
    ---------
    estimate : torch.Tensor
        Enhanced speech, `[time]`.
    reference : torch.Tensor
        Clean speech, `[time]`.
    sample_rate_hz : int
        Sample rate of both.

    Returns
    -------
    float
        At most 1; NaN where a sample is not finite, the reference is silent,
        or less than 0.4 s of it lies within 40 dB of its loudest frame.

    Raises
    ------
    ValueError
        If the lengths differ.

    Example
    -------
    >>> speech = torch.randn(16000, generator=torch.Generator().manual_seed(0))
    >>> round(stoi(speech, speech), 6)
    1.0
    >>> stoi(speech[:4000], speech[:4000])
    nan
    """
    too_short = len(reference) < STOI_MIN_DURATION_S * sample_rate_hz
    if not _can_be_scored(estimate, reference) or too_short:
        return math.nan
    with warnings.catch_warnings():
        # Where too little is left after removing the pauses, pystoi warns
        # and returns 1e-5, which reads as a score.
        warnings.filterwarnings("error", "Not enough STFT frames")
        try:
            return float(
                pystoi.stoi(
                    reference.double().numpy(),
                    estimate.double().numpy(),
                    sample_rate_hz,
                    extended=False,
                )
            )
        except RuntimeWarning:
            return math.nan


def segmental_snr_db(
    estimate: torch.Tensor, reference: torch.Tensor, sample_rate_hz: int = 16000
) -> float:
    """Averages the SNR of short frames, each limited to -10..35 dB.

    As in J. H. L. Hansen, B. L. Pellom, "An Effective Quality Evaluation
    Protocol for Speech Enhancement Algorithms", ICSLP 1998, and P. C. Loizou,
    "Speech Enhancement: Theory and Practice", 2nd ed., chapter 11: frames of
    30 ms under a Hann window without its zeros, 75 % overlap, no removal of
    the mean, no rescaling of the estimate. A frame in which the reference is
    digital silence counts -10 dB whatever the estimate, as there. Every whole
    frame counts; Loizou's program leaves out the last.

    Arguments
    ---------
    estimate : torch.Tensor
        Enhanced speech, `[time]`.
    reference : torch.Tensor
        Clean speech, `[time]`.
    sample_rate_hz : int
        Sample rate of both.

    Returns
    -------
    float
        Segmental SNR in dB; NaN where a sample is not finite, the reference
        is silent, or the signals are shorter than a frame.

    Raises
    ------
    ValueError
        If the lengths differ.

    Example
    -------
    >>> speech = torch.randn(16000, generator=torch.Generator().manual_seed(0))
    >>> round(segmental_snr_db(0.9 * speech, speech), 3)
    20.0
    """
    frame_length = round(0.03 * sample_rate_hz)
    too_short = len(reference) < frame_length
    if not _can_be_scored(estimate, reference) or too_short:
        return math.nan
    window = torch.hann_window(
        frame_length + 2, periodic=False, dtype=torch.float64
    )[1:-1]

    def frame_energies(signal: torch.Tensor) -> torch.Tensor:
        frames = signal.square().unfold(0, frame_length, frame_length // 4)
        return frames @ window.square()

    reference = reference.double()
    epsilon = torch.finfo(torch.float64).eps
    ratios = frame_energies(reference) / (
        frame_energies(reference - estimate.double()) + epsilon
    )
    snrs_db = 10 * torch.log10(ratios + epsilon)
    return float(snrs_db.clamp(min=-10, max=35).mean())


def si_sdr_db(estimate: torch.Tensor, reference: torch.Tensor) -> float:
    """Computes the scale-invariant signal-to-distortion ratio.

    Reference: J. Le Roux et al., "SDR - Half-baked or Well Done?", ICASSP
    2019; the means are removed first. SpeechBrain's `cal_si_snr` is a loss:
    it adds 1e-8 to the energies, which moves the value of quiet signals and
    hides a perfect estimate.

    Arguments
    ---------
    estimate : torch.Tensor
        Enhanced speech, `[time]`.
    reference : torch.Tensor
        Clean speech, `[time]`.

    Returns
    -------
    float
        SI-SDR in dB, infinite for an estimate without any distortion, such
        as clean speech scored against itself; NaN where a sample is not
        finite, or the reference is silent or constant, or the estimate is.

    Raises
    ------
    ValueError
        If the lengths differ.

    Example
    -------
    >>> reference = torch.tensor([1.0, -1.0, 1.0, -1.0])
    >>> distortion = torch.tensor([0.1, 0.1, -0.1, -0.1])
    >>> round(si_sdr_db(reference + distortion, reference), 3)
    20.0
    >>> si_sdr_db(reference, reference)
    inf
    """
    if not _can_be_scored(estimate, reference):
        return math.nan
    # In place of a test for energy, which rounding keeps from being zero.
    if reference.min() == reference.max() or estimate.min() == estimate.max():
        return math.nan
    estimate, reference = estimate.double(), reference.double()
    estimate, reference = (
        estimate - estimate.mean(),
        reference - reference.mean(),
    )
    target = (estimate @ reference) / (reference @ reference) * reference
    distortion = estimate - target
    ratio = (target @ target) / (distortion @ distortion)
    return float(10 * torch.log10(ratio))


def _can_be_scored(estimate: torch.Tensor, reference: torch.Tensor) -> bool:
    if estimate.shape != reference.shape or estimate.dim() != 1:
        raise ValueError(
            "Estimate and reference must be [time] and equally long, but "
            f"have the shapes {tuple(estimate.shape)} and "
            f"{tuple(reference.shape)}."
        )
    finite = bool(estimate.isfinite().all() and reference.isfinite().all())
    return finite and bool(reference.any())


def _check_wide_band(sample_rate_hz: int) -> None:
    if sample_rate_hz != 16000:
        raise ValueError(
            f"pesq_wb at sample_rate_hz {sample_rate_hz}: wide-band PESQ is "
            "defined at 16000 alone. Resample, or leave out pesq_wb and what "
            "is made of it (csig, cbak, covl)."
        )


METRICS: dict[str, Callable[[torch.Tensor, torch.Tensor, int], float]] = {
    "pesq_wb": pesq_wb,
    "stoi": stoi,
    "ssnr_db": segmental_snr_db,
    # The one score that does not depend on the sample rate.
    "si_sdr_db": lambda estimate, reference, _: si_sdr_db(estimate, reference),
}
# What the composite scores are made of, beside what they compute themselves.
COMPOSITE_INPUTS = {"pesq_wb", "ssnr_db"}


class EnhancementStats(JsonStats):
    """Scores enhanced and unprocessed speech, utterance by utterance.

    Signals wait in a queue on the CPU until there are `UTTERANCES_PER_JOB`
    for every job, and are then scored together and dropped. So the memory
    taken is bounded by that many utterances and the last batch: on one job
    with utterances of 12 s, 18 MB and the batch.

    Arguments
    ---------
    sample_rate_hz : int
        Sample rate of all signals.
    metrics : sequence of str
        What to compute, out of `METRICS`, `COMPOSITE_METRICS` and
        `DNSMOS_METRICS`.
    n_jobs : int
        Worker processes, each with a single thread; 1 scores in this process.

    Raises
    ------
    ValueError
        If a metric is unknown, or not defined at this sample rate, or
        `n_jobs` is not positive.
    ImportError
        If a metric needs a package that is not installed.

    Example
    -------
    >>> generator = torch.Generator().manual_seed(0)
    >>> clean = torch.randn(1, 16000, generator=generator)
    >>> stats = EnhancementStats(metrics=("ssnr_db",))
    >>> stats.append(["a"], predict=0.9 * clean, target=clean, noisy=-9 * clean)
    >>> round(stats.summarize("se")["ssnr_db"], 3)
    20.0
    >>> stats.summarize("noisy")
    {'ssnr_db': -10.0}
    >>> stats.summarize("num_unscored")
    {'ssnr_db': 0}
    """

    def __init__(
        self,
        sample_rate_hz: int = 16000,
        metrics: Sequence[str] = ("pesq_wb", "stoi", "ssnr_db", "si_sdr_db"),
        n_jobs: int = 1,
    ):
        known = (*METRICS, *COMPOSITE_METRICS, *DNSMOS_METRICS)
        unknown = sorted(set(metrics) - set(known))
        if unknown:
            raise ValueError(
                f"metrics holds {unknown}; only {sorted(known)} are known."
            )
        if "pesq_wb" in _to_compute(metrics):
            _check_wide_band(sample_rate_hz)
        if set(DNSMOS_METRICS) & set(metrics):
            load_dnsmos()
        if n_jobs < 1:
            raise ValueError(f"n_jobs is {n_jobs}; it must be 1 or more.")
        self.sample_rate_hz = sample_rate_hz
        self.metrics = tuple(metrics)
        super().__init__(metric=None, n_jobs=n_jobs, batch_eval=False)

    def clear(self) -> None:
        """Forgets every utterance, scored or waiting."""
        self.summary: dict[str, Any] = {}
        self._scores: dict[str, dict[str, float]] = {}
        # Enhanced, clean and unprocessed speech by utterance.
        self._queue: dict[str, list[torch.Tensor]] = {}

    @property
    def ids(self) -> list[str]:
        """Identities of the utterances, in the order appended.

        Returns
        -------
        list of str
            Each once, whether scored or waiting.
        """
        return [*self._scores, *self._queue]

    def append(
        self,
        ids: Sequence[str],
        predict: torch.Tensor,
        target: torch.Tensor,
        noisy: torch.Tensor,
        lengths: torch.Tensor | None = None,
    ) -> None:
        """Takes a batch; the padding of each utterance is cut off.

        Arguments
        ---------
        ids : sequence of str
            Identity of each utterance.
        predict : torch.Tensor
            Enhanced speech, `[batch, time]`.
        target : torch.Tensor
            Clean speech, `[batch, time]`.
        noisy : torch.Tensor
            Unprocessed speech, `[batch, time]`.
        lengths : torch.Tensor, optional
            Lengths relative to `time`, `[batch]`; all of it by default.

        Raises
        ------
        ValueError
            If the shapes do not agree, or an identity occurs twice.
        """
        _check_batch(ids, predict, target, noisy)
        if lengths is None:
            lengths = torch.ones(len(ids))
        num_samples = (lengths.double() * predict.shape[1]).round().int()
        for row, (name, length) in enumerate(
            zip(ids, num_samples.tolist(), strict=True)
        ):
            if name in self._scores or name in self._queue:
                raise ValueError(f"Utterance {name} is scored twice.")
            self._queue[name] = [
                # A copy, since a slice would keep the whole batch alive.
                batch[row, :length]
                .detach()
                .to(device="cpu", dtype=torch.float32, copy=True)
                for batch in (predict, target, noisy)
            ]
        if len(self._queue) >= UTTERANCES_PER_JOB * self.n_jobs:
            self._score_queue()

    def merge(
        self, others: Sequence["EnhancementStats"], order: Sequence[str]
    ) -> None:
        """Takes in what other processes have scored.

        Arguments
        ---------
        others : sequence of EnhancementStats
            Of other utterances.
        order : sequence of str
            Identity of all utterances, in the order of one process.

        Raises
        ------
        ValueError
            If an utterance occurs twice, or is not among all.
        """
        self._scores = merge_rows(
            [part.scores.items() for part in (self, *others)], order
        )

    def __getstate__(self) -> dict[str, Any]:
        # Sent to another process, scores take less than signals.
        self._score_queue()
        return self.__dict__

    def state_dict(self) -> dict[str, Any]:
        """Gives all that was appended, as plain values.

        Returns
        -------
        dict
            For `load_state_dict`.
        """
        return {"scores": dict(self.scores)}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Takes up what was appended before.

        Arguments
        ---------
        state : Mapping
            As of `state_dict`.
        """
        self._scores = dict(state["scores"])

    def summarize(self, field: str | None = None) -> dict[str, Any]:
        """Averages over the utterances scored both enhanced and noisy.

        Clean speech has an infinite SI-SDR against itself. That is a score,
        so it leaves the utterance in both means, but a mean that is infinite
        is given as None: JSON has no such number.

        Arguments
        ---------
        field : str, optional
            One of the keys below, to return its value alone.

        Returns
        -------
        dict
            `se` and `noisy`, each the mean by metric, None where nothing
            could be scored; `num_unscored`, the number of utterances by
            metric for which either score is NaN.
        """
        self.summary = {"se": {}, "noisy": {}, "num_unscored": {}}
        for metric in self.metrics:
            pairs = [
                (row[metric], row[f"noisy_{metric}"])
                for row in self.scores.values()
            ]
            scored = [pair for pair in pairs if not any(map(math.isnan, pair))]
            self.summary["se"][metric] = _mean([pair[0] for pair in scored])
            self.summary["noisy"][metric] = _mean([pair[1] for pair in scored])
            self.summary["num_unscored"][metric] = len(pairs) - len(scored)
        return self.summary if field is None else self.summary[field]

    @property
    def scores(self) -> dict[str, dict[str, float]]:
        """Every score by utterance and metric.

        Returns
        -------
        dict
            By identity in the order appended: the score of the enhanced
            speech under the name of the metric, that of the unprocessed
            speech under `noisy_` and the name; NaN where not computable.
        """
        self._score_queue()
        return self._scores

    def _score_queue(self) -> None:
        tasks = [
            (signals, self.metrics, self.sample_rate_hz)
            for signals in self._queue.values()
        ]
        if self.n_jobs == 1:
            scores = [_score_utterance(*task) for task in tasks]
        else:
            # Not upstream's multiprocess_evaluation: it retries a failing
            # utterance for ever.
            with parallel_config("loky", inner_max_num_threads=1):
                scores = Parallel(n_jobs=self.n_jobs)(
                    delayed(_score_utterance)(*task) for task in tasks
                )
        self._scores.update(zip(self._queue, scores, strict=True))
        # Not before: where scoring fails, none of them may count as done.
        self._queue = {}


def _check_batch(ids: Sequence[str], *signals: torch.Tensor) -> None:
    shapes = [tuple(batch.shape) for batch in signals]
    if len(set(shapes)) > 1 or len(shapes[0]) != 2 or shapes[0][0] != len(ids):
        raise ValueError(
            "predict, target and noisy must all be [batch, time] for "
            f"{len(ids)} utterances, but have the shapes {shapes}."
        )


def _score_utterance(
    signals: Sequence[torch.Tensor], metrics: Sequence[str], sample_rate_hz: int
) -> dict[str, float]:
    estimate, reference, noisy = signals
    scores = {}
    enhanced, unprocessed = (
        _score_signal(signal, reference, metrics, sample_rate_hz)
        for signal in (estimate, noisy)
    )
    for metric in metrics:
        scores[metric] = enhanced[metric]
        scores[f"noisy_{metric}"] = unprocessed[metric]
    return scores


def _score_signal(
    estimate: torch.Tensor,
    reference: torch.Tensor,
    metrics: Sequence[str],
    sample_rate_hz: int,
) -> dict[str, float]:
    """Gives at least what is asked for; scores in common are computed once."""
    scores = {
        name: METRICS[name](estimate, reference, sample_rate_hz)
        for name in _to_compute(metrics)
    }
    if set(COMPOSITE_METRICS) & set(metrics):
        inputs = {name: scores[name] for name in COMPOSITE_INPUTS}
        scores |= composite_scores(
            estimate, reference, sample_rate_hz, **inputs
        )
    if set(DNSMOS_METRICS) & set(metrics):
        scores |= dnsmos_scores(estimate, sample_rate_hz)
    return scores


def _to_compute(metrics: Sequence[str]) -> set[str]:
    """Which of `METRICS` are asked for, or needed for what is."""
    needed = set(metrics) & set(METRICS)
    composite = set(COMPOSITE_METRICS) & set(metrics)
    return needed | COMPOSITE_INPUTS if composite else needed


def _mean(values: Sequence[float]) -> float | None:
    mean = sum(values) / len(values) if values else math.nan
    return mean if math.isfinite(mean) else None
