"""CSIG, CBAK, COVL and DNSMOS against plain versions and stand-ins.

Authors
 * The speechbrain-merit developers 2026
"""

import math
import sys
import types

import numpy as np
import pytest
import torch
from scipy.linalg import solve_toeplitz, toeplitz
from scipy.signal import lfilter

from speechbrain_merit.metrics import Condition
from speechbrain_merit.metrics.composite import (
    BAND_CENTRES_HZ,
    composite_scores,
    log_likelihood_ratio,
    weighted_spectral_slope,
)
from speechbrain_merit.metrics.dnsmos import dnsmos_scores
from speechbrain_merit.metrics.enhancement import pesq_wb, segmental_snr_db
from speechbrain_merit.metrics.utterance_scorer import UtteranceScorer

RATE = 16000
GENERATOR = torch.Generator().manual_seed(0)


def resonant(seed, num_samples=RATE):
    """White noise through two resonances, as vowels have them."""
    rng = np.random.default_rng(seed)
    signal = rng.standard_normal(num_samples)
    for frequency_hz, radius in ((600, 0.97), (1800, 0.95)):
        angle = 2 * np.pi * frequency_hz / RATE
        signal = lfilter(
            [1], [1, -2 * radius * np.cos(angle), radius**2], signal
        )
    return 0.1 * signal / signal.std()


def plain_frames(signal):
    """Windowed frames of 480 samples every 120, without the last whole one."""
    n = np.arange(1, 481)
    window = 0.5 * (1 - np.cos(2 * np.pi * n / 481))
    starts = range(0, len(signal) - 480 - 119, 120)
    return [signal[start : start + 480] * window for start in starts]


def mean_of_best(values):
    return np.mean(sorted(values)[: int(0.95 * len(values) + 0.5)])


def plain_llr(estimate, reference):
    """Frame by frame, through Levinson's recursion."""
    values = []
    for found, clean in zip(
        plain_frames(estimate), plain_frames(reference), strict=True
    ):
        filters = []
        for frame in (found, clean):
            lags = np.correlate(frame, frame, "full")[479 : 479 + 17]
            solved = solve_toeplitz(lags[:16], lags[1:])
            filters.append(np.concatenate([[1], -solved]))
        matrix = toeplitz(lags)
        top, bottom = (a @ matrix @ a for a in filters)
        values.append(np.log(top / bottom))
    return mean_of_best(values)


def plain_wss(estimate, reference):
    """Frame by frame and band by band, as the program of the book counts."""
    widths = [70.0, *np.diff(BAND_CENTRES_HZ)]

    def energies(frame):
        power = np.abs(np.fft.fft(frame, 1024)[:512]) ** 2
        found = []
        for centre, width in zip(BAND_CENTRES_HZ, widths, strict=True):
            total = 0.0
            for k in range(512):
                distance = (k - math.floor(centre / 8000 * 512)) / (
                    width / 8000 * 512
                )
                gain = math.exp(-11 * distance**2 + math.log(70 / width))
                total += power[k] * gain * (gain > math.exp(-30 / 4.606))
            found.append(10 * math.log10(max(total, 1e-10)))
        return found

    def weights(e):
        found = []
        for band in range(24):
            n = band
            if e[band + 1] > e[band]:
                while n < 24 and e[n + 1] > e[n]:
                    n += 1
                peak = e[n - 1]
            else:
                while n >= 0 and e[n + 1] <= e[n]:
                    n -= 1
                peak = e[n + 1]
            found.append(20 / (20 + max(e) - e[band]) / (1 + peak - e[band]))
        return np.array(found)

    values = []
    for pair in zip(
        plain_frames(estimate), plain_frames(reference), strict=True
    ):
        found, clean = map(energies, pair)
        weight = (weights(found) + weights(clean)) / 2
        squared = (np.diff(found) - np.diff(clean)) ** 2
        values.append((weight * squared).sum() / weight.sum())
    return mean_of_best(values)


@pytest.fixture(scope="module")
def pair():
    """A noisy estimate and its reference, a quarter of a second."""
    clean = resonant(0, 4000)
    noise = 0.003 * np.random.default_rng(1).standard_normal(4000)
    return torch.from_numpy(clean + noise), torch.from_numpy(clean)


def test_llr_agrees_with_the_plain_version(pair):
    expected = plain_llr(*(signal.numpy() for signal in pair))
    assert expected > 0.2
    found = log_likelihood_ratio(*pair, RATE)
    assert found == pytest.approx(expected, rel=1e-5)


def test_wss_agrees_with_the_plain_version(pair):
    expected = plain_wss(*(signal.numpy() for signal in pair))
    assert expected > 0.3
    found = weighted_spectral_slope(*pair, RATE)
    assert found == pytest.approx(expected, rel=1e-9)


