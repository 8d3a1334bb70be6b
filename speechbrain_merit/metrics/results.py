"""The results of a test run by condition, and the files that hold them.

`results.json` is for programs: `results_dictionary` gives its schema.
`results.md` is for people, and `per_utterance.csv` for whoever wants to test
a difference for significance. A figure of each confusion matrix goes with
them.

Authors
 * The speechbrain-merit developers 2026
"""

import csv
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from speechbrain_merit.data.atomic_write import atomic_write
from speechbrain_merit.metrics.calibration import calibration_dictionary
from speechbrain_merit.metrics.condition_stats import TestStats
from speechbrain_merit.metrics.results_table import (
    markdown_table,
    markdown_text,
)
from speechbrain_merit.metrics.score_plots import (
    plot_confusion,
    plot_reliability,
)

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
    text = json.dumps(results, indent=1, ensure_ascii=False, allow_nan=False)
    heading = "# {system} on {corpus}, fold {fold}, seed {seed}".format(
        **{key: markdown_text(value) for key, value in results.items()}
    )
    with atomic_write(folder / "results.md") as path:
        path.write_text(f"{heading}\n\n{markdown_table(results)}", "utf-8")
    with atomic_write(folder / "per_utterance.csv") as path:
        _write_utterances(path, stats, mixtures)
    _write_figures(folder, results["system"], stats)
    # The last one: who finds it finds the others too.
    with atomic_write(folder / "results.json") as path:
        path.write_text(text + "\n", "utf-8")


def _write_figures(folder: Path, system: str, stats: TestStats) -> None:
    for condition, scores in stats.by_condition.items():
        if scores.emotion.ids:
            title = f"{system}, {condition.name}"
            with atomic_write(
                folder / f"confusion_{condition.name}.png"
            ) as path:
                plot_confusion(
                    scores.emotion.confusion, stats.labels, title, path
                )
    judged = stats.posteriors_by_noise()
    if judged:
        with atomic_write(folder / "reliability.png") as path:
            plot_reliability(judged, system, path)


def _write_utterances(
    path: Path,
    stats: TestStats,
    mixtures: Mapping[str, Mapping[str, Any]] | None,
) -> None:
    columns = ["id", "condition", "noise", "snr_db"]
    columns += [] if mixtures is None else MIXTURE_COLUMNS
    columns += ["true", "predicted"]
    columns += [f"posterior_{label}" for label in stats.labels]
    columns += [*stats.metrics, *(f"noisy_{key}" for key in stats.metrics)]
    with open(path, "w", encoding="utf-8", newline="") as stream:
        writer = csv.DictWriter(stream, columns, extrasaction="ignore")
        writer.writeheader()
        for condition, scores in stats.by_condition.items():
            for row in scores.rows:
                cells = {**row, "condition": condition.name}
                cells |= row.get("scores", {})
                for label, posterior in row.get("posteriors", {}).items():
                    cells[f"posterior_{label}"] = posterior
                if mixtures is not None:
                    fields = mixtures[row["id"]]
                    cells |= {c: fields[k] for c, k in MIXTURE_COLUMNS.items()}
                # NaN is the one value that differs from itself.
                writer.writerow({k: v for k, v in cells.items() if v == v})
