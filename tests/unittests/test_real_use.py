"""What real folders, pipes and programs do to a model in use."""

import errno
import io
import json
import os
import stat
import subprocess
import sys
from pathlib import Path

import filelock
import numpy as np
import pytest
import soundfile
import torch
from bad_audio import RATE, encode, speech
from toy_model import write_experiment

from speechbrain_merit.command_line import main, result_lines
from speechbrain_merit.command_line.result_lines import ResultLines
from speechbrain_merit.data.samples import as_samples, as_source
from speechbrain_merit.inference import JointEnhancementClassifier


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    path = tmp_path_factory.mktemp("experiment")
    write_experiment(path)
    return path


@pytest.fixture(scope="module")
def model(folder):
    return JointEnhancementClassifier.from_hparams(
        folder, run_opts={"device": "cpu"}
    )


@pytest.fixture
def process(folder):
    def run(*arguments):
        command = ["process", *arguments, "--model", folder]
        return main([*map(str, command), "--device", "cpu"])

    return run


def write(path, num_samples=4000, seed=0):
    path.parent.mkdir(parents=True, exist_ok=True)
    samples = 0.1 * np.random.default_rng(seed).standard_normal(num_samples)
    soundfile.write(path, samples, RATE)
    return path


def lines_of(path):
    return [json.loads(line) for line in path.read_text().splitlines()]


# Arrays, lists and file objects


@pytest.mark.parametrize("dtype", ["uint8", "int16", "int32"])
def test_integers_are_scaled_by_their_range(dtype):
    info = np.iinfo(dtype)
    middle = (info.max + info.min + 1) // 2
    values = np.array([info.min, middle, info.max], dtype)
    for given in (values, torch.as_tensor(values)):
        expected = torch.tensor([-1.0, 0.0, 1.0])
        torch.testing.assert_close(
            as_samples(given), expected, atol=0.01, rtol=0
        )


def test_integers_without_a_scale_are_refused(model):
    for values in ([0, 100, -3], torch.zeros(9, dtype=torch.bool)):
        with pytest.raises(ValueError, match="full scale"):
            model.process_batch(values)


def test_samples_of_all_kinds_are_the_same_speech(model):
    samples = (20000 * speech(4000)).astype(np.int16)
    floats = torch.tensor(samples / 32768).float()
    expected = model.process_batch(floats)
    for given in (samples, torch.tensor(samples), floats.numpy()):
        found = model.process_batch(given)
        torch.testing.assert_close(found.enhanced, expected.enhanced)
        torch.testing.assert_close(
            found.log_posteriors, expected.log_posteriors
        )
    batch = [floats.tolist(), (0.5 * floats).tolist()]
    torch.testing.assert_close(
        model.enhance_batch(batch, [1.0, 1.0])[0], expected.enhanced[0]
    )
    assert model.classify_batch(samples)[3] == expected.labels
    torch.testing.assert_close(
        model.encode_batch(samples), model.encode_batch(floats.unsqueeze(0))
    )
    stream = model.stream()
    pushed = [stream.push(samples[:1000]), stream.push(floats.tolist()[1000:])]
    torch.testing.assert_close(
        torch.cat([*pushed, stream.flush()]), expected.enhanced[0]
    )


def test_recordings_of_all_kinds_are_the_same_file(model, tmp_path):
    path = tmp_path / "a.wav"
    samples = np.stack([speech(24000), 0.5 * speech(24000)])
    soundfile.write(path, samples.T, 48000, "FLOAT")
    expected = model.process_file(path)
    with path.open("rb") as opened:
        for given in (str(path), opened, io.BytesIO(path.read_bytes())):
            for _ in range(2):
                found = model.process_file(given)
                assert torch.equal(found.enhanced, expected.enhanced)
    floats = samples.astype(np.float32)
    for given in (floats, torch.tensor(floats), floats.tolist()):
        found = model.process_file(
            given, tmp_path / "out.flac", sample_rate_hz=48000
        )
        assert torch.equal(found.enhanced, expected.enhanced)
        found = model.process_files([given], sample_rate_hz=48000)[0]
        torch.testing.assert_close(found.enhanced, expected.enhanced)
    kept = model.enhance_file(
        floats, keep_sample_rate=True, sample_rate_hz=48000
    )
    assert len(kept) == 24000
    assert model.classify_file(floats, sample_rate_hz=48000)[3]
    assert len(model.read_file(floats, 48000)) == 8000
    for shape in ((24000, 2), (2, 3, 100)):
        with pytest.raises(ValueError, match="give .time. or"):
            model.process_file(np.zeros(shape, np.float32))


