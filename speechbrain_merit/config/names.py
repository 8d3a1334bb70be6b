"""Names that nobody knows, and those that may be meant.

Authors
 * The speechbrain-merit developers 2026
"""

import difflib
import inspect
import pydoc
import re
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from .reading import tag_of

_CALLING = ("!new:", "!name:", "!apply:")
_TAGS = {
    *_CALLING,
    *"!applyref: !module: !include: !ref !copy !tuple !PLACEHOLDER".split(),
}


def suggestion(name: str, known: Iterable[str], cutoff: float = 0.6) -> str:
    """Asks whether a known name is meant.

    Arguments
    ---------
    name : str
        What was given.
    known : iterable of str
        What there is.
    cutoff : float
        Similarity from which on a name is suggested, 0 to 1.

    Returns
    -------
    str
        A question to put behind a sentence; empty where nothing is similar.

    Example
    -------
    >>> suggestion("bath_size", ["batch_size", "seed"])
    ' Did you mean batch_size?'
    >>> suggestion("colour", ["batch_size", "seed"])
    ''
    """
    close = difflib.get_close_matches(name, sorted(known), n=1, cutoff=cutoff)
    return f" Did you mean {close[0]}?" if close else ""


def refusal(path: str | Path, problems: Iterable[str]) -> ValueError:
    """Lists what is wrong with a file.

    Arguments
    ---------
    path : str or Path
        The file.
    problems : iterable of str
        A sentence for each; one that comes twice is listed once.

    Returns
    -------
    ValueError
        To be raised.

    Example
    -------
    >>> print(refusal("a.yaml", ["b is 1: it must be 2."]))
    a.yaml cannot be run:
    - b is 1: it must be 2.
    """
    listing = "\n".join(f"- {text}" for text in dict.fromkeys(problems))
    return ValueError(f"{path} cannot be run:\n{listing}")


def unknown_arguments(path: str, node: Any) -> Iterator[tuple[str, str]]:
    """Finds names that what the YAML builds does not take, at any depth.

    Arguments
    ---------
    path : str
        Key of the node, with dots.
    node : Any
        Of a YAML that ruamel.yaml has read, with its tags.

    Yields
    ------
    tuple of str
        A sentence for each, and its key.

    Example
    -------
    >>> import ruamel.yaml
    >>> text = "drop: !new:torch.nn.Dropout {probability: 0.5}"
    >>> list(unknown_arguments("", ruamel.yaml.YAML().load(text)))
    [('drop: torch.nn.Dropout takes no probability; it takes ...', 'drop...')]
    """
    tag = tag_of(node)
    if tag.startswith(_CALLING):
        options = node if isinstance(node, Mapping) else ()
        yield from unknown_options(path, tag.partition(":")[2], options)
    kind = re.sub("(?<=:).*", "", tag)
    if tag.startswith("!") and kind not in _TAGS:
        yield f"{path}: there is no tag {tag}.{suggestion(kind, _TAGS)}", path
    children: Iterable[tuple[Any, Any]] = ()
    if isinstance(node, Mapping):
        children = node.items()
    elif isinstance(node, list):
        children = enumerate(node)
    for key, child in children:
        yield from unknown_arguments(f"{path}.{key}" if path else key, child)


def unknown_options(
    path: str, name: str, options: Iterable[str]
) -> Iterator[tuple[str, str]]:
    """Finds options that a function or class does not take.

    Arguments
    ---------
    path : str
        Key of the options.
    name : str
        Of the function, with its module; it is imported.
    options : iterable of str
        Names of the options.

    Yields
    ------
    tuple of str
        A sentence for each, and its key.

    Example
    -------
    >>> list(unknown_options("options", "builtins.sorted", ["revers"]))
    [('options: builtins.sorted takes no revers. Did you ...', 'options.revers')]
    """
    target = pydoc.locate(name)
    if not callable(target):
        yield f"{path}: there is no {name} that can be imported.", path
        return
    try:
        parameters = inspect.signature(target).parameters.values()
    except (TypeError, ValueError):
        # Written in C: nobody knows what it takes.
        return
    if any(p.kind is p.VAR_KEYWORD for p in parameters):
        return
    known = [p.name for p in parameters if p.kind is not p.POSITIONAL_ONLY]
    for option in options:
        if option not in known:
            hint = suggestion(str(option), known)
            end = f".{hint}" if hint else f"; it takes {', '.join(known)}."
            yield f"{path}: {name} takes no {option}{end}", f"{path}.{option}"
