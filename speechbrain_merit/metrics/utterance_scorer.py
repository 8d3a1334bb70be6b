"""What a test finds about every utterance, as rows of plain values.

All figures of a test are made of these rows, wherever and whenever they were
found: in several processes, or before an interruption.

Authors
 * The speechbrain-merit developers 2026
"""

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from joblib import Parallel, delayed, parallel_config

from speechbrain_merit.lobes import Routing
from speechbrain_merit.metrics.conditions import Condition
from speechbrain_merit.metrics.emotion import EmotionStats
from speechbrain_merit.metrics.enhancement import check_metrics, score_signal
from speechbrain_merit.metrics.routing import choices_of_utterances

# Enough for the slowest utterance of a chunk not to idle the other jobs.
UTTERANCES_PER_JOB = 8


class UtteranceScorer:
    """Turns the batches of a test into rows, which JSON can hold.

    A row has `id`, `noise` and `snr_db`; where an emotion was recognised that
    has a label, `true`, `predicted` and `posteriors`, the last by label; where
    speech was enhanced, `scores`: every score of the enhanced speech under the
    name of the metric, that of the unprocessed speech under `noisy_` and the
    name, NaN where not computable; and `experts`, for every gate the number of
    frames sent to every expert.

    Signals wait in a queue on the CPU until there are `UTTERANCES_PER_JOB`
    for every job, and are then scored together and dropped. So the memory
    taken is bounded by that many utterances and the last batch: on one job
    with utterances of 12 s, 18 MB and the batch.

    Arguments
    ---------
    labels : sequence of str
        Names of the emotions in the order of the model's outputs.
    sample_rate_hz : int
        Sample rate of all signals.
    metrics : sequence of str
        What to compute, as `check_metrics` lets it pass.
    n_jobs : int
        Worker processes, each with a single thread; 1 scores in this process.

    Raises
    ------
    ValueError
        If a metric is unknown, or not defined at this sample rate, or
        `n_jobs` is not positive.
    ImportError
        If a metric needs a package that is not installed.

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
        check_metrics(metrics, sample_rate_hz)
        if n_jobs < 1:
            raise ValueError(f"n_jobs is {n_jobs}; it must be 1 or more.")
        self.labels = list(labels)
        self.sample_rate_hz = sample_rate_hz
        self.metrics = tuple(metrics)
        self.n_jobs = n_jobs
        self._rows: dict[str, dict[str, Any]] = {}
        # Enhanced, clean and unprocessed speech by utterance.
        self._queue: dict[str, list[torch.Tensor]] = {}

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
            If the shapes do not agree, what one task needs is there only in
            part, or an utterance comes twice.
        """
        if len(conditions) != len(ids):
            sizes = {"conditions": len(conditions), "ids": len(ids)}
            raise ValueError(f"The numbers of utterances differ: {sizes}.")
        rows: dict[str, dict[str, Any]] = {}
        for name, c in zip(ids, conditions, strict=True):
            if name in self._rows or name in rows:
                raise ValueError(f"Utterance {name} is scored twice.")
            rows[name] = {"id": name, "noise": c.noise, "snr_db": c.snr_db}
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
            signals = _without_padding(enhanced, clean, noisy, lengths)
            self._queue.update(zip(ids, signals, strict=True))
        self._rows.update(rows)
        if 0 < len(self._queue) < UTTERANCES_PER_JOB * self.n_jobs:
            return []
        return self.flush()

    def flush(self) -> list[dict[str, Any]]:
        """Scores what waits in the queue.

        Returns
        -------
        list of dict
            All rows that are left, in the order appended.
        """
        tasks = [
            (signals, self.metrics, self.sample_rate_hz)
            for signals in self._queue.values()
        ]
        if self.n_jobs == 1:
            scores = [_score_utterance(*task) for task in tasks]
        else:
            # Not upstream's multiprocess_evaluation: it retries a failing
            # utterance for ever.
            with parallel_config("loky", inner_max_num_threads=1):
                scores = Parallel(n_jobs=self.n_jobs)(
                    delayed(_score_utterance)(*task) for task in tasks
                )
        for name, found in zip(self._queue, scores, strict=True):
            self._rows[name]["scores"] = found
        rows = list(self._rows.values())
        # Not before: where scoring fails, none of them may count as done.
        self._rows, self._queue = {}, {}
        return rows


def _check_given(output: str, **references: torch.Tensor | None) -> None:
    missing = [key for key, given in references.items() if given is None]
    if missing:
        raise ValueError(f"To score {output}, pass {missing} too.")


def _without_padding(
    enhanced: torch.Tensor,
    clean: torch.Tensor,
    noisy: torch.Tensor,
    lengths: torch.Tensor | None,
) -> list[list[torch.Tensor]]:
    """Takes a batch apart, on the CPU."""
    batches = (enhanced, clean, noisy)
    shapes = [tuple(batch.shape) for batch in batches]
    if len(set(shapes)) > 1 or len(shapes[0]) != 2:
        raise ValueError(
            "enhanced, clean and noisy must all be [batch, time], but have "
            f"the shapes {shapes}."
        )
    if lengths is None:
        lengths = torch.ones(len(enhanced))
    num_samples = (lengths.double() * enhanced.shape[1]).round().int()
    return [
        [
            # A copy, since a slice would keep the whole batch alive.
            batch[row, :length]
            .detach()
            .to(device="cpu", dtype=torch.float32, copy=True)
            for batch in batches
        ]
        for row, length in enumerate(num_samples.tolist())
    ]


def _score_utterance(
    signals: Sequence[torch.Tensor], metrics: Sequence[str], sample_rate_hz: int
) -> dict[str, float]:
    estimate, reference, noisy = signals
    enhanced, unprocessed = (
        score_signal(signal, reference, metrics, sample_rate_hz)
        for signal in (estimate, noisy)
    )
    scores = {}
    for metric in metrics:
        scores[metric] = enhanced[metric]
        scores[f"noisy_{metric}"] = unprocessed[metric]
    return scores
