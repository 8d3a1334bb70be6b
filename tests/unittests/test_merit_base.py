"""The model that comes with the package, on speech of another kind."""

import json
import socket
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch
from espeak import Espeak
from synthetic_noise import rain

from speechbrain.inference.classifiers import EncoderClassifier
from speechbrain.inference.enhancement import WaveformEnhancement
from speechbrain_merit.command_line import main
from speechbrain_merit.data.audio import resample
from speechbrain_merit.data.mixing import mix_at_snr
from speechbrain_merit.inference import JointEnhancementClassifier
from speechbrain_merit.metrics.enhancement import si_sdr_db
from speechbrain_merit.pretrained import MERIT_BASE
from speechbrain_merit.pretrained.folder import find_pretrained_folder

CPU = {"device": "cpu"}
REPOSITORY = Path(__file__).parents[2]
RAVDESS = REPOSITORY.parent / "shared" / "data" / "ravdess"


@pytest.fixture(autouse=True)
def no_network(monkeypatch):
    """Lets every connection fail."""

    def refuse(*args, **kwargs):
        raise AssertionError("The network was touched.")

    monkeypatch.setattr(socket.socket, "connect", refuse)
    monkeypatch.setattr(socket, "getaddrinfo", refuse)


@pytest.fixture(scope="module")
def model():
    return JointEnhancementClassifier.from_hparams(run_opts=CPU)


@pytest.fixture(scope="module")
def mixture():
    """A sentence of a synthetic voice in synthetic rain, at 0 dB."""
    with Espeak(seed=1) as synthesiser:
        samples = synthesiser.say(
            "Please close the window before you leave.", "en-us+f2", 170, 55, 60
        )
        rate_hz = synthesiser.sample_rate_hz
    speech = torch.from_numpy(np.asarray(samples) / 2.0**15).float()
    speech = resample(speech, rate_hz, 16000)
    noise = rain(np.random.default_rng(1), len(speech), 16000)
    return mix_at_snr(0.5 * speech, torch.from_numpy(noise).float(), 0.0)


def test_it_is_small_and_where_the_readme_says():
    assert "speechbrain_merit/pretrained/merit-base/README.md" in (
        REPOSITORY / "README.md"
    ).read_text(encoding="utf-8")
    size = sum(path.stat().st_size for path in MERIT_BASE.iterdir())
    assert size <= 60e6
    card = (MERIT_BASE / "README.md").read_text(encoding="utf-8")
    assert "license: cc-by-nc-sa-4.0" in card
    assert not (MERIT_BASE / "model.ckpt").exists()


def test_its_former_name_leads_to_it(caplog):
    assert find_pretrained_folder("merit-mini") == str(MERIT_BASE)
    assert "merit-base takes its place" in caplog.text
    caplog.clear()
    assert find_pretrained_folder("merit-base") == str(MERIT_BASE)
    assert not caplog.text


@pytest.mark.parametrize("gain_db", [-40, 20])
def test_a_gain_makes_no_difference(model, mixture, gain_db):
    gain = 10 ** (gain_db / 20)
    expected = model.process_batch(mixture.noisy)
    found = model.process_batch(gain * mixture.noisy)
    torch.testing.assert_close(
        found.enhanced / gain, expected.enhanced, atol=1e-5, rtol=0
    )
    torch.testing.assert_close(
        found.log_posteriors, expected.log_posteriors, atol=1e-4, rtol=0
    )


def test_it_removes_noise_that_it_never_heard(model, mixture):
    enhanced = model.enhance_batch(mixture.noisy)[0]
    before = si_sdr_db(mixture.noisy, mixture.speech)
    assert before == pytest.approx(0.0, abs=0.5)
    assert si_sdr_db(enhanced, mixture.speech) > before + 6.0


def test_clean_speech_stays_as_it_is(model, mixture):
    enhanced = model.enhance_batch(mixture.speech)[0]
    assert si_sdr_db(enhanced, mixture.speech) > 20.0


def test_stock_speechbrain_and_the_safe_loader_give_the_same(model, mixture):
    expected = model.process_batch(mixture.noisy)
    classifier = EncoderClassifier.from_hparams(str(MERIT_BASE), run_opts=CPU)
    posteriors, _, _, labels = classifier.classify_batch(
        mixture.noisy.unsqueeze(0)
    )
    torch.testing.assert_close(
        posteriors, expected.log_posteriors, atol=1e-5, rtol=0
    )
    assert labels == expected.labels
    enhancer = WaveformEnhancement.from_hparams(str(MERIT_BASE), run_opts=CPU)
    enhanced = enhancer.enhance_batch(mixture.noisy.unsqueeze(0))
    torch.testing.assert_close(enhanced, expected.enhanced, atol=1e-5, rtol=0)
    plain = JointEnhancementClassifier.from_plain(run_opts=CPU)
    found = plain.process_batch(mixture.noisy)
    assert torch.equal(found.enhanced, expected.enhanced)
    assert torch.equal(found.log_posteriors, expected.log_posteriors)


def test_process_uses_it_where_no_model_is_named(mixture, tmp_path):
    source = tmp_path / "noisy.wav"
    soundfile.write(source, mixture.noisy.numpy(), 16000)
    lines = tmp_path / "results.jsonl"
    arguments = ["process", str(source), "--out", str(tmp_path / "enhanced")]
    assert main([*arguments, "--json", str(lines), "--device", "cpu"]) == 0
    enhanced, rate_hz = soundfile.read(tmp_path / "enhanced" / "noisy.wav")
    assert (len(enhanced), rate_hz) == (len(mixture.noisy), 16000)
    record = json.loads(lines.read_text())
    assert set(record["posteriors"]) == {"angry", "sad", "happy", "neutral"}


@pytest.mark.skipif(
    not RAVDESS.is_dir(), reason="RAVDESS does not lie beside the checkout."
)
def test_it_knows_the_emotions_of_speakers_it_never_heard(model):
    codes = {"01": "neutral", "03": "happy", "04": "sad", "05": "angry"}
    hits = []
    for path in sorted(RAVDESS.glob("Actor_0[1-4]/*-02-01-01-*.wav")):
        label = codes.get(path.name.split("-")[2])
        if label is not None:
            hits.append(model.classify_file(path)[3] == [label])
    assert len(hits) == 12
    # Guessing hits 3 of 12.
    assert sum(hits) >= 7
