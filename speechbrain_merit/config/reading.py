"""Reading YAML that people write, and building nothing of it.

Authors
 * The speechbrain-merit developers 2026
"""

import re
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import ruamel.yaml
from ruamel.yaml.comments import CommentedMap
from ruamel.yaml.error import MarkedYAMLError, YAMLError

_REFERENCE = re.compile(r"<\s*(\w+)")


def read_yaml(path: str | Path, read: Callable[[Any], Any]) -> Any:
    """Reads a YAML file, with errors that name it.

    Arguments
    ---------
    path : str or Path
        The file.
    read : callable
        Takes the open file, such as `ruamel.yaml.YAML().load`.

    Returns
    -------
    Any
        What `read` gives.

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    ValueError
        If it is no YAML.

    Example
    -------
    >>> path = Path(getfixture("tmpdir")) / "made.yaml"
    >>> _ = path.write_text("a: [1")
    >>> read_yaml(path, ruamel.yaml.YAML().load)
    Traceback (most recent call last):
    ...
    ValueError: ...made.yaml cannot be read as YAML: ...
    """
    if not Path(path).is_file():
        raise FileNotFoundError(
            f"{path} does not exist: name a YAML file, such as "
            "hparams/sparse_merit.yaml."
        )
    try:
        with Path(path).open(encoding="utf-8") as stream:
            return read(stream)
    except (YAMLError, UnicodeDecodeError) as error:
        raise ValueError(f"{path} cannot be read as YAML: {error}") from error


def read_mapping(path: str | Path) -> CommentedMap:
    """Reads a YAML file of keys and values.

    Arguments
    ---------
    path : str or Path
        The file.

    Returns
    -------
    CommentedMap
        With tags and comments.

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    ValueError
        If it is no YAML, or no mapping.

    Example
    -------
    >>> path = Path(getfixture("tmpdir")) / "made.yaml"
    >>> _ = path.write_text("a: !ref <b>")
    >>> read_mapping(path)["a"].value
    '<b>'
    """
    tree = read_yaml(path, ruamel.yaml.YAML().load)
    if tree is None:
        return CommentedMap()
    if not isinstance(tree, CommentedMap):
        raise ValueError(f"{path} holds no hyperparameters, as key: value.")
    return tree


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
    ValueError: 'fast' is no option: write --key=value.
    """
    try:
        options = ruamel.yaml.YAML().load(text)
    except YAMLError as error:
        reason = str(error)
        if isinstance(error, MarkedYAMLError):
            reason = f"{error.problem}"
        raise ValueError(
            f"The options {text!r} cannot be read as YAML: {reason}. Write "
            "--key=value, each key once, and lists and mappings in quotes."
        ) from error
    if options is None:
        return CommentedMap()
    if not isinstance(options, CommentedMap):
        raise ValueError(f"{str(options)!r} is no option: write --key=value.")
    return options


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
