"""Prepares any corpus of EmoBox by the benchmark's public partitions.

The public repository emo-box/EmoBox has, for every corpus and fold,
`data/<corpus>/fold_<k>/<corpus>_{train,valid,test}_fold_<k>.jsonl` with `key`,
`wav`, `length` and `emo`, `label_map.json`, and the speakers in
`data.seg.wrd.stm`. The audio comes from where each corpus is published.

> python emobox_prepare.py /path/to/EmoBox

lists corpora, folds, utterances and classes, and what files are not there.

Reference: Z. Ma et al., "EmoBox: Multilingual Multi-corpus Speech Emotion
Recognition Toolkit and Benchmark", Interspeech 2024.

Authors
 * The speechbrain-merit developers 2026
"""

import collections
import json
import re
import sys
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np

from speechbrain_merit.data.preparation import (
    Utterance,
    layout_error,
    prepare_corpus,
)

# Where a corpus has no partition for development, as in EmoBox's own recipe.
VALID_SHARE = 0.2
# One corpus calls it otherwise.
_LABEL_FILES = ("label_map.json", "label_dict.json")
_SPEAKER = re.compile(r"<id=(?P<key>[^>]*),lang=\w+,spk=(?P<speaker>[^,>]*),")


def prepare_emobox(
    data_folder: str | Path,
    noise_folder: str | Path | None,
    manifest_folder: str | Path,
    sample_rate_hz: int,
    fold: int,
    seed: int,
    *,
    dataset: str,
    partition_folder: str | Path,
    **options: Any,
) -> None:
    """Writes the seven manifests of a fold, and a list of skipped files.

    Classes are those of `label_map.json`, in lower case.

    Arguments
    ---------
    data_folder : str or Path
        The audio of the corpus: any of the folders that lead to it in the
        partitions' `wav`, which begin with `downloads`.
    noise_folder : str or Path, optional
        Folder of the noise.
    manifest_folder : str or Path
        Where to write; made where needed.
    sample_rate_hz : int
        Not used: audio is resampled when it is read.
    fold : int
        Which of the corpus's folds, from 1 on.
    seed : int
        What the share for development depends on where there is no partition,
        see `split_off`, and the division of noise where it has no splits.
    dataset : str
        Name of the corpus in EmoBox, e.g. `emodb`.
    partition_folder : str or Path
        A checkout of EmoBox.
    **options
        `emotions`, `noise` and more, see
        `speechbrain_merit.data.preparation.prepare_corpus`.

    Raises
    ------
    FileNotFoundError
        If a partition is missing, or no audio is where it says.
    ValueError
        If nothing is left for a manifest.

    Example
    -------
    >>> prepare_emobox(
    ...     "here",
    ...     "noise",
    ...     "save",
    ...     16000,
    ...     1,
    ...     0,
    ...     dataset="emodb",
    ...     partition_folder="nowhere",
    ... )
    Traceback (most recent call last):
    ...
    FileNotFoundError: nowhere does not exist: give a folder with data of ...
    """
    rows = read_partition(partition_folder, dataset, fold)
    for name in ("train", "test"):
        if name not in rows:
            raise FileNotFoundError(
                f"{partition_folder} has no partition {name} of fold {fold} of "
                f"{dataset}: get the whole repository emo-box/EmoBox."
            )
    if "valid" not in rows:
        rows["train"], rows["valid"] = split_off(rows["train"], seed)
    start = _find_start(Path(data_folder), rows)
    utterances = [
        Utterance(
            name=row["key"],
            path="/".join(PurePosixPath(row["wav"]).parts[start:]),
            split=split,
            speaker=row["speaker"] or "unknown",
            emotion=row["emotion"],
            fields=_stretch(row),
        )
        for split, part in rows.items()
        for row in part
    ]
    prepare_corpus(
        utterances, data_folder, noise_folder, manifest_folder, seed, **options
    )


