"""Recordings of every kind, in training, in evaluation and in use."""

import errno
import json
import math
import os

import numpy as np
import pytest
import soundfile
import torch
from bad_audio import RATE, UNUSABLE, USABLE, speech
from toy_model import write_experiment

from speechbrain.dataio import audio_io
from speechbrain.dataio.batch import PaddedBatch
from speechbrain_merit.command_line import main
from speechbrain_merit.data.audio import read_mono, read_mono_blocks
from speechbrain_merit.data.manifests import NOISE_KEYS, write_manifest
from speechbrain_merit.data.mixing import (
    EvaluationMixer,
    NoiseSource,
    TrainingMixer,
)
from speechbrain_merit.data.preparation import measure_durations
from speechbrain_merit.data.preparation.files import printable
from speechbrain_merit.inference import JointEnhancementClassifier


@pytest.fixture(scope="module")
def experiment(tmp_path_factory):
    folder = tmp_path_factory.mktemp("experiment")
    write_experiment(folder, "utterance")
    return folder


@pytest.fixture(scope="module")
def model(experiment):
    return JointEnhancementClassifier.from_hparams(
        experiment, run_opts={"device": "cpu"}
    )


def noise_source(folder, samples):
    folder.mkdir(exist_ok=True)
    soundfile.write(folder / "n.wav", samples, RATE, "FLOAT")
    fields = {"wav": "{noise_root}/n.wav", "noise_type": "x"}
    fields["duration_s"] = len(samples) / RATE
    write_manifest(folder / "noise.json", {"n": fields}, NOISE_KEYS)
    return NoiseSource(folder / "noise.json", str(folder), RATE)


@pytest.fixture(scope="module")
def mixers(tmp_path_factory):
    """As a training and a test have them."""
    source = noise_source(tmp_path_factory.mktemp("noise"), speech(8000))
    training = TrainingMixer(source, RATE, 0.0, 0.0, 0.0, 1, 12.0)
    testing = EvaluationMixer({"seen": source}, RATE)
    return {
        "Utterance u": lambda path: training("u", str(path), 0.0, 9.0),
        "Mixture u": lambda path: testing(
            "u", str(path), 0.0, 9.0, "seen", "n", 3, 0.0
        ),
        "clean": lambda path: testing(
            "u", str(path), 0.0, 9.0, "clean", None, None, None
        ),
    }


@pytest.mark.parametrize("kind", UNUSABLE)
def test_what_cannot_be_used_is_named_with_the_reason(
    kind, mixers, model, tmp_path
):
    write, reason = UNUSABLE[kind]
    path = write(tmp_path)
    for who in ("Utterance u", "Mixture u"):
        with pytest.raises(ValueError) as caught:
            mixers[who](path)
        assert str(caught.value).startswith(f"{who}: {path} ")
        assert reason in str(caught.value)
    for use in (
        lambda: read_mono(str(path), RATE),
        lambda: list(read_mono_blocks(str(path), RATE, 0.3)),
        lambda: model.process_file(path, tmp_path / "out.wav"),
    ):
        with pytest.raises(ValueError) as caught:
            use()
        assert str(path) in str(caught.value)
        assert reason in str(caught.value)
    assert not (tmp_path / "out.wav").exists()


@pytest.mark.parametrize("kind", USABLE)
def test_what_can_be_used_is_finite_and_as_long(kind, mixers, model, tmp_path):
    write, num_samples = USABLE[kind]
    path = write(tmp_path)
    assert len(read_mono(str(path), RATE)) == num_samples
    for mix in mixers.values():
        mixture = mix(path)
        assert len(mixture.noisy) == num_samples
        assert mixture.noisy.isfinite().all()
        torch.testing.assert_close(
            mixture.noisy, mixture.speech + mixture.noise
        )
    out = tmp_path / "out.wav"
    result = model.process_file(path, out)
    assert result.enhanced.shape == (1, num_samples)
    assert result.enhanced.isfinite().all()
    assert result.log_posteriors.exp().sum().item() == pytest.approx(
        1, abs=1e-4
    )
    assert soundfile.info(out).frames == num_samples


@pytest.mark.parametrize("level", [0.0, 1e-30])
def test_silence_has_no_snr_but_can_be_processed(
    level, mixers, model, tmp_path
):
    path = tmp_path / "silent.wav"
    soundfile.write(path, level * speech(), RATE, "FLOAT")
    for who in ("Utterance u", "Mixture u"):
        with pytest.raises(ValueError, match=f"{who}: The speech is silent"):
            mixers[who](path)
    # Without noise, it is taken as it is.
    assert len(mixers["clean"](path).noisy) == RATE
    result = model.process_file(path)
    assert result.enhanced.abs().max() <= 1e-6
    assert result.log_posteriors.isfinite().all()


@pytest.mark.parametrize("num_samples", [1, 7, 159, 399])
def test_noise_shorter_than_a_frame_starts_over(num_samples, tmp_path):
    source = noise_source(tmp_path / "noise", speech(num_samples))
    soundfile.write(tmp_path / "speech.wav", speech(), RATE, "FLOAT")
    mixer = TrainingMixer(source, RATE, 5.0, 5.0, 0.0, 1, 12.0)
    noise = mixer("u", str(tmp_path / "speech.wav"), 0.0, 1.0).noise
    assert len(noise) == RATE
    torch.testing.assert_close(noise[num_samples:], noise[:-num_samples])


