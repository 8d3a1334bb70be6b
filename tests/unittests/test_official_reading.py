"""Nothing in a checkpoint of strangers is run."""

import contextlib
import fractions
import io
import os
import pickle
import shutil
import struct
import zipfile

import numpy as np
import pytest
import torch
from official_stand_in import make_stand_in, write_stand_in

from speechbrain_merit.export.official import import_official
from speechbrain_merit.export.official.scalar_pickle import read_mean_and_std
from speechbrain_merit.export.official.weight_files import (
    read_checkpoint,
    read_state_dict,
)


class Hostile:
    """Pickles as a call of any function."""

    def __init__(self, function, *arguments):
        self.call = function, arguments

    def __reduce__(self):
        return self.call


def pickled(value, protocol=4):
    return pickle.dumps(value, protocol=protocol)


@pytest.fixture
def read(tmp_path):
    """Reads bytes as a pickle of mean and deviation."""

    def read(contents):
        path = tmp_path / "train_norm_stat.pkl"
        path.write_bytes(contents)
        return read_mean_and_std(path)

    return read


@pytest.mark.parametrize(
    "number",
    [
        0.071,
        np.float64(0.071),
        np.float32(0.071),
        np.float16(0.071),
        np.int16(3),
        np.uint64(2**60),
        2,
        # Big-endian, as another machine may have written it.
        np.array(0.071, dtype=">f8")[()],
    ],
    ids=repr,
)
@pytest.mark.parametrize("protocol", [3, 4, 5])
def test_numbers_come_back_as_they_are(read, number, protocol):
    assert read(pickled((number, number), protocol)) == (number, number)
    assert read(pickled([number, number], protocol)) == (number, number)


def test_the_byte_order_of_a_type_is_honoured(read):
    # NumPy swaps scalars to the machine's order when it makes them, so that
    # this is written by hand: a dtype with the order ">" as its state.
    swapped = pickled((np.float64(1.5), np.float64(0.5)), 3)
    little, big = struct.pack("<d", 1.5), struct.pack(">d", 1.5)
    swapped = swapped.replace(little, big).replace(
        struct.pack("<d", 0.5), struct.pack(">d", 0.5)
    )
    swapped = swapped.replace(b"X\x01\x00\x00\x00<", b"X\x01\x00\x00\x00>")
    assert pickle.loads(swapped) == (1.5, 0.5)
    assert read(swapped) == (1.5, 0.5)


def touching(path):
    """Calls by which a file would appear, were they run."""
    text = str(path)
    return {
        "system": Hostile(os.system, f"touch {text}"),
        "open": Hostile(open, text, "w"),
        "exec": Hostile(exec, f"open({text!r}, 'w')"),
        "eval": Hostile(eval, f"open({text!r}, 'w')"),
        "within": (1.0, [Hostile(open, text, "w")]),
        "numpy": Hostile(np.save, text, np.zeros(1)),
        "memmap": Hostile(np.memmap, text, "u1", "w+", 0, 1),
        "getattr": Hostile(getattr, Hostile(open, text, "w"), "close"),
        "dtype": Hostile(np.dtype, Hostile(open, text, "w")),
    }


@pytest.mark.parametrize("kind", touching(""))
def test_hostile_pickles_run_nothing(read, tmp_path, kind):
    target = tmp_path / "touched"
    # NumPy appends its extension.
    contents = pickled((touching(target)[kind], 1.0))
    with pytest.raises(ValueError, match="train_norm_stat.pkl is refused"):
        read(contents)
    assert [path.name for path in tmp_path.iterdir()] == ["train_norm_stat.pkl"]
    # The same does run elsewhere, whether it fails in the end or not.
    with contextlib.suppress(TypeError):
        pickle.loads(contents)
    assert any("touched" in path.name for path in tmp_path.iterdir())


DTYPE, SCALAR = b"cnumpy\ndtype\n", b"cnumpy.core.multiarray\nscalar\n"


