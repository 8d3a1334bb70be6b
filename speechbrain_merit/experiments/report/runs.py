"""Reading what test runs wrote, to be compared.

Authors
 * The speechbrain-merit developers 2026
"""

import csv
import dataclasses
import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from speechbrain_merit.data.reading_errors import naming_file
from speechbrain_merit.metrics.conditions import Condition
from speechbrain_merit.metrics.results import MIXTURE_COLUMNS

RESULTS = "results.json"
UTTERANCES = "per_utterance.csv"
# Where train.py puts what a run with --debug wrote.
DEBUG_FOLDER = "debug"

_POSTERIOR, _NOISY = "posterior_", "noisy_"


@dataclasses.dataclass(frozen=True)
class Run:
    """A tested model, with its scores by utterance and condition.

    Arguments
    ---------
    folder : Path
        Where they were read.
    system : str
        Name of the system.
    corpus : str
        Name of the corpus.
    fold : str
        Which part of the corpus was tested.
    seed : str
        Of the training.
    emotions : tuple of str
        Names of the classes; empty for a system without.
    conditions : tuple of Condition
        Sorted.
    utterances : tuple of str
        Sorted identities of the speech.
    speakers : tuple of str
        Of every utterance.
    true : numpy.ndarray
        Index of the true emotion, -1 where there is none,
        `[utterance, condition]`.
    predicted : numpy.ndarray
        Index of the predicted emotion, -1 where there is none,
        `[utterance, condition]`.
    scores : dict
        By metric the scores of the enhanced speech, NaN where there is none,
        `[utterance, condition]`.
    noisy : dict
        The same of the unprocessed speech.
    noise_types : numpy.ndarray
        What noise was mixed, empty where there is none,
        `[utterance, condition]`.
    mixtures : dict
        By utterance and name of the condition, what was mixed: the columns of
        `MIXTURE_COLUMNS` as text, and the true emotion.
    calibration : Mapping or None
        As in `results.json`.
    """

    folder: Path
    system: str
    corpus: str
    fold: str
    seed: str
    emotions: tuple[str, ...]
    conditions: tuple[Condition, ...]
    utterances: tuple[str, ...]
    speakers: tuple[str, ...]
    true: np.ndarray
    predicted: np.ndarray
    scores: dict[str, np.ndarray]
    noisy: dict[str, np.ndarray]
    noise_types: np.ndarray
    mixtures: dict[tuple[str, str], dict[str, str]]
    calibration: Mapping[str, Any] | None


def find_runs(places: Iterable[str | Path]) -> list[Run]:
    """Reads all runs in some folders.

    Arguments
    ---------
    places : iterable of str or Path
        Result folders, or folders that hold such at any depth, each as it is
        or as `NAME=FOLDER`, which gives its system another name.

    Returns
    -------
    list of Run
        In the order of the places, and within each sorted by folder.

    Raises
    ------
    FileNotFoundError
        If a place holds no results.
    ValueError
        If two runs have the same system, corpus, fold and seed.

    Example
    -------
    >>> find_runs(["nowhere"])
    Traceback (most recent call last):
    ...
    FileNotFoundError: nowhere holds no results.json: give the output ...
    """
    found: dict[tuple[str, ...], Run] = {}
    for place in map(str, places):
        name, folder = None, Path(place)
        if not folder.exists() and "=" in place:
            name, _, rest = place.partition("=")
            folder = Path(rest)
        for path in _result_files(folder):
            run = _share_mixtures(read_run(path.parent, name), found.values())
            key = (run.system, run.corpus, run.fold, run.seed)
            other = found.setdefault(key, run)
            if other.folder.resolve() != run.folder.resolve():
                raise ValueError(
                    f"{other.folder} and {run.folder} are both of {run.system}"
                    f" on {run.corpus}, fold {run.fold}, seed {run.seed}: "
                    "leave one out, or name one by NAME=FOLDER."
                )
    return list(found.values())


def by_system(runs: Iterable[Run]) -> dict[str, list[Run]]:
    """Sorts runs by their system.

    Arguments
    ---------
    runs : iterable of Run
        Of any systems.

    Returns
    -------
    dict
        Runs by system, in the order of the first of each.

    Example
    -------
    >>> by_system([])
    {}
    """
    found: dict[str, list[Run]] = {}
    for run in runs:
        found.setdefault(run.system, []).append(run)
    return found


def _share_mixtures(run: Run, others: Iterable[Run]) -> Run:
    """Keeps the same mixtures once, as they are most of what a run holds."""
    for other in others:
        if other.fold == run.fold and other.mixtures == run.mixtures:
            return dataclasses.replace(run, mixtures=other.mixtures)
    return run


