"""Names that nobody knows, and those that may be meant.

Authors
 * The speechbrain-merit developers 2026
"""

import difflib
import inspect
import pydoc
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from typing import Any

# A key of a YAML of one's own that is so similar to a known one, which is
# missing, is taken for a misspelling of that.
_MISSPELT = 0.8
_TAGS = ("!new:", "!name:", "!apply:")


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


def unknown_names(
    where: str,
    given: Iterable[str],
    present: Collection[str],
    known: Collection[str],
) -> list[str]:
    """Finds names that are overridden and that there are not.

    Arguments
    ---------
    where : str
        What they are in, for the message.
    given : iterable of str
        Names of the corpus and of the command line.
    present : collection of str
        Names in the variant's file.
    known : collection of str
        Names that something else than the file knows.

    Returns
    -------
    list of str
        A sentence for each.

    Example
    -------
    >>> unknown_names("variant.yaml", ["top_k", "lr"], ["lr"], ["top_k"])
    ['top_k is a key of other variants: variant.yaml has none.']
    """
    found = []
    for name in given:
        if name in present:
            continue
        if name in known:
            found.append(
                f"{name} is a key of other variants: {where} has none."
            )
            continue
        hint = suggestion(str(name), {*present, *known})
        found.append(f"{name} is no key of {where}.{hint}")
    return found


def misspelt_names(
    where: str,
    own: Iterable[str],
    known: Collection[str],
    used: Collection[str],
) -> list[str]:
    """Finds names of a file that look like a known one that it lacks.

    Names of one's own are welcome: one that nothing in the file uses is only
    refused where it is very similar to a known one.

    Arguments
    ---------
    where : str
        The file, for the message.
    own : iterable of str
        All names in it.
    known : collection of str
        Names that there are without it.
    used : collection of str
        Names that something in the file refers to.

    Returns
    -------
    list of str
        A sentence for each.

    Example
    -------
    >>> misspelt_names("my.yaml", ["tok_k", "depth"], ["top_k"], [])
    ['my.yaml has tok_k, which nothing uses. Did you mean top_k?']
    >>> misspelt_names("my.yaml", ["tok_k"], ["top_k"], ["tok_k"])
    []
    """
    own = list(own)
    missing = set(known) - set(own)
    found = []
    for name in own:
        if name in known or name in used or str(name).startswith("__"):
            continue
        hint = suggestion(str(name), missing, _MISSPELT)
        if hint:
            found.append(f"{where} has {name}, which nothing uses.{hint}")
    return found


def unknown_arguments(path: str, node: Any) -> list[str]:
    """Finds names that what the YAML builds does not take, at any depth.

    Arguments
    ---------
    path : str
        Key of the node, with dots.
    node : Any
        Of a YAML that ruamel.yaml has read, with its tags.

    Returns
    -------
    list of str
        A sentence for each.

    Example
    -------
    >>> import ruamel.yaml
    >>> text = "drop: !new:torch.nn.Dropout {probability: 0.5}"
    >>> unknown_arguments("", ruamel.yaml.YAML().load(text))
    ['drop: torch.nn.Dropout takes no probability; it takes p, inplace.']
    """
    found = []
    name = _called(node)
    if name is not None:
        target = pydoc.locate(name)
        if not callable(target):
            return [f"{path}: there is no {name} that can be imported."]
        if isinstance(node, Mapping):
            found += unknown_options(path, name, target, node)
    for key, child in _children(node):
        inside = f"{path}.{key}" if path else str(key)
        found += unknown_arguments(inside, child)
    return found


def unknown_options(
    path: str, name: str, target: Callable[..., Any], options: Iterable[str]
) -> list[str]:
    """Finds options that a function or class does not take.

    Arguments
    ---------
    path : str
        Key of the options, for the message.
    name : str
        Name of the function, for the message.
    target : callable
        The function.
    options : iterable of str
        Names of the options.

    Returns
    -------
    list of str
        A sentence for each.

    Example
    -------
    >>> unknown_options("options", "sorted", sorted, ["revers"])
    ['options: sorted takes no revers. Did you mean reverse?']
    """
    known = _arguments_of(target)
    if known is None:
        return []
    found = []
    for option in options:
        if option in known:
            continue
        hint = suggestion(str(option), known)
        end = f".{hint}" if hint else f"; it takes {', '.join(known)}."
        found.append(f"{path}: {name} takes no {option}{end}")
    return found


def tag_of(node: Any) -> str:
    """Gives a node's tag.

    Arguments
    ---------
    node : Any
        Of a YAML that ruamel.yaml has read, with its tags.

    Returns
    -------
    str
        Such as `!ref`; empty where there is none.

    Example
    -------
    >>> import ruamel.yaml
    >>> tag_of(ruamel.yaml.YAML().load("!new:torch.nn.ReLU {}"))
    '!new:torch.nn.ReLU'
    """
    return str(getattr(getattr(node, "tag", None), "value", None) or "")


def _arguments_of(target: Callable[..., Any]) -> list[str] | None:
    """What can be passed by keyword; None for anything, or nobody knows."""
    try:
        parameters = inspect.signature(target).parameters.values()
    except (TypeError, ValueError):
        return None
    if any(parameter.kind is parameter.VAR_KEYWORD for parameter in parameters):
        return None
    return [p.name for p in parameters if p.kind is not p.POSITIONAL_ONLY]


def _called(node: Any) -> str | None:
    """Name of what a node calls, if it calls anything."""
    for tag in _TAGS:
        if tag_of(node).startswith(tag):
            return tag_of(node).removeprefix(tag)
    return None


def _children(node: Any) -> Iterator[tuple[Any, Any]]:
    if isinstance(node, Mapping):
        yield from node.items()
    elif isinstance(node, list):
        yield from enumerate(node)
