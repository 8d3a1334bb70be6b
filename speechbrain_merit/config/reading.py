"""Reading a variant with everything that overrides it, and building nothing.

Authors
 * The speechbrain-merit developers 2026
"""

import copy
import dataclasses
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import ruamel.yaml
from hyperpyyaml import resolve_references
from hyperpyyaml.core import recursive_update
from ruamel.yaml.error import MarkedYAMLError, YAMLError

from speechbrain_merit.config.yaml_files import read_yaml

from .names import suggestion, tag_of

_REFERENCE = re.compile(r"<\s*(\w+)")


@dataclasses.dataclass
class Settings:
    """Hyperparameters with their tags, at three stages.

    Arguments
    ---------
    file : Mapping
        As the variant's file has them.
    overrides : Mapping
        Those of the corpus and of the command line.
    unresolved : Mapping
        Both, with the references as they are.
    merged : Mapping
        Both, with all references resolved; empty where there are problems.
    referenced : set of str
        Keys that others refer to.
    problems : list of str
        Why the references cannot be resolved.
    """

    file: Mapping[str, Any]
    overrides: Mapping[str, Any]
    unresolved: Mapping[str, Any]
    merged: Mapping[str, Any]
    referenced: set[str]
    problems: list[str]


def read_overrides(text: str) -> dict[str, Any]:
    """Reads the options of a command line.

    Arguments
    ---------
    text : str
        YAML, as `speechbrain.parse_arguments` makes it of `--key=value`.

    Returns
    -------
    dict
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
        return {}
    if not isinstance(options, dict):
        raise ValueError(f"{str(options)!r} is no option: write --key=value.")
    return options


def read_settings(hparams_file: str | Path, overrides: str) -> Settings:
    """Reads a variant's file and puts overrides over it.

    Arguments
    ---------
    hparams_file : str or Path
        HyperPyYAML.
    overrides : str
        YAML.

    Returns
    -------
    Settings
        Nothing in it is built.

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    ValueError
        If it is no YAML.

    Example
    -------
    >>> path = getfixture("tmpdir").join("variant.yaml")
    >>> path.write("a: 1\\nb: !ref <a>")
    >>> read_settings(path, "a: 2").merged["b"]
    2
    """
    path = Path(hparams_file)
    file = _load(path)
    given = read_overrides(overrides)
    problems = _mismatches(file, given)
    unresolved = copy.deepcopy(file)
    if not problems:
        recursive_update(unresolved, given)
        problems = _unresolvable(unresolved)
    merged: Mapping[str, Any] = {}
    if not problems:
        try:
            with path.open(encoding="utf-8") as stream:
                text = resolve_references(stream, given)
            merged = ruamel.yaml.YAML().load(text)
        except (ValueError, KeyError, TypeError) as error:
            problems = [f"{path}: {error}"]
    referenced = {name for _, name in _references("", unresolved)}
    return Settings(file, given, unresolved, merged, referenced, problems)


def _load(path: Path) -> Mapping[str, Any]:
    tree = read_yaml(path, ruamel.yaml.YAML().load)
    if not isinstance(tree, Mapping):
        raise ValueError(f"{path} holds no hyperparameters, as key: value.")
    return tree


def _mismatches(
    file: Mapping[str, Any], given: Mapping[str, Any], inside: str = ""
) -> list[str]:
    """Finds mappings that are given for what is none."""
    found = []
    for key, value in given.items():
        if not isinstance(value, Mapping) or key not in file:
            continue
        if isinstance(file[key], Mapping):
            found += _mismatches(file[key], value, f"{inside}{key}.")
        else:
            found.append(
                f"{inside}{key} is {dict(value)!r}: it takes no mapping."
            )
    return found


def _unresolvable(tree: Mapping[str, Any]) -> list[str]:
    """Finds what is not set, and references to what is not there."""
    found = [
        f"{key} is not set: give it by --{key}=..."
        for key, value in tree.items()
        if tag_of(value) == "!PLACEHOLDER"
    ]
    for key, name in _references("", tree):
        if name not in tree:
            hint = suggestion(name, tree)
            found.append(f"{key} refers to <{name}>, which is no key.{hint}")
    return found


def _references(path: str, node: Any) -> Iterator[tuple[str, str]]:
    """Keys of all references, and the top-level keys that they name."""
    if tag_of(node) in ("!ref", "!copy"):
        for name in _REFERENCE.findall(str(node.value)):
            yield path, name
    elif isinstance(node, Mapping):
        for key, value in node.items():
            yield from _references(f"{path}.{key}" if path else key, value)
    elif isinstance(node, list):
        for value in node:
            yield from _references(path, value)