def _result_files(folder: Path) -> list[Path]:
    found = sorted(
        path
        for path in folder.rglob(RESULTS)
        if path.parent == folder
        # Of one corpus among several, where those of all are.
        or not (path.parents[1] / RESULTS).exists()
        and path.parent.name != DEBUG_FOLDER
    )
    if not found:
        raise FileNotFoundError(
            f"{folder} holds no {RESULTS}: give the output folders of "
            "finished experiments, or a folder above them."
        )
    return found


def read_run(folder: str | Path, system: str | None = None) -> Run:
    """Reads a test run.

    Arguments
    ---------
    folder : str or Path
        What train.py wrote its results to.
    system : str, optional
        Another name than the one in `results.json`.

    Returns
    -------
    Run
        All that the report needs of it.

    Raises
    ------
    FileNotFoundError
        If a file is missing.
    ValueError
        If there is no utterance, or it is not known who spoke.

    Example
    -------
    >>> read_run("nowhere")
    Traceback (most recent call last):
    ...
    FileNotFoundError: [Errno 2] No such file or directory: 'nowhere/results...
    """
    folder = Path(folder)
    advice = "Test the model again, as it was trained, with --test_only."
    with naming_file(folder / RESULTS, advice):
        results = json.loads((folder / RESULTS).read_text("utf-8"))
        names = ("system", "corpus", "fold", "seed")
        identity: dict[str, Any] = {name: str(results[name]) for name in names}
        # Results of earlier versions have none.
        calibration = results.get("calibration")
        if calibration is not None:
            errors = [
                calibration["ece"],
                calibration.get("uncalibrated_ece") or {},
            ]
            numbers = [*errors[0].values(), *errors[1].values()]
            sum(numbers, calibration["temperature"] or 0)
    if system is not None:
        identity["system"] = system
    with naming_file(folder / UTTERANCES, advice):
        return Run(
            folder,
            **identity,
            calibration=calibration,
            **_read_scores(folder / UTTERANCES),
        )


def _read_scores(path: Path) -> dict[str, Any]:
    """Reads the fields of a run that are in its table."""
    with path.open(encoding="utf-8", newline="") as stream:
        rows = list(csv.DictReader(stream, restval="", strict=True))
    if not rows:
        raise ValueError("it holds no utterance")
    speakers = dict(sorted((row["utterance"], row["speaker"]) for row in rows))
    lines = {name: number for number, name in enumerate(speakers)}
    found = [_condition(row) for row in rows]
    conditions = sorted(set(found))
    places = (
        [lines[row["utterance"]] for row in rows],
        [conditions.index(condition) for condition in found],
    )

    def grid(column: str, read: Callable[[str], Any]) -> np.ndarray:
        """Puts a column into `[utterance, condition]`."""
        values = np.array([read(row[column]) for row in rows])
        shape = len(speakers), len(conditions)
        table = np.full(shape, read(""), dtype=values.dtype)
        table[places] = values
        return table

    emotions = _emotions(rows)
    indices = {"": -1, **{name: i for i, name in enumerate(emotions)}}
    # What a system without classes says of the true one is nothing.
    index = indices.__getitem__ if emotions else lambda name: -1
    scores = {
        metric: grid(metric, _number)
        for metric in rows[0]
        if _NOISY + metric in rows[0]
    }
    scores = {m: s for m, s in scores.items() if not np.isnan(s).all()}
    return {
        "emotions": emotions,
        "conditions": tuple(conditions),
        "utterances": tuple(speakers),
        "speakers": tuple(speakers.values()),
        "true": grid("true", index),
        "predicted": grid("predicted", index),
        "scores": scores,
        "noise_types": grid("noise_type", str),
        "noisy": {m: grid(_NOISY + m, _number) for m in scores},
        "mixtures": {
            (row["utterance"], row["condition"]): {
                **{column: row[column] for column in MIXTURE_COLUMNS},
                "emotion": row["true"],
            }
            for row in rows
        },
    }


def _number(text: str) -> float:
    return float(text or "nan")


def _condition(row: Mapping[str, str]) -> Condition:
    snr_db = float(row["snr_db"]) if row["snr_db"] else None
    return Condition(row["noise"], snr_db)


def _emotions(rows: Sequence[Mapping[str, str]]) -> tuple[str, ...]:
    named = [c for c in rows[0] if c.startswith(_POSTERIOR)]
    if not any(row["predicted"] for row in rows):
        return ()
    return tuple(column.removeprefix(_POSTERIOR) for column in named)
