"""A model's weights as a safetensors file, which can hold no code.

Authors
 * The speechbrain-merit developers 2026
"""

import mmap
import re
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import safetensors.torch
import torch
from torch import nn

from speechbrain.utils.fetching import FetchSource
from speechbrain.utils.parameter_transfer import Pretrainer
from speechbrain_merit.data.atomic_write import atomic_write
from speechbrain_merit.data.reading_errors import naming_file

WEIGHTS = "model.safetensors"
# Of folders that were written before; read as tensors alone.
_PICKLE = "model.ckpt"
# Names in a pickle of what makes as many values as it is told.
_OF_ANY_SIZE = re.compile(rb"\n(bytearray|\w*Tensor|_rebuild_qtensor)\n")


def write_weights(
    folder: str | Path,
    weights: Mapping[str, torch.Tensor],
    half_precision: bool = False,
) -> None:
    """Writes model.safetensors.

    Arguments
    ---------
    folder : str or Path
        Where to write; made where needed.
    weights : Mapping
        Tensors by their names in the model.
    half_precision : bool
        Whether to store them as float16; a model that loads them computes in
        float32 all the same.

    Raises
    ------
    ValueError
        If a weight exceeds the range of half precision.

    Example
    -------
    >>> folder = getfixture("tmpdir")
    >>> write_weights(folder, {"bias": torch.ones(1)}, half_precision=True)
    >>> read_weights(folder)
    {'bias': tensor([1.], dtype=torch.float16)}
    """
    # Modules that share a tensor have a copy each in the file.
    copies = {}
    for name, tensor in weights.items():
        copy = tensor.detach().cpu().clone().contiguous()
        copies[name] = _halved(name, copy) if half_precision else copy
    with atomic_write(Path(folder) / WEIGHTS) as partial:
        safetensors.torch.save_file(copies, partial)


def read_weights(folder: str | Path) -> dict[str, torch.Tensor]:
    """Reads the weights of a folder, in whichever form it has them.

    Arguments
    ---------
    folder : str or Path
        Of a trained model.

    Returns
    -------
    dict of str to torch.Tensor
        By their names in the model.

    Raises
    ------
    FileNotFoundError
        If the folder has no weights.

    Example
    -------
    >>> read_weights("nowhere")
    Traceback (most recent call last):
    ...
    FileNotFoundError: nowhere holds no model.safetensors: give the ...
    """
    folder = Path(folder)
    if (folder / WEIGHTS).is_file():
        return read_weight_file(folder / WEIGHTS)
    if (folder / _PICKLE).is_file():
        return read_checkpoint(folder / _PICKLE)
    raise FileNotFoundError(
        f"{folder} holds no {WEIGHTS}: give the 'pretrained' folder of a "
        "finished experiment, or an exported one."
    )


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


def read_weight_file(path: Path) -> dict[str, torch.Tensor]:
    """Reads a safetensors file.

    Arguments
    ---------
    path : Path
        The file.

    Returns
    -------
    dict of str to torch.Tensor
        Its tensors by name.

    Raises
    ------
    ValueError
        If the file is not one.

    Example
    -------
    >>> path = Path(getfixture("tmpdir")) / "weights"
    >>> _ = path.write_text("!new:os.system")
    >>> read_weight_file(path)
    Traceback (most recent call last):
    ...
    ValueError: ...weights cannot be read: SafetensorError: ...
    """
    with naming_file(path, "Is it a whole safetensors file?"):
        return safetensors.torch.load_file(path)


def check_weights(
    model: nn.Module, weights: Mapping[str, torch.Tensor], path: str | Path
) -> None:
    """Refuses weights that are not exactly the model's.

    Arguments
    ---------
    model : torch.nn.Module
        Whose weights these should be.
    weights : Mapping
        What the file holds; halves of floating point will do.
    path : str or Path
        The file.

    Raises
    ------
    ValueError
        If a tensor is missing, left over or of another shape or kind; names
        all of them.

    Example
    -------
    >>> weights = {"bias": torch.ones(1)}
    >>> check_weights(torch.nn.Linear(2, 1), weights, "x.safetensors")
    Traceback (most recent call last):
    ...
    ValueError: x.safetensors does not fit the model. Missing: ['weight']. ...
    """
    expected = model.state_dict()
    missing = sorted(expected.keys() - weights.keys())
    surplus = sorted(weights.keys() - expected.keys())
    other = [
        f"{name} {tuple(weights[name].shape)} for {tuple(tensor.shape)}"
        for name, tensor in expected.items()
        if name in weights and not _fits(weights[name], tensor)
    ]
    if missing or surplus or other:
        raise ValueError(
            f"{path} does not fit the model. Missing: {missing}. Not of the "
            f"model: {surplus}. Of another shape or kind: {other}."
        )


class SafetensorsPretrainer(Pretrainer):
    """A Pretrainer whose `model` lies in model.safetensors, not a pickle.

    Arguments
    ---------
    loadables : dict of str to object
        As for SpeechBrain's `Pretrainer`, with a module under `model`.

    Example
    -------
    >>> model = nn.Linear(2, 1)
    >>> SafetensorsPretrainer({"model": model}).custom_hooks["model"].__name__
    '_load'
    """

    def __init__(self, loadables: dict[str, Any]) -> None:
        super().__init__(loadables=loadables, custom_hooks={"model": _load})

    def collect_files(
        self,
        default_source: str | Path | FetchSource | None = None,
        **kwargs: Any,
    ) -> dict[str, Any]:
        """Does what SpeechBrain's does, with another name for the weights.

        Arguments
        ---------
        default_source : str, Path or FetchSource, optional
            Where the files are.
        **kwargs : Any
            As for SpeechBrain's.

        Returns
        -------
        dict
            Local path of every loadable.
        """
        if isinstance(default_source, FetchSource):
            kind, place = default_source
            self.add_paths({"model": FetchSource(kind, f"{place}/{WEIGHTS}")})
        elif default_source is not None:
            self.add_paths({"model": f"{default_source}/{WEIGHTS}"})
        return super().collect_files(default_source, **kwargs)


# Its name in folders that were written before.
PlainPretrainer = SafetensorsPretrainer


def _load(model: nn.Module, path: str | Path) -> None:
    weights = read_weight_file(Path(path))
    check_weights(model, weights, path)
    model.load_state_dict(weights)


def _halved(name: str, tensor: torch.Tensor) -> torch.Tensor:
    if not tensor.is_floating_point():
        return tensor
    halved = tensor.half()
    if not torch.equal(halved.isfinite(), tensor.isfinite()):
        raise ValueError(
            f"{name} exceeds the range of half precision: export the model "
            "in full precision."
        )
    return halved


def _fits(found: torch.Tensor, expected: torch.Tensor) -> bool:
    return found.shape == expected.shape and (
        found.dtype == expected.dtype
        or (found.is_floating_point() and expected.is_floating_point())
    )
