"""Building the model of a folder without running anything that is in it.

hyperparams.yaml may name any function, and SpeechBrain calls it. Here, names
are looked up among the parts that lobes exports; of the file, nothing is read but
the model and its sample rate. A model gets memory only for weights that are in
the folder; it may still ask for more time than there is.

Authors
 * The speechbrain-merit developers 2026
"""

import contextlib
import functools
import math
import re
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import ruamel.yaml
import torch
from ruamel.yaml.loader import SafeLoader
from torch import nn
from torch.nn.modules.module import register_module_parameter_registration_hook

from speechbrain.dataio.encoder import CategoricalEncoder
from speechbrain_merit import lobes
from speechbrain_merit.data.reading_errors import naming_file

from .encoder_settings import checked_settings
from .folder import read_emotions
from .weights import check_weights, read_weight_file

# Descriptions and labels take some thousands.
_MOST_BYTES = 200_000
# Low enough that sizes which are no tensor's ask for no memory to speak of.
_LARGEST_SIZE = 4096
# Per second of a recording. Encoders have 50 and spectra 100; attention takes
# the square of them.
_MOST_FRAMES = 400


def load_safely(
    hyperparameters: Path, weights: Path, labels: Path
) -> tuple[nn.Module, CategoricalEncoder, int]:
    """Builds a model of three files, and runs nothing of them.

    Every tensor of the model comes from the file: none may be missing, left
    over or of another shape.

    Arguments
    ---------
    hyperparameters : Path
        The folder's hyperparams.yaml.
    weights : Path
        Its model.safetensors.
    labels : Path
        Its label_encoder.ckpt.

    Returns
    -------
    tuple
        A `JointModel` or `EnhanceThenClassify` in evaluation mode, the names
        of its emotions, and its sample rate in Hz.

    Raises
    ------
    FileNotFoundError
        If a file is missing.
    ValueError
        If one of them is not what it should be.

    Example
    -------
    >>> load_safely(Path("nowhere/hyperparams.yaml"), Path("w"), Path("l"))
    Traceback (most recent call last):
    ...
    FileNotFoundError: nowhere lacks hyperparams.yaml: give the folder of ...
    """
    for path in (hyperparameters, weights, labels):
        if not path.is_file():
            raise FileNotFoundError(
                f"{path.parent} lacks {path.name}: give the folder of a "
                "trained model, or what `speechbrain-merit export` makes of it."
            )
        if path != weights and path.stat().st_size > _MOST_BYTES:
            raise ValueError(
                f"{path} is no description of a model: it has more than "
                f"{_MOST_BYTES} bytes."
            )
    tensors = read_weight_file(weights)
    # On this device a model of any size takes no memory.
    with torch.device("meta"), no_more_parameters_than(len(tensors)):
        outline, _ = _build(hyperparameters, tensors)
    check_weights(outline, tensors, weights)
    model, sample_rate_hz = _build(hyperparameters, tensors)
    model.load_state_dict(tensors)
    return model.eval(), _read_labels(labels), sample_rate_hz


@contextlib.contextmanager
def no_more_parameters_than(num_tensors: int) -> Iterator[None]:
    """Stops the construction of a model with more parts than a file has.

    Arguments
    ---------
    num_tensors : int
        Of the file. Some parameters are registered twice, and those of a
        decoder are dropped again: there may be about twice as many.

    Yields
    ------
    None
        While the model is made.

    Raises
    ------
    ValueError
        If there are more.

    Example
    -------
    >>> with no_more_parameters_than(1):
    ...     nn.ModuleList(nn.Linear(1, 1) for _ in range(1000))
    Traceback (most recent call last):
    ...
    ValueError: it has more parts than the file has tensors
    """
    left = iter(range(2 * num_tensors + 100))

    def count(module: nn.Module, name: str, parameter: Any) -> None:
        if next(left, None) is None:
            raise ValueError("it has more parts than the file has tensors")

    handle = register_module_parameter_registration_hook(count)
    try:
        yield
    finally:
        handle.remove()


class _PartLoader(SafeLoader):
    """Makes plain values, and parts of models where a tag names one."""

    largest: int

    def flatten_mapping(self, node: ruamel.yaml.MappingNode) -> None:
        """Keeps `<<`, which could make much of little, from being merged."""


