"""What the rows of a test say, condition by condition.

Authors
 * The speechbrain-merit developers 2026
"""

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from speechbrain_merit.metrics.conditions import NOISES, Condition
from speechbrain_merit.metrics.emotion import EmotionStats
from speechbrain_merit.metrics.routing import shares_by_group


class ConditionStats:
    """The scores of both tasks under one condition.

    Arguments
    ---------
    labels : sequence of str
        Names of the emotions in the order of the model's outputs.
    metrics : sequence of str
        Scores of the enhancement.
    rows : iterable of Mapping
        Of this condition, as of `UtteranceScorer`.

    Example
    -------
    >>> posteriors = {"angry": 0.75, "sad": 0.25}
    >>> row = {"id": "a", "true": "angry", "posteriors": posteriors}
    >>> stats = ConditionStats(["angry", "sad"], ["stoi"], [row])
    >>> stats.summarize()["ser"]["uar"]
    1.0
    """

    def __init__(
        self,
        labels: Sequence[str],
        metrics: Sequence[str],
        rows: Iterable[Mapping[str, Any]],
    ) -> None:
        self.rows = list(rows)
        self.metrics = tuple(metrics)
        self.ids: list[str] = [row["id"] for row in self.rows]
        judged = [row for row in self.rows if "true" in row]
        self.emotion = EmotionStats(labels, judged)
        self.scores: dict[str, dict[str, float]] = {
            row["id"]: row["scores"] for row in self.rows if "scores" in row
        }

    def summarize(self) -> dict[str, Any]:
        """Summarises both tasks.

        Returns
        -------
        dict
            `num_utterances`; `ser` with `f1_macro`, `accuracy` and `uar`, or
            None where no utterance has a label; `se`, `noisy` and
            `num_unscored` as of `summarize_scores`, or None where no speech
            was enhanced.
        """
        ser = None
        if self.emotion.ids:
            ser = self.emotion.summarize()
            del ser["num_utterances"]
        scores = dict.fromkeys(("se", "noisy", "num_unscored"))
        if self.scores:
            scores = summarize_scores(self.scores.values(), self.metrics)
        return {"num_utterances": len(self.ids), "ser": ser, **scores}


def summarize_scores(
    scores: Iterable[Mapping[str, float]], metrics: Sequence[str]
) -> dict[str, Any]:
    """Averages over the utterances scored both enhanced and noisy.

    Clean speech has an infinite SI-SDR against itself. That is a score, so it
    leaves the utterance in both means, but a mean that is infinite is given as
    None: JSON has no such number.

    Arguments
    ---------
    scores : iterable of Mapping
        Of every utterance, the `scores` of a row, as of `UtteranceScorer`.
    metrics : sequence of str
        Their names.

    Returns
    -------
    dict
        `se` and `noisy`, each the mean by metric, None where nothing could be
        scored; `num_unscored`, the number of utterances by metric for which
        either score is NaN.

    Example
    -------
    >>> scores = [{"stoi": 0.5, "noisy_stoi": 0.25}]
    >>> summarize_scores(scores, ["stoi"])
    {'se': {'stoi': 0.5}, 'noisy': {'stoi': 0.25}, 'num_unscored': {'stoi': 0}}
    """
    rows = list(scores)
    summary: dict[str, Any] = {"se": {}, "noisy": {}, "num_unscored": {}}
    for metric in metrics:
        pairs = [(row[metric], row[f"noisy_{metric}"]) for row in rows]
        scored = [pair for pair in pairs if not any(map(math.isnan, pair))]
        summary["se"][metric] = _mean([pair[0] for pair in scored])
        summary["noisy"][metric] = _mean([pair[1] for pair in scored])
        summary["num_unscored"][metric] = len(pairs) - len(scored)
    return summary


def _mean(values: Sequence[float]) -> float | None:
    mean = sum(values) / len(values) if values else math.nan
    return mean if math.isfinite(mean) else None


class TestStats:
    """The scores of a test, every condition apart.

    Arguments
    ---------
    labels : sequence of str
        Names of the emotions in the order of the model's outputs.
    metrics : sequence of str
        Scores of the enhancement.
    rows : iterable of Mapping
        As of `UtteranceScorer`.

    Example
    -------
    >>> clean = {"id": "a", "noise": "clean", "snr_db": None, "true": "sad"}
    >>> noisy = {"id": "b", "noise": "seen", "snr_db": 0, "true": "angry"}
    >>> posteriors = {"angry": 0.25, "sad": 0.75}
    >>> rows = [{**row, "posteriors": posteriors} for row in (noisy, clean)]
    >>> stats = TestStats(["angry", "sad"], ["stoi"], rows)
    >>> for condition, scores in stats.by_condition.items():
    ...     condition.name, scores.summarize()["ser"]["accuracy"]
    ('clean', 1.0)
    ('seen_0dB', 0.0)
    """

    def __init__(
        self,
        labels: Sequence[str],
        metrics: Sequence[str],
        rows: Iterable[Mapping[str, Any]],
    ) -> None:
        self.labels = list(labels)
        self.metrics = tuple(metrics)
        self.rows = list(rows)
        found: dict[Condition, list[Mapping[str, Any]]] = {}
        for row in self.rows:
            condition = Condition(row["noise"], row["snr_db"])
            found.setdefault(condition, []).append(row)
        # Sorted: clean, seen and unseen, each by ascending SNR.
        self.by_condition = {
            condition: ConditionStats(labels, metrics, found[condition])
            for condition in sorted(found)
        }

    def expert_shares(self) -> dict[str, list[float]]:
        """Gives the share of the frames that every expert received.

        Returns
        -------
        dict
            One list per task, which sums to one; nothing for a system without
            experts.
        """
        choices = [row["experts"] for row in self.rows]
        shares = shares_by_group(choices, ["all"] * len(choices))
        return {task: groups["all"] for task, groups in shares.items()}

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