@pytest.mark.parametrize(
    ("samples", "reason"),
    [
        (np.zeros(RATE), "were all silent, the last one from n"),
        (np.full(RATE, np.nan), "finite"),
    ],
)
def test_noise_that_cannot_be_used_names_utterance_and_recording(
    samples, reason, tmp_path
):
    source = noise_source(tmp_path / "noise", samples)
    soundfile.write(tmp_path / "speech.wav", speech(), RATE, "FLOAT")
    mixer = TrainingMixer(source, RATE, 5.0, 5.0, 0.0, 1, 12.0)
    with pytest.raises(ValueError, match=f"Utterance u: .*{reason}"):
        mixer("u", str(tmp_path / "speech.wav"), 0.0, 1.0)


def refused(*args, **kwargs):
    raise PermissionError(errno.EACCES, "Permission denied", "sound.wav")


def test_a_file_that_may_not_be_read(mixers, model, tmp_path, monkeypatch):
    # Simulated, for the superuser may read everything.
    path = tmp_path / "sound.wav"
    soundfile.write(path, speech(), RATE)
    monkeypatch.setattr(audio_io, "info", refused)
    monkeypatch.setattr(soundfile, "SoundFile", refused)
    monkeypatch.setattr(os, "access", lambda path, mode: False)
    reason = "sound.wav cannot be read as audio: nobody allows this program"
    with pytest.raises(ValueError, match=f"Utterance u: .*{reason}"):
        mixers["Utterance u"](path)
    with pytest.raises(ValueError, match=reason):
        model.process_file(path)
    _, faults = measure_durations(tmp_path, ["sound.wav"], tmp_path / "cache")
    assert reason in faults["sound.wav"]


def test_names_that_are_no_text(tmp_path):
    """On Linux a file's name is bytes, of any kind."""
    name = os.fsdecode(b"gr\xfc\xdf.wav")
    (tmp_path / name).write_bytes(b"whatever")
    with pytest.raises(ValueError, match="not in UTF-8: rename it"):
        read_mono(str(tmp_path / name), RATE)
    _, faults = measure_durations(tmp_path, [name], tmp_path / "cache")
    assert "gr\\udcfc\\udcdf.wav is not in UTF-8" in faults[name]
    fields = {"wav": name, "duration_s": 1.0, "noise_type": "x"}
    with pytest.raises(ValueError, match="not in UTF-8: rename the file"):
        write_manifest(tmp_path / "m.json", {"n": fields}, NOISE_KEYS)
    assert not (tmp_path / "m.json").exists()


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf, 1e30])
def test_batches_that_are_not_finite_are_refused(model, value):
    wavs = torch.full((3, 1600), 0.1)
    wavs[1, 7] = value
    for use in (
        model.process_batch,
        model.enhance_batch,
        model.classify_batch,
    ):
        with pytest.raises(ValueError, match=r"utterances \[1\] of the batch"):
            use(wavs)


def test_a_run_over_all_of_them_loses_none_that_can_be_used(
    experiment, tmp_path, caplog
):
    """`process` goes through, names what failed and keeps the rest."""
    good, bad = [], []
    for number, (kinds, found) in enumerate(((USABLE, good), (UNUSABLE, bad))):
        for place, (write, _) in enumerate(kinds.values()):
            folder = tmp_path / "in" / f"{number}-{place}"
            folder.mkdir(parents=True)
            found.append(str(write(folder)))
    # Bytes that are no UTF-8, which a terminal cannot print.
    name = tmp_path / "in" / os.fsdecode(b"gr\xfc\xdf.wav")
    name.write_bytes(b"whatever")
    bad.append(str(name))
    results = tmp_path / "results.jsonl"
    arguments = ["--model", str(experiment), "--json", str(results)]
    # Without the folder: given as an input, it is searched.
    bad = [path for path in bad if not os.path.isdir(path)]
    status = main(["process", *bad, *good, *arguments, "--batch_size", "8"])
    assert status == 1
    lines = list(map(json.loads, results.read_text().splitlines()))
    failed = {line["file"] for line in lines if "error" in line}
    assert failed == set(bad)
    assert {line["file"] for line in lines} - failed == set(good)
    for path in bad:
        assert f"{printable(path)} failed" in caplog.text


@pytest.mark.parametrize("normalization", ["none", "utterance"])
def test_a_step_on_the_shortest_and_on_silence_is_finite(
    normalization, tmp_path
):
    """Statistics over one frame, or of silence, have finite gradients."""
    joint = write_experiment(tmp_path, normalization).train()
    torch.manual_seed(0)
    for lengths in ([1], [1, 400], [1, 2, 3, 159, 160, 161, 399, 400]):
        items = [{"x": 0.1 * torch.randn(count)} for count in lengths]
        items.append({"x": torch.zeros(lengths[-1])})
        wavs, relative = PaddedBatch(items).x
        output = joint(wavs, relative)
        target = joint.target_log1p(0.5 * wavs, relative, output)
        loss = (output.enhanced_log1p - target).abs().mean()
        loss = loss + output.logits.logsumexp(dim=1).mean()
        loss = loss + sum(output.integration.auxiliary_losses.values())
        joint.zero_grad()
        loss.backward()
        assert loss.isfinite()
        for name, parameter in joint.named_parameters():
            if parameter.grad is not None:
                assert parameter.grad.isfinite().all(), (name, lengths)
