"""Scores of enhanced speech against closed forms and known values.

Authors
 * The speechbrain-merit developers 2026
"""

import math

import numpy as np
import pesq
import pytest
import torch

from speechbrain_merit.metrics import Condition, utterance_scorer
from speechbrain_merit.metrics.condition_stats import summarize_scores
from speechbrain_merit.metrics.enhancement import (
    pesq_wb,
    segmental_snr_db,
    si_sdr_db,
    stoi,
)
from speechbrain_merit.metrics.utterance_scorer import UtteranceScorer

SCORES = [pesq_wb, stoi, segmental_snr_db, si_sdr_db]
NAMES = ("pesq_wb", "stoi", "ssnr_db", "si_sdr_db")


def sine(frequency_hz, duration_s=1.0, amplitude=0.5):
    """A tone; whole periods, so different frequencies are orthogonal."""
    time_s = (
        torch.arange(round(duration_s * 16000), dtype=torch.float64) / 16000
    )
    return (amplitude * torch.sin(2 * math.pi * frequency_hz * time_s)).float()


def noise(seed, duration_s=1.0, amplitude=0.1):
    """White noise, which the perceptual scores treat as speech."""
    generator = torch.Generator().manual_seed(seed)
    samples = torch.randn(round(duration_s * 16000), generator=generator)
    return amplitude * samples


def slow_segmental_snr_db(estimate, reference):
    """Loizou's description as loops: 30 ms, hop 7.5 ms, Hann."""
    n = np.arange(1, 481)
    window = 0.5 * (1 - np.cos(2 * np.pi * n / 481))
    snrs = []
    for start in range(0, len(reference) - 480 + 1, 120):
        ref = window * reference[start : start + 480]
        error = ref - window * estimate[start : start + 480]
        eps = np.finfo(float).eps
        snr = 10 * np.log10(np.sum(ref**2) / (np.sum(error**2) + eps) + eps)
        snrs.append(min(max(snr, -10.0), 35.0))
    return float(np.mean(snrs))


# Segmental SNR


@pytest.mark.parametrize(
    "gain, expected_db",
    [
        (0.9, 20.0),  # error a tenth of the reference
        (1.1, 20.0),
        (0.5, 10 * math.log10(4)),
        (0.0, 0.0),
        (0.999, 35.0),  # 60 dB, limited
        (1.0, 35.0),
        (-9.0, -10.0),  # -20 dB, limited
    ],
)
def test_segmental_snr_of_a_scaled_copy(gain, expected_db):
    reference = noise(0)
    score = segmental_snr_db(gain * reference, reference)
    assert score == pytest.approx(expected_db, abs=1e-4)


def test_segmental_snr_averages_decibels_not_energies():
    # 20 dB in one half and 0 dB in the other, but for the three frames that
    # lie across the middle; a ratio of total energies would give 3 dB.
    reference = noise(0, duration_s=4.0)
    estimate = torch.cat([0.9 * reference[:32000], 0 * reference[32000:]])
    assert segmental_snr_db(estimate, reference) == pytest.approx(10, abs=0.1)


def test_segmental_snr_agrees_with_plain_loops():
    reference, estimate = noise(0), noise(0) + noise(1, amplitude=0.05)
    reference[4000:8000] *= 0.01
    expected = slow_segmental_snr_db(
        estimate.double().numpy(), reference.double().numpy()
    )
    score = segmental_snr_db(estimate, reference)
    assert score == pytest.approx(expected, abs=1e-8)


def test_segmental_snr_keeps_the_mean_and_the_scale():
    reference = noise(0)
    assert segmental_snr_db(reference + 0.1, reference) < 1
    assert segmental_snr_db(2 * reference, reference) == pytest.approx(0)


# SI-SDR


@pytest.mark.parametrize("ratio_db", [-15.0, 0.0, 12.5])
@pytest.mark.parametrize("gain", [0.01, 1.0, 30.0])
def test_si_sdr_of_orthogonal_tones(ratio_db, gain):
    reference = sine(200)
    distortion = 10 ** (-ratio_db / 20) * sine(300)
    score = si_sdr_db(gain * (reference + distortion), reference)
    assert score == pytest.approx(ratio_db, abs=1e-4)


