"""The results of a test run by condition, and the files that hold them.

`results.json` is for programs: `results_dictionary` gives its schema.
`results.md` is for people, and `per_utterance.csv` for whoever wants to test
a difference for significance. A figure of each confusion matrix goes with
them.

Authors
 * The speechbrain-merit developers 2026
"""

import csv
import functools
import json
import os
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from speechbrain_merit.metrics.calibration import calibration_dictionary
from speechbrain_merit.metrics.condition_stats import TestStats
from speechbrain_merit.metrics.plots import plot_confusion, plot_reliability
from speechbrain_merit.metrics.results_table import markdown_table

# What per_utterance.csv says of a mixture, and where the plan has it.
MIXTURE_COLUMNS = {
    "utterance": "utterance",
    "speaker": "speaker",
    "start_s": "start_s",
    "duration_s": "duration_s",
    "noise_type": "noise_type",
    "noise_id": "noise",
    "noise_offset": "noise_offset",
}


def results_dictionary(
    system: str,
    corpus: str,
    fold: int | str,
    seed: int,
    stats: TestStats,
    routing: Mapping[str, Sequence[float]] | None,
    temperature: float | None = None,
) -> dict[str, Any]:
    """Gathers the results of a test run as they go into `results.json`.

    Arguments
    ---------
    system : str
        Name of what was tested.
    corpus : str
        Name of the corpus.
    fold : int or str
        Which part of the corpus was the test set.
    seed : int
        Seed of the training.
    stats : TestStats
        The scores.
    routing : Mapping or None
        For each task, the share of frames that each expert received; None
        for a system without experts.
    temperature : float, optional
        What the emotions' logits were divided by, where one was fitted.

    Returns
    -------
    dict
        `system`, `corpus`, `fold`, `seed`, `routing` and `conditions`, a list
        of dictionaries with `noise` and `snr_db` as in `Condition` and the
        keys of `ConditionStats.summarize`; `calibration` as of
        `calibration_dictionary`.

    Example
    -------
    >>> stats = TestStats(["angry", "sad"], ["stoi"], rows=[])
    >>> results = results_dictionary("merit", "mini", 0, 1, stats, None)
    >>> list(results)
    ['system', 'corpus', 'fold', 'seed', 'conditions', 'routing', 'calibration']
    """
    if routing is not None:
        routing = {
            task: [float(share) for share in shares]
            for task, shares in routing.items()
        }
    return {
        "system": system,
        "corpus": corpus,
        "fold": fold,
        "seed": seed,
        "conditions": [
            {
                "noise": condition.noise,
                "snr_db": condition.snr_db,
                **scores.summarize(),
            }
            for condition, scores in stats.by_condition.items()
        ],
        "routing": routing,
        "calibration": calibration_dictionary(
            stats.posteriors_by_noise(), temperature
        ),
    }


def write_results(
    folder: str | Path,
    results: Mapping[str, Any],
    stats: TestStats,
    mixtures: Mapping[str, Mapping[str, Any]] | None = None,
) -> None:
    """Writes the files of a test run, each whole or not at all.

    These are `results.md`, `per_utterance.csv` with a row for each utterance
    and condition (empty cells where there is no value), where emotions were
    recognised `confusion_<condition>.png` and `reliability.png`, and last of
    all `results.json`.

    Arguments
    ---------
    folder : str or Path
        Where to write; made where needed.
    results : Mapping
        As `results_dictionary` gives it.
    stats : TestStats
        The scores that the results were made of.
    mixtures : Mapping, optional
        The plan of the test by identity, with `MIXTURE_KEYS`;
        `per_utterance.csv` then tells speaker and noise of every mixture.

    Raises
    ------
    ValueError
        If the results hold a number that is not finite.

    Example
    -------
    >>> stats = TestStats(["angry", "sad"], ["stoi"], rows=[])
    >>> results = results_dictionary("merit", "mini", 0, 1, stats, None)
    >>> folder = getfixture("tmpdir")
    >>> write_results(folder, results, stats)
    >>> sorted(path.basename for path in folder.listdir())
    ['per_utterance.csv', 'results.json', 'results.md']
    """
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    text = json.dumps(results, indent=1, ensure_ascii=False, allow_nan=False)
    heading = "# {system} on {corpus}, fold {fold}, seed {seed}".format(
        **results
    )
    table = markdown_table(results)
    _write_text(folder / "results.md", f"{heading}\n\n{table}")
    _write_whole(
        folder / "per_utterance.csv",
        functools.partial(_write_utterances, stats, mixtures),
    )
    _write_figures(folder, results["system"], stats)
    # The last one: who finds it finds the others too.
    _write_text(folder / "results.json", text + "\n")


def _write_figures(folder: Path, system: str, stats: TestStats) -> None:
    for condition, scores in stats.by_condition.items():
        if scores.emotion.ids:
            draw = functools.partial(
                plot_confusion,
                scores.emotion.confusion,
                stats.labels,
                f"{system}, {condition.name}",
            )
            _write_whole(folder / f"confusion_{condition.name}.png", draw)
    judged = stats.posteriors_by_noise()
    if judged:
        draw = functools.partial(plot_reliability, judged, system)
        _write_whole(folder / "reliability.png", draw)


def _write_utterances(
    stats: TestStats,
    mixtures: Mapping[str, Mapping[str, Any]] | None,
    path: Path,
) -> None:
    columns = ["id", "condition", "noise", "snr_db"]
    columns += [] if mixtures is None else MIXTURE_COLUMNS
    columns += ["true", "predicted"]
    columns += [f"posterior_{label}" for label in stats.labels]
    columns += [*stats.metrics, *(f"noisy_{key}" for key in stats.metrics)]
    with open(path, "w", encoding="utf-8", newline="") as stream:
        writer = csv.DictWriter(stream, columns, restval="")
        writer.writeheader()
        for condition, scores in stats.by_condition.items():
            for row in scores.cells():
                # NaN is the one value that differs from itself.
                row = {
                    key: value for key, value in row.items() if value == value
                }
                row["condition"] = condition.name
                row["noise"] = condition.noise
                row["snr_db"] = condition.snr_db
                if mixtures is not None:
                    fields = mixtures[row["id"]]
                    for column, key in MIXTURE_COLUMNS.items():
                        row[column] = fields[key]
                writer.writerow(row)


def _write_text(path: Path, text: str) -> None:
    _write_whole(path, lambda partial: partial.write_text(text, "utf-8"))


def _write_whole(path: Path, write: Callable[[Path], Any]) -> None:
    partial = path.with_name(path.name + ".partial")
    write(partial)
    os.replace(partial, path)
