"""Figures of a test run.

Authors
 * The speechbrain-merit developers 2026
"""

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from speechbrain_merit.metrics.calibration import (
    NUM_BINS,
    expected_calibration_error,
    reliability_bins,
)


def plot_confusion(
    confusion: np.ndarray,
    labels: Sequence[str],
    title: str,
    path: str | Path,
) -> None:
    """Draws a confusion matrix with counts and shares of each true label.

    Arguments
    ---------
    confusion : numpy.ndarray
        Counts with the true labels in rows, `[classes, classes]`.
    labels : sequence of str
        Names of the classes.
    title : str
        What the figure shows.
    path : str or Path
        The PNG file to write, whatever its suffix.

    Raises
    ------
    ValueError
        If the matrix does not have a row and a column for each label.

    Example
    -------
    >>> path = getfixture("tmpdir") / "confusion.png"
    >>> plot_confusion(np.eye(2, dtype=int), ["angry", "sad"], "clean", path)
    >>> path.exists()
    True
    """
    if confusion.shape != (len(labels), len(labels)):
        raise ValueError(
            f"A confusion matrix of shape {confusion.shape} does not fit the "
            f"{len(labels)} labels {list(labels)}."
        )
    totals = confusion.sum(axis=1, keepdims=True)
    shares = confusion / np.maximum(totals, 1)
    # Not through pyplot, which keeps every figure in a global list.
    side = 2.5 + 0.9 * len(labels)
    figure = Figure(figsize=(side + 0.8, side), layout="constrained")
    axes = figure.add_subplot()
    texts = np.vectorize("{}\n{:.1%}".format)(confusion, shares)
    draw_matrix(axes, shares, labels, labels, texts)
    axes.set(title=title, xlabel="predicted", ylabel="true")
    figure.colorbar(axes.images[0], label="share of the true label", shrink=0.8)
    figure.savefig(path, format="png", dpi=150)


def draw_matrix(
    axes: Axes,
    shares: np.ndarray,
    rows: Sequence[str],
    columns: Sequence[str],
    texts: np.ndarray,
    font_size: str | None = None,
) -> None:
    """Draws shares as the darker, the larger they are.

    Arguments
    ---------
    axes : Axes
        Where to draw.
    shares : numpy.ndarray
        From 0 to 1, `[row, column]`; NaN stays empty.
    rows : sequence of str
        Names of the rows.
    columns : sequence of str
        Names of the columns.
    texts : numpy.ndarray
        What to write on each, `[row, column]`.
    font_size : str, optional
        Of these texts, as Matplotlib names it.

    Example
    -------
    >>> axes, shares = Figure().add_subplot(), np.array([[0.25, np.nan]])
    >>> draw_matrix(axes, shares, ["sad"], ["a", "b"], np.array([["1", ""]]))
    >>> [text.get_text() for text in axes.texts]
    ['1']
    """
    axes.imshow(shares, cmap="Blues", vmin=0, vmax=1)
    axes.set_xticks(range(len(columns)), columns, rotation=45, ha="right")
    axes.set_yticks(range(len(rows)), rows)
    for (row, column), share in np.ndenumerate(shares):
        if not np.isnan(share):
            axes.text(
                column,
                row,
                texts[row, column],
                ha="center",
                va="center",
                fontsize=font_size,
                color="white" if share > 0.5 else "black",
            )


def plot_reliability(
    judged: Mapping[str, tuple[np.ndarray, np.ndarray]],
    title: str,
    path: str | Path,
) -> None:
    """Draws how often a model was right against how sure it was.

    Arguments
    ---------
    judged : Mapping
        For each panel, by its title, the probabilities, `[utterance, class]`,
        and the indices of the true classes, `[utterance]`.
    title : str
        What the figure shows.
    path : str or Path
        The PNG file to write, whatever its suffix.

    Example
    -------
    >>> path = getfixture("tmpdir") / "reliability.png"
    >>> judged = {"clean": (np.array([[0.9, 0.1]]), np.array([0]))}
    >>> plot_reliability(judged, "sparse_merit", path)
    >>> path.exists()
    True
    """
    size = (3.2 * len(judged) + 0.4, 3.6)
    figure = Figure(figsize=size, layout="constrained")
    panels = figure.subplots(1, len(judged), sharey=True, squeeze=False)[0]
    for axes, (name, found) in zip(panels, judged.items(), strict=True):
        _draw_reliability(axes, *found)
        error = expected_calibration_error(*found)
        axes.set(title=f"{name}, ECE {error:.3f}", xlabel="confidence")
    panels[0].set_ylabel("accuracy")
    figure.suptitle(title)
    figure.savefig(path, format="png", dpi=150)


def _draw_reliability(
    axes: Axes, posteriors: np.ndarray, targets: np.ndarray
) -> None:
    bins = reliability_bins(posteriors, targets)
    axes.plot([0, 1], [0, 1], color="grey", linestyle="--")
    # The paler a bar, the fewer utterances made it.
    largest = max(found.count for found in bins)
    axes.bar(
        [found.confidence for found in bins],
        [found.accuracy for found in bins],
        width=0.8 / NUM_BINS,
        color=[(0.0, 0.45, 0.7, 0.3 + 0.7 * b.count / largest) for b in bins],
    )
    for found in bins:
        axes.text(
            found.confidence,
            found.accuracy,
            str(found.count),
            ha="center",
            va="bottom",
            fontsize="xx-small",
        )
    axes.set(xlim=(0, 1.02), ylim=(0, 1.08))
