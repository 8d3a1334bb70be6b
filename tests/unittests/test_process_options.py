"""Batches and figures of `speechbrain-merit process`."""

import json
import math

import numpy as np
import pytest
import soundfile
import torch
from PIL import Image
from toy_model import write_experiment

from speechbrain_merit.command_line import main
from speechbrain_merit.command_line.jobs import Job, Jobs, make_batches
from speechbrain_merit.inference.spectrograms import (
    MAX_COLUMNS,
    spectrogram_db,
    speech_figure,
)
from speechbrain_merit.inference.timeline import EmotionSegment

RATE = 16000


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    folder = tmp_path_factory.mktemp("experiment")
    write_experiment(folder, "utterance")
    return folder


@pytest.fixture
def noisy(tmp_path):
    """Files of several lengths and rates; one is long, one no audio."""
    folder = tmp_path / "noisy"
    folder.mkdir()
    generator = torch.Generator().manual_seed(0)
    lengths = {"a": 900, "b": 7000, "c": 3001, "d": 5000, "e": 40000}
    for name, count in lengths.items():
        samples = 0.1 * torch.randn(count, generator=generator)
        rate = 44100 if name == "d" else RATE
        soundfile.write(folder / f"{name}.wav", samples.numpy(), rate)
    (folder / "f.wav").write_bytes(b"no audio")
    return folder


def process(model, noisy, out, *options):
    command = ["process", noisy, "--model", model, "--out", out]
    command += ["--json", out / "lines.jsonl", "--timeline"]
    command += ["--chunk_s", 1.0, "--overlap_s", 0.2, "--device", "cpu"]
    status = main([str(part) for part in [*command, *options]])
    lines = (out / "lines.jsonl").read_text().splitlines()
    found = [line for line in map(json.loads, lines) if "error" not in line]
    return status, {line["file"]: line for line in found}


@pytest.mark.parametrize("options", [[], ["--keep_sample_rate"]])
def test_batches_change_nothing(model, noisy, tmp_path, caplog, options):
    status, expected = process(model, noisy, tmp_path / "one", *options)
    assert status == 1
    caplog.clear()
    status, found = process(
        model, noisy, tmp_path / "many", "--batch_size", 3, *options
    )
    assert status == 1 and "1 of 6 files failed" in caplog.text
    assert found.keys() == expected.keys() and len(found) == 5
    for name, line in found.items():
        other = expected[name]
        for key in ("emotion", "duration_s"):
            assert line[key] == other[key]
        assert line["posteriors"] == pytest.approx(
            other["posteriors"], abs=1e-4
        )
        for one, two in zip(line["timeline"], other["timeline"], strict=True):
            assert one["end_s"] == pytest.approx(two["end_s"])
        samples, rate = soundfile.read(line["output"])
        reference, expected_rate = soundfile.read(other["output"])
        assert rate == expected_rate
        np.testing.assert_allclose(samples, reference, atol=1e-4)


def test_a_batch_with_a_bad_file_loses_that_one_only(
    model, noisy, tmp_path, monkeypatch
):
    # It lies about its length, and so gets into a batch.
    monkeypatch.setattr(
        "speechbrain_merit.command_line.jobs._duration_s", lambda path: 1.0
    )
    status, lines = process(model, noisy, tmp_path / "out", "--batch_size", 9)
    assert status == 1 and len(lines) == 5


def test_batches_are_of_one_length(tmp_path):
    counts = [500, 100, 400, 5000, 300, 200]
    jobs = []
    for number, count in enumerate(counts):
        path = tmp_path / f"{number}.wav"
        soundfile.write(path, np.zeros(count), 1000)
        jobs.append(Job(path, None))
    batches = list(make_batches(jobs, 2, longest_s=0.5))
    found = [[counts[jobs.index(job)] for job in batch] for batch in batches]
    assert found == [[100, 200], [300, 400], [500], [5000]]
    assert list(make_batches(jobs, 1, 0.5)) == [[job] for job in jobs]


