"""The tables of a report, whatever they are written in.

Authors
 * The speechbrain-merit developers 2026
"""

import dataclasses
import itertools
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from speechbrain_merit.metrics.conditions import NOISES, WITHOUT_SNR
from speechbrain_merit.metrics.results_table import SE_HEADINGS, SER_HEADINGS

from .runs import Run
from .scores import UNPROCESSED, Estimate, Row, Scores, group_by_fold
from .significance import Comparison

# Metrics that a summary has room for.
SUMMARY_METRICS = ("f1_macro", "pesq_wb", "stoi", "ssnr_db")
SER_DECIMALS = 3


class Cell(NamedTuple):
    """A score in a table.

    Arguments
    ---------
    estimate : Estimate
        Score and interval.
    decimals : int
        How many are worth printing.
    is_best : bool
        Whether no system has a higher one.
    is_significant : bool
        Whether it differs from the baseline's significantly.
    """

    estimate: Estimate
    decimals: int
    is_best: bool = False
    is_significant: bool = False

    @property
    def value(self) -> str:
        """The score, rounded."""
        return _rounded(self.estimate.value, self.decimals)

    @property
    def interval(self) -> str:
        """The interval, rounded, such as `[0.61, 0.68]`."""
        low, high = (
            _rounded(end, self.decimals)
            for end in (self.estimate.low, self.estimate.high)
        )
        return f"[{low}, {high}]"


def _rounded(value: float, decimals: int) -> str:
    # Adding zero turns -0.0 into 0.0.
    return f"{round(value, decimals) + 0.0:.{decimals}f}"


@dataclasses.dataclass(frozen=True)
class Table:
    """Rows of text and scores, the first column being the name of each.

    Arguments
    ---------
    caption : str
        What it shows.
    groups : tuple
        Headings above those of the columns, each with the number of columns
        that it spans; together they span all but the first.
    columns : tuple of str
        Headings, that of the first column too.
    rows : tuple
        Each the cells of a row: text, a `Cell`, or None for nothing.
    """

    caption: str
    groups: tuple[tuple[str, int], ...]
    columns: tuple[str, ...]
    rows: tuple[tuple["str | Cell | None", ...], ...]


def metric_title(metric: str) -> str:
    """Names a metric for readers.

    Arguments
    ---------
    metric : str
        As in results.json.

    Returns
    -------
    str
        As it is usually written; the name itself if it is not known.

    Example
    -------
    >>> metric_title("pesq_wb")
    'PESQ-WB'
    """
    return SER_HEADINGS.get(metric) or SE_HEADINGS.get(metric, (metric, 0))[0]


def decimals_of(metric: str) -> int:
    """Says how many decimals of a metric are worth printing.

    Arguments
    ---------
    metric : str
        As in results.json.

    Returns
    -------
    int
        Such as 3.

    Example
    -------
    >>> decimals_of("ssnr_db")
    2
    """
    return SE_HEADINGS.get(metric, ("", SER_DECIMALS))[1]


def metrics_of(scores: Scores) -> list[str]:
    """Lists what some system was scored by.

    Arguments
    ---------
    scores : Scores
        Of all systems.

    Returns
    -------
    list of str
        Recognition first, each in the usual order.

    Example
    -------
    >>> metrics_of(Scores((), {"a": {"stoi": None, "uar": None}}, {}))
    ['uar', 'stoi']
    """
    found = {metric for own in scores.values.values() for metric in own}
    known = [*SER_HEADINGS, *SE_HEADINGS]
    return [m for m in known if m in found] + sorted(found - set(known))


def summary_table(scores: Scores, comparisons: Sequence[Comparison]) -> Table:
    """Tabulates clean speech and the means over SNRs, by the main metrics.

    Arguments
    ---------
    scores : Scores
        Of all systems.
    comparisons : sequence of Comparison
        With the baseline, for marks; empty without one.

    Returns
    -------
    Table
        A row for every system.

    Example
    -------
    >>> summary_table(Scores((), {}, {}), []).columns
    ('system',)
    """
    found = metrics_of(scores)
    metrics = [metric for metric in SUMMARY_METRICS if metric in found]
    summary = [row for row in scores.rows if row.in_summary]
    columns = {
        # There is nothing to enhance in clean speech.
        metric: [
            r for r in summary if metric == "f1_macro" or r.noise != "clean"
        ]
        for metric in metrics
    }
    pairs = [(metric, row) for metric in metrics for row in columns[metric]]
    return Table(
        "Means over the SNRs, with 95 % intervals",
        tuple((metric_title(m), len(r)) for m, r in columns.items() if r),
        ("system", *(row.noise for _, row in pairs)),
        _rows_of(scores, comparisons, pairs),
    )


def metric_table(
    scores: Scores, comparisons: Sequence[Comparison], metric: str
) -> Table:
    """Tabulates all conditions by one metric.

    Arguments
    ---------
    scores : Scores
        Of all systems.
    comparisons : sequence of Comparison
        With the baseline, for marks; empty without one.
    metric : str
        Which one.

    Returns
    -------
    Table
        A row for every system that has the metric.

    Example
    -------
    >>> metric_table(Scores((), {}, {}), [], "stoi").caption
    'STOI'
    """
    titles = (
        "" if row.noise in WITHOUT_SNR else f"{row.noise} noise"
        for row in scores.rows
    )
    groups = ((t, len(list(same))) for t, same in itertools.groupby(titles))
    pairs = [(metric, row) for row in scores.rows]
    return Table(
        metric_title(metric),
        tuple(groups),
        ("system", *map(_short_name, scores.rows)),
        _rows_of(scores, comparisons, pairs),
    )


