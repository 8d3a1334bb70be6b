"""How well emotions are recognised: macro F1, recall, accuracy, confusion.

Authors
 * The speechbrain-merit developers 2026
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
import torch


class EmotionStats:
    """Collects predictions and compares them with the labels.

    Arguments
    ---------
    labels : sequence of str
        Names of the classes in the order of the model's outputs.
    rows : iterable of Mapping
        What is known about utterances already, the `rows` of others.

    Attributes
    ----------
    rows : list of dict
        What is known about each labelled utterance, in the order appended:
        `id`, `true`, `predicted` and `posteriors`, the last by label.

    Raises
    ------
    ValueError
        If there are no labels, or one occurs twice.

    Example
    -------
    >>> stats = EmotionStats(["angry", "sad"])
    >>> posteriors = torch.tensor([[0.9, 0.1], [0.6, 0.4], [0.2, 0.8]])
    >>> stats.append(["a", "b", "c"], posteriors.log(), torch.tensor([0, 1, 1]))
    >>> stats.summarize("uar")
    0.75
    >>> stats.confusion
    array([[1, 0],
           [1, 1]])
    """

    def __init__(
        self, labels: Sequence[str], rows: Iterable[Mapping[str, Any]] = ()
    ) -> None:
        if not labels or len(set(labels)) < len(labels):
            raise ValueError(f"labels must be distinct names, not {labels}.")
        self.labels = list(labels)
        self.rows = list(rows)

    @property
    def ids(self) -> list[str]:
        """Identities of the labelled utterances, in the order appended.

        Returns
        -------
        list of str
            Each once.
        """
        return [row["id"] for row in self.rows]

    def append(
        self,
        ids: Sequence[str],
        log_posteriors: torch.Tensor,
        targets: torch.Tensor,
    ) -> None:
        """Takes a batch; utterances without a label are skipped.

        Arguments
        ---------
        ids : sequence of str
            Identity of each utterance.
        log_posteriors : torch.Tensor
            Log-probabilities of the classes, `[batch, classes]`.
        targets : torch.Tensor
            Index of the true class, -1 where there is none, `[batch]`.

        Raises
        ------
        ValueError
            If the shapes do not agree, a target is no class, a posterior is
            NaN, or an identity occurs twice.
        """
        shape = (len(ids), len(self.labels))
        if log_posteriors.shape != shape or targets.shape != shape[:1]:
            raise ValueError(
                f"For {shape[0]} utterances and {shape[1]} labels, "
                f"log_posteriors must be {shape} and targets {shape[:1]}, not "
                f"{tuple(log_posteriors.shape)} and {tuple(targets.shape)}."
            )
        posteriors = log_posteriors.detach().double().exp().cpu().numpy()
        known = set(self.ids)
        for name, row, target in zip(
            ids, posteriors, targets.tolist(), strict=True
        ):
            self._check_utterance(name, row, target)
            if name in known:
                raise ValueError(f"Utterance {name} is scored twice.")
            known.add(name)
            if target != -1:
                self.rows.append(
                    {
                        "id": name,
                        "true": self.labels[target],
                        "predicted": self.labels[row.argmax()],
                        "posteriors": dict(
                            zip(self.labels, row.tolist(), strict=False)
                        ),
                    }
                )

    def summarize(self, field: str | None = None) -> Any:
        """Computes the scores; see `f1_macro` and `average_recall`.

        Arguments
        ---------
        field : str, optional
            One of the keys below, to return its value alone.

        Returns
        -------
        dict
            `f1_macro`, `accuracy` and `uar`, None before there is a label;
            `num_utterances`, the number of labelled utterances.
        """
        summary: dict[str, Any] = dict.fromkeys(("f1_macro", "accuracy", "uar"))
        if self.rows:
            confusion = self.confusion
            summary = {
                "f1_macro": float(f1_macro(confusion)),
                "accuracy": float(confusion.trace() / confusion.sum()),
                "uar": float(average_recall(confusion)),
            }
        summary["num_utterances"] = len(self.rows)
        return summary if field is None else summary[field]

    @property
    def confusion(self) -> np.ndarray:
        """Counts of true (rows) against predicted (columns) labels.

        Returns
        -------
        numpy.ndarray
            Integers, `[classes, classes]`, over all labels.
        """
        counts = np.zeros((len(self.labels), len(self.labels)), dtype=int)
        predictions = self.posteriors.argmax(axis=1)
        np.add.at(counts, (self.targets, predictions), 1)
        return counts

    @property
    def posteriors(self) -> np.ndarray:
        """Probabilities of the classes, in the order appended.

        Returns
        -------
        numpy.ndarray
            `[utterance, class]`.
        """
        rows = [[r["posteriors"][x] for x in self.labels] for r in self.rows]
        return np.reshape(rows, (-1, len(self.labels)))

    @property
    def targets(self) -> np.ndarray:
        """Indices of the true classes, in the order appended.

        Returns
        -------
        numpy.ndarray
            Integers, `[utterance]`.
        """
        targets = [self.labels.index(row["true"]) for row in self.rows]
        return np.array(targets, dtype=int)

    def _check_utterance(self, name: str, row: np.ndarray, target: int) -> None:
        if np.isnan(row).any():
            raise ValueError(
                f"Utterance {name} has posteriors that are NaN: the model's "
                "outputs are not finite."
            )
        if not -1 <= target < len(self.labels):
            raise ValueError(
                f"Utterance {name} has the target {target}; it must be the "
                f"index of one of {self.labels}, or -1 for no label."
            )


def f1_macro(confusions: np.ndarray) -> np.ndarray:
    """Averages F1 over the classes, of one confusion or of many.

    A class that is never predicted or never true scores 0; one that occurs in
    neither does not count.

    Arguments
    ---------
    confusions : numpy.ndarray
        Counts with the true classes in rows, `[..., class, class]`.

    Returns
    -------
    numpy.ndarray
        Mean over the classes that are true or predicted somewhere; NaN where
        nothing was counted, `[...]`.

    Example
    -------
    >>> float(f1_macro(np.array([[2, 0, 0], [2, 0, 0], [0, 0, 0]])))
    0.333...
    """
    hits = np.diagonal(confusions, axis1=-2, axis2=-1)
    total = confusions.sum(axis=-1) + confusions.sum(axis=-2)
    return _mean_over_classes(2 * hits, total)


def average_recall(confusions: np.ndarray) -> np.ndarray:
    """Computes the unweighted average recall of one confusion or of many.

    Arguments
    ---------
    confusions : numpy.ndarray
        Counts with the true classes in rows, `[..., class, class]`.

    Returns
    -------
    numpy.ndarray
        Mean over the classes that are true somewhere; NaN where nothing was
        counted, `[...]`.

    Example
    -------
    >>> float(average_recall(np.array([[2, 0, 0], [2, 0, 0], [0, 0, 0]])))
    0.5
    """
    hits = np.diagonal(confusions, axis1=-2, axis2=-1)
    return _mean_over_classes(hits, confusions.sum(axis=-1))


def _mean_over_classes(parts: np.ndarray, totals: np.ndarray) -> np.ndarray:
    occurs = totals > 0
    shares = np.where(occurs, parts / np.maximum(totals, 1), 0.0)
    with np.errstate(invalid="ignore"):
        return shares.sum(axis=-1) / occurs.sum(axis=-1)