def test_si_sdr_ignores_scale_of_the_reference_and_means():
    reference, estimate = noise(0), noise(0) + noise(1)
    score = si_sdr_db(estimate, reference)
    assert si_sdr_db(estimate, 1e-4 * reference) == pytest.approx(score)
    assert si_sdr_db(estimate + 0.3, reference - 0.2) == pytest.approx(
        score, abs=1e-4
    )


def test_si_sdr_without_distortion_is_infinite():
    assert si_sdr_db(noise(0), noise(0)) == math.inf


# PESQ and STOI


def test_identical_signals_reach_the_highest_scores():
    speech = noise(0)
    assert pesq_wb(speech, speech) == pytest.approx(4.64, abs=0.005)
    assert stoi(speech, speech) == pytest.approx(1.0, abs=1e-6)


def test_more_noise_scores_worse():
    speech = noise(0) * (1 + sine(4)).clamp(min=0)
    little, much = speech + noise(1, 1, 0.01), speech + noise(1, 1, 0.2)
    assert pesq_wb(little, speech) > pesq_wb(much, speech) > 1
    assert stoi(little, speech) > stoi(much, speech)


def test_the_estimate_comes_first():
    # Neither score is symmetric, and both packages take the reference first.
    speech, estimate = noise(0), noise(0) + noise(1, amplitude=0.02)
    speech[8000:] = 0
    by_hand = pesq.pesq(16000, speech.numpy(), estimate.numpy(), "wb")
    assert pesq_wb(estimate, speech) == by_hand != pesq_wb(speech, estimate)
    assert stoi(torch.zeros(16000), speech) == pytest.approx(0, abs=1e-6)
    assert math.isnan(stoi(speech, torch.zeros(16000)))


def test_wide_band_pesq_is_for_16_khz_alone():
    with pytest.raises(ValueError, match="8000"):
        pesq_wb(noise(0), noise(0), sample_rate_hz=8000)
    with pytest.raises(ValueError, match="8000"):
        UtteranceScorer(["sad"], sample_rate_hz=8000)
    UtteranceScorer(["sad"], sample_rate_hz=8000, metrics=["stoi"])


def test_pesq_refuses_what_may_crash_its_program():
    # 63 bursts of speech: more than the 50 that its arrays hold.
    bursts = noise(0, duration_s=30.0) * (sine(2.1, 30.0) > 0)
    assert math.isnan(pesq_wb(bursts, bursts))
    assert pesq_wb(bursts[:320000], bursts[:320000]) > 4.6


# What cannot be scored


@pytest.mark.parametrize("score", SCORES)
def test_silent_reference_is_nan(score):
    assert math.isnan(score(noise(0), torch.zeros(16000)))
    assert math.isnan(score(torch.zeros(16000), torch.zeros(16000)))


@pytest.mark.parametrize("score", SCORES)
@pytest.mark.parametrize("value", [math.nan, math.inf])
def test_sample_that_is_not_finite_is_nan(score, value):
    broken = noise(0)
    broken[100] = value
    assert math.isnan(score(broken, noise(0)))
    assert math.isnan(score(noise(0), broken))


@pytest.mark.parametrize("num_samples", [0, 1, 300, 3999])
def test_short_signals_are_nan(num_samples):
    short = noise(0)[:num_samples]
    assert math.isnan(pesq_wb(short, short))
    assert math.isnan(stoi(short, short))
    if num_samples < 480:
        assert math.isnan(segmental_snr_db(short, short))


def test_stoi_of_too_little_speech_is_nan():
    mostly_silent = torch.zeros(16000)
    mostly_silent[:3000] = noise(0)[:3000]
    assert math.isnan(stoi(mostly_silent, mostly_silent))


