"""The figures of a report.

Authors
 * The speechbrain-merit developers 2026
"""

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from speechbrain_merit.metrics.conditions import NOISES
from speechbrain_merit.metrics.routing_plots import OKABE_ITO

from .runs import Run
from .scores import UNPROCESSED, Scores
from .tables import heading

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
    >>> plot_against_snr(Scores((), {}, {}), "stoi", path).exists()
    True
    """
    figure = _figure(9, 4)
    panels = figure.subplots(1, 2, sharey=True)
    systems = [name for name in scores.values if metric in scores.values[name]]
    for axes, noise in zip(panels, ("seen", "unseen"), strict=True):
        for place, system in enumerate(systems):
            shift_db = SPREAD_DB * ((place + 0.5) / len(systems) - 0.5)
            # The same colour in all figures, whoever is left out.
            number = list(scores.values).index(system)
            _draw_system(
                axes, scores, (system, metric, noise), number, shift_db
            )
        snrs_db = {row.snr_db for row in scores.rows if row.noise == noise}
        axes.set_xticks(sorted(snr for snr in snrs_db if snr is not None))
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


def _draw_system(
    axes: Axes,
    scores: Scores,
    what: tuple[str, str, str],
    number: int,
    shift_db: float,
) -> None:
    system, metric, noise = what
    found = []
    for row in scores.rows:
        estimate = scores.estimate(system, metric, row)
        if row.noise == noise and row.snr_db is not None and estimate:
            found.append((row.snr_db, estimate))
    values = [estimate.value for _, estimate in found]
    errors = [
        [estimate.value - estimate.low for _, estimate in found],
        [estimate.high - estimate.value for _, estimate in found],
    ]
    unprocessed = system == UNPROCESSED
    axes.errorbar(
        [snr_db + shift_db for snr_db, _ in found],
        values,
        # Rounding may put a value just outside of its interval.
        np.maximum(errors, 0.0),
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
        _draw_matrix(axes, shares, emotions, emotions)
        axes.set(title=noise, xlabel="predicted")
    panels[0].set_ylabel("true")
    figure.suptitle(runs[0].system)
    return save(figure, path)


def _confusion(runs: Sequence[Run], noise: str) -> np.ndarray:
    """Counts true against predicted over runs and SNRs."""
    size = len(runs[0].emotions)
    counts = np.zeros((size, size))
    for run in runs:
        columns = [i for i, c in enumerate(run.conditions) if c.noise == noise]
        true, predicted = run.true[:, columns], run.predicted[:, columns]
        judged = (true >= 0) & (predicted >= 0)
        np.add.at(counts, (true[judged], predicted[judged]), 1)
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
    kinds = _noise_kinds([r for runs in runs_by_system.values() for r in runs])
    height = 0.9 + 1.8 * len(runs_by_system)
    figure = _figure(2 + 0.75 * len(kinds), height)
    panels = figure.subplots(
        max(len(runs_by_system), 1), 1, sharex=True, squeeze=False
    )[:, 0]
    for axes, (system, runs) in zip(
        panels, runs_by_system.items(), strict=False
    ):
        shares = recall_by_noise(runs, list(kinds))
        _draw_matrix(axes, shares, runs[0].emotions, [*kinds.values()])
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
    >>> recall_by_noise([], [("clean", "")]).shape
    (0, 1)
    """
    emotions = runs[0].emotions if runs else ()
    counts = np.zeros((2, len(emotions), len(kinds)))
    places = {kind: number for number, kind in enumerate(kinds)}
    for run in runs:
        heard = _kinds_heard(run)
        for (line, column), kind in np.ndenumerate(heard):
            true = run.true[line, column]
            if true >= 0 and kind in places:
                hit = run.predicted[line, column] == true
                counts[:, true, places[kind]] += (hit, 1)
    with np.errstate(invalid="ignore"):
        return counts[0] / counts[1]


def _kinds_heard(run: Run) -> np.ndarray:
    """Noise of the condition and kind of noise, `[utterance, condition]`."""
    kinds = np.empty((len(run.utterances), len(run.conditions)), dtype=object)
    for line, name in enumerate(run.utterances):
        for column, condition in enumerate(run.conditions):
            mixture = run.mixtures.get((name, condition.name))
            if mixture is not None:
                kinds[line, column] = condition.noise, mixture["noise_type"]
    return kinds


def _noise_kinds(runs: Sequence[Run]) -> dict[tuple[str, str], str]:
    """Labels of all kinds of noise, seen ones before the unseen."""
    found: set[tuple[str, str]] = set()
    for run in runs:
        found.update(kind for kind in _kinds_heard(run).flat if kind)
    return {
        kind: "\n".join(part for part in kind[::-1] if part)
        for kind in sorted(found)
    }


def _draw_matrix(
    axes: Axes,
    shares: np.ndarray,
    rows: Sequence[str],
    columns: Sequence[str],
) -> None:
    axes.imshow(shares, cmap="Blues", vmin=0, vmax=1, aspect="auto")
    axes.set_xticks(range(shares.shape[1]), columns, rotation=45, ha="right")
    axes.set_yticks(range(shares.shape[0]), rows)
    for (row, column), share in np.ndenumerate(shares):
        if not np.isnan(share):
            axes.text(
                column,
                row,
                f"{share:.0%}",
                ha="center",
                va="center",
                fontsize="small",
                color="white" if share > 0.5 else "black",
            )


def _figure(width: float, height: float) -> Figure:
    # Not through pyplot, which keeps every figure in a global list.
    figure = Figure(figsize=(width, height), layout="constrained")
    FigureCanvasAgg(figure)
    return figure
