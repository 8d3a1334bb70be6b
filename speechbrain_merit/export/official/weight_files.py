"""Reading `.pt` files of tensors, and nothing but tensors.

Authors
 * The speechbrain-merit developers 2026
"""

from collections.abc import Mapping
from pathlib import Path

import torch

from speechbrain_merit.pretrained.weights import read_checkpoint


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
