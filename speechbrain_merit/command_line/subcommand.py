"""A subcommand is a function: its signature and docstring say all.

Authors
 * The speechbrain-merit developers 2026
"""

import inspect
import re
import typing
from collections.abc import Callable, Sequence
from types import UnionType
from typing import Any


def add_subcommand(
    commands: Any, name: str, function: Callable[..., int]
) -> None:
    """Makes a subcommand that calls a function.

    The function's keyword-only arguments become options, such as `--out`, and
    the others positional; a `bool` becomes a flag, `Sequence[str]` takes
    several values, and `Literal` those that it names. What is without a
    default must be given. The docstring's beginning and its section
    "Arguments" are the help.

    Arguments
    ---------
    commands : Any
        What `ArgumentParser.add_subparsers` gave.
    name : str
        What the subcommand is called.
    function : Callable
        Returns the exit status.

    Example
    -------
    >>> def greet(names: Sequence[str], *, times: int = 1) -> int:
    ...     '''Greets people.
    ...
    ...     Arguments
    ...     ---------
    ...     names : sequence of str
    ...         Whom.
    ...     times : int
    ...         How often.
    ...     '''
    ...     print(", ".join(names * times))
    ...     return 0
    >>> from argparse import ArgumentParser
    >>> parser = ArgumentParser()
    >>> add_subcommand(parser.add_subparsers(), "greet", greet)
    >>> arguments = vars(parser.parse_args(["greet", "you", "--times", "2"]))
    >>> arguments.pop("function")(**arguments)
    you, you
    0
    """
    description, helps = _documented(function)
    title = description.split("\n")[0].rstrip(".")
    parser = commands.add_parser(name, help=title, description=description)
    parser.set_defaults(function=function)
    types = typing.get_type_hints(function)
    for parameter in inspect.signature(function).parameters.values():
        is_option = parameter.kind is parameter.KEYWORD_ONLY
        options = _options(types[parameter.name], parameter.default, is_option)
        options["help"] = helps[parameter.name] + options.get("help", "")
        flag = f"--{parameter.name}" if is_option else parameter.name
        parser.add_argument(flag, **options)


def _documented(function: Callable) -> tuple[str, dict[str, str]]:
    """Reads the docstring's beginning and what it says of every argument."""
    # argparse formats its texts by %.
    text = (inspect.getdoc(function) or "").replace("%", "%%")
    description, _, rest = text.partition("\n\nArguments\n---------\n")
    section = rest.split("\n\n")[0]
    entries = re.split(r"^(\w+) : .*\n", section, flags=re.MULTILINE)
    texts = (" ".join(entry.split()).rstrip(".") for entry in entries[2::2])
    return description, dict(zip(entries[1::2], texts, strict=True))


def _options(kind: Any, default: Any, is_option: bool) -> dict[str, Any]:
    """What `add_argument` takes for a type and a default."""
    if kind is bool:
        return {"action": "store_true"}
    is_required = default is inspect.Parameter.empty
    found: dict[str, Any] = {} if is_required else {"default": default}
    if is_option:
        found["required"] = is_required
    # Of a path, the docstring tells how it is meant.
    shown = " ".join(default) if isinstance(default, tuple) else default
    if isinstance(shown, str | int | float) and shown != "":
        found["help"] = f" (default: {shown})"
    if typing.get_origin(kind) is UnionType:
        kind, _ = typing.get_args(kind)
    if typing.get_origin(kind) is typing.Literal:
        found["choices"] = typing.get_args(kind)
    elif typing.get_origin(kind) in (list, Sequence):
        found["nargs"] = "+" if is_required or is_option else "*"
        (found["type"],) = typing.get_args(kind)
    else:
        found["type"] = kind
    return found
