"""`speechbrain_merit.load`: one call from a recording to all about it."""

import base64
import io
import re
import runpy
import subprocess
import sys

import numpy as np
import pytest
import soundfile
import torch
from toy_model import EMOTIONS, take_all_for_speech, write_experiment

import speechbrain_merit
from speechbrain_merit import load
from speechbrain_merit.inference import recording as recording_module


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """An experiment's folder with a model of random weights."""
    folder = tmp_path_factory.mktemp("experiment")
    write_experiment(folder)
    return folder


@pytest.fixture(scope="module")
def model(folder):
    model = load(folder, device="cpu")
    take_all_for_speech(model)
    return model


@pytest.fixture(scope="module")
def noisy(tmp_path_factory):
    """A second of noise in stereo, of 24 bits at another rate."""
    path = tmp_path_factory.mktemp("recording") / "noisy.wav"
    samples = np.random.default_rng(0).normal(size=(22050, 2)) * 0.1
    soundfile.write(path, samples, 22050, "PCM_24")
    return path


def test_a_file(model, noisy, tmp_path):
    result = model(noisy)
    expected = model.process_file(noisy)
    assert result.emotion == expected.labels[0]
    assert list(result.probabilities) == EMOTIONS
    assert result.probabilities[result.emotion] == pytest.approx(
        expected.log_posteriors.exp().max().item()
    )
    assert result.timeline[0].start_s == 0.0
    assert result.sample_rate_hz == 16000
    result.save_timeline(tmp_path / "a.rttm")
    assert (tmp_path / "a.rttm").is_file()
    np.testing.assert_array_equal(result.enhanced, expected.enhanced[0])
    result.save(tmp_path / "out.wav")
    saved, rate_hz = soundfile.read(tmp_path / "out.wav")
    assert rate_hz == 16000
    assert soundfile.info(tmp_path / "out.wav").subtype == "PCM_24"
    np.testing.assert_allclose(saved, result.enhanced, atol=2**-22)
    assert result.emotion in repr(result)


def test_whatever_holds_a_recording(model, noisy):
    expected = model(noisy).enhanced
    samples, rate_hz = soundfile.read(noisy)
    with noisy.open("rb") as opened:
        results = [model(opened)]
    results.append(model(samples.T, rate_hz))
    results += model([noisy, (samples.T, float(rate_hz)), str(noisy)])
    results += model([samples.T, torch.from_numpy(samples.T)], rate_hz)
    assert len(results) == 7 and model([]) == []
    for result in results:
        np.testing.assert_allclose(result.enhanced, expected, atol=1e-5)
        # Also where what it was made of has been closed.
        assert "data:image/png" in result._repr_html_()
    # Numbers are samples of one recording.
    mono = samples[:, 0]
    np.testing.assert_array_equal(
        model(mono.tolist(), rate_hz).enhanced, model(mono, rate_hz).enhanced
    )


@pytest.mark.parametrize("rate_hz", [0, -16000, 16000.5, float("nan")])
def test_a_rate_that_is_none_is_refused(model, rate_hz):
    with pytest.raises(ValueError, match=f"{rate_hz} Hz"):
        model(np.zeros(1000), rate_hz)


def test_options_of_a_file(model, noisy, tmp_path):
    result = model(noisy, keep_channels=True, keep_sample_rate=True)
    assert result.enhanced.shape == (2, 22050)
    assert result.sample_rate_hz == 22050
    result.save(tmp_path / "both.flac")
    assert soundfile.info(tmp_path / "both.flac").channels == 2


def test_models_of_one_task(tmp_path, noisy):
    for task in ("enhance", "emotion"):
        write_experiment(tmp_path / task, tasks=[task])
    enhanced = load(tmp_path / "enhance", "cpu", safe=True)(noisy)
    assert enhanced.emotion is enhanced.probabilities is None
    assert "<meter" not in enhanced._repr_html_()
    classified = load(tmp_path / "emotion", "cpu")(noisy)
    assert classified.enhanced is None
    assert classified.emotion in classified._repr_html_()
    with pytest.raises(ValueError, match="not asked for"):
        classified.save(tmp_path / "none.wav")


def test_the_two_channels_of_the_player(model, monkeypatch):
    samples = 0.1 * np.random.default_rng(0).normal(size=16000)
    result = model(samples)
    html = result._repr_html_()
    data = re.search(r"data:audio/flac;base64,([^\"]+)", html)[1]
    sound = io.BytesIO(base64.b64decode(data))
    both, rate_hz = soundfile.read(sound)
    assert rate_hz == 16000
    np.testing.assert_allclose(both[:, 0], samples, atol=2**-14)
    np.testing.assert_allclose(both[:, 1], result.enhanced, atol=2**-14)
    assert "The player has" not in html
    monkeypatch.setattr(recording_module, "PLAYED_S", 0.5)
    html = result._repr_html_()
    data = re.search(r"data:audio/flac;base64,([^\"]+)", html)[1]
    sound = io.BytesIO(base64.b64decode(data))
    assert soundfile.info(sound).frames == 8000
    assert "The player has the first" in html


def test_importing_the_package_loads_nothing_heavy():
    code = (
        "import sys, speechbrain_merit; speechbrain_merit.load; "
        "print({'torch', 'numpy', 'speechbrain'} & sys.modules.keys())"
    )
    printed = subprocess.check_output([sys.executable, "-c", code], text=True)
    assert printed.strip() == "set()"


def test_the_version(capsys, monkeypatch):
    monkeypatch.setattr(sys, "argv", ["speechbrain-merit", "--version"])
    with pytest.raises(SystemExit) as ended:
        # As `python -m speechbrain_merit` does.
        runpy.run_module("speechbrain_merit", run_name="__main__")
    assert ended.value.code == 0
    version = speechbrain_merit.__version__
    assert capsys.readouterr().out == f"speechbrain-merit {version}\n"