def read_partition(
    partition_folder: str | Path, dataset: str, fold: int
) -> dict[str, list[dict[str, Any]]]:
    """Reads the partitions of a fold.

    Arguments
    ---------
    partition_folder : str or Path
        A checkout of EmoBox.
    dataset : str
        Name of the corpus in EmoBox.
    fold : int
        From 1 on.

    Returns
    -------
    dict
        Rows of `train`, `valid` and `test`, as far as the files are there,
        with `emotion` and `speaker` (None where it is not known).

    Raises
    ------
    FileNotFoundError
        If there is no such corpus or fold.

    Example
    -------
    >>> read_partition("nowhere", "emodb", 1)
    Traceback (most recent call last):
    ...
    FileNotFoundError: nowhere does not exist: give a folder with data of ...
    """
    folder = Path(partition_folder) / "data" / dataset / f"fold_{fold}"
    if not folder.is_dir():
        raise layout_error(
            Path(partition_folder),
            f"data/{dataset}/fold_{fold}",
            f"data of fold {fold} of {dataset}",
        )
    classes, speakers = _read_classes(folder.parent), _speakers(folder.parent)
    found = {}
    for split in ("train", "valid", "test"):
        path = folder / f"{dataset}_{split}_fold_{fold}.jsonl"
        if path.is_file():
            lines = path.read_text(encoding="utf-8").splitlines()
            found[split] = [json.loads(line) for line in lines if line.strip()]
        for row in found.get(split, ()):
            # EmoDB's map has Neutral where its rows have neutral.
            row["emotion"] = classes.get(row["emo"], row["emo"]).lower()
            row["speaker"] = speakers.get(row["key"])
    return found


def split_off(
    rows: list[dict[str, Any]], seed: int
) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """Takes about a fifth of the training rows for development.

    They are of speakers that train nothing, where two or more are known; else
    any rows.

    Arguments
    ---------
    rows : list of dict
        As of `read_partition`.
    seed : int
        What is drawn depends on it.

    Returns
    -------
    list of dict
        Rows that are left for training.
    list of dict
        Rows for development.

    Example
    -------
    >>> rows = [{"key": k, "speaker": f"s{k % 3}"} for k in range(9)]
    >>> train, valid = split_off(rows, seed=1)
    >>> len({row["speaker"] for row in train}), len(valid)
    (2, 3)
    """
    groups = [row["speaker"] for row in rows]
    if None in groups or len(set(groups)) < 2:
        groups = [row["key"] for row in rows]
    counts = sorted(collections.Counter(groups).items())
    chosen, missing = set(), VALID_SHARE * len(rows)
    for place in np.random.default_rng(seed).permutation(len(counts)):
        name, count = counts[place]
        # Whatever comes nearer; one at least.
        if not chosen or abs(missing - count) < abs(missing):
            chosen.add(name)
            missing -= count
    parts = [], []
    for row, group in zip(rows, groups, strict=True):
        parts[group in chosen].append(row)
    return parts


def _read_classes(folder: Path) -> dict[str, str]:
    for name in _LABEL_FILES:
        if (folder / name).is_file():
            return json.loads((folder / name).read_text(encoding="utf-8"))
    raise layout_error(folder, _LABEL_FILES[0], _LABEL_FILES[0])


def _speakers(folder: Path) -> dict[str, str]:
    path = folder / "data.seg.wrd.stm"
    if not path.is_file():
        return {}
    text = path.read_text(encoding="utf-8")
    return {m["key"]: m["speaker"] for m in _SPEAKER.finditer(text)}


def _find_start(
    data_folder: Path, rows: dict[str, list[dict[str, Any]]]
) -> int:
    """Tells how many parts of the partitions' paths lead to the folder."""
    paths = {
        PurePosixPath(row["wav"]).parts
        for part in rows.values()
        for row in part
    }
    for start in range(max(map(len, paths))):
        # Where the rest of the paths is the same, it does not tell files apart.
        if len({path[start:] for path in paths}) < len(paths):
            break
        if any(data_folder.joinpath(*p[start:]).is_file() for p in paths):
            return start
    raise FileNotFoundError(
        f"{data_folder} has none of the {len(paths)} files of the partitions, "
        f"such as {'/'.join(min(paths))}, nor with less of that path: give the "
        "folder where the corpus lies."
    )


def _stretch(row: dict[str, Any]) -> dict[str, float]:
    """What is meant of a file of many utterances."""
    if "end_time" not in row:
        return {}
    start_s, end_s = float(row["start_time"]), float(row["end_time"])
    return {"start_s": start_s, "duration_s": round(end_s - start_s, 6)}


def _list_all(partition_folder: Path) -> None:
    for folder in sorted((partition_folder / "data").glob("*/fold_1")):
        dataset, seen = folder.parent.name, set()
        for fold in range(1, len([*folder.parent.glob("fold_*")]) + 1):
            rows = read_partition(partition_folder, dataset, fold)
            seen |= {r["emotion"] for part in rows.values() for r in part}
            counts = ", ".join(f"{len(rows[name])} {name}" for name in rows)
            lacking = [n for n in ("train", "test") if n not in rows]
            end = f"; NOT THERE: {', '.join(lacking)}" if lacking else ""
            print(f"{dataset} fold {fold}: {counts}{end}")
        print(f"    --emotions '{json.dumps(sorted(seen))}'")


if __name__ == "__main__":
    _list_all(Path(sys.argv[1]))
