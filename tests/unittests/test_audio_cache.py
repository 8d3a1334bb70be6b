"""The audio cache: the same samples, read once, and never stale ones."""

import os
import pickle

import numpy as np
import pytest
import soundfile
import torch

from speechbrain_merit.data import audio_cache
from speechbrain_merit.data.audio import read_mono
from speechbrain_merit.data.audio_cache import AudioCache

RATE = 16000


@pytest.fixture
def decoded(monkeypatch):
    """The paths that are really decoded, in order."""
    paths = []

    def read(path, *stretch):
        paths.append(path)
        return read_mono(path, *stretch)

    monkeypatch.setattr(audio_cache, "read_mono", read)
    return paths


def write(path, seed, num_samples=22050):
    samples = np.random.default_rng(seed).uniform(-0.5, 0.5, num_samples)
    soundfile.write(path, samples.astype("float32"), 22050, "FLOAT")
    return str(path)


def test_samples_are_those_of_read_mono_and_read_once(tmp_path, decoded):
    read = AudioCache(tmp_path / "cache")
    path = write(tmp_path / "a.wav", 0)
    for stretch in ((0.0, None), (0.25, 0.5), (0.25, 0.25)):
        expected = read_mono(path, RATE, *stretch)
        for _ in range(3):
            assert torch.equal(read(path, RATE, *stretch), expected)
    assert len(decoded) == 3


def test_nothing_is_kept_unless_asked_for(tmp_path, decoded):
    read, path = AudioCache(), write(tmp_path / "a.wav", 0)
    assert torch.equal(read(path, RATE), read(path, RATE))
    assert len(decoded) == 2
    assert [file.name for file in tmp_path.iterdir()] == ["a.wav"]


def test_what_is_done_to_samples_is_not_kept(tmp_path):
    read, path = AudioCache(tmp_path / "cache"), write(tmp_path / "a.wav", 0)
    expected = read_mono(path, RATE)
    for _ in range(3):
        samples = read(path, RATE)
        assert torch.equal(samples, expected)
        samples.zero_()


def test_a_changed_file_is_read_anew(tmp_path):
    read = AudioCache(tmp_path / "cache")
    path = write(tmp_path / "a.wav", 0)
    read(path, RATE)
    # Of the same size, a moment later.
    status = os.stat(path)
    write(path, 1)
    os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns + 1))
    assert torch.equal(read(path, RATE), read_mono(path, RATE))


def test_a_folder_serves_other_processes(tmp_path, decoded):
    first = AudioCache(tmp_path / "cache")
    path = write(tmp_path / "a.wav", 0)
    expected = first(path, RATE)
    second = pickle.loads(pickle.dumps(first))
    assert torch.equal(second(path, RATE), expected)
    assert len(decoded) == 1


def test_damaged_files_are_written_once_more(tmp_path, decoded):
    read = AudioCache(tmp_path / "cache")
    path = write(tmp_path / "a.wav", 0)
    expected = read(path, RATE)
    (file,) = (tmp_path / "cache").rglob("*.npy")
    for damage in (b"", file.read_bytes()[:1000], b"no numbers"):
        file.write_bytes(damage)
        assert torch.equal(read(path, RATE), expected)
    assert len(decoded) == 4
    assert torch.equal(read(path, RATE), expected)
    assert len(decoded) == 4
    assert [f for f in (tmp_path / "cache").rglob("*") if f.is_file()] == [file]


def test_errors_name_what_is_wrong(tmp_path):
    read = AudioCache(tmp_path / "cache")
    with pytest.raises(ValueError, match="nowhere.wav cannot be read"):
        read(str(tmp_path / "nowhere.wav"), RATE)
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(ValueError, match="audio_cache_folder"):
        AudioCache(tmp_path / "file")(write(tmp_path / "a.wav", 0), RATE)
