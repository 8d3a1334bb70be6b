"""What a test finds about every utterance, as rows of plain values.

All figures of a test are made of these rows, wherever and whenever they were
found: in several processes, or before an interruption.

Authors
 * The speechbrain-merit developers 2026
"""

import functools
from collections.abc import Mapping, Sequence
from typing import Any

import torch

from speechbrain_merit.lobes import Routing
from speechbrain_merit.metrics.conditions import Condition
from speechbrain_merit.metrics.emotion import EmotionStats
from speechbrain_merit.metrics.enhancement_stats import EnhancementStats
from speechbrain_merit.metrics.routing import choices_of_utterances


class UtteranceScorer:
    """Turns the batches of a test into rows, which JSON can hold.

    A row has `id`, `noise` and `snr_db`; where an emotion was recognised that
    has a label, `true`, `predicted` and `posteriors`, the last by label; where
    speech was enhanced, `scores` as in `EnhancementStats.scores`; and
    `experts`, for every gate the number of frames sent to every expert.

    Enhanced speech waits in a queue, see `EnhancementStats`; its rows come
    when it is scored.

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
    >>> scorer = UtteranceScorer(["angry", "sad"])
    >>> (row,) = scorer.append(
    ...     [Condition("seen", 0)],
    ...     ["a"],
    ...     log_posteriors=torch.tensor([[0.25, 0.75]]).log(),
    ...     targets=torch.tensor([0]),
    ... )
    >>> row["true"], row["predicted"], row["snr_db"]
    ('angry', 'sad', 0)
    """

    def __init__(
        self,
        labels: Sequence[str],
        sample_rate_hz: int = 16000,
        metrics: Sequence[str] = ("pesq_wb", "stoi", "ssnr_db", "si_sdr_db"),
        n_jobs: int = 1,
    ) -> None:
        self.labels = list(labels)
        self._new_stats = functools.partial(
            EnhancementStats, sample_rate_hz, metrics, n_jobs
        )
        # Made now so that bad settings fail before the test, not in it.
        self._enhancement = self._new_stats()
        self._rows: dict[str, dict[str, Any]] = {}

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
        routing: Mapping[str, Routing] | None = None,
    ) -> list[dict[str, Any]]:
        """Takes a batch.

        Arguments
        ---------
        conditions : sequence of Condition
            That of each utterance.
        ids : sequence of str
            Identity of each utterance.
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
        routing : Mapping, optional
            One report per task; none for systems without gates.

        Returns
        -------
        list of dict
            Rows that are finished, in the order appended.

        Raises
        ------
        ValueError
            If the numbers of utterances differ, what one task needs is there
            only in part, or an utterance comes twice.
        """
        if len(conditions) != len(ids):
            sizes = {"conditions": len(conditions), "ids": len(ids)}
            raise ValueError(f"The numbers of utterances differ: {sizes}.")
        rows: dict[str, dict[str, Any]] = {
            name: {"id": name, "noise": c.noise, "snr_db": c.snr_db}
            for name, c in zip(ids, conditions, strict=True)
        }
        if log_posteriors is not None:
            _check_given("log_posteriors", targets=targets)
            emotion = EmotionStats(self.labels)
            emotion.append(ids, log_posteriors, targets)
            for row in emotion.rows:
                rows[row["id"]].update(row)
        choices = (
            choices_of_utterances(routing) if routing else [{} for _ in ids]
        )
        for name, experts in zip(ids, choices, strict=True):
            rows[name]["experts"] = experts
        if enhanced is not None:
            _check_given("enhanced", clean=clean, noisy=noisy)
            self._enhancement.append(ids, enhanced, clean, noisy, lengths)
        self._rows.update(rows)
        return [] if self._enhancement.is_waiting else self.flush()

    def flush(self) -> list[dict[str, Any]]:
        """Scores what waits in the queue.

        Returns
        -------
        list of dict
            All rows that are left, in the order appended.
        """
        scores = self._enhancement.scores
        for name, found in scores.items():
            self._rows[name]["scores"] = found
        rows = list(self._rows.values())
        self._enhancement, self._rows = self._new_stats(), {}
        return rows


def _check_given(output: str, **references: torch.Tensor | None) -> None:
    missing = [key for key, given in references.items() if given is None]
    if missing:
        raise ValueError(f"To score {output}, pass {missing} too.")
