"""The report: tables, significance and figures of any number of runs.

Authors
 * The speechbrain-merit developers 2026
"""

import dataclasses
import os
from collections.abc import Sequence
from pathlib import Path

from .comparable import check_comparable
from .figures import plot_against_snr, plot_confusions, plot_emotion_by_noise
from .markup import MARK, html_text, latex_text, markdown_text
from .page import Section, embedded_figure, page_text, paragraph, wide
from .runs import Run
from .scores import Scores, score_systems
from .significance import compare
from .tables import (
    Table,
    calibration_table,
    metric_table,
    metric_title,
    metrics_of,
    runs_table,
    significance_table,
    summary_table,
)

# What is drawn against the SNR, where it was computed.
PLOTTED_METRICS = ("f1_macro", "ssnr_db", "pesq_wb", "stoi")

_METHOD = """\
Every score is the mean over folds of the mean over seeds, and a mean over SNRs
weighs all alike. Seen noise is of types that occur in training, unseen is not.
Brackets hold the 95 % interval over {num_resamples} resampled test sets: the
utterances of every speaker are drawn with replacement, the same ones for all
systems, and where a system has several seeds, these are drawn too. It says
nothing of other speakers, nor, where there is one seed, of another training.
The best score of a column, unprocessed speech aside, is bold."""
_TESTS = """\
A score marked {mark} differs from that of {baseline}: p < 0.05, two-sided, and
adjusted by Holm for all systems and conditions of a metric, once over clean
speech and the means, once over the single conditions in noise. Enhancement is
tested by Wilcoxon's signed ranks over mixtures, averaged over seeds and, for
means, over SNRs; F1-macro by the resampled differences. UAR, accuracy and
unprocessed speech are not tested. No test says anything of other speakers, nor,
but for F1-macro with several seeds, of another training. The intervals are not
adjusted."""


@dataclasses.dataclass(frozen=True)
class _Content:
    """What all formats of a report say."""

    title: str
    notes: list[str]
    # By the heading of their section.
    tables: dict[str, list[Table]]
    # Each with its caption.
    figures: dict[Path, str]


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
    content = _gather(runs, folder, baseline, num_resamples, seed)
    tables = [table for found in content.tables.values() for table in found]
    notes = "".join(f"% {note}\n" for note in content.notes)
    head = f"% \\usepackage{{booktabs}}\n{notes}\n"
    latex = head + "\n".join(latex_text(table) for table in tables)
    _write_text(folder / "tables.tex", latex)
    _write_text(folder / "report.md", _markdown(content, folder))
    _write_text(folder / "report.html", _page(content))
    return folder / "report.html"


def _gather(
    runs: Sequence[Run],
    folder: Path,
    baseline: str | None,
    num_resamples: int,
    seed: int,
) -> _Content:
    scores = score_systems(runs, num_resamples, seed)
    compared = [] if baseline is None else compare(runs, scores, baseline)
    metrics = metrics_of(scores)
    tables = {
        "Summary": [summary_table(scores, compared)],
        "By condition": [metric_table(scores, compared, m) for m in metrics],
        "Significance": [
            significance_table(compared, baseline, metric)
            for metric in metrics
            if baseline is not None
            and any(c.metric == metric for c in compared)
        ],
        "Calibration": [calibration_table(runs)],
        "Runs": [runs_table(runs)],
    }
    filled = {t: [x for x in found if x.rows] for t, found in tables.items()}
    notes = [_METHOD.format(num_resamples=num_resamples)]
    if baseline is not None:
        notes.append(_TESTS.format(mark=MARK, baseline=baseline))
    figures = _draw_against_snr(scores, folder / "figures")
    figures.update(_draw_emotions(runs, folder / "figures"))
    return _Content(
        f"Systems on {runs[0].corpus}",
        [note.replace("\n", " ") for note in notes],
        {title: found for title, found in filled.items() if found},
        figures,
    )


def _draw_against_snr(scores: Scores, folder: Path) -> dict[Path, str]:
    if all(row.snr_db is None for row in scores.rows):
        return {}
    gains = scores.gains()
    figures = {}
    for metric in PLOTTED_METRICS:
        title = metric_title(metric)
        if metric in metrics_of(scores):
            place = plot_against_snr(scores, metric, folder / f"{metric}.png")
            figures[place] = f"{title} against the SNR, with 95 % intervals"
        if metric in metrics_of(gains):
            label, place = f"gain in {title}", folder / f"{metric}_gain.png"
            plot_against_snr(gains, metric, place, label)
            figures[place] = f"Enhancement's {label}, with 95 % intervals"
    return figures


def _draw_emotions(runs: Sequence[Run], folder: Path) -> dict[Path, str]:
    by_system: dict[str, list[Run]] = {}
    for run in runs:
        if run.emotions:
            by_system.setdefault(run.system, []).append(run)
    if not by_system:
        return {}
    place = folder / "emotion_by_noise.png"
    caption = "Recognised share of each emotion in each kind of noise"
    figures = {plot_emotion_by_noise(by_system, place): caption}
    for system, own in by_system.items():
        place = folder / f"confusion_{system}.png"
        caption = f"Confusions of {system}: shares of each true emotion"
        figures[plot_confusions(own, place)] = caption
    return figures


def _markdown(content: _Content, folder: Path) -> str:
    parts = [f"# {content.title}\n", *(f"{note}\n" for note in content.notes)]
    for title, tables in content.tables.items():
        parts.append(f"## {title}\n")
        parts += map(markdown_text, tables)
    parts.append("## Figures\n")
    parts += [
        f"![{caption}]({path.relative_to(folder).as_posix()})\n"
        for path, caption in content.figures.items()
    ]
    return "\n".join(parts)


def _page(content: _Content) -> str:
    notes = "".join(map(paragraph, content.notes))
    figures = "".join(
        embedded_figure(path, caption)
        for path, caption in content.figures.items()
    )
    sections = [
        Section(title, "".join(wide(html_text(table)) for table in tables))
        for title, tables in content.tables.items()
    ]
    # The summary, how to read it, and what it looks like come first.
    first = sections[0]._replace(body=sections[0].body + notes)
    sections = [first, Section("Figures", figures), *sections[1:]]
    return page_text(content.title, sections)


def _write_text(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(path.name + ".partial")
    partial.write_text(text, encoding="utf-8")
    os.replace(partial, path)