def test_pesq_and_si_sdr_of_silent_estimate_are_nan():
    assert math.isnan(pesq_wb(torch.zeros(16000), noise(0)))
    assert math.isnan(si_sdr_db(torch.zeros(16000), noise(0)))


def test_si_sdr_of_constant_reference_is_nan():
    assert math.isnan(si_sdr_db(noise(0), torch.full((16000,), 0.1)))


@pytest.mark.parametrize("score", SCORES)
def test_lengths_that_differ_are_an_error(score):
    with pytest.raises(ValueError, match="equally long"):
        score(noise(0), noise(0)[:-1])


# UtteranceScorer


def append(scorer, ids, predict, target, noisy, lengths=None):
    """Takes a batch of clean speech."""
    conditions = [Condition("clean")] * len(ids)
    signals = {"enhanced": predict, "clean": target, "noisy": noisy}
    return scorer.append(conditions, ids, **signals, lengths=lengths)


def scores_of(ids, *batch, **settings):
    """What the rows of a batch say, by identity."""
    scorer = UtteranceScorer(["sad"], **settings)
    rows = append(scorer, ids, *batch) + scorer.flush()
    return {row["id"]: row["scores"] for row in rows}


def batch_of_three():
    target = torch.stack([noise(seed) for seed in range(3)])
    noisy = target + torch.stack([noise(seed + 10) for seed in range(3)])
    return 0.5 * (target + noisy), target, noisy


def test_stats_average_the_scores_of_the_functions():
    predict, target, noisy = batch_of_three()
    scores = scores_of("abc", predict, target, noisy)
    summary = summarize_scores(scores.values(), NAMES)
    assert list(scores) == ["a", "b", "c"]
    for name, score in zip(NAMES, SCORES, strict=True):
        for column, signals in (("se", predict), ("noisy", noisy)):
            expected = np.mean([*map(score, signals, target)])
            assert summary[column][name] == pytest.approx(expected)
        assert scores["b"][name] == score(predict[1], target[1])
        assert scores["b"][f"noisy_{name}"] == score(noisy[1], target[1])
    assert summary["num_unscored"] == dict.fromkeys(NAMES, 0)


def test_padding_does_not_change_scores():
    predict, target, noisy = batch_of_three()
    lengths = torch.tensor([1.0, 0.75, 0.6])
    padded = [batch.clone() for batch in (predict, target, noisy)]
    for seed, batch in enumerate(padded):
        batch[1, 12000:] = noise(seed + 20)[12000:]
        batch[2, 9600:] = math.nan
    scores = scores_of("abc", *padded, lengths)
    for row, length in enumerate([16000, 12000, 9600]):
        alone = [
            batch[row : row + 1, :length] for batch in (predict, target, noisy)
        ]
        assert scores["abc"[row]] == scores_of("x", *alone)["x"]


def test_appended_tensors_may_be_reused():
    predict, target, noisy = batch_of_three()
    scorer = UtteranceScorer(["sad"], metrics=["ssnr_db"])
    append(scorer, "abc", predict, target, noisy)
    expected = segmental_snr_db(predict[0], target[0])
    predict.zero_()
    assert scorer.flush()[0]["scores"]["ssnr_db"] == expected


def test_unscored_utterances_are_counted_and_left_out():
    predict, target, noisy = batch_of_three()
    target[1] = 0
    predict[2] = 0  # PESQ and SI-SDR of the estimate fail, not of the noisy
    scores = scores_of("abc", predict, target, noisy)
    summary = summarize_scores(scores.values(), NAMES)
    assert summary["num_unscored"] == {
        "pesq_wb": 2,
        "stoi": 1,
        "ssnr_db": 1,
        "si_sdr_db": 2,
    }
    assert math.isnan(scores["b"]["noisy_stoi"])
    assert summary["noisy"]["pesq_wb"] == pesq_wb(noisy[0], target[0])
    expected = [segmental_snr_db(noisy[i], target[i]) for i in (0, 2)]
    assert summary["noisy"]["ssnr_db"] == pytest.approx(np.mean(expected))


