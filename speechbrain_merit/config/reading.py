"""Reading YAML that people write, and building nothing of it.

Authors
 * The speechbrain-merit developers 2026
"""

import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import ruamel.yaml
from ruamel.yaml.comments import CommentedMap

_REFERENCE = re.compile(r"<\s*(\w+)")


def read_mapping(path: str | Path, typ: str = "rt") -> CommentedMap:
    """Reads a YAML file of keys and values.

    Arguments
    ---------
    path : str or Path
        The file.
    typ : str
        How ruamel.yaml is to read it: `rt` keeps tags and comments, `safe`
        takes no tags.

    Returns
    -------
    CommentedMap
        For `safe` a dict; empty where the file is.

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    ValueError
        If it is no YAML, or no mapping.

    Example
    -------
    >>> path = Path(getfixture("tmpdir")) / "made.yaml"
    >>> _ = path.write_text("a: [1")
    >>> read_mapping(path)
    Traceback (most recent call last):
    ...
    ValueError: ...made.yaml cannot be read as YAML: ...
    """
    if not Path(path).is_file():
        raise FileNotFoundError(
            f"{path} does not exist: name a YAML file, such as "
            "hparams/sparse_merit.yaml."
        )
    return _load(Path(path).read_bytes(), f"{path}", typ)


def read_overrides(text: str) -> CommentedMap:
    """Reads the options of a command line.

    Arguments
    ---------
    text : str
        YAML, as `speechbrain.parse_arguments` makes it of `--key=value`.

    Returns
    -------
    CommentedMap
        Value by key, with the tags.

    Raises
    ------
    ValueError
        If these are no options, or one of them is there twice.

    Example
    -------
    >>> read_overrides("seed: 1")["seed"]
    1
    >>> read_overrides("fast")
    Traceback (most recent call last):
    ...
    ValueError: 'fast' on the command line, ... holds no settings...
    """
    name = f"{text!r} on the command line, where a key is --key=value once,"
    return _load(text, name, "rt")


def _load(text: str | bytes, name: str, typ: str) -> CommentedMap:
    try:
        tree = ruamel.yaml.YAML(typ=typ, pure=True).load(text)
    except Exception as error:
        raise ValueError(f"{name} cannot be read as YAML: {error}") from error
    if tree is None:
        return CommentedMap()
    if not isinstance(tree, dict):
        raise ValueError(f"{name} holds no settings, as key: value.")
    return tree


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
    >>> tag_of(ruamel.yaml.YAML().load("!new:torch.nn.ReLU {}"))
    '!new:torch.nn.ReLU'
    """
    return str(getattr(getattr(node, "tag", None), "value", None) or "")


def references(path: str, node: Any) -> Iterator[tuple[str, str]]:
    """Finds all references, at any depth.

    Arguments
    ---------
    path : str
        Key of the node, with dots.
    node : Any
        Of a YAML that ruamel.yaml has read, with its tags.

    Yields
    ------
    tuple of str
        The key that has the reference, and the top-level key that it names.

    Example
    -------
    >>> tree = ruamel.yaml.YAML().load("a: {b: !ref <c> // 2}")
    >>> list(references("", tree))
    [('a.b', 'c')]
    """
    if tag_of(node) in ("!ref", "!copy"):
        for name in _REFERENCE.findall(str(node.value)):
            yield path, name
    elif isinstance(node, Mapping):
        for key, value in node.items():
            yield from references(f"{path}.{key}" if path else key, value)
    elif isinstance(node, list):
        for value in node:
            yield from references(path, value)
