"""Scores of systems over folds, seeds and SNRs, with 95 % intervals.

Authors
 * The speechbrain-merit developers 2026
"""

import dataclasses
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from speechbrain_merit.metrics.conditions import NOISES, WITHOUT_SNR, Condition
from speechbrain_merit.metrics.emotion import average_recall, f1_macro

from .resampling import random_generator, resampled_sums
from .runs import Run, by_system

# The noisy speech, which the enhanced is compared with, as a system.
UNPROCESSED = "unprocessed"
EMOTION_METRICS = ("f1_macro", "uar", "accuracy")
INTERVAL_PERCENTILES = (2.5, 97.5)


class Row(NamedTuple):
    """A condition, or the mean over the SNRs of a kind of noise.

    Arguments
    ---------
    name : str
        Such as `seen_-5dB` or `mean seen`.
    noise : str
        One of `NOISES`.
    snr_db : float or None
        None where there is none, and for means.
    columns : tuple of int
        Which of the conditions are averaged.
    """

    name: str
    noise: str
    snr_db: float | None
    columns: tuple[int, ...]

    @property
    def in_summary(self) -> bool:
        """Whether it is a mean, or the only condition of its kind."""
        return self.snr_db is None


class Estimate(NamedTuple):
    """A score with its interval.

    Arguments
    ---------
    value : float
        NaN where there is none.
    low : float
        Lower end of the interval.
    high : float
        Its upper end.
    """

    value: float
    low: float
    high: float


def estimate_of(scores: np.ndarray) -> Estimate | None:
    """Gives a score with its 95 % interval, by percentiles.

    Arguments
    ---------
    scores : numpy.ndarray
        The score, and that of every resampled test set, `[1 + resample]`.

    Returns
    -------
    Estimate or None
        Nothing where the score is not finite, as the SI-SDR of clean speech.

    Example
    -------
    >>> estimate_of(np.array([7.0, *range(1001)]))
    Estimate(value=7.0, low=25.0, high=975.0)
    """
    value, *drawn = scores
    if not np.isfinite(value):
        return None
    low, high = np.percentile(drawn, INTERVAL_PERCENTILES)
    return Estimate(float(value), float(low), float(high))


@dataclasses.dataclass(frozen=True)
class Scores:
    """What the systems of a report reach.

    Arguments
    ---------
    rows : tuple of Row
        Conditions and means, in the order of a table.
    values : dict
        By system and metric the scores, and those of every resampled test
        set, `[1 + resample, row]`.
    """

    rows: tuple[Row, ...]
    values: dict[str, dict[str, np.ndarray]]

    def column(self, system: str, metric: str, row: Row) -> np.ndarray | None:
        """Gives a score, and that of every resampled test set.

        Arguments
        ---------
        system : str
            Name of the system.
        metric : str
            Name of the metric.
        row : Row
            One of `rows`.

        Returns
        -------
        numpy.ndarray or None
            `[1 + resample]`; nothing where the system does not have the
            metric.
        """
        found = self.values[system].get(metric)
        return None if found is None else found[:, self.rows.index(row)]

    def estimate(self, system: str, metric: str, row: Row) -> Estimate | None:
        """Gives a score with its interval.

        Arguments
        ---------
        system : str
            Name of the system.
        metric : str
            Name of the metric.
        row : Row
            One of `rows`.

        Returns
        -------
        Estimate or None
            Nothing where there is none; see `estimate_of`.
        """
        found = self.column(system, metric, row)
        return None if found is None else estimate_of(found)

    def gains(self) -> "Scores":
        """Subtracts what the unprocessed speech has.

        It does so in every resampled test set, so that the intervals leave out
        how hard the mixtures are, which is the same for all systems.

        Returns
        -------
        Scores
            Of all systems but the unprocessed speech, with the metrics of
            enhancement.

        Example
        -------
        >>> stoi = {"stoi": np.ones((1, 1))}
        >>> Scores((), {"a": stoi, UNPROCESSED: stoi}).gains().values
        {'a': {'stoi': array([[0.]])}}
        """
        noisy = self.values.get(UNPROCESSED, {})
        # Clean speech has an infinite SI-SDR: nothing is subtracted from it.
        with np.errstate(invalid="ignore"):
            values = {
                system: {m: own[m] - noisy[m] for m in own if m in noisy}
                for system, own in self.values.items()
                if system != UNPROCESSED
            }
        return Scores(self.rows, values)


def table_rows(conditions: Sequence[Condition]) -> tuple[Row, ...]:
    """Puts the mean of each kind of noise below its conditions.

    Arguments
    ---------
    conditions : sequence of Condition
        Sorted.

    Returns
    -------
    tuple of Row
        In the order of a table.

    Example
    -------
    >>> conditions = [Condition("clean"), Condition("seen", 0)]
    >>> [row.name for row in table_rows(conditions)]
    ['clean', 'seen_0dB', 'mean seen']
    """
    rows = []
    for noise in NOISES:
        own = {i: c for i, c in enumerate(conditions) if c.noise == noise}
        rows += [Row(c.name, noise, c.snr_db, (i,)) for i, c in own.items()]
        if own and noise not in WITHOUT_SNR:
            rows.append(Row(f"mean {noise}", noise, None, tuple(own)))
    return tuple(rows)


