"""Recordings as phones, browsers and editors make them: all is read."""

import io
import os
import subprocess
import sys

import numpy as np
import pytest
import soundfile
import torch
from bad_audio import RATE, encode, speech, without_length

from speechbrain_merit.data.audio import (
    read_mono,
    read_mono_blocks,
    resample,
    resample_blocks,
)
from speechbrain_merit.data.decoding import audio_info, open_audio
from speechbrain_merit.data.preparation import measure_durations, read_sound
from speechbrain_merit.data.samples import as_samples, as_source

SECONDS = 4


def swelling(num_samples, rate_hz=RATE):
    """Loud at first and quiet later: a varying bit rate then really varies."""
    swell = np.cos(np.pi * np.arange(num_samples) / rate_hz / 3) ** 4
    return swell * speech(num_samples)


def joined(path):
    path.write_bytes(2 * path.read_bytes())
    return path


def vbr_without_length(folder):
    rate_hz = 44100
    return encode(
        folder / "sound.mp3",
        swelling(SECONDS * rate_hz, rate_hz),
        "libmp3lame",
        rate_hz,
        write_xing="0",
        flags="+qscale",
        global_quality=str(6 * 118),
    )


def soundfile_file(folder, name):
    path = folder / name
    soundfile.write(path, speech(SECONDS * RATE), RATE)
    return path


# How to make each, its length in seconds, and what soundfile reads of it.
CUT_SHORT = {
    "MP3 of varying rate": (vbr_without_length, SECONDS),
    "joined MP3": (
        lambda folder: joined(
            encode(folder / "sound.mp3", speech(SECONDS * RATE), "libmp3lame")
        ),
        2 * SECONDS,
    ),
    "chained Ogg": (
        lambda folder: joined(soundfile_file(folder, "sound.ogg")),
        2 * SECONDS,
    ),
    "WAV without length": (
        lambda folder: without_length(soundfile_file(folder, "sound.wav")),
        SECONDS,
    ),
}


@pytest.mark.parametrize("kind", CUT_SHORT)
def test_nothing_is_lost_that_can_be_decoded(kind, tmp_path):
    make, duration_s = CUT_SHORT[kind]
    path = make(tmp_path)
    assert soundfile.info(path).duration < 0.95 * duration_s
    num_samples = len(read_mono(str(path), RATE))
    # Encoders put up to a tenth of a second of silence around a sound.
    assert num_samples / RATE == pytest.approx(duration_s, abs=0.15)
    blocks = list(read_mono_blocks(path, RATE, 0.3))
    assert sum(map(len, blocks)) == num_samples
    # The end is heard, and where it is is known: what a manifest will say.
    assert blocks[-2].abs().max() > 0.01
    found, _ = measure_durations(tmp_path, [path.name], tmp_path / "cache")
    assert found[path.name] == pytest.approx(num_samples / RATE, abs=1e-4)
    assert read_sound(path)[1] == pytest.approx(found[path.name], abs=1e-4)
    end_s = duration_s - 0.5
    stretch = read_mono(str(path), RATE, end_s, 0.25)
    whole = read_mono(str(path), RATE)[round(end_s * RATE) :][: len(stretch)]
    assert len(stretch) == 0.25 * RATE
    torch.testing.assert_close(
        stretch[50:-50], whole[50:-50], atol=1e-3, rtol=0
    )


@pytest.mark.parametrize("suffix", [".wav", ".flac", ".mp3", ".ogg"])
def test_what_is_whole_is_read_as_soundfile_does(suffix, tmp_path):
    path = soundfile_file(tmp_path, f"sound{suffix}")
    expected, _ = soundfile.read(path, dtype="float32")
    assert torch.equal(read_mono(str(path), RATE), torch.tensor(expected))
    # Out of memory, too, as what comes through a pipe is.
    for source in (path, io.BytesIO(path.read_bytes())):
        assert audio_info(source).num_frames == len(expected)
        found = torch.cat(list(read_mono_blocks(source, RATE, 1.0)))
        torch.testing.assert_close(
            found, torch.tensor(expected), atol=1e-6, rtol=0
        )