def test_a_pipe_is_read_to_its_end(tmp_path):
    contents = write(tmp_path / "a.wav").read_bytes()
    reader, writer = os.pipe()
    with os.fdopen(writer, "wb") as stream:
        stream.write(contents)
    with os.fdopen(reader, "rb") as stream:
        assert as_source(stream, RATE).read() == contents


# Level, depth and channels


@pytest.mark.parametrize("scale", [100.0, 32768.0])
def test_what_is_far_beyond_full_scale_comes_back_as_loud(model, scale):
    """As at full scale, for there is no other level to process it at."""
    samples = torch.tensor(speech(4000)).float()
    samples = samples / samples.abs().max()
    expected = model.process_batch(samples)
    batch = torch.stack([scale * samples, samples, 5 * samples])
    found = model.process_batch(batch)
    torch.testing.assert_close(found.enhanced[0] / scale, expected.enhanced[0])
    torch.testing.assert_close(found.enhanced[1], expected.enhanced[0])
    # A little beyond, the level is as it is.
    alone = model.process_batch(5 * samples)
    torch.testing.assert_close(found.enhanced[2], alone.enhanced[0])
    torch.testing.assert_close(
        found.log_posteriors[0], expected.log_posteriors[0]
    )


def test_the_depth_of_a_file_is_that_of_its_enhancement(model, tmp_path):
    soundfile.write(tmp_path / "in.wav", 1e-2 * speech(), RATE, "PCM_24")
    for keep_sample_rate in (False, True):
        model.process_file(
            tmp_path / "in.wav",
            tmp_path / "out.wav",
            keep_sample_rate=keep_sample_rate,
        )
        assert soundfile.info(tmp_path / "out.wav").subtype == "PCM_24"


def test_channels_are_enhanced_for_themselves(model, process, tmp_path):
    channels = np.stack([speech(20000), -0.3 * speech(20000)])
    for channel in range(2):
        soundfile.write(
            tmp_path / f"{channel}.wav", channels[channel], RATE, "FLOAT"
        )
    path = tmp_path / "in" / "stereo.wav"
    path.parent.mkdir()
    soundfile.write(path, channels.T, RATE, "FLOAT")
    options = {"chunk_s": 0.5, "overlap_s": 0.1}
    alone = [
        model.process_file(tmp_path / f"{number}.wav", **options)
        for number in range(2)
    ]
    found = model.process_file(path, keep_channels=True, **options)
    expected = torch.cat([result.enhanced for result in alone])
    torch.testing.assert_close(found.enhanced, expected, atol=1e-5, rtol=1e-4)
    judged = torch.stack([result.log_posteriors[0] for result in alone])
    torch.testing.assert_close(
        found.log_posteriors[0], judged.mean(dim=0), atol=1e-3, rtol=1e-3
    )
    out = tmp_path / "out"
    command = [path.parent, "--out", out, "--keep_channels"]
    assert process(*command, "--chunk_s", 0.5, "--overlap_s", 0.1) == 0
    written, _ = soundfile.read(out / "stereo.wav", dtype="float32")
    np.testing.assert_allclose(written.T, expected, atol=1e-5)


# Folders


def test_what_is_left_out_of_a_folder_is_named(process, tmp_path, caplog):
    noisy = tmp_path / "noisy"
    write(noisy / "z.wav")
    encode(noisy / "phone.m4a", speech(), "aac")
    encode(noisy / "film.mp4", speech(), "aac")
    (noisy / "notes.txt").write_text("no audio")
    (noisy / "m.raw").write_bytes(bytes(3200))
    os.mkfifo(noisy / "a.wav")
    lines = tmp_path / "lines.jsonl"
    assert process(noisy, "--json", lines) == 0
    done = {Path(line["file"]).name for line in lines_of(lines)}
    assert done == {"film.mp4", "phone.m4a", "z.wav"}
    for name, reason in (
        ("notes.txt", "extension"),
        ("m.raw", "extension"),
        ("a.wav", "no regular file"),
    ):
        message = f"{noisy / name} is left out: "
        assert reason in caplog.text.split(message)[1].splitlines()[0]


def test_linked_folders_are_searched(process, tmp_path):
    write(tmp_path / "disk" / "a.wav")
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "linked").symlink_to(tmp_path / "disk")
    (tmp_path / "in" / "circle").symlink_to(tmp_path / "in")
    out = tmp_path / "out"
    assert process(tmp_path / "in", "--out", out) == 0
    assert (out / "linked" / "a.wav").exists()