@pytest.mark.parametrize(
    "contents",
    [
        # Attributes of what the admitted names stand for.
        DTYPE + b"(dS'__call__'\nI1\nsb.",
        DTYPE + b"(N(dS'__class__'\nI1\nstb.",
        DTYPE + b"(S'f8'\nI00\nI01\ntR(I3\nS'?'\nNNNI-1\nI-1\nI0\ntb.",
        DTYPE + b"(S'f8'\nI00\nI01\ntR(N(dS'code'\nS'O'\nstb.",
        # Types that are no numbers, and bytes that are none of the type.
        DTYPE + b"(S'O8'\nI00\nI01\ntR.",
        DTYPE + b"(S'V8'\nI00\nI01\ntR.",
        SCALAR + DTYPE.join([b"(", b"(S'f8'\ntRC\x04abcdtR."]),
        SCALAR + b"(I1\nI2\ntR.",
        # An instance of what is no class, and a reference to nowhere.
        DTYPE + b"(S'f8'\nt\x81.",
        b"Psomething\n.",
        b"\x82\x01.",
        # No pickle at all, none that ends, and one without end.
        b"",
        b"not a pickle",
        b"(F1.0\nF2.0\nt",
        b"\x8e" + struct.pack("<Q", 2**62) + b"x",
    ],
)
def test_malformed_pickles_are_refused(read, contents):
    with pytest.raises(ValueError, match="train_norm_stat.pkl is refused"):
        read(contents)
    assert read(pickled((np.float64(1), np.float64(2)))) == (1.0, 2.0)


@pytest.mark.parametrize(
    "value",
    [
        (1.0,),
        (1.0, 2.0, 3.0),
        {"mean": 1.0, "std": 2.0},
        ("1", "2"),
        (True, True),
        (0.0, 0.0),
        (0.0, -1.0),
        (0.0, float("inf")),
        (np.float64("nan"), 1.0),
        (1.0, None),
        5.0,
    ],
)
def test_only_two_numbers_will_do(read, value):
    with pytest.raises(ValueError, match="train_norm_stat.pkl (holds|has)"):
        read(pickled(value))


@pytest.mark.parametrize(
    "value",
    [
        np.zeros(1),
        np.bool_(True),
        np.complex128(1),
        np.str_("1"),
        np.datetime64("2020-01-01"),
        torch.tensor(1.0),
        fractions.Fraction(1, 2),
    ],
    ids=repr,
)
def test_other_objects_are_refused(read, value):
    with pytest.raises(ValueError, match="is refused"):
        read(pickled((value, 1.0)))


@pytest.mark.parametrize("kind", touching(""))
@pytest.mark.parametrize("zipped", [True, False])
def test_hostile_weights_run_nothing(tmp_path, kind, zipped):
    path, target = tmp_path / "final_se.pt", tmp_path / "touched"
    contents = {"model": {"weights": torch.zeros(2)}}
    contents["optimizer"] = touching(target)[kind]
    torch.save(contents, path, _use_new_zipfile_serialization=zipped)
    with pytest.raises(ValueError, match="final_se.pt cannot be read"):
        read_state_dict(path)
    assert [path.name for path in tmp_path.iterdir()] == ["final_se.pt"]


@pytest.mark.parametrize("name", ["final_pool.pt", "WavLM-Large.pt"])
def test_no_file_of_a_checkpoint_is_trusted(tmp_path, name):
    source = write_stand_in(make_stand_in(), tmp_path / "files")
    target = tmp_path / "touched"
    contents = torch.load(source / name, weights_only=True)
    contents["more"] = Hostile(open, str(target), "w")
    torch.save(contents, source / name)
    with pytest.raises(ValueError, match=f"{name} cannot be read"):
        import_official(source, tmp_path / "to")
    assert not target.exists() and not (tmp_path / "to").exists()


def test_old_files_are_read_too(tmp_path):
    path = tmp_path / "old.pt"
    weights = {"a": torch.rand(3)}
    torch.save({"model": weights}, path, _use_new_zipfile_serialization=False)
    assert not zipfile.is_zipfile(path)
    assert torch.equal(read_state_dict(path)["a"], weights["a"])


@pytest.mark.parametrize(
    ("contents", "message"),
    [
        (torch.zeros(1), "it is no dictionary"),
        ({"state_dict": {}}, "only 'state_dict'"),
        ({"model": [1]}, "holds no weights under 'model'"),
        ({"model": {"a": torch.zeros(1), "b": 1}}, r"no tensor: \['b'\]"),
    ],
)
def test_other_contents_are_named(tmp_path, contents, message):
    torch.save(contents, tmp_path / "x.pt")
    with pytest.raises(ValueError, match=message):
        read_state_dict(tmp_path / "x.pt")


def test_damaged_files_are_named(tmp_path):
    buffer = io.BytesIO()
    torch.save({"model": {"a": torch.rand(100)}}, buffer)
    whole = buffer.getvalue()
    for contents in (whole[: len(whole) // 2], b"", b"<!DOCTYPE html>"):
        (tmp_path / "x.pt").write_bytes(contents)
        with pytest.raises(ValueError, match="x.pt cannot be read"):
            read_checkpoint(tmp_path / "x.pt")
    shutil.rmtree(tmp_path)
    with pytest.raises(FileNotFoundError):
        read_checkpoint(tmp_path / "x.pt")