@pytest.mark.parametrize(
    ("name", "codec"),
    [
        ("sound.m4a", "aac"),
        ("sound.mp4", "aac"),
        ("sound.aac", "aac"),
        ("sound.webm", "libopus"),
        ("sound.mka", "flac"),
    ],
)
def test_what_soundfile_cannot_read(name, codec, tmp_path):
    samples, rate_hz = swelling(SECONDS * 48000, 48000), 48000
    path = encode(tmp_path / name, samples, codec, rate_hz)
    with pytest.raises(soundfile.LibsndfileError):
        soundfile.info(path)
    found = read_mono(str(path), rate_hz)
    assert len(found) == pytest.approx(len(samples), abs=2200)
    # Both swell alike, whatever the codec did.
    level = torch.tensor(samples[:180000]).unfold(0, 4800, 4800).std(dim=1)
    heard = found[:180000].unfold(0, 4800, 4800).std(dim=1)
    assert np.corrcoef(level, heard)[0, 1] > 0.95
    assert audio_info(path).num_frames == len(found)


def test_sphere_files_of_old_corpora(tmp_path):
    soundfile.write(tmp_path / "sound.nist", speech(), RATE, format="NIST")
    path = (tmp_path / "sound.nist").rename(tmp_path / "sound.sph")
    assert len(read_mono(str(path), RATE)) == RATE


def test_a_rate_that_changes_on_the_way(tmp_path):
    first = encode(tmp_path / "a.mp3", speech(2 * RATE), "libmp3lame")
    second = encode(
        tmp_path / "b.mp3", np.stack([speech(44100)] * 2), "libmp3lame", 44100
    )
    second.write_bytes(first.read_bytes() + second.read_bytes())
    assert len(read_mono(str(second), RATE)) == pytest.approx(
        3 * RATE, abs=3000
    )


def test_pictures_alone_are_no_sound(tmp_path):
    import av

    path = tmp_path / "film.mp4"
    with av.open(path, "w") as container:
        stream = container.add_stream("mpeg4", rate=25)
        stream.width = stream.height = 64
        frame = av.VideoFrame.from_ndarray(np.zeros((64, 64, 3), np.uint8))
        container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    with pytest.raises(ValueError, match="film.mp4 .* there is no sound in it"):
        read_mono(str(path), RATE)


@pytest.mark.parametrize(
    "text", ["#EXTM3U\n#EXTINF:4,\n{}\n", "ffconcat version 1.0\nfile {}\n"]
)
def test_a_list_of_files_opens_none_of_them(text, tmp_path):
    other = soundfile_file(tmp_path, "secret.wav")
    path = tmp_path / "list.m4a"
    path.write_text(text.format(other.name))
    with pytest.raises(ValueError, match="list.m4a cannot be read as audio"):
        read_mono(str(path), RATE)