def test_any_failure_of_a_file_is_that_files(
    process, tmp_path, caplog, monkeypatch
):
    paths = [write(tmp_path / name) for name in ("a.wav", "b.wav")]
    (tmp_path / "m.raw").write_bytes(bytes(3200))
    real = JointEnhancementClassifier.process_file

    def fails(self, path, *arguments, **options):
        if path == paths[0]:
            raise KeyError("of no expected class")
        return real(self, path, *arguments, **options)

    monkeypatch.setattr(JointEnhancementClassifier, "process_file", fails)
    lines = tmp_path / "lines.jsonl"
    assert process(tmp_path / "m.raw", *paths, "--json", lines) == 1
    found = lines_of(lines)
    assert [Path(line["file"]).name for line in found] == [
        "m.raw",
        "a.wav",
        "b.wav",
    ]
    assert "m.raw cannot be read as audio" in found[0]["error"]
    assert "no expected class" in found[1]["error"]
    assert found[2]["emotion"]
    assert "2 of 3 files failed." in caplog.text


# Resuming


def test_a_result_is_of_a_file_a_model_and_options(
    process, folder, tmp_path, monkeypatch, capsys
):
    out, lines = tmp_path / "out", tmp_path / "lines.jsonl"
    write(tmp_path / "first" / "c.wav", 4000)
    write(tmp_path / "second" / "c.wav", 6000)
    options = ["--out", out, "--json", lines]

    def durations(place, *more):
        monkeypatch.chdir(tmp_path / place)
        assert process("c.wav", *options, *more) == 0
        return [line["duration_s"] for line in lines_of(lines)]

    assert durations("first") == [0.25]
    # Of the same name, in another folder: it takes the place of the output.
    assert durations("second") == [0.375]
    assert soundfile.info(out / "c.wav").frames == 6000
    assert durations("first") == [0.25]
    before = (out / "c.wav").stat().st_mtime_ns
    capsys.readouterr()
    assert durations("first") == [0.25]
    assert "1 finished before" in capsys.readouterr().err
    assert (out / "c.wav").stat().st_mtime_ns == before
    # Changed since.
    write(tmp_path / "first" / "c.wav", 8000)
    assert durations("first") == [0.5]
    # Other options, and another model under the same name.
    for more in (["--keep_sample_rate"], ["--chunk_s", 9.0], []):
        before = (out / "c.wav").stat().st_mtime_ns
        durations("first", *more)
        assert (out / "c.wav").stat().st_mtime_ns > before
    weights = next((folder / "pretrained").glob("model.*"))
    os.utime(weights)
    before = (out / "c.wav").stat().st_mtime_ns
    durations("first")
    assert (out / "c.wav").stat().st_mtime_ns > before


def test_a_file_that_failed_is_tried_again(process, tmp_path):
    path, lines = tmp_path / "a.wav", tmp_path / "lines.jsonl"
    path.write_bytes(b"no audio")
    assert process(path, "--json", lines) == 1
    (line,) = lines_of(lines)
    assert line["file"] == str(path) and "Format" in line["error"]
    assert process(path, "--json", lines) == 1
    assert len(lines_of(lines)) == 1
    write(path)
    assert process(path, "--json", lines) == 0
    (line,) = lines_of(lines)
    assert "error" not in line


def test_half_lines_are_cut_back(tmp_path, monkeypatch):
    path = tmp_path / "lines.jsonl"
    whole = '{"file": "b.wav", "emotion": "sad"}\n'
    # As they were left before, where the disk was full for a while.
    path.write_text('{"file": "a.wav", "dura' + whole + whole + '{"fi')
    with ResultLines(path) as lines:
        lines.forget([])
        assert path.read_text() == whole
        lines.append({"file": "c.wav"})
        real = lines._stream

        class Full:
            """A disk with room for five bytes more."""

            tell, truncate = real.tell, real.truncate

            @staticmethod
            def write(line):
                return real.write(line[:5])

        lines._stream = Full()
        with pytest.raises(OSError, match="lines.jsonl") as caught:
            lines.append({"file": "d.wav"})
        assert caught.value.errno == errno.ENOSPC
        lines._stream = real
        lines.append({"file": "e.wav"})
    assert path.read_text() == whole + '{"file": "c.wav"}\n{"file": "e.wav"}\n'


def test_a_full_disk_is_named(tmp_path):
    """With a limit on the size of files, in place of that of a disk."""
    program = (
        "import resource, signal, sys, torch\n"
        "from speechbrain_merit.data.atomic_write import atomic_write\n"
        "from speechbrain_merit.inference.output_files import write_blocks\n"
        "signal.signal(signal.SIGXFSZ, signal.SIG_IGN)\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (20000, 20000))\n"
        "for name in sys.argv[1:]:\n"
        "    try:\n"
        "        if name.endswith('wav'):\n"
        "            write_blocks(name, [torch.zeros(99999)], 16000)\n"
        "        with atomic_write(name) as partial:\n"
        "            partial.write_text(99999 * 'a')\n"
        "    except OSError as error:\n"
        "        print(error)\n"
    )
    names = [str(tmp_path / name) for name in ("a.wav", "b.json")]
    done = subprocess.run(
        [sys.executable, "-c", program, *names], capture_output=True, text=True
    )
    found = done.stdout.splitlines()
    assert len(found) == 2, done.stderr
    for name, message in zip(names, found, strict=True):
        assert name in message
    assert not list(tmp_path.iterdir())


