"""Many files on several workers, and lists of them.

Authors
 * The speechbrain-merit developers 2026
"""

import itertools
import json
import multiprocessing
import os
import signal
from pathlib import Path

import numpy as np
import pytest
import soundfile
from toy_model import write_experiment

from speechbrain_merit.command_line import main, processing
from speechbrain_merit.command_line.jobs import Jobs, read_paths
from speechbrain_merit.command_line.result_lines import MADE_FROM, ResultLines


def results(path):
    """Gives the lines, sorted, without what depends on the folder."""
    lines = map(json.loads, path.read_text().splitlines())
    gone = (MADE_FROM, "output")
    return sorted(
        json.dumps({k: v for k, v in line.items() if k not in gone})
        for line in lines
    )


@pytest.fixture
def files(tmp_path):
    """Twelve files, one of which is none, and a list of them."""
    generator = np.random.default_rng(0)
    names = [f"{n % 3}/{n}.wav" for n in range(12)]
    for number, name in enumerate(names):
        path = tmp_path / "audio" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        samples = 0.1 * generator.standard_normal(3000 + 700 * number)
        soundfile.write(path, samples, 16000)
    path.write_bytes(b"no audio")
    (tmp_path / "list.txt").write_text("\n".join(names))
    return tmp_path


def test_workers_give_what_one_process_gives(files, monkeypatch):
    write_experiment(files / "model", "utterance")
    monkeypatch.chdir(files)
    # Looked up where the work is done.
    monkeypatch.setenv("AUDIO", str(files / "audio"))
    command = ["process", "list.txt", "--root", "$AUDIO", "--model", "model"]
    command += ["--device", "cpu", "--batch_size", "2", "--out"]
    assert main([*command, "one", "--json", "one.jsonl"]) == 1
    several = [*command, "two", "--json", "two.jsonl", "--workers", "2"]
    real, written = processing._written, itertools.count()

    def kills(*arguments):
        if next(written) == 2:
            process = multiprocessing.active_children()[0]
            os.kill(process.pid, signal.SIGKILL)
        return real(*arguments)

    monkeypatch.setattr(processing, "_written", kills)
    assert main(several) == 1
    expected = results(files / "one.jsonl")
    assert len(expected) == 12
    assert results(files / "two.jsonl") == expected
    # A hidden one may be left of the worker that was killed.
    one, two = (sorted((files / n).rglob("[!.]*.wav")) for n in ("one", "two"))
    assert len(one) == 11
    for path, other in zip(one, two, strict=True):
        assert path.read_bytes() == other.read_bytes()


@pytest.mark.parametrize("kind", ["csv", "jsonl", "parquet"])
def test_lists_are_read(tmp_path, kind):
    pytest.importorskip("pyarrow")
    from pyarrow import Table, parquet

    path, rows = tmp_path / f"list.{kind}", [{"n": 1, "wav": "a b.wav"}] * 3
    if kind == "parquet":
        parquet.write_table(Table.from_pylist(rows), path)
    elif kind == "csv":
        path.write_text("n,wav\n" + '1,"a b.wav"\n' * 3)
    else:
        path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    assert list(read_paths(path)) == ["a b.wav"] * 3
    # Three times the same file is one.
    (job,) = Jobs([str(path)], tmp_path / "out")
    assert job.output == tmp_path / "out" / "a b.wav"


def test_a_list_without_paths_is_named(tmp_path):
    pytest.importorskip("pyarrow")
    (tmp_path / "list.csv").write_text("n,name\n1,a\n")
    with pytest.raises(ValueError, match="list.csv has the columns .*'file'"):
        list(read_paths(tmp_path / "list.csv"))


def test_what_is_in_a_list_keeps_its_place(tmp_path):
    names = ["x/a.wav", "y/a.wav", "y/a.flac", "/elsewhere/b.wav", "x/./a.wav"]
    (tmp_path / "list.txt").write_text("\n".join(names))
    jobs = Jobs([str(tmp_path / "list.txt")], Path("out"), str(tmp_path))
    assert len(jobs) == 4
    outputs = {str(job.source): job.output.as_posix() for job in jobs}
    assert outputs.pop("x/a.wav") == "out/x/a.wav"
    assert outputs.pop("y/a.wav") == "out/y/a.wav.wav"
    assert outputs.pop("y/a.flac") == "out/y/a.flac.wav"
    assert list(outputs.values()) == ["out/b.wav"]
    with pytest.raises(ValueError, match="both be written to .*--root"):
        Jobs([str(tmp_path / "list.txt")], Path("out"))


def test_a_root_that_moves_is_the_same(files, tmp_path):
    """Results are known again where the files lie elsewhere."""
    stamps = []
    for folder in ("audio", "moved"):
        (job, *_) = Jobs([str(files / "list.txt")], None, str(files / folder))
        stamps.append({**job.stamp, "read": str(job.recording)})
        if folder == "audio":
            (files / "audio").rename(files / "moved")
    assert stamps[0].pop("read") == str(files / "audio" / "0" / "0.wav")
    assert stamps[1].pop("read") == str(files / "moved" / "0" / "0.wav")
    assert stamps[0] == stamps[1]


def test_lines_are_known_by_numbers(tmp_path):
    path = tmp_path / "lines.jsonl"
    made = [{"path": f"/{n}.wav", "size": n} for n in range(4)]
    with ResultLines(path) as lines:
        lines.append({"file": "0.wav", MADE_FROM: made[0]})
        lines.append({"file": "1.wav", "timeline": [], MADE_FROM: made[1]})
        lines.append({"file": "2.wav", "error": "none", MADE_FROM: made[2]})
    with ResultLines(path) as lines:
        assert [lines.has(one) for one in made] == [True, True, False, False]
        assert not lines.has(made[0], "timeline")
        assert lines.has(made[1], "timeline")
        lines.forget(["/1.wav", "/3.wav"])
    assert "1.wav" not in path.read_text()
    assert len(path.read_text().splitlines()) == 2