def test_a_name_is_no_address(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    os.makedirs("http:/example.org")
    path = encode(tmp_path / "a.m4a", speech(), "aac")
    path.rename("http:/example.org/a.m4a")
    assert len(read_mono("http://example.org/a.m4a", RATE)) >= RATE


def test_pointers_of_git_lfs_say_what_to_do(tmp_path):
    path = tmp_path / "a.wav"
    path.write_text(
        "version https://git-lfs.github.com/spec/v1\noid sha256:4d7a\nsize 9\n"
    )
    with pytest.raises(ValueError, match="run `git lfs pull`"):
        read_mono(str(path), RATE)
    _, faults = measure_durations(tmp_path, ["a.wav"], tmp_path / "cache")
    assert "git lfs pull" in faults["a.wav"]


def test_a_pipe_among_files_does_not_hang(tmp_path):
    os.mkfifo(tmp_path / "a.wav")
    program = (
        "import sys\n"
        "from speechbrain_merit.data.audio import read_mono\n"
        "from speechbrain_merit.data.preparation import measure_durations\n"
        "print(measure_durations(sys.argv[1], ['a.wav'], sys.argv[2]))\n"
        "read_mono(sys.argv[1] + '/a.wav', 16000)\n"
    )
    command = [sys.executable, "-c", program, tmp_path, tmp_path / "cache"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert "it is no regular file" in done.stdout
    assert "it is no regular file" in done.stderr.splitlines()[-1]


def test_files_in_memory(tmp_path):
    path = soundfile_file(tmp_path, "sound.wav")
    expected = torch.cat(list(read_mono_blocks(path, 8000, 1.0)))
    memory = io.BytesIO(path.read_bytes())
    for _ in range(2):
        blocks = read_mono_blocks(memory, 8000, 1.0)
        assert torch.equal(torch.cat(list(blocks)), expected)
    phone = encode(tmp_path / "a.m4a", speech(), "aac")
    with phone.open("rb") as file:
        blocks = list(read_mono_blocks(file, RATE, 1.0))
    assert torch.equal(torch.cat(blocks), read_mono(str(phone), RATE))
    with pytest.raises(ValueError, match="What was given cannot be read"):
        list(read_mono_blocks(io.BytesIO(b"no audio"), RATE, 1.0))


# Channels


def test_channels_that_cancel_give_the_loudest(tmp_path, caplog):
    samples = speech()
    for number, channels in enumerate(
        [(samples, -samples), (0.5 * samples, -0.52 * samples)]
    ):
        path = tmp_path / f"{number}.wav"
        soundfile.write(path, np.stack(channels, axis=1), RATE, "FLOAT")
        loudest = torch.tensor(channels[number]).float()
        assert torch.equal(read_mono(str(path), RATE), loudest)
        blocks = read_mono_blocks(path, RATE, 0.1)
        assert torch.equal(torch.cat(list(blocks)), loudest)
        assert f"{number}.wav cancel each other: only channel {number + 1}" in (
            caplog.text
        )


@pytest.mark.parametrize("num_channels", [2, 6])
def test_other_channels_are_averaged(num_channels, tmp_path):
    """Alone in a channel, with nothing in common, or half against half."""
    generator = np.random.default_rng(1)
    alone = np.zeros((RATE, num_channels))
    alone[:, 1] = speech()
    apart = 0.1 * generator.standard_normal((RATE, num_channels))
    for samples in (alone, apart, np.zeros((RATE, num_channels))):
        soundfile.write(tmp_path / "a.wav", samples, RATE, "FLOAT")
        found = read_mono(str(tmp_path / "a.wav"), RATE)
        expected = torch.tensor(samples.mean(axis=1)).float()
        torch.testing.assert_close(found, expected)


def test_channels_are_resampled_alike():
    signal = torch.rand(3, 10000)
    blocks = resample_blocks(signal.split(777, dim=1), 44100, RATE)
    whole = resample(signal, 44100, RATE)
    torch.testing.assert_close(torch.cat(list(blocks), dim=1), whole)


def test_the_end_of_a_stretch_decides_who_reads(tmp_path):
    """Seeking is for what soundfile knows: it is far cheaper."""
    path = joined(soundfile_file(tmp_path, "sound.ogg"))
    for end_s, name in ((SECONDS, "SoundFile"), (SECONDS + 1, "FFmpegFile")):
        with open_audio(path, end_s) as file:
            assert type(file).__name__ == name


@pytest.mark.parametrize(
    ("dtype", "values"),
    [
        # A file of 8 bits has its zero in the middle.
        ("uint8", [0, 128, 192]),
        ("int16", [-(2**15), 0, 2**14]),
        ("int32", [-(2**31), 0, 2**30]),
        ("float64", [-1.0, 0.0, 0.5]),
    ],
)
def test_full_scale_is_that_of_the_numbers(dtype, values):
    samples = as_samples(np.array(values, dtype))
    assert samples.dtype == torch.float32
    assert samples.tolist() == [-1.0, 0.0, 0.5]


def test_a_stream_that_cannot_be_rewound_is_read_to_its_end():
    class Pipe(io.BytesIO):
        def seekable(self):
            return False

        def seek(self, *_):
            raise io.UnsupportedOperation("seek")

    file = io.BytesIO()
    soundfile.write(file, np.full(800, 0.25), RATE, format="WAV")
    source = as_source(Pipe(file.getvalue()), RATE)
    assert audio_info(source).num_frames == 800
    with open_audio(source) as opened:
        assert opened.read(1) == 0.25