def _build(
    path: Path, weights: Mapping[str, torch.Tensor]
) -> tuple[nn.Module, int]:
    """Builds what the file says, with random weights that do not stay."""
    lengths = (length for tensor in weights.values() for length in tensor.shape)
    with naming_file(path, "It describes no model."):
        loader = _PartLoader(path.read_text(encoding="utf-8"))
        loader.largest = max(_LARGEST_SIZE, *lengths)
        top = loader.get_single_node()
        with torch.random.fork_rng(devices=[]):
            found = {
                key.value: loader.construct_document(value)
                for key, value in top.value
                if key.value in ("model", "sample_rate_hz")
            }
        model, rate_hz = found["model"], found["sample_rate_hz"]
        if not isinstance(model, lobes.JointModel | lobes.EnhanceThenClassify):
            raise ValueError(f"the model is a {type(model).__name__}.")
        if type(rate_hz) is not int or not 1 <= rate_hz <= 10**6:
            raise ValueError(f"sample_rate_hz must not be {rate_hz!r}.")
        _check_costs(model, rate_hz)
    return model, rate_hz


def _check_costs(model: nn.Module, rate_hz: int) -> None:
    """Refuses what takes memory out of proportion to a recording."""
    for part in model.modules():
        for step in ("samples_per_frame", "hop_length"):
            frames = rate_hz / getattr(part, step, rate_hz)
            if frames > _MOST_FRAMES:
                raise ValueError(f"{step} gives {frames:.0f} frames a second")


def _encoder(
    config: Mapping[str, Any],
    source: None = None,
    save_path: str | None = None,
    **options: Any,
) -> lobes.SpeechEncoder:
    """A SpeechEncoder that fetches nothing."""
    if source is not None:
        raise ValueError(f"source is {source!r}: only config may be given")
    return lobes.SpeechEncoder(config=config, **options)


def _size(part: nn.Module, name: str) -> int:
    """The size of a part, such as the encoder's `num_layers`."""
    size = getattr(part, name)
    if not isinstance(part, nn.Module) or type(size) is not int:
        raise ValueError(f"{name} is no size of a part")
    return size


_CALLABLE: dict[str, Callable] = {
    # What lobes exports is all that a model may have.
    **{
        f"speechbrain_merit.lobes.{name}": getattr(lobes, name)
        for name in lobes.__all__
    },
    "speechbrain_merit.lobes.SpeechEncoder": _encoder,
    "getattr": _size,
    "len": len,
}


def _make(
    loader: _PartLoader, name: str, node: ruamel.yaml.Node
) -> Callable[[], Any]:
    """Gives what calls a part's constructor, all arguments checked."""
    line = node.start_mark.line + 1
    if name not in _CALLABLE:
        raise ValueError(
            f"line {line} names {name!r}: only parts that "
            "speechbrain_merit.lobes exports are built"
        )
    arguments: list[Any] = []
    options: dict[Any, Any] = {}
    if isinstance(node, ruamel.yaml.MappingNode):
        options = loader.construct_mapping(node, deep=True)
    elif isinstance(node, ruamel.yaml.SequenceNode):
        arguments = loader.construct_sequence(node, deep=True)
    if isinstance(options.get("config"), dict):
        options["config"] = checked_settings(options["config"])
    for key, value in [*enumerate(arguments), *options.items()]:
        if not _is_plain(value, loader.largest):
            raise ValueError(
                f"line {line}, {name}: {key} must not be {value!r}"
            )
    return functools.partial(_CALLABLE[name], *arguments, **options)


def _construct(loader: _PartLoader, name: str, node: ruamel.yaml.Node) -> Any:
    make = _make(loader, name, node)
    try:
        return make()
    except Exception as error:
        # PyTorch and transformers raise many kinds of errors for values that
        # do not go together.
        raise ValueError(
            f"line {node.start_mark.line + 1}: {name} cannot be built: {error}"
        ) from error


_PartLoader.add_multi_constructor("!new:", _construct)
_PartLoader.add_multi_constructor("!apply:", _construct)
_PartLoader.add_multi_constructor("!name:", _make)


def _is_plain(value: Any, largest: int, depth: int = 2) -> bool:
    # An encoder's options may have lists, and nothing goes deeper.
    if isinstance(value, dict):
        value = list(value.values())
    if isinstance(value, list):
        return depth > 0 and all(
            _is_plain(part, largest, depth - 1) for part in value
        )
    if type(value) is int:
        return 0 <= value <= largest
    if type(value) is float:
        return math.isfinite(value)
    kinds = (bool, str, nn.Module, functools.partial)
    return value is None or isinstance(value, kinds)


def _read_labels(path: Path) -> CategoricalEncoder:
    labels = CategoricalEncoder()
    emotions = read_emotions(path)
    with naming_file(path):
        wrong = [name for name in emotions if not _is_name(name)]
        if wrong:
            raise ValueError(f"{wrong} are no names")
        labels.update_from_iterable(emotions)
        if not emotions or len(labels) != len(emotions):
            raise ValueError(f"{emotions} are not distinct")
    return labels


def _is_name(value: Any) -> bool:
    """Whether it is a short text, and neither a path nor markup."""
    return (
        type(value) is str
        and value.isprintable()
        and re.fullmatch(r"(?![. ])[^/\\<>]{1,64}", value) is not None
    )
