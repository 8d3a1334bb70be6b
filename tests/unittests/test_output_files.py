"""What is written keeps a recording's depth and level."""

import subprocess
import sys

import numpy as np
import pytest
import soundfile
import torch
from bad_audio import RATE, speech

from speechbrain_merit.inference.output_files import (
    subtype_like,
    use_blocks,
    write_blocks,
)


@pytest.mark.parametrize(
    ("subtype", "suffix", "expected"),
    [
        ("PCM_16", ".wav", "PCM_16"),
        ("PCM_U8", ".wav", "PCM_16"),
        ("PCM_24", ".wav", "PCM_24"),
        ("PCM_32", ".wav", "PCM_32"),
        ("FLOAT", ".wav", "FLOAT"),
        ("DOUBLE", ".wav", "DOUBLE"),
        ("PCM_24", ".flac", "PCM_24"),
        ("FLOAT", ".flac", "PCM_24"),
        ("FLOAT", ".ogg", "VORBIS"),
    ],
)
def test_the_depth_of_a_recording_is_kept(subtype, suffix, expected, tmp_path):
    quiet = 1e-3 * speech()
    soundfile.write(tmp_path / "in.wav", quiet, RATE, subtype)
    path = tmp_path / f"out{suffix}"
    blocks = torch.tensor(quiet).float().split(3000)
    write_blocks(path, blocks, RATE, subtype_like(tmp_path / "in.wav", path))
    assert soundfile.info(path).subtype == expected
    samples, _ = soundfile.read(path)
    # At -80 dB, 16 bits have a handful of steps.
    assert (len(np.unique(samples)) > 1000) == (expected != "PCM_16")


def test_floats_beyond_full_scale_are_kept_or_named(tmp_path, caplog):
    loud = torch.tensor(40 * speech()).float()
    write_blocks(tmp_path / "a.wav", [loud], RATE, "FLOAT")
    samples, _ = soundfile.read(tmp_path / "a.wav", dtype="float32")
    assert np.array_equal(samples, loud.numpy()) and not caplog.text
    write_blocks(tmp_path / "b.wav", loud.split(999), RATE)
    samples, _ = soundfile.read(tmp_path / "b.wav")
    assert abs(samples).max() <= 1
    num_clipped = int((loud.abs() > 1).sum())
    assert f"b.wav: {num_clipped} samples beyond full scale" in caplog.text


def test_large_blocks_do_not_end_the_program(tmp_path):
    """libsndfile's Ogg encoder puts a block on the stack."""
    program = (
        "import sys, torch\n"
        "from speechbrain_merit.inference.output_files import write_blocks\n"
        "write_blocks(sys.argv[1], [0.1 * torch.randn(4_000_000)], 192000)\n"
    )
    path = tmp_path / "hi.ogg"
    subprocess.run([sys.executable, "-c", program, path], check=True)
    assert soundfile.info(path).frames == 4_000_000
    assert list(tmp_path.iterdir()) == [path]


def test_channels_are_written_side_by_side(tmp_path):
    samples = torch.rand(2, 1000) - 0.5
    path = tmp_path / "stereo.wav"
    write_blocks(path, samples.split(333, dim=1), RATE, "FLOAT")
    written, _ = soundfile.read(path, dtype="float32")
    assert np.array_equal(written, samples.T.numpy())


def test_the_length_kept_is_that_of_the_samples(tmp_path):
    """Of a joined file, whose header tells that of its first part."""
    path = tmp_path / "joined.ogg"
    soundfile.write(path, speech(44100), 44100)
    path.write_bytes(2 * path.read_bytes())
    silence = [torch.zeros(2 * RATE)]
    found = use_blocks(silence, RATE, path, None, True, keep_sample_rate=True)
    assert len(found) == pytest.approx(2 * 44100, abs=600)
