"""The manifests that data preparation writes and everything else reads.

A manifest is a JSON file that SpeechBrain's `DynamicItemDataset.from_json`
loads: a mapping from the identity of an item to its fields. `UTTERANCE_KEYS`
and `NOISE_KEYS` name the fields; paths start with `{data_root}` for speech
and `{noise_root}` for noise, so that a manifest survives a move of the data.

Authors
 * The speechbrain-merit developers 2026
"""

import json
import math
import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from .atomic_write import atomic_write
from .contained_paths import check_manifest_paths
from .reading_errors import naming_file

# start_s and duration_s cut the utterance out of its file; emotion may be
# None for speech that trains the enhancement alone. Of one manifest, all items
# may have more fields: noisy_wav, the same speech in noise, which is then used
# as it is, and whatever else a corpus knows, such as gender.
UTTERANCE_KEYS = ("wav", "start_s", "duration_s", "emotion", "speaker")
# What is assumed where a manifest lacks the field.
UTTERANCE_DEFAULTS = {"noisy_wav": None}
# All items may have start_s too, where only a stretch of the file is meant.
NOISE_KEYS = ("wav", "duration_s", "noise_type")

# Of both, and of the plans that `mixing` makes.
_MAY_BE_NONE = {"emotion", "noisy_wav", "noise", "noise_type"}
_TEXTS = _MAY_BE_NONE | {"wav", "speaker", "condition"}

# A sample at the highest rate that there is.
_SHORTEST_S = 1e-6
# The drive of a path is no corpus.
_NAME = r"[\w-]{2,}:"

UTTERANCE_SPLITS = ("train", "valid", "test")
# "seen" and "unseen" are for testing: recordings of noise types that occur in
# training (never the recordings themselves), and types that do not.
NOISE_SPLITS = ("train", "valid", "seen", "unseen")


def write_manifest(
    path: str | Path,
    entries: Mapping[str, Mapping[str, Any]],
    keys: tuple[str, ...],
    may_be_empty: bool = False,
) -> None:
    """Writes a manifest whole or not at all.

    Arguments
    ---------
    path : str or Path
        The file to write; its folder is made where needed.
    entries : Mapping
        Fields of every item by identity.
    keys : tuple of str
        The fields that every item must have, e.g. `UTTERANCE_KEYS`; more are
        welcome where all have them.
    may_be_empty : bool
        Whether to write a manifest without items.

    Raises
    ------
    ValueError
        If there is no item where one is needed, or one that lacks a field.

    Example
    -------
    >>> path = getfixture("tmpdir") / "noise.json"
    >>> entry = {"wav": "{noise_root}/rain.wav", "duration_s": 5.0}
    >>> write_manifest(
    ...     path, {"rain": {**entry, "noise_type": "rain"}}, NOISE_KEYS
    ... )
    >>> read_manifest(path)["rain"]["noise_type"]
    'rain'
    """
    path = Path(path)
    if not entries and not may_be_empty:
        raise ValueError(f"{path} would be empty: there is no item for it.")
    wanted = {*keys}.union(*entries.values())
    for name, fields in entries.items():
        if wanted != set(fields):
            raise ValueError(
                f"{path}: item {name} has no {', '.join(wanted - set(fields))}, "
                "which every item must have, or another one has."
            )
    text = json.dumps(dict(entries), indent=1, ensure_ascii=False)
    try:
        with atomic_write(path) as partial:
            partial.write_text(text + "\n", encoding="utf-8")
    except UnicodeEncodeError as error:
        raise ValueError(
            f"{path}: {error.object[error.start - 40 : error.end]!r} is part of "
            "a file's name that is not in UTF-8: rename the file."
        ) from error


def read_manifest(path: str | Path) -> dict[str, dict[str, Any]]:
    """Reads a manifest as it is written, paths unresolved.

    Arguments
    ---------
    path : str or Path
        A file that `write_manifest` wrote.

    Returns
    -------
    dict
        Fields of every item by identity.

    Raises
    ------
    FileNotFoundError
        If there is no such file; the message says what makes it.
    ValueError
        If a path in it leads out of its folder, it is no such file, or an
        identity occurs twice.

    Example
    -------
    >>> read_manifest("nowhere/train.json")
    Traceback (most recent call last):
    ...
    FileNotFoundError: nowhere/train.json does not exist: run the corpus's ...
    """
    if not Path(path).is_file():
        raise FileNotFoundError(
            f"{path} does not exist: run the corpus's preparation first "
            "(train.py does it unless skip_prep is True)."
        )
    with naming_file(path, "Prepare the corpus anew, or mend it."):
        text = Path(path).read_text(encoding="utf-8")
        items = json.loads(text, object_pairs_hook=_distinct)
        if not isinstance(items, dict) or not all(
            isinstance(fields, dict) for fields in items.values()
        ):
            raise ValueError("it must map the identity of every item to fields")
    check_manifest_paths(path, items)
    return items


