"""The scores of enhanced speech over a test set, and their means.

A score that cannot be computed is NaN; these utterances are counted, and left
out of the means.

Authors
 * The speechbrain-merit developers 2026
"""

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import torch
from joblib import Parallel, delayed, parallel_config

from speechbrain_merit.metrics.enhancement import check_metrics, score_signal

# Enough for the slowest utterance of a chunk not to idle the other jobs.
UTTERANCES_PER_JOB = 8


class EnhancementStats:
    """Scores enhanced and unprocessed speech, utterance by utterance.

    Signals wait in a queue on the CPU until there are `UTTERANCES_PER_JOB`
    for every job, and are then scored together and dropped. So the memory
    taken is bounded by that many utterances and the last batch: on one job
    with utterances of 12 s, 18 MB and the batch.

    Arguments
    ---------
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
    >>> generator = torch.Generator().manual_seed(0)
    >>> clean = torch.randn(1, 16000, generator=generator)
    >>> stats = EnhancementStats(metrics=("ssnr_db",))
    >>> stats.append(["a"], predict=0.9 * clean, target=clean, noisy=-9 * clean)
    >>> {key: round(score, 3) for key, score in stats.scores["a"].items()}
    {'ssnr_db': 20.0, 'noisy_ssnr_db': -10.0}
    """

    def __init__(
        self,
        sample_rate_hz: int = 16000,
        metrics: Sequence[str] = ("pesq_wb", "stoi", "ssnr_db", "si_sdr_db"),
        n_jobs: int = 1,
    ):
        check_metrics(metrics, sample_rate_hz)
        if n_jobs < 1:
            raise ValueError(f"n_jobs is {n_jobs}; it must be 1 or more.")
        self.sample_rate_hz = sample_rate_hz
        self.metrics = tuple(metrics)
        self.n_jobs = n_jobs
        self._scores: dict[str, dict[str, float]] = {}
        # Enhanced, clean and unprocessed speech by utterance.
        self._queue: dict[str, list[torch.Tensor]] = {}

    @property
    def is_waiting(self) -> bool:
        """Whether there are signals that are not scored yet."""
        return bool(self._queue)

    def append(
        self,
        ids: Sequence[str],
        predict: torch.Tensor,
        target: torch.Tensor,
        noisy: torch.Tensor,
        lengths: torch.Tensor | None = None,
    ) -> None:
        """Takes a batch; the padding of each utterance is cut off.

        Arguments
        ---------
        ids : sequence of str
            Identity of each utterance.
        predict : torch.Tensor
            Enhanced speech, `[batch, time]`.
        target : torch.Tensor
            Clean speech, `[batch, time]`.
        noisy : torch.Tensor
            Unprocessed speech, `[batch, time]`.
        lengths : torch.Tensor, optional
            Lengths relative to `time`, `[batch]`; all of it by default.

        Raises
        ------
        ValueError
            If the shapes do not agree, or an identity occurs twice.
        """
        _check_batch(ids, predict, target, noisy)
        if lengths is None:
            lengths = torch.ones(len(ids))
        num_samples = (lengths.double() * predict.shape[1]).round().int()
        for row, (name, length) in enumerate(
            zip(ids, num_samples.tolist(), strict=True)
        ):
            if name in self._scores or name in self._queue:
                raise ValueError(f"Utterance {name} is scored twice.")
            self._queue[name] = [
                # A copy, since a slice would keep the whole batch alive.
                batch[row, :length]
                .detach()
                .to(device="cpu", dtype=torch.float32, copy=True)
                for batch in (predict, target, noisy)
            ]
        if len(self._queue) >= UTTERANCES_PER_JOB * self.n_jobs:
            self._score_queue()

    @property
    def scores(self) -> dict[str, dict[str, float]]:
        """Every score by utterance and metric.

        Returns
        -------
        dict
            By identity in the order appended: the score of the enhanced
            speech under the name of the metric, that of the unprocessed
            speech under `noisy_` and the name; NaN where not computable.
        """
        self._score_queue()
        return self._scores

    def _score_queue(self) -> None:
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
        self._scores.update(zip(self._queue, scores, strict=True))
        # Not before: where scoring fails, none of them may count as done.
        self._queue = {}


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
        Of every utterance, as in `EnhancementStats.scores`.
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


def _check_batch(ids: Sequence[str], *signals: torch.Tensor) -> None:
    shapes = [tuple(batch.shape) for batch in signals]
    if len(set(shapes)) > 1 or len(shapes[0]) != 2 or shapes[0][0] != len(ids):
        raise ValueError(
            "predict, target and noisy must all be [batch, time] for "
            f"{len(ids)} utterances, but have the shapes {shapes}."
        )


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


def _mean(values: Sequence[float]) -> float | None:
    mean = sum(values) / len(values) if values else math.nan
    return mean if math.isfinite(mean) else None
