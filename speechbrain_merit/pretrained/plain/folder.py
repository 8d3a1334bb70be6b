"""A folder with a model as JSON and safetensors.

Neither format can hold code. Reading looks at two files of fixed names and at
nothing else in the folder. A description gets memory only for weights that are
in the other file; it may still ask for more time than there is.

Authors
 * The speechbrain-merit developers 2026
"""

import json
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple, NoReturn

import safetensors
import safetensors.torch
import torch
from torch import nn

from .checks import check_keys, is_count, is_list_of, is_name
from .description import build, describe

DESCRIPTION = "model.json"
WEIGHTS = "model.safetensors"
FORMAT = "speechbrain-merit 1"
# Descriptions take some thousands.
_MOST_BYTES = 1_000_000


class PlainModel(NamedTuple):
    """A model and what belongs to its use.

    Arguments
    ---------
    model : torch.nn.Module
        A `JointModel` or `EnhanceThenClassify`.
    emotions : list of str
        Names of the classes in the order of the logits.
    sample_rate_hz : int
        Sample rate of the model.
    """

    model: nn.Module
    emotions: list[str]
    sample_rate_hz: int


def write_plain_folder(
    folder: str | Path,
    model: nn.Module,
    emotions: Sequence[str],
    sample_rate_hz: int,
    half_precision: bool = False,
) -> None:
    """Writes model.json and model.safetensors.

    Arguments
    ---------
    folder : str or Path
        Where to write; made where needed.
    model : torch.nn.Module
        A `JointModel` or `EnhanceThenClassify`.
    emotions : sequence of str
        Names of the classes in the order of the logits.
    sample_rate_hz : int
        Sample rate of the model.
    half_precision : bool
        Whether to store the weights as float16; the loaded model computes in
        float32 all the same.

    Raises
    ------
    ValueError
        If the model has parts without a plain description, or a weight
        exceeds the range of half precision.

    Example
    -------
    >>> write_plain_folder("nowhere", torch.nn.Linear(1, 1), ["sad"], 16000)
    Traceback (most recent call last):
    ...
    ValueError: A torch.nn.modules.linear.Linear has no plain description: ...
    """
    plain = {
        "format": FORMAT,
        "sample_rate_hz": sample_rate_hz,
        "emotions": list(emotions),
        "model": describe(model),
    }
    # Modules that share a tensor have a copy each in the file.
    weights = {
        name: tensor.detach().cpu().clone().contiguous()
        for name, tensor in model.state_dict().items()
    }
    if half_precision:
        weights = {name: _halved(name, t) for name, t in weights.items()}
    with torch.random.fork_rng(devices=[]):
        _check_weights(build(plain["model"]), weights, DESCRIPTION)
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    partial = folder / f"{WEIGHTS}.partial"
    safetensors.torch.save_file(weights, partial)
    os.replace(partial, folder / WEIGHTS)
    partial = folder / f"{DESCRIPTION}.partial"
    text = json.dumps(plain, indent=1, allow_nan=False, ensure_ascii=False)
    partial.write_text(text + "\n", encoding="utf-8")
    os.replace(partial, folder / DESCRIPTION)


def read_plain_folder(folder: str | Path) -> PlainModel:
    """Builds the model of a folder without running anything that is in it.

    Every tensor of the model comes from the file: none may be missing, left
    over or of another shape.

    Arguments
    ---------
    folder : str or Path
        What `write_plain_folder` wrote.

    Returns
    -------
    PlainModel
        The model in evaluation mode.

    Raises
    ------
    FileNotFoundError
        If one of the two files is missing.
    ValueError
        If one of them is not what it should be.

    Example
    -------
    >>> read_plain_folder("nowhere")
    Traceback (most recent call last):
    ...
    FileNotFoundError: nowhere lacks model.json: ...
    """
    folder = Path(folder)
    for name in (DESCRIPTION, WEIGHTS):
        if not (folder / name).is_file():
            raise FileNotFoundError(
                f"{folder} lacks {name}: make the folder with "
                "`speechbrain-merit export`."
            )
    return load_plain(folder / DESCRIPTION, folder / WEIGHTS)


