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
import math
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from numbers import Real
from pathlib import Path
from typing import Any

import numpy as np
import torch

from speechbrain_merit.metrics.calibration import calibration_dictionary
from speechbrain_merit.metrics.emotion import EmotionStats
from speechbrain_merit.metrics.enhancement import METRICS, EnhancementStats
from speechbrain_merit.metrics.merging import merge_ids
from speechbrain_merit.metrics.plots import plot_confusion, plot_reliability

NOISES = ("clean", "given", "seen", "unseen")
# These have no SNR: nothing was mixed, or the corpus did it.
WITHOUT_SNR = ("clean", "given")

SER_HEADINGS = {"f1_macro": "F1-macro", "uar": "UAR", "accuracy": "accuracy"}
# With the decimals that are worth printing.
SE_HEADINGS = {
    "pesq_wb": ("PESQ-WB", 2),
    "stoi": ("STOI", 3),
    "ssnr_db": ("SSNR dB", 2),
    "si_sdr_db": ("SI-SDR dB", 2),
    "csig": ("CSIG", 2),
    "cbak": ("CBAK", 2),
    "covl": ("COVL", 2),
    "dnsmos_sig": ("DNSMOS SIG", 2),
    "dnsmos_bak": ("DNSMOS BAK", 2),
    "dnsmos_ovrl": ("DNSMOS OVRL", 2),
}
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


# The order of the fields sorts as a table should: the names of NOISES happen
# to be in alphabetical order, and snr_db is None for all of a kind or for none.
@dataclass(frozen=True, order=True)
class Condition:
    """What speech was mixed with: nothing, or noise at some SNR.

    Arguments
    ---------
    noise : str
        `clean`, `given` (the noise of a corpus of noisy and clean files),
        `seen` (noise of types that occur in training) or `unseen`.
    snr_db : float, optional
        Signal-to-noise ratio in dB; None for `clean` and `given`, and only
        there.

    Raises
    ------
    ValueError
        If the noise is unknown or the SNR does not go with it.

    Example
    -------
    >>> sorted(
    ...     [Condition("seen", 5), Condition("seen", -5), Condition("clean")]
    ... )
    [Condition(noise='clean', snr_db=None), Condition(noise='seen', snr_db=-5...
    >>> Condition("unseen", -5).name
    'unseen_-5dB'
    """

    noise: str
    snr_db: float | None = None

    def __post_init__(self) -> None:
        if self.noise not in NOISES:
            raise ValueError(
                f"Noise {self.noise!r} is unknown; use one of {NOISES}."
            )
        if self.noise in WITHOUT_SNR:
            if self.snr_db is not None:
                raise ValueError(
                    f"{self.noise.capitalize()} speech has no SNR, so snr_db "
                    f"must be None, not {self.snr_db}."
                )
        elif not isinstance(self.snr_db, Real) or not math.isfinite(
            self.snr_db
        ):
            raise ValueError(
                f"snr_db of {self.noise} noise must be a finite number, not "
                f"{self.snr_db!r}."
            )

    @property
    def name(self) -> str:
        """Name for tables and files.

        Returns
        -------
        str
            Such as `clean` or `seen_-5dB`.
        """
        if self.snr_db is None:
            return self.noise
        return f"{self.noise}_{self.snr_db:g}dB"


