"""How far the confidence of a model can be believed, and how to mend it.

The expected calibration error is that of M. P. Naeini et al., "Obtaining Well
Calibrated Probabilities Using Bayesian Binning", AAAI 2015, in bins of equal
width; the temperature that of C. Guo et al., "On Calibration of Modern Neural
Networks", ICML 2017.

Authors
 * The speechbrain-merit developers 2026
"""

import math
from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np
from scipy.optimize import minimize_scalar
from scipy.special import log_softmax

NUM_BINS = 15
# What lies beyond is no temperature but a set that is all right or all wrong.
LOWEST_TEMPERATURE = 0.05
HIGHEST_TEMPERATURE = 20.0


class ReliabilityBin(NamedTuple):
    """The utterances that a model was about equally sure of.

    Arguments
    ---------
    confidence : float
        Mean probability of their most probable class.
    accuracy : float
        Share of them for which that class is the true one.
    count : int
        Their number, at least 1.
    """

    confidence: float
    accuracy: float
    count: int  # type: ignore[assignment] # tuple has a method count


def reliability_bins(
    posteriors: np.ndarray, targets: np.ndarray, num_bins: int = NUM_BINS
) -> list[ReliabilityBin]:
    """Compares confidence and accuracy in bins of equal width.

    Arguments
    ---------
    posteriors : numpy.ndarray
        Probabilities, `[utterance, class]`.
    targets : numpy.ndarray
        Index of the true class, `[utterance]`.
    num_bins : int
        Number of bins between 0 and 1, each with its upper end.

    Returns
    -------
    list of ReliabilityBin
        By rising confidence, without the empty ones.

    Example
    -------
    >>> posteriors = np.array([[0.9, 0.1], [0.8, 0.2], [0.4, 0.6]])
    >>> for found in reliability_bins(posteriors, np.array([0, 1, 1]), 2):
    ...     round(found.confidence, 3), round(found.accuracy, 3), found.count
    (0.767, 0.667, 3)
    """
    confidences = posteriors.max(axis=1)
    correct = posteriors.argmax(axis=1) == targets
    indices = np.ceil(confidences * num_bins).clip(1, num_bins)
    bins = []
    for index in np.unique(indices):
        inside = indices == index
        bins.append(
            ReliabilityBin(
                float(confidences[inside].mean()),
                float(correct[inside].mean()),
                int(inside.sum()),
            )
        )
    return bins


def expected_calibration_error(
    posteriors: np.ndarray, targets: np.ndarray, num_bins: int = NUM_BINS
) -> float:
    """Averages the distance between confidence and accuracy over all bins.

    Arguments
    ---------
    posteriors : numpy.ndarray
        Probabilities, `[utterance, class]`.
    targets : numpy.ndarray
        Index of the true class, `[utterance]`.
    num_bins : int
        As for `reliability_bins`.

    Returns
    -------
    float
        From 0, for confidence that is right on average, to 1; NaN without
        utterances.

    Example
    -------
    >>> always_sure = np.array([[1.0, 0.0]] * 4)
    >>> expected_calibration_error(always_sure, np.array([0, 0, 0, 1]))
    0.25
    """
    if len(targets) == 0:
        return math.nan
    bins = reliability_bins(posteriors, targets, num_bins)
    distances = (b.count * abs(b.confidence - b.accuracy) for b in bins)
    return sum(distances) / len(targets)


def fit_temperature(posteriors: np.ndarray, targets: np.ndarray) -> float:
    """Finds what to divide logits by so that the likelihood is largest.

    Arguments
    ---------
    posteriors : numpy.ndarray
        Probabilities, `[utterance, class]`.
    targets : numpy.ndarray
        Index of the true class, `[utterance]`.

    Returns
    -------
    float
        Above 1 for a model that is too sure of itself; between 0.05 and 20.

    Raises
    ------
    ValueError
        If there is no utterance.

    Example
    -------
    >>> posteriors = np.array([[0.9, 0.1]] * 4)
    >>> right_three_times = np.array([0, 0, 0, 1])
    >>> round(fit_temperature(posteriors, right_three_times), 4)
    2.0
    """
    if len(targets) == 0:
        raise ValueError("A temperature needs utterances that have a label.")

    logits = _logits(posteriors)

    def loss(log_temperature: float) -> float:
        scaled = logits / math.exp(log_temperature)
        chosen = log_softmax(scaled, axis=1)[np.arange(len(targets)), targets]
        return -float(chosen.mean())

    # The likelihood has one maximum: it is concave in the inverse.
    found = minimize_scalar(
        loss,
        bounds=(math.log(LOWEST_TEMPERATURE), math.log(HIGHEST_TEMPERATURE)),
        method="bounded",
        options={"xatol": 1e-6},
    )
    return math.exp(found.x)


def apply_temperature(posteriors: np.ndarray, temperature: float) -> np.ndarray:
    """Computes the probabilities of logits divided by a temperature.

    Arguments
    ---------
    posteriors : numpy.ndarray
        Probabilities, `[utterance, class]`.
    temperature : float
        What to divide by; the inverse of one takes it back.

    Returns
    -------
    numpy.ndarray
        Probabilities, `[utterance, class]`.

    Example
    -------
    >>> apply_temperature(np.array([[0.9, 0.1]]), 2.0)
    array([[0.75, 0.25]])
    """
    return np.exp(log_softmax(_logits(posteriors) / temperature, axis=1))


def _logits(posteriors: np.ndarray) -> np.ndarray:
    # A probability too small for a float must have a finite logarithm.
    smallest = np.finfo(posteriors.dtype).tiny
    return np.log(np.maximum(posteriors, smallest))


def calibration_dictionary(
    judged: Mapping[str, tuple[np.ndarray, np.ndarray]],
    temperature: float | None,
) -> dict[str, Any] | None:
    """Gathers the calibration of a test run as it goes into `results.json`.

    Arguments
    ---------
    judged : Mapping
        As `TestStats.posteriors_by_noise` gives it, of the model with its
        temperature.
    temperature : float or None
        What its logits were divided by; None where none was fitted.

    Returns
    -------
    dict or None
        `temperature`; `num_bins`; `ece`, the expected calibration error by
        kind of noise over all SNRs; `uncalibrated_ece`, what it would be
        without the temperature, None where there is none. Nothing for a
        system without emotions.

    Example
    -------
    >>> judged = {"clean": (np.array([[0.9, 0.1]]), np.array([0]))}
    >>> calibration_dictionary(judged, 2.0)["uncalibrated_ece"]
    {'clean': 0.012...}
    """
    if not judged:
        return None
    uncalibrated = temperature and {
        noise: (apply_temperature(posteriors, 1 / temperature), targets)
        for noise, (posteriors, targets) in judged.items()
    }
    return {
        "temperature": temperature,
        "num_bins": NUM_BINS,
        "ece": _errors(judged),
        "uncalibrated_ece": uncalibrated and _errors(uncalibrated),
    }


def _errors(
    judged: Mapping[str, tuple[np.ndarray, np.ndarray]],
) -> dict[str, float]:
    return {
        noise: expected_calibration_error(posteriors, targets)
        for noise, (posteriors, targets) in judged.items()
    }
