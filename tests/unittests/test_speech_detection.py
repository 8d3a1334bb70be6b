"""What is taken for speech, and what is made of the rest."""

import importlib.util
from pathlib import Path

import numpy as np
import pytest
import torch
from espeak import Espeak
from synthetic_noise import rain

from speechbrain_merit.data.audio import resample
from speechbrain_merit.inference.speech_detection import SpeechDetector
from speechbrain_merit.lobes import WaveformNormalization

FRAME = 320


@pytest.fixture(scope="module")
def detector():
    return SpeechDetector()


@pytest.fixture(scope="module")
def speech():
    """A sentence with a second of silence before and after."""
    with Espeak(seed=1) as synthesiser:
        samples = synthesiser.say(
            "Please close the window before you leave.", "en-us+f2", 170, 55, 60
        )
        rate_hz = synthesiser.sample_rate_hz
    found = torch.from_numpy(np.asarray(samples) / 2.0**15).float()
    found = torch.nn.functional.pad(
        resample(found, rate_hz, 16000), (16000,) * 2
    )
    return WaveformNormalization("level")(found[None])[0][0]


def noise(num_samples):
    found = rain(np.random.default_rng(1), num_samples, 16000)
    found = torch.from_numpy(found).float()[None]
    return WaveformNormalization("level")(found)[0][0]


def test_the_probabilities_are_the_original_ones(detector, speech):
    folder = Path(importlib.util.find_spec("silero_vad").origin).parent
    original = torch.jit.load(str(folder / "data" / "silero_vad.jit"))
    signal = speech + 0.3 * noise(len(speech))
    with torch.no_grad():
        expected = original.audio_forward(signal[None], 16000)
        torch.testing.assert_close(
            detector(signal[None]), expected, atol=1e-5, rtol=0
        )


def test_threads_stay_as_they_were():
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    SpeechDetector()
    assert torch.get_num_threads() == 2
    torch.set_num_threads(before)


def test_speech_is_found_and_nothing_else(detector, speech):
    signals = [speech, noise(len(speech)), torch.zeros(len(speech))]
    counts = torch.tensor([len(speech) // FRAME] * 3)
    found = detector.frames(torch.stack(signals), counts, FRAME)
    # 0.26 s around it belong to it.
    sounding = torch.nonzero(speech.abs() > 0.01).flatten() // FRAME
    first, last = int(sounding[0]), int(sounding[-1])
    assert found[0, first:last].float().mean() > 0.9
    assert not found[0, : first - 20].any() and not found[0, last + 20 :].any()
    assert not found[1:].any()


def test_a_batch_makes_no_difference(detector, speech):
    short = speech[: len(speech) // 2 + 77]
    counts = torch.tensor([len(speech), len(short)]) // FRAME
    padded = torch.stack(
        [speech, torch.nn.functional.pad(short, (0, len(speech) - len(short)))]
    )
    both = detector.frames(padded, counts, FRAME)
    alone = detector.frames(short[None], counts[1:], FRAME)
    assert torch.equal(both[1, : counts[1]], alone[0])
    assert not both[1, counts[1] :].any()


def test_short_runs_are_dropped(detector, monkeypatch):
    steps = torch.zeros(1, 100)
    steps[0, 20:27] = 0.9
    steps[0, 50:58] = 0.9
    monkeypatch.setattr(detector, "forward", lambda waveform: steps)
    found = detector.frames(torch.zeros(1, 51200), torch.tensor([160]), FRAME)
    # Seven steps of 32 ms are none; eight are, with as many on either side.
    times = (torch.arange(160) + 0.5) * 0.02
    expected = (times > 42 * 0.032) & (times < 66 * 0.032)
    assert torch.equal(found[0], expected)
    # What an end of a chunk cuts may go on.
    steps = torch.zeros(1, 5)
    steps[0, 3:] = 0.9
    monkeypatch.setattr(detector, "forward", lambda waveform: steps)
    assert detector.frames(torch.zeros(1, 2560), torch.tensor([8]), FRAME).all()