def test_distances_know_no_level_and_no_silence(pair):
    estimate, reference = pair
    for distance in (log_likelihood_ratio, weighted_spectral_slope):
        there = distance(estimate, reference, RATE)
        louder = distance(4 * estimate, reference, RATE)
        assert louder == pytest.approx(there, rel=1e-6)
        assert distance(reference, reference, RATE) == 0
        assert math.isnan(distance(estimate[:400], reference[:400], RATE))
    silence = torch.zeros(4000)
    assert math.isnan(log_likelihood_ratio(estimate, silence, RATE))
    assert math.isfinite(log_likelihood_ratio(silence, reference, RATE))
    tone = torch.sin(torch.arange(4000) * 0.3)
    assert math.isfinite(log_likelihood_ratio(estimate, tone, RATE))


def test_composites_are_the_published_sums(pair):
    llr = log_likelihood_ratio(*pair, RATE)
    wss = weighted_spectral_slope(*pair, RATE)
    scores = composite_scores(*pair, RATE, pesq_wb=2.5, ssnr_db=8.0)
    assert scores == {
        "csig": pytest.approx(3.093 - 1.029 * llr + 0.603 * 2.5 - 0.009 * wss),
        "cbak": pytest.approx(1.634 + 0.478 * 2.5 - 0.007 * wss + 0.063 * 8),
        "covl": pytest.approx(1.594 + 0.805 * 2.5 - 0.512 * llr - 0.007 * wss),
    }
    best = composite_scores(*pair, RATE, pesq_wb=9.0, ssnr_db=35.0)
    assert set(best.values()) == {5.0}
    missing = composite_scores(*pair, RATE, pesq_wb=math.nan, ssnr_db=8.0)
    assert all(map(math.isnan, missing.values()))


def scores_of(enhanced, clean, noisy, metrics):
    """What an utterance's row says."""
    scorer = UtteranceScorer(["sad"], metrics=metrics)
    signals = {"enhanced": enhanced, "clean": clean, "noisy": noisy}
    assert scorer.append([Condition("clean")], ["a"], **signals) == []
    (row,) = scorer.flush()
    return row["scores"]


def test_composites_come_with_the_other_scores():
    """Also where PESQ, of which they are made, is not asked for."""
    clean = torch.from_numpy(resonant(2)).float()[None]
    noisy = clean + 0.05 * torch.randn(1, RATE, generator=GENERATOR)
    scores = scores_of(noisy, clean, clean, ("covl", "csig"))
    assert list(scores) == ["covl", "noisy_covl", "csig", "noisy_csig"]
    inputs = (noisy[0], clean[0])
    expected = composite_scores(
        *inputs,
        RATE,
        pesq_wb=pesq_wb(*inputs),
        ssnr_db=segmental_snr_db(*inputs),
    )
    assert scores["covl"] == expected["covl"] < scores["noisy_covl"]
    with pytest.raises(ValueError, match="csig"):
        UtteranceScorer(["sad"], 8000, metrics=["csig"])


@pytest.fixture
def speechmos(monkeypatch):
    """A stand-in for the package, whose opinion is the loudest sample."""

    def run(sample, sr):
        assert sr == RATE and sample.dtype == np.float32
        assert np.abs(sample).max() <= 1
        names = ("ovrl_mos", "sig_mos", "bak_mos", "p808_mos")
        return {name: sample.max() + i for i, name in enumerate(names)}

    package = types.ModuleType("speechmos")
    package.dnsmos = types.ModuleType("speechmos.dnsmos")
    package.dnsmos.run = run
    monkeypatch.setitem(sys.modules, "speechmos", package)
    monkeypatch.setitem(sys.modules, "speechmos.dnsmos", package.dnsmos)


def test_dnsmos_by_the_package(speechmos):
    samples = torch.tensor([0.5, -3.0])
    assert dnsmos_scores(samples) == {
        "dnsmos_sig": 1.5,
        "dnsmos_bak": 2.5,
        "dnsmos_ovrl": 0.5,
    }
    assert dnsmos_scores(7 * samples)["dnsmos_ovrl"] == 1
    clean = torch.rand(1, RATE, generator=GENERATOR) - 0.5
    scores = scores_of(0.5 * clean, clean, clean, ("dnsmos_ovrl", "ssnr_db"))
    assert scores["dnsmos_ovrl"] == pytest.approx(
        0.5 * scores["noisy_dnsmos_ovrl"]
    )


def test_missing_package_is_named_before_the_test(monkeypatch):
    monkeypatch.setitem(sys.modules, "speechmos", None)
    with pytest.raises(ImportError, match=r"pip install '\.\[dnsmos\]'"):
        UtteranceScorer(["sad"], metrics=["dnsmos_sig"])