def test_clean_speech_has_no_mean_si_sdr_but_is_scored():
    predict, target, _ = batch_of_three()
    scores = scores_of("abc", predict, target, target)
    summary = summarize_scores(scores.values(), NAMES)
    assert scores["a"]["noisy_si_sdr_db"] == math.inf
    assert summary["noisy"]["si_sdr_db"] is None
    expected = np.mean([*map(si_sdr_db, predict, target)])
    assert summary["se"]["si_sdr_db"] == pytest.approx(expected)
    assert summary["num_unscored"]["si_sdr_db"] == 0
    assert summary["noisy"]["ssnr_db"] == 35
    assert summary["noisy"]["pesq_wb"] == pytest.approx(4.64, abs=0.005)


def test_nothing_scored_is_none():
    nothing = {"se": {"stoi": None}, "noisy": {"stoi": None}}
    summary = summarize_scores([], ["stoi"])
    assert summary == {**nothing, "num_unscored": {"stoi": 0}}
    scores = scores_of("a", *[torch.zeros(1, 16000)] * 3, metrics=["stoi"])
    summary = summarize_scores(scores.values(), ["stoi"])
    assert summary == {**nothing, "num_unscored": {"stoi": 1}}


def test_worker_processes_give_the_same_scores():
    predict, target, noisy = batch_of_three()
    target[1] = 0
    parallel, plain = (
        scores_of("abc", predict, target, noisy, n_jobs=n) for n in (2, 1)
    )
    # Another thread count may sum in another order.
    assert parallel.keys() == plain.keys()
    for key, expected in plain.items():
        assert parallel[key] == pytest.approx(expected, rel=1e-9, nan_ok=True)


def test_queue_is_bounded(monkeypatch):
    scored = []

    def count(signals, metrics, sample_rate_hz):
        scored.append(len(signals[0]))
        return dict.fromkeys(["stoi", "noisy_stoi"], 0.5)

    monkeypatch.setattr(utterance_scorer, "_score_utterance", count)
    scorer, rows = UtteranceScorer(["sad"], metrics=["stoi"]), []
    signals = torch.zeros(3, 160)
    for start in range(0, 30, 3):
        names = [str(start + offset) for offset in range(3)]
        rows += append(scorer, names, signals, signals, signals)
        waiting = start + 3 - len(scored)
        assert waiting < utterance_scorer.UTTERANCES_PER_JOB
        assert len(rows) == len(scored)
    rows += scorer.flush()
    assert len(rows) == len(scored) == 30


def test_what_could_not_be_scored_still_waits(monkeypatch):
    predict, target, noisy = batch_of_three()
    scorer = UtteranceScorer(["sad"], metrics=["ssnr_db"])
    append(scorer, "abc", predict, target, noisy)

    def fail(*arguments):
        raise ValueError("out of luck")

    with monkeypatch.context() as patched:
        patched.setattr(utterance_scorer, "_score_utterance", fail)
        for _ in range(2):
            # Else what is kept of a test would lack utterances.
            with pytest.raises(ValueError, match="out of luck"):
                scorer.flush()
    assert [row["id"] for row in scorer.flush()] == ["a", "b", "c"]


def test_errors_name_what_is_wrong():
    with pytest.raises(ValueError, match="loudness"):
        UtteranceScorer(["sad"], metrics=["stoi", "loudness"])
    with pytest.raises(ValueError, match="n_jobs"):
        UtteranceScorer(["sad"], n_jobs=0)
    scorer = UtteranceScorer(["sad"], metrics=["ssnr_db"])
    batch = torch.zeros(2, 160)
    with pytest.raises(ValueError, match=r"\(2, 100\)"):
        append(scorer, "ab", batch[:, :100], batch, batch)
    append(scorer, "ab", batch, batch, batch)
    for names in ("cb", "cc"):
        with pytest.raises(ValueError, match=f"{names[1]} is scored twice"):
            append(scorer, names, batch, batch, batch)
