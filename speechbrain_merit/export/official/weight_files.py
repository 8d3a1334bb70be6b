"""Reading `.pt` files of tensors, and nothing but tensors.

Authors
 * The speechbrain-merit developers 2026
"""

import mmap
import re
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

from speechbrain_merit.data.reading_errors import naming_file

# Names in a pickle of what makes as many values as it is told.
_OF_ANY_SIZE = re.compile(rb"\n(bytearray|\w*Tensor|_rebuild_qtensor)\n")


def read_checkpoint(path: str | Path) -> dict[str, Any]:
    """Reads a checkpoint of tensors, numbers, texts, lists and dictionaries.

    The tensors stay in the file until they are used, so that a checkpoint of
    any size takes no memory. Compressed ones, which may grow without bound,
    are refused: PyTorch writes none.

    Arguments
    ---------
    path : str or Path
        What `torch.save` wrote.

    Returns
    -------
    dict
        Its contents.

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    ValueError
        If it is damaged, or holds anything that would run code.

    Example
    -------
    >>> path = Path(getfixture("tmpdir")) / "weights.pt"
    >>> torch.save({"model": {"bias": torch.zeros(2)}}, path)
    >>> read_checkpoint(path)
    {'model': {'bias': tensor([0., 0.])}}
    """
    with (
        naming_file(path, "It is damaged, or holds more than tensors."),
        Path(path).open("rb") as file,
    ):
        # Files of torch before 1.6 cannot be mapped.
        mappable = zipfile.is_zipfile(file)
        if mappable:
            _check_archive(path)
        with mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as contents:
            if found := _OF_ANY_SIZE.search(contents):
                raise ValueError(f"it asks for {found[1]!r}")
        contents = torch.load(
            path, map_location="cpu", weights_only=True, mmap=mappable
        )
        if not isinstance(contents, dict):
            raise ValueError(f"it is no dictionary, but {type(contents)}")
    return contents


def _check_archive(path: str | Path) -> None:
    with zipfile.ZipFile(path) as archive:
        if any(info.compress_type for info in archive.infolist()):
            raise ValueError("it is compressed")


def read_state_dict(path: str | Path) -> dict[str, torch.Tensor]:
    """Reads the weights of one of the published files.

    Arguments
    ---------
    path : str or Path
        A checkpoint with the weights under `model`; the state of an optimizer
        may lie beside them and is left alone.

    Returns
    -------
    dict of str to torch.Tensor
        The weights by name.

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    ValueError
        If it cannot be read, or holds no weights.

    Example
    -------
    >>> path = Path(getfixture("tmpdir")) / "weights.pt"
    >>> torch.save({"state": {}}, path)
    >>> read_state_dict(path)
    Traceback (most recent call last):
    ...
    ValueError: ... holds no weights under 'model', but only 'state'...
    """
    contents = read_checkpoint(path)
    weights = contents.get("model")
    if not isinstance(weights, Mapping):
        names = ", ".join(map(repr, contents)) or "nothing"
        raise ValueError(
            f"{path} holds no weights under 'model', but only {names}: is "
            "this one of the published files?"
        )
    others = [k for k, v in weights.items() if not isinstance(v, torch.Tensor)]
    if others:
        raise ValueError(
            f"{path} holds under 'model' what is no tensor: {others}."
        )
    hollow = [k for k, v in weights.items() if not holds_all(v)]
    if hollow:
        raise ValueError(
            f"{path} holds tensors without all of their values, which would "
            f"grow when they are used: {hollow}."
        )
    return dict(weights)


def holds_all(tensor: torch.Tensor) -> bool:
    """Tells whether there is a value in memory, or in a file, for each entry.

    One number can be stored as a matrix of any size, by strides of zero, and
    a sparse tensor without any value as well.

    Arguments
    ---------
    tensor : torch.Tensor
        Of a file that nobody vouches for.

    Returns
    -------
    bool
        Whether a copy would be no larger, and not empty.

    Example
    -------
    >>> one = torch.zeros(1)
    >>> holds_all(one), holds_all(one.expand(1000, 1000))
    (True, False)
    """
    return (
        tensor.layout is torch.strided
        and tensor.device.type == "cpu"
        and not tensor.is_quantized
        and 0 < tensor.nbytes <= tensor.untyped_storage().nbytes()
    )