def score_systems(runs: Sequence[Run], num_resamples: int, seed: int) -> Scores:
    """Scores every system: the mean over folds of the mean over seeds.

    An interval comes from resampling the utterances of every speaker, the
    same ones for all systems, and the seeds where a system has several.

    Arguments
    ---------
    runs : sequence of Run
        Runs that can be compared, see `check_comparable`.
    num_resamples : int
        Number of resampled test sets.
    seed : int
        Of the resampling.

    Returns
    -------
    Scores
        Of all systems in the order of their first runs; the unprocessed
        speech is the last one, if there is enhanced speech.

    Example
    -------
    >>> score_systems([], 100, 0).values
    {}
    """
    rows = table_rows(runs[0].conditions if runs else ())
    values = {
        system: {
            metric: np.stack(
                [found[:, row.columns].mean(axis=1) for row in rows], axis=1
            )
            for metric, found in _scores(own, num_resamples, seed).items()
        }
        for system, own in by_system([*runs, *unprocessed(runs)]).items()
    }
    return Scores(rows, values)


def unprocessed(runs: Sequence[Run]) -> list[Run]:
    """Makes a system of the noisy speech, from one run of every fold.

    Arguments
    ---------
    runs : sequence of Run
        Runs of all systems.

    Returns
    -------
    list of Run
        With the scores of the unprocessed speech; empty where none was
        enhanced.

    Example
    -------
    >>> unprocessed([])
    []
    """
    first: dict[str, Run] = {}
    for run in runs:
        if run.noisy:
            first.setdefault(run.fold, run)
    return [
        dataclasses.replace(
            run, scores=run.noisy, system=UNPROCESSED, emotions=()
        )
        for run in first.values()
    ]


def group_by_fold(runs: Sequence[Run]) -> dict[str, list[Run]]:
    """Sorts the runs of a system: by fold, one for every seed.

    Arguments
    ---------
    runs : sequence of Run
        Of one system.

    Returns
    -------
    dict
        Runs by fold, the folds sorted.

    Example
    -------
    >>> group_by_fold([])
    {}
    """
    folds: dict[str, list[Run]] = {}
    for run in sorted(runs, key=lambda run: (run.fold, run.seed)):
        folds.setdefault(run.fold, []).append(run)
    return folds


def _scores(
    runs: Sequence[Run], num_resamples: int, seed: int
) -> dict[str, np.ndarray]:
    """Scores a system by metric, `[1 + resample, condition]`."""
    folds = []
    for fold, own in group_by_fold(runs).items():
        seeds = [_seed_scores(run, num_resamples, seed) for run in own]
        generator = random_generator(seed, "seeds", own[0].system, fold)
        picked = generator.integers(len(own), size=(len(own), num_resamples))
        # The test set itself has every seed once.
        picked = np.insert(picked, 0, range(len(own)), axis=1)
        lines = np.arange(1 + num_resamples)
        folds.append(
            {
                m: np.stack([s[m] for s in seeds])[picked, lines].mean(axis=0)
                for m in _shared(seeds)
            }
        )
    return {m: np.mean([f[m] for f in folds], axis=0) for m in _shared(folds)}


def _seed_scores(
    run: Run, num_resamples: int, seed: int
) -> dict[str, np.ndarray]:
    """Scores a run by metric, `[1 + resample, condition]`."""

    def sums(values: np.ndarray) -> np.ndarray:
        purpose = (seed, run.corpus, run.fold)
        drawn = resampled_sums(values, run.speakers, num_resamples, *purpose)
        return np.insert(drawn, 0, values.sum(axis=0), axis=0)

    found: dict[str, np.ndarray] = {}
    # Nothing over nothing, where nothing was scored.
    with np.errstate(invalid="ignore"):
        if run.emotions:
            confusions = sums(_confusions(run))
            hits = np.trace(confusions, axis1=-2, axis2=-1)
            found["f1_macro"] = f1_macro(confusions)
            found["uar"] = average_recall(confusions)
            found["accuracy"] = hits / confusions.sum(axis=(-2, -1))
        for metric, scores in run.scores.items():
            scored = ~np.isnan(scores)
            both = np.stack([np.where(scored, scores, 0.0), scored])
            total, count = sums(both.swapaxes(0, 1)).swapaxes(0, 1)
            found[metric] = total / count
    return found


def _confusions(run: Run) -> np.ndarray:
    """One where it was judged so, `[utterance, condition, class, class]`."""
    classes = np.arange(len(run.emotions))
    judged = (
        run.true[..., None] == classes,
        run.predicted[..., None] == classes,
    )
    return judged[0][..., :, None] & judged[1][..., None, :]


def _shared(scores: Sequence[dict[str, np.ndarray]]) -> list[str]:
    return [m for m in scores[0] if all(m in found for found in scores)]