def load_weights(model: nn.Module, path: str | Path) -> None:
    """Loads a safetensors file into a model, strictly.

    Arguments
    ---------
    model : torch.nn.Module
        Whose weights these are.
    path : str or Path
        The file.

    Raises
    ------
    ValueError
        If the file is not one, or a tensor is missing, left over or of
        another shape.

    Example
    -------
    >>> path = Path(getfixture("tmpdir")) / "model.safetensors"
    >>> safetensors.torch.save_file({"bias": torch.ones(1)}, path)
    >>> load_weights(torch.nn.Linear(2, 1), path)
    Traceback (most recent call last):
    ...
    ValueError: ...does not fit the model. Missing: ['weight']. ...
    """
    tensors = _read_weights(Path(path))
    _check_weights(model, tensors, str(path))
    model.load_state_dict(tensors)


def load_plain(description: Path, weights: Path) -> PlainModel:
    """Does what `read_plain_folder` does, for files of any names.

    Arguments
    ---------
    description : Path
        The JSON file.
    weights : Path
        The safetensors file.

    Returns
    -------
    PlainModel
        The model in evaluation mode.

    Raises
    ------
    ValueError
        If one of them is not what it should be.

    Example
    -------
    >>> path = Path(getfixture("tmpdir")) / "model.json"
    >>> _ = path.write_text("!new:os.system")
    >>> load_plain(path, path)
    Traceback (most recent call last):
    ...
    ValueError: ...model.json is no JSON: Expecting value: line 1 column 1 ...
    """
    plain = _read_json(description)
    tensors = _read_weights(weights)
    try:
        _check_top(plain)
        # On this device a model of any size takes no memory.
        with torch.device("meta"), torch.random.fork_rng(devices=[]):
            outline = build(plain["model"])
        _check_emotions(outline, plain["emotions"])
    except ValueError as error:
        raise ValueError(f"{description}: {error}") from error
    _check_weights(outline, tensors, str(weights))
    # Random weights are drawn first, and none of them stays.
    with torch.random.fork_rng(devices=[]):
        model = build(plain["model"])
    model.load_state_dict(tensors)
    return PlainModel(model.eval(), plain["emotions"], plain["sample_rate_hz"])


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


def _read_json(path: Path) -> Any:
    def refuse(constant: str) -> NoReturn:
        raise ValueError(f"{constant} is no number of JSON")

    if path.stat().st_size > _MOST_BYTES:
        raise ValueError(
            f"{path} is no description: it has more than {_MOST_BYTES} bytes."
        )
    try:
        text = path.read_text(encoding="utf-8")
        return json.loads(text, parse_constant=refuse)
    except (ValueError, RecursionError) as error:
        raise ValueError(f"{path} is no JSON: {error}") from error


def _check_top(plain: Any) -> None:
    found = plain.get("format") if isinstance(plain, dict) else None
    if found != FORMAT:
        raise ValueError(f"the format is {found!r}, not {FORMAT!r}.")
    checks = {"sample_rate_hz": is_count, "emotions": is_list_of(is_name)}
    check_keys(plain, {"format": None, "model": None, **checks}, "the file")
    for key, check in checks.items():
        if not check(plain[key]):
            raise ValueError(f"{key} must not be {plain[key]!r}.")
    if len(set(plain["emotions"])) != len(plain["emotions"]):
        raise ValueError(f"the emotions {plain['emotions']} are not distinct.")


def _check_emotions(model: nn.Module, emotions: list[str]) -> None:
    head = getattr(model, "classifier", model).emotion_head
    if head is not None and head.num_classes != len(emotions):
        raise ValueError(
            f"there are {len(emotions)} emotions for {head.num_classes} "
            "classes."
        )


def _read_weights(path: Path) -> dict[str, torch.Tensor]:
    try:
        return safetensors.torch.load_file(path)
    except (safetensors.SafetensorError, OSError) as error:
        raise ValueError(f"{path} is no safetensors file: {error}") from error


def _check_weights(
    model: nn.Module, weights: dict[str, torch.Tensor], place: str
) -> None:
    """Refuses weights that are not exactly the model's, naming all."""
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
            f"{place} does not fit the model. Missing: {missing}. Not of the "
            f"model: {surplus}. Of another shape or kind: {other}."
        )


def _fits(found: torch.Tensor, expected: torch.Tensor) -> bool:
    # Weights may be stored in half precision.
    return found.shape == expected.shape and (
        found.dtype == expected.dtype
        or (found.is_floating_point() and expected.is_floating_point())
    )
