"""The figures of a report.

Authors
 * The speechbrain-merit developers 2026
"""

import itertools
import json
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from speechbrain_merit.losses.gradient_conflict import CONFLICT
from speechbrain_merit.metrics.conditions import NOISES
from speechbrain_merit.metrics.routing_plots import OKABE_ITO
from speechbrain_merit.metrics.score_plots import draw_matrix

from .runs import Run
from .score_tables import heading
from .scores import UNPROCESSED, Scores

SUFFIXES = (".png", ".pdf")
MARKERS = "osD^v<>P*X"
# Yellow lines are hardly seen on white.
COLOURS = tuple(colour for colour in OKABE_ITO if colour != "#F0E442")
# Drawn side by side within so many dB, to keep intervals apart.
SPREAD_DB = 1.2


def save(figure: Figure, path: Path) -> Path:
    """Writes a figure as PNG, for screens, and as PDF, for papers.

    Arguments
    ---------
    figure : Figure
        What to write.
    path : Path
        The PNG file; the PDF goes beside it.

    Returns
    -------
    Path
        The PNG file.

    Example
    -------
    >>> path = Path(getfixture("tmpdir")) / "empty.png"
    >>> save(Figure(), path).with_suffix(".pdf").exists()
    True
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    for suffix in SUFFIXES:
        figure.savefig(path.with_suffix(suffix), dpi=150)
    return path


def plot_against_snr(
    scores: Scores, metric: str, path: Path, label: str | None = None
) -> Path:
    """Draws a metric against the SNR, for seen and for unseen noise.

    Arguments
    ---------
    scores : Scores
        Of all systems.
    metric : str
        Which one; systems that lack it are left out.
    path : Path
        The PNG file to write; the PDF goes beside it.
    label : str, optional
        Of the vertical axis; the metric's usual name by default.

    Returns
    -------
    Path
        The PNG file.

    Example
    -------
    >>> path = Path(getfixture("tmpdir")) / "stoi.png"
    >>> plot_against_snr(Scores((), {}), "stoi", path).exists()
    True
    """
    figure = _figure(9, 4)
    panels = figure.subplots(1, 2, sharey=True)
    systems = [name for name in scores.values if metric in scores.values[name]]
    for axes, noise in zip(panels, ("seen", "unseen"), strict=True):
        rows = {
            row.snr_db: row
            for row in scores.rows
            if row.noise == noise and row.snr_db is not None
        }
        for place, system in enumerate(systems):
            shift_db = SPREAD_DB * ((place + 0.5) / len(systems) - 0.5)
            found = [
                (snr_db + shift_db, *estimate)
                for snr_db, row in rows.items()
                if (estimate := scores.estimate(system, metric, row))
            ]
            # The same looks in all figures, whoever is left out.
            number = list(scores.values).index(system)
            _draw_estimates(axes, found, system, number)
        axes.set_xticks(sorted(rows))
        axes.set(title=f"{noise} noise", xlabel="SNR dB")
        axes.grid(alpha=0.3)
    panels[0].set_ylabel(label or heading(metric)[0])
    handles, labels = panels[0].get_legend_handles_labels()
    if handles:
        columns = min(len(handles), 4)
        figure.legend(
            handles, labels, loc="outside lower center", ncols=columns
        )
    return save(figure, path)


def _draw_estimates(
    axes: Axes,
    found: Sequence[tuple[float, float, float, float]],
    system: str,
    number: int,
) -> None:
    """Draws the scores of a system: SNR, score and ends of the interval."""
    snrs_db, values, lows, highs = np.reshape(found, (-1, 4)).T
    unprocessed = system == UNPROCESSED
    axes.errorbar(
        snrs_db,
        values,
        # Rounding may put a value just outside of its interval.
        np.maximum([values - lows, highs - values], 0.0),
        label=system,
        color="grey" if unprocessed else COLOURS[number % len(COLOURS)],
        linestyle="--" if unprocessed else "-",
        marker=MARKERS[number % len(MARKERS)],
        markersize=4,
        linewidth=1.2,
        elinewidth=0.8,
        capsize=2,
    )


def plot_confusions(runs: Sequence[Run], path: Path) -> Path:
    """Draws what a system confuses: in clean speech, seen and unseen noise.

    Arguments
    ---------
    runs : sequence of Run
        Of one system, summed over.
    path : Path
        The PNG file to write; the PDF goes beside it.

    Returns
    -------
    Path
        The PNG file.

    Example
    -------
    >>> plot_confusions([], Path("confusion.png"))
    Traceback (most recent call last):
    ...
    ValueError: There is no run to draw.
    """
    if not runs:
        raise ValueError("There is no run to draw.")
    emotions = runs[0].emotions
    noises = [n for n in NOISES if n in {c.noise for c in runs[0].conditions}]
    figure = _figure(3.3 * len(noises), 3.8)
    panels = figure.subplots(1, len(noises), squeeze=False, sharey=True)[0]
    for axes, noise in zip(panels, noises, strict=True):
        counts = _confusion(runs, noise)
        shares = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
        _draw_shares(axes, shares, emotions, emotions)
        axes.set(title=noise, xlabel="predicted")
    panels[0].set_ylabel("true")
    figure.suptitle(runs[0].system)
    return save(figure, path)


def _confusion(
    runs: Sequence[Run], noise: str, noise_type: str | None = None
) -> np.ndarray:
    """Counts true against predicted over runs and SNRs."""
    size = len(runs[0].emotions)
    counts = np.zeros((size, size))
    for run in runs:
        judged = (run.true >= 0) & (run.predicted >= 0)
        judged &= [condition.noise == noise for condition in run.conditions]
        if noise_type is not None:
            judged &= run.noise_types == noise_type
        np.add.at(counts, (run.true[judged], run.predicted[judged]), 1)
    return counts


def plot_emotion_by_noise(
    runs_by_system: Mapping[str, Sequence[Run]], path: Path
) -> Path:
    """Draws how often each emotion is recognised in each kind of noise.

    Arguments
    ---------
    runs_by_system : Mapping
        Runs of every system that recognises emotions.
    path : Path
        The PNG file to write; the PDF goes beside it.

    Returns
    -------
    Path
        The PNG file.

    Example
    -------
    >>> path = Path(getfixture("tmpdir")) / "noise.png"
    >>> plot_emotion_by_noise({}, path).exists()
    True
    """
    found: set[tuple[str, str]] = set()
    for run in itertools.chain.from_iterable(runs_by_system.values()):
        noises = {c.name: c.noise for c in run.conditions}
        for (_, name), mixture in run.mixtures.items():
            found.add((noises[name], mixture["noise_type"]))
    kinds = sorted(found)
    titles = ["\n".join(filter(None, kind[::-1])) for kind in kinds]
    height = 0.9 + 1.8 * len(runs_by_system)
    figure = _figure(2 + 0.75 * len(kinds), height)
    panels = figure.subplots(
        max(len(runs_by_system), 1), 1, sharex=True, squeeze=False
    )[:, 0]
    for axes, (system, runs) in zip(
        panels, runs_by_system.items(), strict=False
    ):
        shares = recall_by_noise(runs, kinds)
        _draw_shares(axes, shares, runs[0].emotions, titles)
        axes.set_title(system)
    return save(figure, path)


def recall_by_noise(
    runs: Sequence[Run], kinds: Sequence[tuple[str, str]]
) -> np.ndarray:
    """Shares of each emotion's utterances that are recognised in each noise.

    Arguments
    ---------
    runs : sequence of Run
        Of one system, summed over.
    kinds : sequence of tuple of str
        Condition's noise and kind of noise, such as `("seen", "rain")`;
        `("clean", "")` for none.

    Returns
    -------
    numpy.ndarray
        NaN where there is no utterance, `[emotion, kind]`.

    Example
    -------
    >>> recall_by_noise([], []).shape
    (0,)
    """
    shares = []
    for kind in kinds:
        counts = _confusion(runs, *kind)
        with np.errstate(invalid="ignore"):
            shares.append(np.diagonal(counts) / counts.sum(axis=1))
    return np.array(shares).T


def _draw_shares(
    axes: Axes,
    shares: np.ndarray,
    rows: Sequence[str],
    columns: Sequence[str],
) -> None:
    texts = np.vectorize("{:.0%}".format, otypes=[str])(shares)
    draw_matrix(axes, shares, rows, columns, texts, "small")
    axes.set_aspect("auto")


def plot_conflict(
    runs_by_system: Mapping[str, Sequence[Run]], path: Path
) -> dict[Path, str]:
    """Draws the cosine between the tasks' gradients, by epoch and layer.

    Arguments
    ---------
    runs_by_system : Mapping
        Runs of every system; the mean over those that have logged it.
    path : Path
        The PNG file to write; the PDF goes beside it.

    Returns
    -------
    dict of Path to str
        The PNG file with its caption; nothing where no run has logged it.

    Example
    -------
    >>> plot_conflict({}, Path("conflict.png"))
    {}
    """
    logged = {}
    for system, runs in runs_by_system.items():
        files = [run.folder / CONFLICT for run in runs]
        found = [json.loads(f.read_text("utf-8")) for f in files if f.is_file()]
        if found:
            logged[system] = found
    if not logged:
        return {}
    figure = _figure(6 * len(logged), 4)
    panels = figure.subplots(1, len(logged), squeeze=False, sharey=True)[0]
    for axes, (system, found) in zip(panels, logged.items(), strict=True):
        epochs = sorted(set.intersection(*map(set, found)), key=int)
        for group in sorted(
            {g for run in found for e in epochs for g in run[e]}
        ):
            values = [[r[e].get(group, np.nan) for e in epochs] for r in found]
            means = np.mean(values, axis=0)
            axes.plot([*map(int, epochs)], means, ".-", label=group)
        axes.set(title=system, xlabel="epoch")
        axes.legend(fontsize="x-small")
    panels[0].set_ylabel("cosine of the tasks' gradients")
    return {save(figure, path): "Cosine between the tasks' gradients, by layer"}


def _figure(width: float, height: float) -> Figure:
    # Not through pyplot, which keeps every figure in a global list.
    return Figure(figsize=(width, height), layout="constrained")
