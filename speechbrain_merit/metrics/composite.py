"""Composite scores of enhanced speech: CSIG, CBAK and COVL.

They predict how listeners rate the signal, the background and the whole (ITU-T
P.835) from PESQ, the segmental SNR and two spectral distances. Reference: Y.
Hu, P. C. Loizou, "Evaluation of Objective Quality Measures for Speech
Enhancement", IEEE TASLP vol. 16, 2008, with the coefficients and the program of
P. C. Loizou, "Speech Enhancement: Theory and Practice", 2nd ed., chapter 11,
whose details published scores rest on. As in most of them, PESQ is the
wide-band one.

Authors
 * The speechbrain-merit developers 2026
"""

import math

import numpy as np
import torch

COMPOSITE_METRICS = ("csig", "cbak", "covl")

FRAME_S = 0.03
# The worst frames, which outliers are among, do not count.
SHARE_OF_FRAMES = 0.95
# What LPC looks back, in samples, at 10 kHz and above.
PREDICTION_ORDER = 16

# Centres of the critical bands of WSS in Hz. A band is as wide as it is away
# from the one before; the first one is 70 Hz wide.
BAND_CENTRES_HZ = np.array(
    [50.0, 120.0, 190.0, 260.0, 330.0, 400.0, 470.0, 540.0, 617.372]
    + [703.378, 798.717, 904.128, 1020.38, 1148.30, 1288.72, 1442.54]
    + [1610.70, 1794.16, 1993.93, 2211.08, 2446.71, 2701.97, 2978.04]
    + [3276.17, 3597.63]
)
FIRST_BANDWIDTH_HZ = 70.0
SMALLEST_ENERGY = 1e-10
# Klatt's constants, in dB: how fast a slope counts less, below the spectrum's
# maximum and below the nearest peak.
MAXIMUM_WEIGHT_DB = 20.0
PEAK_WEIGHT_DB = 1.0


def composite_scores(
    estimate: torch.Tensor,
    reference: torch.Tensor,
    sample_rate_hz: int,
    pesq_wb: float,
    ssnr_db: float,
) -> dict[str, float]:
    """Combines PESQ, segmental SNR, LLR and WSS.

    Arguments
    ---------
    estimate : torch.Tensor
        Enhanced speech, `[time]`.
    reference : torch.Tensor
        Clean speech, `[time]`.
    sample_rate_hz : int
        Sample rate of both, at least 10000.
    pesq_wb : float
        PESQ of the two, as of `pesq_wb`.
    ssnr_db : float
        Segmental SNR of the two in dB, as of `segmental_snr_db`.

    Returns
    -------
    dict
        `csig`, `cbak` and `covl`, from 1 to 5; NaN where PESQ or the
        segmental SNR is.

    Example
    -------
    >>> speech = torch.randn(16000, generator=torch.Generator().manual_seed(0))
    >>> scores = composite_scores(speech, speech, 16000, 2.0, ssnr_db=10.0)
    >>> {name: round(score, 3) for name, score in scores.items()}
    {'csig': 4.299, 'cbak': 3.22, 'covl': 3.204}
    """
    if math.isnan(pesq_wb) or math.isnan(ssnr_db):
        return dict.fromkeys(COMPOSITE_METRICS, math.nan)
    llr = log_likelihood_ratio(estimate, reference, sample_rate_hz)
    wss = weighted_spectral_slope(estimate, reference, sample_rate_hz)
    scores = {
        "csig": 3.093 - 1.029 * llr + 0.603 * pesq_wb - 0.009 * wss,
        "cbak": 1.634 + 0.478 * pesq_wb - 0.007 * wss + 0.063 * ssnr_db,
        "covl": 1.594 + 0.805 * pesq_wb - 0.512 * llr - 0.007 * wss,
    }
    return {name: min(max(score, 1.0), 5.0) for name, score in scores.items()}


