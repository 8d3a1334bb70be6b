"""The report: tables, significance and figures of any number of runs.

Authors
 * The speechbrain-merit developers 2026
"""

from collections.abc import Sequence
from pathlib import Path
from urllib.parse import quote

from speechbrain_merit.data.atomic_write import atomic_write

from .comparable import check_comparable
from .figures import (
    plot_against_snr,
    plot_conflict,
    plot_confusions,
    plot_emotion_by_noise,
)
from .markup import render
from .runs import Run, by_system
from .score_tables import (
    Table,
    calibration_table,
    heading,
    metric_table,
    metrics_of,
    runs_table,
    significance_table,
    summary_table,
)
from .scores import Scores, score_systems
from .significance import Comparison, compare

# What is drawn against the SNR, where it was computed.
PLOTTED_METRICS = ("f1_macro", "ssnr_db", "pesq_wb", "stoi")


def write_report(
    runs: Sequence[Run],
    folder: str | Path,
    baseline: str | None = None,
    num_resamples: int = 10000,
    seed: int = 0,
) -> Path:
    """Writes `report.html`, `report.md`, `tables.tex` and `figures/`.

    Arguments
    ---------
    runs : sequence of Run
        Runs of one corpus, as `find_runs` gives them.
    folder : str or Path
        Where to write; made where needed.
    baseline : str, optional
        The system that the others are tested against; without it there are
        no tests.
    num_resamples : int
        How many test sets are drawn for intervals and for tests of F1-macro.
    seed : int
        Of the drawing.

    Returns
    -------
    Path
        The page.

    Raises
    ------
    ValueError
        If the runs cannot be compared, there is no such baseline, or nothing
        is to be drawn.

    Example
    -------
    >>> write_report([], "report")
    Traceback (most recent call last):
    ...
    ValueError: There is no run to compare.
    """
    check_comparable(runs)
    if num_resamples < 1:
        raise ValueError(
            f"{num_resamples} test sets cannot be drawn: give at least 1."
        )
    folder = Path(folder)
    scores = score_systems(runs, num_resamples, seed)
    compared = [] if baseline is None else compare(runs, scores, baseline)
    notes = render("notes.txt", num_resamples=num_resamples, baseline=baseline)
    content = {
        "title": f"Systems on {runs[0].corpus}",
        # A line for every paragraph.
        "notes": [" ".join(note.split()) for note in notes.split("\n\n")],
        "sections": _tables(runs, scores, compared, baseline),
        "figures": {
            **_draw_against_snr(scores, folder / "figures"),
            **_draw_emotions(runs, folder / "figures"),
            **plot_conflict(
                by_system(runs), folder / "figures" / "conflict.png"
            ),
        },
    }
    for name in ("tables.tex", "report.md", "report.html"):
        with atomic_write(folder / name) as partial:
            partial.write_text(render(name, **content), encoding="utf-8")
    return folder / "report.html"


def _tables(
    runs: Sequence[Run],
    scores: Scores,
    compared: Sequence[Comparison],
    baseline: str | None,
) -> dict[str, list[Table]]:
    """The tables that are not empty, by the heading of their section."""
    metrics = metrics_of(scores)
    tables = {
        "Summary": [summary_table(scores, compared)],
        "By condition": [metric_table(scores, compared, m) for m in metrics],
        "Significance": [
            significance_table(compared, baseline or "", m) for m in metrics
        ],
        "Calibration": [calibration_table(runs)],
        "Runs": [runs_table(runs)],
    }
    filled = {t: [x for x in found if x.rows] for t, found in tables.items()}
    return {title: found for title, found in filled.items() if found}


def _draw_against_snr(scores: Scores, folder: Path) -> dict[Path, str]:
    if all(row.snr_db is None for row in scores.rows):
        return {}
    gains = scores.gains()
    figures = {}
    for metric in PLOTTED_METRICS:
        title, _ = heading(metric)
        if metric in metrics_of(scores):
            place = plot_against_snr(scores, metric, folder / f"{metric}.png")
            figures[place] = f"{title} against the SNR, with 95 % intervals"
        if metric in metrics_of(gains):
            label, place = f"gain in {title}", folder / f"{metric}_gain.png"
            plot_against_snr(gains, metric, place, label)
            figures[place] = f"Enhancement's {label}, with 95 % intervals"
    return figures


def _draw_emotions(runs: Sequence[Run], folder: Path) -> dict[Path, str]:
    recognisers = by_system(run for run in runs if run.emotions)
    if not recognisers:
        return {}
    place = folder / "emotion_by_noise.png"
    caption = "Recognised share of each emotion in each kind of noise"
    figures = {plot_emotion_by_noise(recognisers, place): caption}
    for system, own in recognisers.items():
        # A name may hold what a name of a file may not.
        place = folder / f"confusion_{quote(system, safe='')}.png"
        caption = f"Confusions of {system}: shares of each true emotion"
        figures[plot_confusions(own, place)] = caption
    return figures
