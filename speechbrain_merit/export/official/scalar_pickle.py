"""Reading two numbers from a pickle without running anything that it says.

A pickle is a program, and may name any function to be called. Here it gets
two, both of this file, which stand for those that NumPy names when it pickles
a scalar. NumPy's own are not run either. What it may take of memory is bounded
before it runs.

Authors
 * The speechbrain-merit developers 2026
"""

import io
import math
import pickle
import pickletools
import re
from pathlib import Path
from typing import Any

import numpy as np

# NumPy 2 renamed the module.
_SCALAR = {
    ("numpy.core.multiarray", "scalar"),
    ("numpy._core.multiarray", "scalar"),
}
_DTYPE = {("numpy", "dtype")}
_NUMBER_TYPE = re.compile(r"f[248]|[iu][1248]")
# Two numbers take some two hundred bytes.
_MOST_BYTES = 10_000
_STORING = {"PUT", "BINPUT", "LONG_BINPUT"}


class _NumberType:
    """Stands for a `numpy.dtype`: its code, then its byte order."""

    __slots__ = ("code", "byte_order")

    def __init__(self, code: str) -> None:
        self.code = code
        self.byte_order = "<"

    def __setstate__(self, state: tuple) -> None:
        # A dtype's state starts with a version and the byte order; all else
        # in it is about structures.
        if state[1] not in ("<", ">", "|"):
            raise pickle.UnpicklingError(f"byte order {state[1]!r}")
        self.byte_order = state[1]


class _MakeNumberType:
    """Stands for the function `numpy.dtype`."""

    # Without attributes, nothing of it can be replaced by a pickle.
    __slots__ = ()

    def __call__(
        self, code: str, align: bool = False, copy: bool = True
    ) -> _NumberType:
        if not _NUMBER_TYPE.fullmatch(code):
            raise pickle.UnpicklingError(f"{code!r} is no type of number")
        return _NumberType(code)


class _MakeScalar:
    """Stands for the function `numpy._core.multiarray.scalar`."""

    __slots__ = ()

    def __call__(self, number_type: _NumberType, data: bytes) -> float | int:
        kind = np.dtype(number_type.byte_order + number_type.code)
        if not isinstance(data, bytes) or len(data) != kind.itemsize:
            raise pickle.UnpicklingError("a scalar has not the bytes of one")
        return np.frombuffer(data, kind)[0].item()


class _ScalarUnpickler(pickle.Unpickler):
    def find_class(self, module: str, name: str) -> Any:
        if (module, name) in _SCALAR:
            return _MakeScalar()
        if (module, name) in _DTYPE:
            return _MakeNumberType()
        raise pickle.UnpicklingError(f"it asks for {module}.{name}")


def read_mean_and_std(path: str | Path) -> tuple[float, float]:
    """Reads a pickled pair of mean and standard deviation.

    Arguments
    ---------
    path : str or Path
        A pickle of two numbers of Python's or scalars of NumPy's, of any
        version. Whatever else it holds or asks for, it is refused, and
        nothing that it names is run.

    Returns
    -------
    tuple of float
        Mean and standard deviation.

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    ValueError
        If it holds anything else.

    Example
    -------
    >>> path = Path(getfixture("tmpdir")) / "statistics.pkl"
    >>> _ = path.write_bytes(pickle.dumps((np.float64(0.5), np.float32(2.0))))
    >>> read_mean_and_std(path)
    (0.5, 2.0)
    """
    with Path(path).open("rb") as file:
        pair = _unpickle(file.read(_MOST_BYTES + 1), path)
    if not isinstance(pair, tuple | list) or len(pair) != 2:
        raise ValueError(f"{path} holds no pair of mean and deviation.")
    if not all(type(value) in (int, float) for value in pair):
        kinds = ", ".join(type(value).__name__ for value in pair)
        raise ValueError(f"{path} holds {kinds}, not two numbers.")
    mean, std = map(float, pair)
    if not (math.isfinite(mean) and math.isfinite(std) and std > 0):
        raise ValueError(
            f"{path} has the mean {mean} and the standard deviation {std}: "
            "both must be finite, and the deviation above zero."
        )
    return mean, std


def _unpickle(contents: bytes, path: str | Path) -> Any:
    try:
        _check_memory(contents)
        return _ScalarUnpickler(io.BytesIO(contents)).load()
    except Exception as error:
        # Broken pickles raise errors of nearly every kind.
        raise ValueError(
            f"{path} is refused: only a pickled pair of numbers or NumPy "
            f"scalars is read. {type(error).__name__}: {error}."
        ) from error


def _check_memory(contents: bytes) -> None:
    """Refuses a pickle that would take memory out of proportion."""
    if len(contents) > _MOST_BYTES:
        raise pickle.UnpicklingError(f"it has more than {_MOST_BYTES} bytes")
    for opcode, argument, _ in pickletools.genops(contents):
        # Python keeps a list as long as the largest number that is stored to.
        if opcode.name in _STORING and (argument or 0) > _MOST_BYTES:
            raise pickle.UnpicklingError(f"it stores a value as {argument}")
