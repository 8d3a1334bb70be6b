"""The manifests that data preparation writes and everything else reads.

A manifest is a JSON file that SpeechBrain's `DynamicItemDataset.from_json`
loads: a mapping from the identity of an item to its fields. `UTTERANCE_KEYS`
and `NOISE_KEYS` name the fields; paths start with `{data_root}` for speech
and `{noise_root}` for noise, so that a manifest survives a move of the data.

Authors
 * The speechbrain-merit developers 2026
"""

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from speechbrain.dataio.dataio import load_data_json

# start_s and duration_s cut the utterance out of its file; emotion may be
# None for speech that trains the enhancement alone. Of one manifest, all items
# may have more fields: noisy_wav, the same speech in noise, which is then used
# as it is, and whatever else a corpus knows, such as gender.
UTTERANCE_KEYS = ("wav", "start_s", "duration_s", "emotion", "speaker")
# What is assumed where a manifest lacks the field.
UTTERANCE_DEFAULTS = {"noisy_wav": None}
# All items may have start_s too, where only a stretch of the file is meant.
NOISE_KEYS = ("wav", "duration_s", "noise_type")

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
        The fields that every item must have, e.g. `UTTERANCE_KEYS`.
    may_be_empty : bool
        Whether to write a manifest without items.

    Raises
    ------
    ValueError
        If there is no item where one is needed, or one whose fields are not
        exactly `keys`.

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
    for name, fields in entries.items():
        if set(fields) != set(keys):
            raise ValueError(
                f"{path}: item {name} has the fields {sorted(fields)}, "
                f"not {sorted(keys)}."
            )
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(path.name + ".partial")
    text = json.dumps(dict(entries), indent=1, ensure_ascii=False)
    partial.write_text(text + "\n", encoding="utf-8")
    os.replace(partial, path)


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

    Example
    -------
    >>> read_manifest("nowhere/train.json")
    Traceback (most recent call last):
    ...
    FileNotFoundError: nowhere/train.json does not exist: run the corpus's ...
    """
    try:
        return json.loads(Path(path).read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise FileNotFoundError(
            f"{path} does not exist: run the corpus's preparation first "
            "(train.py does it unless skip_prep is True)."
        ) from error


def load_utterances(
    path: str | Path, data_folder: str | Path
) -> dict[str, dict[str, Any]]:
    """Loads a manifest of utterances for SpeechBrain's datasets.

    Arguments
    ---------
    path : str or Path
        A manifest of utterances, or a plan of mixtures of them.
    data_folder : str or Path
        Replaces `{data_root}` in its paths.

    Returns
    -------
    dict
        Fields of every item by identity, with `UTTERANCE_DEFAULTS` for those
        that it lacks.

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
    items = load_data_json(path, {"data_root": data_folder})
    return {
        name: {**UTTERANCE_DEFAULTS, **fields} for name, fields in items.items()
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
