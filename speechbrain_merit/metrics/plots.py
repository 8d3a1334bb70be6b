"""Figures of a test run.

Authors
 * The speechbrain-merit developers 2026
"""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure


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
    FigureCanvasAgg(figure)
    axes = figure.add_subplot()
    image = axes.imshow(shares, cmap="Blues", vmin=0, vmax=1)
    ticks = range(len(labels))
    axes.set_xticks(ticks, labels, rotation=45, ha="right")
    axes.set_yticks(ticks, labels)
    axes.set(title=title, xlabel="predicted", ylabel="true")
    for row in ticks:
        for column in ticks:
            share = shares[row, column]
            text = f"{confusion[row, column]}\n{share:.1%}"
            colour = "white" if share > 0.5 else "black"
            axes.text(column, row, text, ha="center", va="center", color=colour)
    figure.colorbar(image, label="share of the true label", shrink=0.8)
    figure.savefig(path, format="png", dpi=150)
