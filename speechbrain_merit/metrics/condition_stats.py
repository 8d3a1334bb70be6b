"""The scores of both tasks, kept apart by condition.

Authors
 * The speechbrain-merit developers 2026
"""

import collections
import functools
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch

from speechbrain_merit.metrics.conditions import NOISES, Condition
from speechbrain_merit.metrics.emotion import EmotionStats
from speechbrain_merit.metrics.enhancement_stats import EnhancementStats
from speechbrain_merit.metrics.merging import merge_ids


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
        self._by_condition: dict[Condition, ConditionStats] = (
            collections.defaultdict(self._new_stats)
        )

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
            condition = Condition(noise, snr_db)
            self._by_condition[condition].load_state_dict(scores)

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
