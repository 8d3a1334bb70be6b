"""Files are whole or not there."""

import os
import stat
from pathlib import Path

import pytest

from speechbrain_merit.data.atomic_write import atomic_write


def test_what_was_there_stays_until_the_end(tmp_path):
    path = tmp_path / "results.json"
    path.write_text("before")
    with atomic_write(path) as partial:
        partial.write_text("after")
        assert path.read_text() == "before"
        assert partial.suffix == ".json"
    assert path.read_text() == "after"
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt])
@pytest.mark.parametrize("is_folder", [False, True])
def test_an_error_leaves_what_was_there(tmp_path, error, is_folder):
    path = tmp_path / "model"
    if not is_folder:
        path.write_text("before")
    with pytest.raises(error), atomic_write(path) as partial:
        if is_folder:
            partial.mkdir()
            (partial / "weights").write_text("half")
        else:
            partial.write_text("half")
        raise error
    assert is_folder or path.read_text() == "before"
    assert len(list(tmp_path.iterdir())) == (0 if is_folder else 1)


def test_a_folder_appears_with_all_that_is_in_it(tmp_path):
    with atomic_write(tmp_path / "a" / "model") as partial:
        partial.mkdir()
        (partial / "weights").write_text("whole")
    assert (tmp_path / "a" / "model" / "weights").read_text() == "whole"
    assert len(list((tmp_path / "a").iterdir())) == 1


def test_two_writers_do_not_meet(tmp_path):
    path = tmp_path / "audio.npy"
    with atomic_write(path) as first, atomic_write(path) as second:
        first.write_text("first")
        second.write_text("second")
    # The context that was entered last is left first.
    assert path.read_text() == "first"
    assert list(tmp_path.iterdir()) == [path]


def test_nothing_written_is_an_error(tmp_path):
    with pytest.raises(FileNotFoundError), atomic_write(tmp_path / "a"):
        pass


def test_a_link_is_written_through(tmp_path):
    (tmp_path / "disk").mkdir()
    link = tmp_path / "link.json"
    link.symlink_to(tmp_path / "disk" / "real.json")
    for text in ("first", "second"):
        with atomic_write(link) as partial:
            partial.write_text(text)
        assert link.is_symlink()
        assert (tmp_path / "disk" / "real.json").read_text() == text
    assert len(list(tmp_path.rglob("*"))) == 3


def test_a_pipe_stays_and_is_given_what_was_written(tmp_path):
    pipe = tmp_path / "pipe.txt"
    os.mkfifo(pipe)
    reader = os.open(pipe, os.O_RDONLY | os.O_NONBLOCK)
    with atomic_write(pipe) as partial:
        assert partial.suffix == ".txt"
        partial.write_text("whole")
    assert os.read(reader, 99) == b"whole"
    os.close(reader)
    assert list(tmp_path.iterdir()) == [pipe] and pipe.is_fifo()


def test_a_device_stays(tmp_path):
    node = tmp_path / "null"
    try:
        os.mknod(node, 0o600 | stat.S_IFCHR, os.makedev(1, 3))
        node.write_text("")
    except OSError:
        node = Path(os.devnull)
    with atomic_write(node) as partial:
        partial.write_text("lost")
    assert node.is_char_device()
