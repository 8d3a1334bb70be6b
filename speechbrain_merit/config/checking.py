"""The check that train.py makes before it does anything.

Authors
 * The speechbrain-merit developers 2026
"""

import pydoc
from collections.abc import Iterator, Mapping
from dataclasses import fields
from pathlib import Path
from typing import Any

from torch.utils.data import DataLoader
from transformers import AutoConfig

from speechbrain.utils.run_opts import RunOptions
from speechbrain_merit.lobes.speech_model_loading import SUPPORTED_MODELS

from .kinds import Table
from .names import (
    misspelt_names,
    suggestion,
    tag_of,
    unknown_arguments,
    unknown_names,
    unknown_options,
)
from .reading import Settings, read_settings
from .rules import RELATIONS, REQUIRED, RULES

_RUN_OPTIONS = {field.name for field in fields(RunOptions)}
_LOADERS = (
    "train_dataloader_opts",
    "valid_dataloader_opts",
    "test_dataloader_opts",
)
_MISSING = object()


def check_hyperparameters(
    hparams_file: str | Path,
    overrides: str = "",
    run_options: RunOptions | None = None,
) -> None:
    """Checks names, values and combinations of all hyperparameters.

    Nothing is built and no file of a corpus touched; what the YAML names is
    imported. Keys of one's own are welcome in a YAML of one's own; in
    overrides, and where they look like a known key that is missing, they count
    as misspelt.

    Arguments
    ---------
    hparams_file : str or Path
        The variant.
    overrides : str
        In YAML, of the corpus and of the command line, as
        `speechbrain_merit.config.corpora.add_corpus` gives them.
    run_options : RunOptions, optional
        What `speechbrain.parse_arguments` took from the command line.

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    ValueError
        If anything is wrong; the message lists all of it.

    Example
    -------
    >>> path = getfixture("tmpdir").join("variant.yaml")
    >>> path.write("top_k: 3\\nnum_experts: 2")
    >>> check_hyperparameters(path, "tok_k: 1")
    Traceback (most recent call last):
    ...
    ValueError: ...variant.yaml cannot be run:
    - tok_k is no key of variant.yaml. Did you mean top_k?...
    """
    settings = read_settings(hparams_file, overrides)
    name = Path(hparams_file).name
    problems = list(_name_problems(name, settings)) + settings.problems
    if not problems:
        problems = [
            *_value_problems(settings, run_options),
            *_relation_problems(settings.merged),
            *_argument_problems(settings),
        ]
    if problems:
        listing = "\n".join(f"- {text}" for text in dict.fromkeys(problems))
        raise ValueError(f"{hparams_file} cannot be run:\n{listing}")


def _name_problems(name: str, settings: Settings) -> Iterator[str]:
    """Names that are overridden and not there, missing, or misspelt."""
    top_level = {key for key in RULES if "." not in key} | _RUN_OPTIONS
    yield from unknown_names(name, settings.overrides, settings.file, top_level)
    yield from misspelt_names(
        name, settings.file, top_level, settings.referenced
    )
    for key in REQUIRED:
        if key not in settings.file:
            hint = suggestion(key, set(settings.file) - top_level)
            yield f"{name} has no {key}, which train.py reads.{hint}"
    for key, kind in RULES.items():
        own = settings.file.get(key)
        if not (isinstance(kind, Table) and kind.names):
            continue
        if not isinstance(own, Mapping):
            continue
        given = settings.overrides.get(key, {})
        if isinstance(given, Mapping):
            # A corpus sets weights for tasks that a variant may not have.
            for unknown in set(given) - set(own) - set(kind.names):
                hint = suggestion(str(unknown), {*own, *kind.names})
                yield f"{key} has no {unknown}.{hint}"
        yield from misspelt_names(key, own, kind.names, ())


def _value_problems(
    settings: Settings, run_options: RunOptions | None
) -> Iterator[str]:
    """Values that are not what they must be."""
    for key, kind in RULES.items():
        value = _value(settings.merged, key)
        # What another key gives is named once, where it is set.
        if tag_of(_node(settings.unresolved, key)) == "!ref":
            value = _MISSING
        if run_options is not None and key in run_options.overridden_args:
            value = run_options[key]
        found = None if value is _MISSING else kind.problem(value)
        if (key, value) == ("task_balancing_kind", "gradnorm"):
            found = "is gradnorm, which was removed: pcgrad is the nearest."
        if found:
            yield f"{key} {found}"


def _relation_problems(merged: Mapping[str, Any]) -> Iterator[str]:
    for relation in RELATIONS:
        values = [_value(merged, key) for key in relation.keys]
        good = [
            value is not _MISSING and RULES[key].fits(value)
            for key, value in zip(relation.keys, values, strict=True)
        ]
        found = relation.problem(*values) if all(good) else None
        if found:
            yield found


def _argument_problems(settings: Settings) -> Iterator[str]:
    """Options that nothing takes."""
    # Unresolved, so that what is referred to is named once.
    yield from unknown_arguments("", settings.unresolved)
    options = {
        key: value
        for key, value in settings.merged.items()
        if isinstance(value, Mapping)
    }
    for key in _LOADERS:
        yield from unknown_options(
            key, "a DataLoader", DataLoader, options.get(key, {})
        )
    prepare = tag_of(settings.merged.get("prepare_corpus"))
    prepare = prepare.removeprefix("!name:")
    function = pydoc.locate(prepare) if prepare else None
    if callable(function):
        yield from unknown_options(
            "prepare_options",
            prepare,
            function,
            options.get("prepare_options", {}),
        )
    if settings.merged.get("encoder_source") is None:
        yield from _encoder_problems(options.get("encoder_config", {}))


def _encoder_problems(config: Mapping[str, Any]) -> Iterator[str]:
    """Settings that the library would take without using them."""
    kind = config.get("model_type")
    if kind not in SUPPORTED_MODELS:
        # Said by the check of values, or when the encoder is built.
        return
    known = AutoConfig.for_model(kind).to_dict()
    for name in config:
        if name not in known:
            hint = suggestion(str(name), known)
            yield f"encoder_config: a {kind} has no {name}.{hint}"


def _value(merged: Mapping[str, Any], key: str) -> Any:
    """Finds a value; what the YAML builds is no value, nor what is missing."""
    node = _node(merged, key)
    return _MISSING if tag_of(node).startswith("!") else node


def _node(tree: Mapping[str, Any], key: str) -> Any:
    node: Any = tree
    for part in key.split("."):
        if not isinstance(node, Mapping) or part not in node:
            return _MISSING
        node = node[part]
    return node
