"""`speechbrain-merit listen`, with sound devices that are made up."""

import sys
import types

import numpy as np
import pytest
from toy_model import EMOTIONS, write_experiment

from speechbrain_merit import load
from speechbrain_merit.command_line import main

RATE_HZ = 16000


class NoDevice(Exception):
    """As PortAudio's."""


class Devices(types.SimpleNamespace):
    """A microphone that hears samples, a loudspeaker that keeps them."""

    PortAudioError = NoDevice

    def __init__(self, samples):
        super().__init__(samples=samples, played=[], opened={})
        self.Stream = self.InputStream = self.open

    def open(self, callback, **options):
        self.opened = options
        self.callback = callback
        return self

    def __enter__(self):
        if not len(self.samples):
            raise NoDevice("There is no microphone.")
        for block in np.split(self.samples, 30):
            # The loudspeaker is asked for as much as was heard.
            outgoing = np.ones((len(block), 1), dtype="float32")
            self.callback(block[:, None], outgoing, None, None)
            self.played.append(outgoing[:, 0])
        return self

    def __exit__(self, *error):
        # All that has been enhanced is played.
        for _ in range(30):
            outgoing = np.ones((1600, 1), dtype="float32")
            self.callback(np.zeros((0, 1)), outgoing, None, None)
            self.played.append(outgoing[:, 0])


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("experiment")
    write_experiment(folder)
    return folder


@pytest.fixture
def devices(monkeypatch):
    """Three seconds of noise in the microphone, and Ctrl-C at their end."""
    samples = np.random.default_rng(0).normal(size=3 * RATE_HZ) * 0.1
    devices = Devices(samples.astype("float32"))
    monkeypatch.setitem(sys.modules, "sounddevice", devices)

    class Queue(list):
        put = list.append

        def get(self):
            if not self:
                raise KeyboardInterrupt
            return self.pop(0)

    monkeypatch.setattr("queue.SimpleQueue", Queue)
    return devices


def test_a_microphone_is_enhanced_and_named(folder, devices, capsys):
    options = ["--model", str(folder), "--device", "cpu"]
    assert main(["listen", *options, "--chunk_s", "0.5"]) == 0
    stream = load(folder, "cpu").stream(0.5, 0.25)
    expected = [stream.push(b) for b in np.split(devices.samples, 30)]
    expected = np.concatenate(expected)
    played = np.concatenate(devices.played)
    # What was played before anything was enhanced is silence.
    (sound,) = np.nonzero(played)[:1]
    start = sound[0] - np.nonzero(expected)[0][0]
    assert start >= 0.2 * RATE_HZ
    heard = played[start : start + len(expected)]
    np.testing.assert_allclose(heard, expected, atol=1e-6)
    shown = capsys.readouterr().out
    assert any(emotion in shown for emotion in [*EMOTIONS, "no speech"])
    assert devices.opened["samplerate"] == RATE_HZ


def test_without_a_loudspeaker(folder, devices):
    arguments = ["listen", "--model", str(folder), "--mute"]
    assert main([*arguments, "--microphone", "desk"]) == 0
    assert devices.opened["device"] == "desk"
    assert np.concatenate(devices.played).min() == 1.0


def test_what_is_missing_is_said(folder, devices, caplog, monkeypatch):
    devices.samples = np.zeros(0)
    assert main(["listen", "--model", str(folder)]) == 1
    assert "There is no microphone." in caplog.text
    monkeypatch.setitem(sys.modules, "sounddevice", None)
    assert main(["listen"]) == 1
    assert "pip install '.[listen]'" in caplog.text
