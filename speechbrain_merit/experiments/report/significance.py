"""Whether systems differ from a baseline by more than chance.

All tests are paired and two-sided. Enhancement scores are compared mixture by
mixture by the signed-rank test of F. Wilcoxon, "Individual Comparisons by
Ranking Methods", Biometrics Bulletin vol. 1, 1945; F1-macro, which single
utterances do not have, on resampled test sets. The probabilities are adjusted
by S. Holm, "A Simple Sequentially Rejective Multiple Test Procedure",
Scandinavian Journal of Statistics vol. 6, 1979.

Authors
 * The speechbrain-merit developers 2026
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from scipy.stats import wilcoxon

from .runs import Run, by_system
from .scores import (
    EMOTION_METRICS,
    UNPROCESSED,
    Estimate,
    Row,
    Scores,
    estimate_of,
    group_by_fold,
)

LEVEL = 0.05


class Comparison(NamedTuple):
    """A system against the baseline, by a metric and under a condition.

    Arguments
    ---------
    system : str
        What is compared with the baseline.
    metric : str
        By what.
    row : Row
        Under which condition, or over which.
    difference : Estimate
        Score of the system less that of the baseline.
    p : float
        Probability of a difference that large without any.
    adjusted_p : float
        The same by Holm.
    """

    system: str
    metric: str
    row: Row
    difference: Estimate
    p: float
    adjusted_p: float

    @property
    def is_significant(self) -> bool:
        """Whether the adjusted probability is below 5 %."""
        return self.adjusted_p < LEVEL


def holm(p_values: Sequence[float]) -> list[float]:
    """Adjusts the probabilities of several tests.

    Arguments
    ---------
    p_values : sequence of float
        Of all tests of a family.

    Returns
    -------
    list of float
        Adjusted, in the same order; below a level where the test is
        significant at that level for the whole family.

    Example
    -------
    >>> [round(p, 3) for p in holm([0.01, 0.04, 0.03, 0.005])]
    [0.03, 0.06, 0.06, 0.02]
    """
    p = np.asarray(p_values, dtype=float)
    order = np.argsort(p, kind="stable")
    scaled = np.minimum(p[order] * np.arange(len(p), 0, -1), 1.0)
    adjusted = np.empty_like(p)
    adjusted[order] = np.maximum.accumulate(scaled)
    return adjusted.tolist()


def signed_rank_p(one: np.ndarray, other: np.ndarray) -> float:
    """Tests by Wilcoxon whether paired scores differ.

    Arguments
    ---------
    one : numpy.ndarray
        Scores, `[pair]`.
    other : numpy.ndarray
        Scores, `[pair]`.

    Returns
    -------
    float
        Two-sided probability; 1 where no pair differs.

    Example
    -------
    >>> signed_rank_p(np.arange(5.0), np.arange(5.0))
    1.0
    """
    with np.errstate(invalid="ignore"):
        differences = one - other
    differences = differences[np.isfinite(differences)]
    if not differences.any():
        return 1.0
    return float(wilcoxon(differences).pvalue)


def bootstrap_p(differences: np.ndarray) -> float:
    """Tests by resampled differences whether their mean is zero.

    Arguments
    ---------
    differences : numpy.ndarray
        Differences of two systems on the same resampled test sets,
        `[resample]`.

    Returns
    -------
    float
        Twice the share of resamples on the rarer side of zero, those at zero
        counted on both, and one more on each.

    Example
    -------
    >>> bootstrap_p(np.zeros(99)), bootstrap_p(np.ones(99))
    (1.0, 0.02)
    """
    rarer = min((differences <= 0).sum(), (differences >= 0).sum())
    return float(min(2 * (rarer + 1) / (len(differences) + 1), 1.0))


def compare(
    runs: Sequence[Run], scores: Scores, baseline: str
) -> list[Comparison]:
    """Compares every system with the baseline.

    The adjustment is by metric, over all systems: once over clean speech and
    the means, once over the single conditions in noise.

    Arguments
    ---------
    runs : sequence of Run
        Of all systems.
    scores : Scores
        Of the same runs.
    baseline : str
        Name of a system.

    Returns
    -------
    list of Comparison
        As far as both have the scores.

    Raises
    ------
    ValueError
        If there is no such system.

    Example
    -------
    >>> compare([], Scores((), {}), "naive_mtl")
    Traceback (most recent call last):
    ...
    ValueError: The baseline 'naive_mtl' is not among the systems [].
    """
    systems = [name for name in scores.values if name != UNPROCESSED]
    if baseline not in systems:
        raise ValueError(
            f"The baseline {baseline!r} is not among the systems {systems}."
        )
    own = by_system(runs)
    found = []
    for metric in scores.values[baseline]:
        if metric in EMOTION_METRICS and metric != "f1_macro":
            continue
        for in_summary in (True, False):
            family = [
                _compare(own, scores, (name, baseline), metric, row)
                for row in scores.rows
                if row.in_summary == in_summary
                for name in systems
                if name != baseline
            ]
            tested = [c for c in family if c is not None]
            adjusted = holm([c.p for c in tested])
            for comparison, p in zip(tested, adjusted, strict=True):
                found.append(comparison._replace(adjusted_p=p))
    return found


def _compare(
    runs: dict[str, list[Run]],
    scores: Scores,
    pair: tuple[str, str],
    metric: str,
    row: Row,
) -> Comparison | None:
    """Compares two systems; None where one of them has no such score."""
    one, other = (scores.column(name, metric, row) for name in pair)
    if one is None or other is None:
        return None
    with np.errstate(invalid="ignore"):
        differences = one - other
    difference = estimate_of(differences)
    if difference is None:
        return None
    if metric in EMOTION_METRICS:
        p = bootstrap_p(differences[1:])
    else:
        p = signed_rank_p(*(_by_mixture(runs[n], metric, row) for n in pair))
    return Comparison(pair[0], metric, row, difference, p, p)


def _by_mixture(runs: Sequence[Run], metric: str, row: Row) -> np.ndarray:
    """Averages over seeds and SNRs, `[utterance of every fold]`.

    The SNRs of an utterance are no independent observations, nor are seeds.
    """
    return np.concatenate(
        [
            np.mean(
                [run.scores[metric][:, row.columns].mean(1) for run in own],
                axis=0,
            )
            for own in group_by_fold(runs).values()
        ]
    )