def log_likelihood_ratio(
    estimate: torch.Tensor, reference: torch.Tensor, sample_rate_hz: int
) -> float:
    """Compares the spectral envelopes of short frames by linear prediction.

    Of every frame, the energy that remains of the reference when it is
    predicted with the estimate's coefficients, over that with its own. The
    logarithms are averaged over the best 95 % of the frames. A frame in which
    the reference is digital silence has no such ratio and is left out.

    Arguments
    ---------
    estimate : torch.Tensor
        Enhanced speech, `[time]`.
    reference : torch.Tensor
        Clean speech, `[time]`.
    sample_rate_hz : int
        Sample rate of both, at least 10000.

    Returns
    -------
    float
        0 for equal envelopes, more for less similar ones; NaN where no frame
        counts.

    Example
    -------
    >>> speech = torch.randn(16000, generator=torch.Generator().manual_seed(0))
    >>> log_likelihood_ratio(0.5 * speech, speech, 16000)
    0.0
    """
    clean = _autocorrelations(_frames(reference, sample_rate_hz))
    found = _autocorrelations(_frames(estimate, sample_rate_hz))
    heard = clean[:, 0] > 0
    clean, found = clean[heard], found[heard]
    residuals = [
        np.einsum("fi,fij,fj->f", filters, _toeplitz(clean), filters)
        for filters in (_prediction_filters(found), _prediction_filters(clean))
    ]
    # At least 1 but for rounding: the reference's own filter is the best.
    ratios = np.maximum(residuals[0] / residuals[1], 1.0)
    return _mean_of_best(np.log(ratios))


def weighted_spectral_slope(
    estimate: torch.Tensor, reference: torch.Tensor, sample_rate_hz: int
) -> float:
    """Compares the slopes of short-time spectra in 25 critical bands.

    Slopes count by how near they are to the maximum of the spectrum and to
    the nearest peak; the mean is over the best 95 % of the frames. Reference:
    D. Klatt, "Prediction of Perceived Phonetic Distance from Critical-band
    Spectra", ICASSP 1982. On a rising slope, the peak is taken to be the band
    below it, as in Loizou's program.

    Arguments
    ---------
    estimate : torch.Tensor
        Enhanced speech, `[time]`.
    reference : torch.Tensor
        Clean speech, `[time]`.
    sample_rate_hz : int
        Sample rate of both, at least 8000.

    Returns
    -------
    float
        0 for spectra of equal shape, more for less similar ones; NaN where
        the signals are shorter than a frame.

    Example
    -------
    >>> speech = torch.randn(16000, generator=torch.Generator().manual_seed(0))
    >>> weighted_spectral_slope(speech, speech, 16000)
    0.0
    """
    slopes, weights = [], []
    for signal in (reference, estimate):
        frames = _frames(signal, sample_rate_hz)
        energies_db = _band_energies_db(frames, sample_rate_hz)
        slopes.append(np.diff(energies_db))
        weights.append(_slope_weights(energies_db))
    weight = (weights[0] + weights[1]) / 2
    distances = (weight * (slopes[0] - slopes[1]) ** 2).sum(axis=1)
    return _mean_of_best(distances / weight.sum(axis=1))


