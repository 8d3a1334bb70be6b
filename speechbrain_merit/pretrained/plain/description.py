"""A model's description in plain values, and the model of a description.

Authors
 * The speechbrain-merit developers 2026
"""

from collections.abc import Callable, Sequence
from typing import Any

from torch import nn

from .checks import check_keys
from .encoder_config import check_config, describe_config
from .parts import PARTS, Argument

MODELS = ("JointModel", "EnhanceThenClassify")
_CLASS = "class"


def describe(module: nn.Module) -> dict[str, Any]:
    """Describes a model, or a part of one, in values that JSON has.

    Arguments
    ---------
    module : torch.nn.Module
        Of a class in `PARTS`.

    Returns
    -------
    dict
        Its class and the arguments that decide on its function.

    Raises
    ------
    ValueError
        If it has parts of another class.

    Example
    -------
    >>> from speechbrain_merit.lobes import MeanPooling
    >>> describe(MeanPooling(8))
    {'class': 'MeanPooling', 'input_size': 8}
    """
    name = type(module).__name__
    if name not in PARTS or type(module) is not PARTS[name].build:
        raise ValueError(
            f"A {type(module).__module__}.{name} has no plain description: "
            f"there is one for {', '.join(PARTS)}."
        )
    return {
        _CLASS: name,
        **{
            key: _describe_argument(argument, module)
            for key, argument in PARTS[name].arguments.items()
        },
    }


def _describe_argument(argument: Argument, module: nn.Module) -> Any:
    value = argument.of(module)
    if argument.kind == "config":
        return describe_config(value)
    if argument.kind == "value" or value is None:
        return value
    return describe(value)


def build(
    description: Any, allowed: Sequence[str] = MODELS, place: str = "model"
) -> nn.Module:
    """Builds what a description says, with random weights.

    No name in it is ever looked up anywhere but in tables of this package
    and in transformers' table of activation functions.

    Arguments
    ---------
    description : Any
        What `describe` gave, as it came from a file.
    allowed : sequence of str
        Names of the classes that it may be.
    place : str
        What to call it in errors.

    Returns
    -------
    torch.nn.Module
        The model or part.

    Raises
    ------
    ValueError
        If the description is not exactly one of an allowed class.

    Example
    -------
    >>> build({"class": "MeanPooling", "input_size": 8}, ["MeanPooling"])
    MeanPooling()
    >>> build({"class": "os.system"})
    Traceback (most recent call last):
    ...
    ValueError: model has the class 'os.system': use one of JointModel, ...
    """
    name = description.get(_CLASS) if isinstance(description, dict) else None
    if type(name) is not str or name not in allowed:
        raise ValueError(
            f"{place} has the class {name!r}: use one of {', '.join(allowed)}."
        )
    part = PARTS[name]
    check_keys(description, {_CLASS: None, **part.arguments}, place)
    arguments = {
        key: _build_argument(argument, description[key], f"{place}.{key}")
        for key, argument in part.arguments.items()
    }
    try:
        return part.build(**arguments)
    except Exception as error:
        # PyTorch and transformers raise many kinds of errors for values that
        # do not go together.
        raise ValueError(f"{place} cannot be built: {error}") from error


def _build_argument(argument: Argument, found: Any, place: str) -> Any:
    if argument.kind == "config":
        return check_config(found, place)
    if argument.kind == "value":
        if argument.check is not None and not argument.check(found):
            raise ValueError(f"{place} must not be {found!r}.")
        return found
    if found is None and argument.optional:
        return None
    if argument.kind == "factory":
        return _factory(found, argument.parts, place)
    return build(found, argument.parts, place)


def _factory(
    found: Any, allowed: Sequence[str], place: str
) -> Callable[[], nn.Module]:
    return lambda: build(found, allowed, place)
