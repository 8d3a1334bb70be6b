"""Intrusive scores of enhanced speech, and which scores there are.

Every score compares an estimate with the clean reference of the same length.
A score that cannot be computed is NaN: zero would bias a mean, an exception
would lose the run.

Authors
 * The speechbrain-merit developers 2026
"""

import math
import warnings
from collections.abc import Callable, Sequence

import torch

from speechbrain_merit.metrics.composite import (
    COMPOSITE_METRICS,
    composite_scores,
)
from speechbrain_merit.metrics.dnsmos import (
    DNSMOS_METRICS,
    dnsmos_scores,
    load_dnsmos,
)

# The C code behind the package pesq writes past an array, and may take the
# process down, where the reference holds more than 50 stretches of speech. A
# stretch lasts 50 frames of 4 ms or more and so does the pause after it, so
# that this much holds 50 at the most.
PESQ_MAX_DURATION_S = 20.0

# STOI correlates over 30 frames of 256 samples every 128, at 10 kHz.
STOI_MIN_DURATION_S = (256 + 29 * 128) / 10000


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
    # Trained models are used without it.
    import pesq

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
    # Trained models are used without it.
    import pystoi

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


def check_metrics(metrics: Sequence[str], sample_rate_hz: int) -> None:
    """Refuses what `score_signal` could not compute.

    Arguments
    ---------
    metrics : sequence of str
        What to compute.
    sample_rate_hz : int
        Sample rate of the signals.

    Raises
    ------
    ValueError
        If a metric is unknown, or not defined at this sample rate.
    ImportError
        If a metric needs a package that is not installed.

    Example
    -------
    >>> check_metrics(["pesq_wb", "stoi"], 16000)
    """
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


def score_signal(
    estimate: torch.Tensor,
    reference: torch.Tensor,
    metrics: Sequence[str],
    sample_rate_hz: int,
) -> dict[str, float]:
    """Computes several metrics; what they have in common, once.

    Arguments
    ---------
    estimate : torch.Tensor
        Enhanced speech, `[time]`.
    reference : torch.Tensor
        Clean speech, `[time]`.
    metrics : sequence of str
        What to compute, as `check_metrics` lets it pass.
    sample_rate_hz : int
        Sample rate of both.

    Returns
    -------
    dict
        The metrics by name.

    Example
    -------
    >>> speech = torch.randn(16000, generator=torch.Generator().manual_seed(0))
    >>> scores = score_signal(0.9 * speech, speech, ["ssnr_db"], 16000)
    >>> round(scores["ssnr_db"], 3)
    20.0
    """
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
    return {name: scores[name] for name in metrics}


def _to_compute(metrics: Sequence[str]) -> set[str]:
    """Which of `METRICS` are asked for, or needed for what is."""
    needed = set(metrics) & set(METRICS)
    composite = set(COMPOSITE_METRICS) & set(metrics)
    return needed | COMPOSITE_INPUTS if composite else needed