def _frames(signal: torch.Tensor, sample_rate_hz: int) -> np.ndarray:
    """Cuts a signal into frames under a window, `[frame, sample]`."""
    length = round(FRAME_S * sample_rate_hz)
    if len(signal) < length:
        return np.empty((0, length))
    # A Hann window without its zeros, with 75 % overlap.
    window = torch.hann_window(length + 2, periodic=False, dtype=torch.double)
    frames = signal.double().unfold(0, length, length // 4) * window[1:-1]
    # Loizou's program leaves out the last whole frame.
    return frames[:-1].numpy()


def _mean_of_best(distances: np.ndarray) -> float:
    count = math.floor(SHARE_OF_FRAMES * len(distances) + 0.5)
    if count == 0:
        return math.nan
    return float(np.sort(distances)[:count].mean())


def _autocorrelations(frames: np.ndarray) -> np.ndarray:
    """Gives `[frame, lag]` up to the order of the prediction."""
    length = frames.shape[1]
    lags = [
        (frames[:, : length - lag] * frames[:, lag:]).sum(axis=1)
        for lag in range(PREDICTION_ORDER + 1)
    ]
    return np.stack(lags, axis=1)


def _toeplitz(autocorrelations: np.ndarray) -> np.ndarray:
    lags = np.arange(autocorrelations.shape[1])
    return autocorrelations[:, np.abs(lags[:, None] - lags)]


def _prediction_filters(autocorrelations: np.ndarray) -> np.ndarray:
    """Solves the normal equations; `[frame, coefficient]`, the first one 1."""
    matrices = _toeplitz(autocorrelations[:, :-1])
    # White noise 100 dB below keeps what is almost a pure tone solvable, and
    # any matrix does for a silent frame, whose coefficients become zero.
    power = autocorrelations[:, 0]
    load = np.where(power > 0, 1e-10 * power, 1.0)
    matrices = matrices + load[:, None, None] * np.eye(PREDICTION_ORDER)
    solved = np.linalg.solve(matrices, autocorrelations[:, 1:, None])[..., 0]
    return np.concatenate([np.ones((len(solved), 1)), -solved], axis=1)


def _band_energies_db(frames: np.ndarray, sample_rate_hz: int) -> np.ndarray:
    """Sums the power spectra within critical bands, `[frame, band]`."""
    fft_size = 2 ** math.ceil(math.log2(2 * frames.shape[1]))
    powers = np.abs(np.fft.rfft(frames, fft_size))[:, :-1] ** 2
    energies = powers @ _band_filters(fft_size, sample_rate_hz).T
    return 10 * np.log10(np.maximum(energies, SMALLEST_ENERGY))


def _band_filters(fft_size: int, sample_rate_hz: int) -> np.ndarray:
    """Makes Gaussian filters of equal area, `[band, bin]`."""
    bins_per_hz = fft_size / sample_rate_hz
    widths_hz = np.diff(
        BAND_CENTRES_HZ, prepend=BAND_CENTRES_HZ[0] - FIRST_BANDWIDTH_HZ
    )
    centres = np.floor(BAND_CENTRES_HZ * bins_per_hz)[:, None]
    bins = np.arange(fft_size // 2)
    distances = (bins - centres) / (widths_hz * bins_per_hz)[:, None]
    heights = (FIRST_BANDWIDTH_HZ / widths_hz)[:, None]
    filters = heights * np.exp(-11 * distances**2)
    # Cut off at -30 dB.
    return np.where(filters > np.exp(-30 / (2 * 2.303)), filters, 0.0)


def _slope_weights(energies_db: np.ndarray) -> np.ndarray:
    """Weighs the slope above every band but the last, `[frame, slope]`."""
    energies, slopes = energies_db[:, :-1], np.diff(energies_db)
    peaks = np.where(slopes > 0, *_nearest_peaks(energies, slopes))
    maximum = energies_db.max(axis=1, keepdims=True)
    return (
        MAXIMUM_WEIGHT_DB
        / (MAXIMUM_WEIGHT_DB + maximum - energies)
        * PEAK_WEIGHT_DB
        / (PEAK_WEIGHT_DB + peaks - energies)
    )


def _nearest_peaks(
    energies: np.ndarray, slopes: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Follows the slopes up to the peaks above and to the peaks below."""
    above, below = energies.copy(), energies.copy()
    last = slopes.shape[1] - 1
    for band in range(last - 1, -1, -1):
        rising = slopes[:, band + 1] > 0
        above[rising, band] = above[rising, band + 1]
    for band in range(1, last + 1):
        falling = slopes[:, band - 1] <= 0
        below[falling, band] = below[falling, band - 1]
    return above, below