def test_two_programs_do_not_share_results(process, tmp_path, caplog):
    path, out = write(tmp_path / "a.wav"), tmp_path / "out"
    with ResultLines(tmp_path / "lines.jsonl"):
        assert process(path, "--json", tmp_path / "lines.jsonl") == 1
    assert "Another program writes into" in caplog.text
    assert process(path, "--out", out) == 0
    (lock,) = out.glob(".*.lock")
    caplog.clear()
    with filelock.FileLock(lock):
        assert process(path, "--out", out) == 1
    assert "Another program writes into" in caplog.text


# Pipes and devices


def test_results_go_through_links_and_into_pipes(process, tmp_path):
    path = write(tmp_path / "a.wav")
    link = tmp_path / "link.jsonl"
    link.symlink_to(tmp_path / "real.jsonl")
    assert process(path, "--json", link) == 0
    assert link.is_symlink() and len(lines_of(tmp_path / "real.jsonl")) == 1
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    reader = os.open(pipe, os.O_RDONLY | os.O_NONBLOCK)
    assert process(path, write(tmp_path / "b.wav"), "--json", pipe) == 0
    received = os.read(reader, 2**16).splitlines()
    os.close(reader)
    assert [json.loads(line)["file"] for line in received] == [
        str(tmp_path / "a.wav"),
        str(tmp_path / "b.wav"),
    ]
    assert pipe.is_fifo()


def test_a_device_node_stays(process, tmp_path):
    node = tmp_path / "null"
    try:
        os.mknod(node, 0o600 | stat.S_IFCHR, os.makedev(1, 3))
        node.write_text("")
    except OSError:
        pytest.skip("Only the superuser makes devices, and not everywhere.")
    assert process(write(tmp_path / "a.wav"), "--json", node) == 0
    assert node.is_char_device()


def test_standard_input_and_named_pipes_are_recordings(
    process, tmp_path, monkeypatch
):
    contents = write(tmp_path / "a.wav").read_bytes()
    out, lines = tmp_path / "out", tmp_path / "lines.jsonl"
    stdin = io.TextIOWrapper(io.BufferedReader(io.BytesIO(contents)))
    monkeypatch.setattr(sys, "stdin", stdin)
    pipe = tmp_path / "named.wav"
    os.mkfifo(pipe)
    writer = subprocess.Popen(
        ["sh", "-c", 'cat "$0" > "$1"', tmp_path / "a.wav", pipe]
    )
    command = ["-", pipe, "--out", out, "--json", lines, "--plot"]
    assert process(*command) == 0
    writer.wait()
    assert [line["duration_s"] for line in lines_of(lines)] == [0.25, 0.25]
    for name in ("stdin", "named"):
        assert soundfile.info(out / f"{name}.wav").frames == 4000
        assert (out / f"{name}.png").exists()


def test_whoever_stops_reading_stops_nothing(folder, tmp_path):
    paths = [str(write(tmp_path / f"{n}.wav")) for n in "ab"]
    lines = tmp_path / "lines.jsonl"
    program = (
        "import sys\n"
        "from speechbrain_merit.command_line import main\n"
        "sys.exit(main(sys.argv[1:]))\n"
    )
    command = [sys.executable, "-c", program, "process", *paths]
    command += ["--model", str(folder), "--json", str(lines)]
    reader, writer = os.pipe()
    os.close(reader)
    done = subprocess.run(command, stdout=writer, stderr=subprocess.PIPE)
    os.close(writer)
    assert done.returncode == 0, done.stderr
    assert [line["file"] for line in lines_of(lines)] == paths
    assert not any("error" in line for line in lines_of(lines))


def test_old_lines_are_kept_and_made_anew(process, tmp_path):
    """Files of results as they were before they told what they are of."""
    path, lines = write(tmp_path / "a.wav"), tmp_path / "lines.jsonl"
    lines.write_text(
        json.dumps({"file": str(path), "emotion": "sad"})
        + '\n{"file": "other.wav", "emotion": "sad"}\n'
    )
    assert process(path, "--json", lines) == 0
    found = {line["file"]: line for line in lines_of(lines)}
    assert set(found) == {str(path), "other.wav"}
    assert found[str(path)][result_lines.MADE_FROM]["path"] == str(path)