def _short_name(row: Row) -> str:
    if row.snr_db is not None:
        return f"{row.snr_db:g} dB"
    return row.noise if row.noise in WITHOUT_SNR else "mean"


def _rows_of(
    scores: Scores,
    comparisons: Sequence[Comparison],
    pairs: Sequence[tuple[str, Row]],
) -> tuple[tuple[str | Cell | None, ...], ...]:
    significant = {
        (c.system, c.metric, c.row) for c in comparisons if c.is_significant
    }
    systems = list(scores.values)
    columns = []
    for metric, row in pairs:
        decimals = decimals_of(metric)
        found = {s: scores.estimate(s, metric, row) for s in systems}
        # Best as far as can be read.
        rounded = {
            s: round(e.value, decimals)
            for s, e in found.items()
            if e and s != UNPROCESSED
        }
        columns.append(
            {
                system: estimate
                and Cell(
                    estimate,
                    decimals,
                    system in rounded
                    and rounded[system] == max(rounded.values()),
                    (system, metric, row) in significant,
                )
                for system, estimate in found.items()
            }
        )
    rows = [(s, *(column[s] for column in columns)) for s in systems]
    return tuple(row for row in rows if any(row[1:]))


def significance_table(
    comparisons: Sequence[Comparison], baseline: str, metric: str
) -> Table:
    """Tabulates the differences from the baseline with their probabilities.

    Arguments
    ---------
    comparisons : sequence of Comparison
        All of them.
    baseline : str
        Name of the baseline.
    metric : str
        Which one to show.

    Returns
    -------
    Table
        A row for every comparison.

    Example
    -------
    >>> significance_table([], "naive_mtl", "stoi").caption
    'STOI: difference from naive_mtl'
    """
    rows = [
        (
            c.system,
            c.row.name,
            Cell(
                Estimate(c.difference, c.low, c.high),
                decimals_of(metric),
                is_significant=c.is_significant,
            ),
            probability(c.p),
            probability(c.adjusted_p),
        )
        for c in comparisons
        if c.metric == metric
    ]
    columns = ("system", "condition", "difference", "p", "p by Holm")
    caption = f"{metric_title(metric)}: difference from {baseline}"
    return Table(caption, (), columns, tuple(rows))


def probability(p: float) -> str:
    """Rounds a probability.

    Arguments
    ---------
    p : float
        From 0 to 1.

    Returns
    -------
    str
        With two significant digits where it is small.

    Example
    -------
    >>> probability(0.0004), probability(0.0123), probability(0.256)
    ('<0.001', '0.012', '0.26')
    """
    if p < 0.001:
        return "<0.001"
    return f"{p:.3f}" if p < 0.1 else f"{p:.2f}"


def calibration_table(runs: Sequence[Run]) -> Table:
    """Tabulates temperature and expected calibration error.

    Arguments
    ---------
    runs : sequence of Run
        Of all systems.

    Returns
    -------
    Table
        Means over folds of the means over seeds, a row for every system that
        has them.

    Example
    -------
    >>> calibration_table([]).rows
    ()
    """
    noises = [
        n for n in NOISES if n in {c.noise for r in runs for c in r.conditions}
    ]
    rows = []
    for system in dict.fromkeys(run.system for run in runs):
        own = [run for run in runs if run.system == system]
        if not all(run.calibration for run in own):
            continue
        cells = [_mean_text(own, 2, "temperature")]
        for noise in noises:
            before, after = (
                _mean_text(own, 3, key, noise)
                for key in ("uncalibrated_ece", "ece")
            )
            cells.append(after if before is None else f"{before} -> {after}")
        rows.append((system, *cells))
    return Table(
        "Expected calibration error, before -> after the temperature",
        (),
        ("system", "temperature", *noises),
        tuple(rows),
    )


def _mean_text(runs: Sequence[Run], decimals: int, *keys: str) -> str | None:
    """Averages what all runs have there; None where one has nothing."""
    means = []
    for own in group_by_fold(runs).values():
        values: list[Any] = [run.calibration for run in own]
        for key in keys:
            values = [(value or {}).get(key) for value in values]
        if None in values:
            return None
        means.append(np.mean(values))
    return f"{np.mean(means):.{decimals}f}"


def runs_table(runs: Sequence[Run]) -> Table:
    """Lists what a report is made of.

    Arguments
    ---------
    runs : sequence of Run
        Of all systems.

    Returns
    -------
    Table
        A row for every run.

    Example
    -------
    >>> runs_table([]).columns
    ('system', 'fold', 'seed', 'utterances', 'folder')
    """
    return Table(
        "Runs",
        (),
        ("system", "fold", "seed", "utterances", "folder"),
        tuple(
            (r.system, r.fold, r.seed, str(len(r.utterances)), str(r.folder))
            for r in runs
        ),
    )