def test_figures_lie_beside_the_speech(model, noisy, tmp_path):
    (noisy / "f.wav").unlink()
    (noisy / "a.wav").rename(noisy / "$a_{$.wav")
    out = tmp_path / "out"
    status, lines = process(model, noisy, out, "--plot", "--batch_size", 2)
    assert status == 0
    figures = sorted(out.glob("*.png"))
    assert [path.stem for path in figures] == ["$a_{$", "b", "c", "d", "e"]
    for path in figures:
        with Image.open(path) as image:
            assert image.format == "PNG" and image.width == 1200
    assert lines[str(noisy / "e.wav")]["plot"] == str(out / "e.png")
    # A figure is a result like any other: the run resumes where it misses.
    before = figures[0].stat().st_mtime_ns
    figures[1].unlink()
    process(model, noisy, out, "--plot")
    assert figures[1].exists() and figures[0].stat().st_mtime_ns == before
    assert [path.name for path in out.glob(".*")] == [".lines.jsonl.lock"]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--plot"], "--out"),
        (["--batch_size", "0"], "--batch_size"),
        (["--out", "o", "--timeline_files", "mp3"], ".TextGrid"),
    ],
)
def test_options_that_do_not_go_together(options, message, caplog):
    assert main(["process", "a.wav", "--model", "m", *options]) == 1
    assert message in caplog.text


def test_an_empty_name_is_not_this_folder(caplog):
    assert main(["process", ""]) == 1
    assert "An input is empty" in caplog.text


def test_an_interruption_is_told_in_a_line(caplog, monkeypatch):
    def interrupted(self):
        raise KeyboardInterrupt

    monkeypatch.setattr(Jobs, "__len__", interrupted)
    assert main(["process", "a.wav", "--model", "m"]) == 130
    assert "what is finished stays" in caplog.text


def test_a_tone_is_drawn_where_it_is():
    time = torch.arange(RATE) / RATE
    tone = torch.sin(2 * math.pi * 1000 * time)
    for size in (RATE, 333):
        spectrum = spectrogram_db(tone.split(size), RATE, RATE)
        assert spectrum.shape == (99, 201)
        # 40 Hz from bin to bin, and a window's first zeros two bins away.
        assert (spectrum[:-1].argmax(axis=1) == 25).all()
        np.testing.assert_allclose(spectrum[:-1, 25], 0, atol=0.01)
        assert (spectrum[:-1, 30:] < -60).all()


def test_long_signals_are_drawn_in_bounded_columns():
    generator = torch.Generator().manual_seed(0)
    for num_samples in (1, 100, 3 * 160 * MAX_COLUMNS + 77):
        signal = torch.randn(num_samples, generator=generator)
        spectrum = spectrogram_db(signal.split(5000), num_samples, RATE)
        assert 1 <= len(spectrum) <= MAX_COLUMNS + 1
    # A container may not know its length.
    assert len(spectrogram_db([torch.zeros(RATE)], 0, RATE)) == 99
    # The mean over columns is that of the frames, whatever they are joined to.
    power = (10 ** (spectrum / 10)).mean()
    frames = signal.unfold(0, 400, 160) * torch.hann_window(400)
    expected = torch.fft.rfft(frames).abs().square().mean() / 100.0**2
    assert power == pytest.approx(expected.item(), rel=0.01)


def test_emotions_fill_the_time_line():
    segments = [
        EmotionSegment(0.0, 2.0, {"angry": 0.25, "sad": 0.75}, 1.5),
        EmotionSegment(2.0, 3.0, {"angry": 1.0, "sad": 0.0}, 0.1),
        # Nobody speaks.
        EmotionSegment(3.0, 4.0, {"angry": 0.5, "sad": 0.5}, 0.0),
    ]
    silence = np.zeros((10, 201))
    figure = speech_figure(silence, silence, segments, 4.0, RATE, "a")
    bars = [
        (patch.get_x(), patch.get_width(), patch.get_y(), patch.get_height())
        for patch in figure.axes[2].patches
    ]
    assert bars == [
        (0, 2, 0, 0.25),
        (2, 1, 0, 1),
        (3, 1, 0, 0),
        (0, 2, 0.25, 0.75),
        (2, 1, 1, 0),
        (3, 1, 0, 0),
    ]
    assert len(speech_figure(silence, silence, None, 3.0, RATE, "a").axes) == 3
