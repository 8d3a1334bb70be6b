"""Calibration against closed forms, and where the temperature goes.

Authors
 * The speechbrain-merit developers 2026
"""

import math

import numpy as np
import pytest
import torch
from scipy.special import softmax
from toy_model import write_experiment

from speechbrain.dataio.encoder import CategoricalEncoder
from speechbrain_merit.inference import JointEnhancementClassifier
from speechbrain_merit.lobes import EnhanceThenClassify
from speechbrain_merit.metrics.calibration import (
    apply_temperature,
    calibration_dictionary,
    expected_calibration_error,
    fit_temperature,
    reliability_bins,
)
from speechbrain_merit.metrics.score_plots import plot_reliability
from speechbrain_merit.pretrained.folder import write_pretrained_folder


def judged_with(logits, seed=0):
    """Classes drawn by the probabilities of the logits."""
    rng = np.random.default_rng(seed)
    shares = softmax(logits, axis=1).cumsum(axis=1)
    return (rng.random((len(logits), 1)) > shares).sum(axis=1)


def noise(num_signals):
    generator = torch.Generator().manual_seed(0)
    return 0.1 * torch.randn(num_signals, 8000, generator=generator)


@pytest.fixture(scope="module")
def logits():
    return 2 * np.random.default_rng(1).standard_normal((20000, 4))


def test_error_of_one_bin_is_confidence_less_accuracy():
    posteriors = np.tile([0.8, 0.1, 0.1], (10, 1))
    targets = np.array([0] * 5 + [1] * 5)
    found = expected_calibration_error(posteriors, targets)
    assert found == pytest.approx(0.8 - 0.5)


def test_error_weighs_bins_by_their_utterances():
    """0.9 and right in 3 of 4, 0.6 and right always: by hand."""
    posteriors = np.array([[0.9, 0.1]] * 4 + [[0.4, 0.6]] * 2)
    targets = np.array([0, 0, 0, 1, 1, 1])
    found = expected_calibration_error(posteriors, targets)
    assert found == pytest.approx((4 * 0.15 + 2 * 0.4) / 6)
    bins = reliability_bins(posteriors, targets)
    assert [b.count for b in bins] == [2, 4]
    assert [b.accuracy for b in bins] == [1.0, 0.75]
    # In a single bin, what is too much in one makes up for the other.
    one_bin = expected_calibration_error(posteriors, targets, num_bins=1)
    assert one_bin == pytest.approx(abs(0.8 - 5 / 6))


def test_bins_have_their_upper_ends():
    posteriors = np.array([[0.5, 0.5], [1.0, 0.0], [0.51, 0.49]])
    bins = reliability_bins(posteriors, np.zeros(3, int), num_bins=2)
    assert [b.count for b in bins] == [1, 2]
    assert math.isnan(expected_calibration_error(posteriors[:0], np.array([])))


def test_honest_probabilities_have_no_error(logits):
    targets = judged_with(logits)
    posteriors = softmax(logits, axis=1)
    assert expected_calibration_error(posteriors, targets) < 0.015
    assert fit_temperature(posteriors, targets) == pytest.approx(1, abs=0.03)


@pytest.mark.parametrize("temperature", [0.4, 1.7, 5.0])
def test_known_temperature_is_recovered(logits, temperature):
    targets = judged_with(logits)
    sure = softmax(temperature * logits, axis=1)
    found = fit_temperature(sure, targets)
    assert found == pytest.approx(temperature, rel=0.03)
    mended = apply_temperature(sure, found)
    assert (mended.argmax(axis=1) == sure.argmax(axis=1)).all()
    assert expected_calibration_error(mended, targets) < 0.015
    np.testing.assert_allclose(
        apply_temperature(mended, 1 / found), sure, atol=1e-9
    )


def test_extremes_stay_finite():
    sure = np.array([[1.0, 0.0], [0.0, 1.0]])
    assert fit_temperature(sure, np.array([0, 1])) > 0
    assert fit_temperature(sure, np.array([1, 0])) == pytest.approx(
        20, rel=0.01
    )
    assert np.isfinite(apply_temperature(sure, 3.0)).all()
    with pytest.raises(ValueError, match="label"):
        fit_temperature(sure[:0], np.array([], int))


def test_dictionary_takes_the_temperature_back(logits):
    targets = judged_with(logits)
    honest = softmax(logits, axis=1)
    found = calibration_dictionary({"seen": (honest, targets)}, 0.5)
    assert found["ece"]["seen"] < 0.015
    sure = softmax(0.5 * logits, axis=1)
    assert found["uncalibrated_ece"]["seen"] == pytest.approx(
        expected_calibration_error(sure, targets)
    )
    assert found["uncalibrated_ece"]["seen"] > 0.1
    untouched = calibration_dictionary({"seen": (honest, targets)}, None)
    assert untouched["temperature"] is untouched["uncalibrated_ece"] is None
    assert calibration_dictionary({}, 2.0) is None


def test_figure_takes_one_noise_or_three(tmp_path, logits):
    judged = {"clean": (softmax(logits[:50], axis=1), judged_with(logits[:50]))}
    for count, path in ((1, tmp_path / "a.png"), (3, tmp_path / "b.png")):
        names = ("clean", "seen", "unseen")[:count]
        plot_reliability(dict.fromkeys(names, judged["clean"]), "merit", path)
        assert path.stat().st_size > 0


def test_temperature_is_saved_with_the_model(tmp_path):
    model = write_experiment(tmp_path)
    noisy = noise(2)
    with torch.no_grad():
        before = model(noisy).logits
        model.apply_temperature(2.5)
        after = model(noisy)
    torch.testing.assert_close(after.logits, before / 2.5)
    labels = CategoricalEncoder()
    labels.update_from_iterable(["angry", "sad", "happy", "neutral"])
    write_pretrained_folder(
        tmp_path / "pretrained", tmp_path / "hyperparams.yaml", model, labels
    )
    loaded = JointEnhancementClassifier.from_hparams(
        tmp_path, run_opts={"device": "cpu"}
    )
    torch.testing.assert_close(
        loaded.process_batch(noisy).log_posteriors,
        (before / 2.5).log_softmax(dim=1),
        atol=1e-5,
        rtol=0,
    )


def test_temperature_of_a_cascade_is_its_classifier_s(tmp_path):
    enhancer = write_experiment(tmp_path / "a", tasks=["enhance"])
    classifier = write_experiment(tmp_path / "b", tasks=["emotion"])
    cascade = EnhanceThenClassify(enhancer, classifier).eval()
    noisy = noise(1)
    with torch.no_grad():
        before = cascade(noisy).logits
        cascade.apply_temperature(0.5)
        torch.testing.assert_close(cascade(noisy).logits, before * 2)
    with pytest.raises(ValueError, match="positive"):
        cascade.apply_temperature(0.0)