class ConditionStats:
    """The scores of both tasks under one condition.

    Arguments
    ---------
    labels : sequence of str
        Names of the emotions in the order of the model's outputs.
    sample_rate_hz : int
        Sample rate of all signals.
    metrics : sequence of str
        Scores of the enhancement.
    n_jobs : int
        Worker processes for the enhancement's scores.

    Example
    -------
    >>> stats = ConditionStats(["angry", "sad"], 16000, ["si_sdr_db"], 1)
    >>> stats.append(["a"], torch.tensor([[0.0, -9.0]]), torch.tensor([0]))
    >>> stats.summarize()["ser"]["uar"]
    1.0
    """

    def __init__(
        self,
        labels: Sequence[str],
        sample_rate_hz: int,
        metrics: Sequence[str],
        n_jobs: int,
    ):
        self.emotion = EmotionStats(labels)
        self.enhancement = EnhancementStats(sample_rate_hz, metrics, n_jobs)
        self.ids: list[str] = []

    def append(
        self,
        ids: Sequence[str],
        log_posteriors: torch.Tensor | None = None,
        targets: torch.Tensor | None = None,
        enhanced: torch.Tensor | None = None,
        clean: torch.Tensor | None = None,
        noisy: torch.Tensor | None = None,
        lengths: torch.Tensor | None = None,
    ) -> None:
        """Takes utterances of this condition; see `TestStats.append`.

        Arguments
        ---------
        ids : sequence of str
            Identity of each utterance.
        log_posteriors : torch.Tensor, optional
            Log-probabilities of the emotions, `[batch, classes]`.
        targets : torch.Tensor, optional
            Index of the true emotion, -1 where there is none, `[batch]`.
        enhanced : torch.Tensor, optional
            Enhanced speech, `[batch, time]`.
        clean : torch.Tensor, optional
            Clean speech, `[batch, time]`.
        noisy : torch.Tensor, optional
            Unprocessed speech, `[batch, time]`.
        lengths : torch.Tensor, optional
            Lengths relative to `time`, `[batch]`; all of it by default.
        """
        if log_posteriors is not None:
            self.emotion.append(ids, log_posteriors, targets)
        if enhanced is not None:
            self.enhancement.append(ids, enhanced, clean, noisy, lengths)
        self.ids.extend(ids)

    def merge(
        self, others: Sequence["ConditionStats"], order: Sequence[str]
    ) -> None:
        """Takes in what other processes have scored under this condition.

        Arguments
        ---------
        others : sequence of ConditionStats
            Of other utterances.
        order : sequence of str
            Identity of all utterances, in the order of one process.
        """
        self.ids = merge_ids([self.ids, *(o.ids for o in others)], order)
        self.emotion.merge([other.emotion for other in others], order)
        self.enhancement.merge([other.enhancement for other in others], order)

    def state_dict(self) -> dict[str, Any]:
        """Gives all that was appended, as plain values.

        Returns
        -------
        dict
            For `load_state_dict`.
        """
        return {
            "ids": list(self.ids),
            "emotion": self.emotion.state_dict(),
            "enhancement": self.enhancement.state_dict(),
        }

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Takes up what was appended before.

        Arguments
        ---------
        state : Mapping
            As of `state_dict`.
        """
        self.ids = list(state["ids"])
        self.emotion.load_state_dict(state["emotion"])
        self.enhancement.load_state_dict(state["enhancement"])

    def summarize(self) -> dict[str, Any]:
        """Summarises both tasks.

        Returns
        -------
        dict
            `num_utterances`; `ser` with `f1_macro`, `accuracy` and `uar`, or
            None where no label was appended; `se`, `noisy` and `num_unscored`
            as of `EnhancementStats.summarize`, or None where no enhanced
            speech was appended.
        """
        ser = enhancement = None
        if self.emotion.ids:
            ser = self.emotion.summarize()
            ser = {key: ser[key] for key in ("f1_macro", "accuracy", "uar")}
        if self.enhancement.ids:
            enhancement = self.enhancement.summarize()
        return {
            "num_utterances": len(self.ids),
            "ser": ser,
            **{
                key: enhancement and enhancement[key]
                for key in ("se", "noisy", "num_unscored")
            },
        }

    def rows(self) -> list[dict[str, Any]]:
        """What is known about each utterance, as cells of a table.

        Returns
        -------
        list of dict
            `id`; `true`, `predicted` and `posterior_` with each label where
            there is a label; the scores as in `EnhancementStats.scores`.
        """
        cells: dict[str, dict[str, Any]] = {n: {"id": n} for n in self.ids}
        for row in self.emotion.rows:
            cells[row["id"]].update(
                true=row["true"], predicted=row["predicted"]
            )
            for label, posterior in row["posteriors"].items():
                cells[row["id"]][f"posterior_{label}"] = posterior
        for name, scores in self.enhancement.scores.items():
            cells[name].update(scores)
        return list(cells.values())


class TestStats:
    """Keeps the scores of every condition of a test apart.

    Each condition has a queue of signals of its own, of the size that
    `EnhancementStats` states.

    Arguments
    ---------
    labels : sequence of str
        Names of the emotions in the order of the model's outputs.
    sample_rate_hz : int
        Sample rate of all signals.
    metrics : sequence of str
        Scores of the enhancement.
    n_jobs : int
        Worker processes for the enhancement's scores.

    Example
    -------
    >>> stats = TestStats(["angry", "sad"])
    >>> stats.append(
    ...     [Condition("clean"), Condition("seen", 0)],
    ...     ["a", "b"],
    ...     log_posteriors=torch.tensor([[0.9, 0.1], [0.3, 0.7]]).log(),
    ...     targets=torch.tensor([0, 0]),
    ... )
    >>> for condition, scores in stats.by_condition.items():
    ...     condition.name, scores.summarize()["ser"]["accuracy"]
    ('clean', 1.0)
    ('seen_0dB', 0.0)
    """

    def __init__(
        self,
        labels: Sequence[str],
        sample_rate_hz: int = 16000,
        metrics: Sequence[str] = ("pesq_wb", "stoi", "ssnr_db", "si_sdr_db"),
        n_jobs: int = 1,
    ):
        self.labels = list(labels)
        self.metrics = tuple(metrics)
        self._new_stats = functools.partial(
            ConditionStats, labels, sample_rate_hz, metrics, n_jobs
        )
        # Made now so that bad settings fail before the test, not in it.
        self._new_stats()
        self._by_condition: dict[Condition, ConditionStats] = {}

    @property
    def by_condition(self) -> dict[Condition, ConditionStats]:
        """The stats of each condition that occurred.

        Returns
        -------
        dict
            Sorted: clean, seen and unseen, each by ascending SNR.
        """
        return dict(sorted(self._by_condition.items()))

    def merge(
        self, others: Sequence["TestStats"], order: Sequence[str]
    ) -> None:
        """Takes in what other processes have scored.

        Arguments
        ---------
        others : sequence of TestStats
            Of other mixtures.
        order : sequence of str
            Identity of all mixtures, in the order of one process.
        """
        found = [other.by_condition for other in others]
        for condition in sorted({c for by in found for c in by}):
            if condition not in self._by_condition:
                self._by_condition[condition] = self._new_stats()
            self._by_condition[condition].merge(
                [by[condition] for by in found if condition in by], order
            )

    def state_dict(self) -> list[tuple]:
        """Gives all that was appended, as plain values.

        Returns
        -------
        list
            For `load_state_dict`.
        """
        return [
            (condition.noise, condition.snr_db, stats.state_dict())
            for condition, stats in self._by_condition.items()
        ]

    def load_state_dict(self, state: Sequence[tuple]) -> None:
        """Takes up what was appended before.

        Arguments
        ---------
        state : sequence
            As of `state_dict`.
        """
        for noise, snr_db, scores in state:
            stats = self._new_stats()
            stats.load_state_dict(scores)
            self._by_condition[Condition(noise, snr_db)] = stats

    def posteriors_by_noise(self) -> dict[str, tuple[np.ndarray, np.ndarray]]:
        """Gathers what was recognised, over all SNRs.

        Returns
        -------
        dict
            By kind of noise, as far as there are labelled utterances:
            probabilities, `[utterance, class]`, and the indices of the true
            classes, `[utterance]`.
        """
        found = {}
        for noise in NOISES:
            emotions = [
                scores.emotion
                for condition, scores in self.by_condition.items()
                if condition.noise == noise and scores.emotion.ids
            ]
            if emotions:
                found[noise] = (
                    np.concatenate([stats.posteriors for stats in emotions]),
                    np.concatenate([stats.targets for stats in emotions]),
                )
        return found

    def append(
        self,
        conditions: Sequence[Condition],
        ids: Sequence[str],
        log_posteriors: torch.Tensor | None = None,
        targets: torch.Tensor | None = None,
        enhanced: torch.Tensor | None = None,
        clean: torch.Tensor | None = None,
        noisy: torch.Tensor | None = None,
        lengths: torch.Tensor | None = None,
    ) -> None:
        """Takes a batch and routes each utterance to its condition.

        Arguments
        ---------
        conditions : sequence of Condition
            That of each utterance.
        ids : sequence of str
            Identity of each utterance, distinct within a condition.
        log_posteriors : torch.Tensor, optional
            Log-probabilities of the emotions, `[batch, classes]`; left out
            by a system that recognises none.
        targets : torch.Tensor, optional
            Index of the true emotion, -1 where there is none, `[batch]`.
        enhanced : torch.Tensor, optional
            Enhanced speech, `[batch, time]`; left out by a system that does
            not enhance.
        clean : torch.Tensor, optional
            Clean speech, `[batch, time]`.
        noisy : torch.Tensor, optional
            Unprocessed speech, `[batch, time]`.
        lengths : torch.Tensor, optional
            Lengths relative to `time`, `[batch]`; all of it by default.

        Raises
        ------
        ValueError
            If the numbers of utterances differ, or what one task needs is
            there only in part.
        """
        tensors = {
            "log_posteriors": log_posteriors,
            "targets": targets,
            "enhanced": enhanced,
            "clean": clean,
            "noisy": noisy,
            "lengths": lengths,
        }
        _check_routable(conditions, ids, tensors)
        for condition in set(conditions):
            picked = [i for i, c in enumerate(conditions) if c == condition]
            if condition not in self._by_condition:
                self._by_condition[condition] = self._new_stats()
            self._by_condition[condition].append(
                [ids[i] for i in picked],
                **{
                    key: None if tensor is None else tensor[picked]
                    for key, tensor in tensors.items()
                },
            )


def _check_routable(
    conditions: Sequence[Condition],
    ids: Sequence[str],
    tensors: Mapping[str, torch.Tensor | None],
) -> None:
    sizes = {"conditions": len(conditions), "ids": len(ids)}
    sizes.update((k, len(t)) for k, t in tensors.items() if t is not None)
    if len(set(sizes.values())) > 1:
        raise ValueError(f"The numbers of utterances differ: {sizes}.")
    needs = {
        "log_posteriors": ("targets",),
        "enhanced": ("clean", "noisy"),
    }
    for output, references in needs.items():
        missing = [key for key in references if tensors[key] is None]
        if tensors[output] is not None and missing:
            raise ValueError(f"To score {output}, pass {missing} too.")


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
    >>> stats = TestStats(["angry", "sad"])
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


def markdown_table(results: Mapping[str, Any]) -> str:
    """Formats results as a table that also reads well in a terminal.

    The rows `mean seen` and `mean unseen` weigh every SNR alike and leave out
    what is missing. A dash stands for what there is not: a task that the
    system does not do, a score that no utterance has, and the infinite SI-SDR
    of clean speech that went unprocessed.

    Arguments
    ---------
    results : Mapping
        As `results_dictionary` gives it.

    Returns
    -------
    str
        The table, and below it a line that names the metrics that could not
        be computed for some utterances, with their number.

    Example
    -------
    >>> stats = TestStats(["angry", "sad"])
    >>> print(markdown_table(results_dictionary("", "", 0, 1, stats, None)))
    | condition | n | F1-macro | UAR | accuracy | PESQ-WB | STOI | ...
    """
    conditions = results["conditions"]
    headings = _headings_of(conditions)
    titles = [title for title, _ in headings.values()]
    table = [["condition", "n", *SER_HEADINGS.values(), *titles]]
    for entry in conditions:
        name = Condition(entry["noise"], entry["snr_db"]).name
        table.append(_table_row(name, [entry], headings))
    for noise in ("seen", "unseen"):
        entries = [entry for entry in conditions if entry["noise"] == noise]
        if entries:
            table.append(_table_row(f"mean {noise}", entries, headings))
    lines = _aligned(table)
    if any(entry["se"] for entry in conditions):
        lines += ["", "Enhancement: unprocessed -> enhanced."]
    # Results of earlier versions have no calibration.
    lines += _calibration_note(results.get("calibration"))
    return "\n".join([*lines, *_unscored_note(conditions)]) + "\n"


def _headings_of(
    conditions: Sequence[Mapping[str, Any]],
) -> dict[str, tuple[str, int]]:
    """The headings of the metrics that were computed, in their order."""
    computed = {key for entry in conditions for key in entry["se"] or {}}
    return {
        key: heading
        for key, heading in SE_HEADINGS.items()
        if key in (computed or METRICS)
    }


def _table_row(
    name: str,
    entries: Sequence[Mapping[str, Any]],
    headings: Mapping[str, tuple[str, int]],
) -> list[str]:
    row = [name, str(sum(entry["num_utterances"] for entry in entries))]
    row += [_mean_text(entries, "ser", key, 3) for key in SER_HEADINGS]
    for key, (_, decimals) in headings.items():
        pair = [
            _mean_text(entries, column, key, decimals)
            for column in ("noisy", "se")
        ]
        row.append("-" if pair == ["-", "-"] else " -> ".join(pair))
    return row


def _mean_text(
    entries: Sequence[Mapping[str, Any]], column: str, key: str, decimals: int
) -> str:
    found = ((entry[column] or {}).get(key) for entry in entries)
    values = [value for value in found if value is not None]
    if not values:
        return "-"
    return f"{sum(values) / len(values):.{decimals}f}"


def _aligned(table: Sequence[Sequence[str]]) -> list[str]:
    # Three for the rule below, which Markdown wants to hold a dash.
    widths = [max(3, *map(len, cells)) for cells in zip(*table, strict=True)]
    rows = [
        [row[0].ljust(widths[0])]
        + [
            cell.rjust(width)
            for cell, width in zip(row[1:], widths[1:], strict=True)
        ]
        for row in table
    ]
    # The colons make Markdown align as the spaces do.
    rule = ["-" * widths[0], *("-" * (width - 1) + ":" for width in widths[1:])]
    return [f"| {' | '.join(row)} |" for row in (rows[0], rule, *rows[1:])]


def _calibration_note(calibration: Mapping[str, Any] | None) -> list[str]:
    if calibration is None:
        return []
    errors = ", ".join(
        f"{noise} {error:.3f}" for noise, error in calibration["ece"].items()
    )
    text = f"Expected calibration error: {errors}"
    if calibration["temperature"] is not None:
        text += f", with temperature {calibration['temperature']:.2f}"
    return ["", f"{text}."]


def _unscored_note(conditions: Sequence[Mapping[str, Any]]) -> list[str]:
    counts = []
    for key, (title, _) in SE_HEADINGS.items():
        count = sum((e["num_unscored"] or {}).get(key, 0) for e in conditions)
        if count:
            counts.append(f"{title} {count}")
    if not counts:
        return []
    text = f"Utterances not scored, left out of both: {', '.join(counts)}."
    return ["", text]


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
    >>> stats = TestStats(["angry", "sad"])
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
            for row in scores.rows():
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