def _distinct(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """Joins the pairs of a JSON object, none of which may hide another."""
    found = dict(pairs)
    if len(found) < len(pairs):
        names = [name for name, _ in pairs]
        repeated = next(name for name in names if names.count(name) > 1)
        raise ValueError(f"{repeated} occurs more than once")
    return found


def check_items(
    path: str | Path,
    items: Mapping[str, Mapping[str, Any]],
    keys: Iterable[str],
) -> None:
    """Refuses items without what they need, or with impossible times.

    Arguments
    ---------
    path : str or Path
        Their manifest, for the error.
    items : Mapping
        Fields by identity.
    keys : iterable of str
        What every item must have.

    Raises
    ------
    ValueError
        If a field is missing or no such thing; the message names the item.

    Example
    -------
    >>> check_items("noise.json", {"rain": {"duration_s": 0.0}}, [])
    Traceback (most recent call last):
    ...
    ValueError: noise.json: item rain has the duration_s 0.0, which must be ...
    """
    for name, fields in items.items():
        missing = [key for key in keys if key not in fields]
        if missing:
            raise ValueError(
                f"{path}: item {name} has no {', '.join(missing)}: prepare "
                "the corpus anew."
            )
        for key in _TEXTS & fields.keys():
            value = fields[key]
            if not isinstance(value, str) and (
                value is not None or key not in _MAY_BE_NONE
            ):
                raise ValueError(
                    f"{path}: item {name} has the {key} {value!r}, which must "
                    "be a text."
                )
        for key, least in (("start_s", 0.0), ("duration_s", _SHORTEST_S)):
            value = fields.get(key, least)
            # True counts as a number in Python.
            known = type(value) in (int, float) and math.isfinite(value)
            if not known or value < least:
                raise ValueError(
                    f"{path}: item {name} has the {key} {value!r}, which must "
                    f"be a number of seconds, at least {least:g}."
                )


def load_utterances(
    path: str | Path, data_folder: str | Path
) -> dict[str, dict[str, Any]]:
    """Loads a manifest of utterances for SpeechBrain's datasets.

    Arguments
    ---------
    path : str or Path
        A manifest of utterances, or a plan of mixtures of them.
    data_folder : str or Path
        Replaces `{data_root}` in its paths; of several corpora, see
        `of_corpus`.

    Returns
    -------
    dict
        Fields of every item by identity, with `UTTERANCE_DEFAULTS` for those
        that it lacks.

    Raises
    ------
    FileNotFoundError
        If there is no such file; the message says what makes it.
    ValueError
        If a path in it leads out of its folder, there is no utterance, or one
        lacks a field.

    Example
    -------
    >>> path = getfixture("tmpdir") / "train.json"
    >>> entry = {"wav": "{data_root}/a.wav", "start_s": 0.0, "duration_s": 1.0}
    >>> entry = {**entry, "emotion": "sad", "speaker": "s1"}
    >>> write_manifest(path, {"a": entry}, UTTERANCE_KEYS)
    >>> fields = load_utterances(path, "speech")["a"]
    >>> fields["wav"], fields["noisy_wav"]
    ('speech/a.wav', None)
    """
    # Checked as it is written: the user's own folder may be anywhere.
    items = read_manifest(path)
    if not items:
        raise ValueError(f"{path} holds no utterance: prepare the corpus anew.")
    check_items(path, items, UTTERANCE_KEYS)
    # Not SpeechBrain's load_data_json: it takes every brace in a file's name
    # for a placeholder.
    return {
        name: {
            **UTTERANCE_DEFAULTS,
            **{
                key: value.replace(
                    "{data_root}", of_corpus(data_folder, fields.get("corpus"))
                )
                if isinstance(value, str)
                else value
                for key, value in fields.items()
            },
        }
        for name, fields in items.items()
    }


def manifest_paths(manifest_folder: str | Path) -> dict[str, Path]:
    """Names the seven manifests of a prepared corpus.

    Arguments
    ---------
    manifest_folder : str or Path
        Where preparation writes them.

    Returns
    -------
    dict
        Path by name: `train`, `valid`, `test` and `noise_` with each of
        `NOISE_SPLITS`.

    Example
    -------
    >>> manifest_paths("save")["noise_unseen"].name
    'noise_unseen.json'
    """
    names = [*UTTERANCE_SPLITS, *(f"noise_{split}" for split in NOISE_SPLITS)]
    return {name: Path(manifest_folder) / f"{name}.json" for name in names}


def of_corpus(values: Any, corpus: str | None) -> str:
    """Picks what is set for a corpus among several.

    Arguments
    ---------
    values : Any
        For each corpus its own, as `NAME:VALUE,NAME:VALUE`; anything else is
        for all.
    corpus : str, optional
        Which one; None where there is but one.

    Returns
    -------
    str
        What is set for it.

    Raises
    ------
    ValueError
        If others have a value of their own and this one has none.

    Example
    -------
    >>> of_corpus("RAVDESS:/a,b,nEMO:/c", "RAVDESS"), of_corpus("/d", "nEMO")
    ('/a,b', '/d')
    """
    text = str(values)
    if corpus is None or not re.match(_NAME, text):
        return text
    own = dict(p.split(":", 1) for p in re.split(f",(?={_NAME})", text))
    if corpus not in own:
        raise ValueError(f"{text!r} has no value for {corpus}: add it.")
    return own[corpus]
