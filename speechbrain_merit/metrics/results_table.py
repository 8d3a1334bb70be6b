"""The results of a test run as a table for people.

Authors
 * The speechbrain-merit developers 2026
"""

import re
from collections.abc import Mapping, Sequence
from typing import Any

from speechbrain_merit.metrics.conditions import Condition
from speechbrain_merit.metrics.enhancement import METRICS

# An underscore within a word, and < or & on their own, are only that.
_MARKUP = re.compile(
    r"[\\`*|$~\[\]]|<(?=[A-Za-z/!?])|&(?=#?\w+;)|(?<![^\W_])_|_(?![^\W_])"
)
# Titles, and the decimals that are worth printing.
EMOTION_HEADINGS = {
    "f1_macro": ("F1-macro", 3),
    "uar": ("UAR", 3),
    "accuracy": ("accuracy", 3),
}
ENHANCEMENT_HEADINGS = {
    "pesq_wb": ("PESQ-WB", 2),
    "stoi": ("STOI", 3),
    "ssnr_db": ("SSNR dB", 2),
    "si_sdr_db": ("SI-SDR dB", 2),
    "csig": ("CSIG", 2),
    "cbak": ("CBAK", 2),
    "covl": ("COVL", 2),
    "dnsmos_sig": ("DNSMOS SIG", 2),
    "dnsmos_bak": ("DNSMOS BAK", 2),
    "dnsmos_ovrl": ("DNSMOS OVRL", 2),
}


def markdown_text(text: object) -> str:
    r"""Writes a text that Markdown, and HTML in it, takes for a text.

    Arguments
    ---------
    text : object
        What is named, such as a system, a corpus or a file.

    Returns
    -------
    str
        One line. What means nothing in its place stays as it is, for whoever
        reads the file itself.

    Example
    -------
    >>> print(markdown_text("sparse_merit"), markdown_text("a|*b*\n<i>"))
    sparse_merit a\|\*b\* \<i>
    """
    return _MARKUP.sub(r"\\\g<0>", " ".join(str(text).split()))


def markdown_rows(rows: Sequence[Sequence[str]]) -> str:
    """Writes rows in Markdown that also read well in a terminal.

    Arguments
    ---------
    rows : sequence
        Cells of each row, in Markdown, the headings first. The first column is
        aligned left, the others right.

    Returns
    -------
    str
        A line for every row, and one for the rule.

    Example
    -------
    >>> print(markdown_rows([["run", "UAR"], ["a", "0.5"]]))
    | run | UAR |
    | --- | --: |
    | a   | 0.5 |
    """
    # Three for the rule, which Markdown wants to hold a dash.
    widths = [max(3, *map(len, cells)) for cells in zip(*rows, strict=True)]
    # The colons make Markdown align as the spaces do.
    rule = ["-" * widths[0], *("-" * (width - 1) + ":" for width in widths[1:])]
    lines = [
        [row[0].ljust(widths[0]), *map(str.rjust, row[1:], widths[1:])]
        for row in (rows[0], rule, *rows[1:])
    ]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def markdown_table(results: Mapping[str, Any]) -> str:
    """Formats results as a table that also reads well in a terminal.

    The rows `mean seen` and `mean unseen` weigh every SNR alike and leave out
    what is missing. A dash stands for what there is not: a task that the
    system does not do, a score that no utterance has, and the infinite SI-SDR
    of clean speech that went unprocessed.

    Arguments
    ---------
    results : Mapping
        As `results_dictionary` gives it.

    Returns
    -------
    str
        The table, and below it a line that names the metrics that could not
        be computed for some utterances, with their number.

    Example
    -------
    >>> print(markdown_table({"conditions": []}))
    | condition | n | F1-macro | UAR | accuracy | PESQ-WB | STOI | ...
    """
    conditions = results["conditions"]
    headings = _headings_of(conditions)
    shown = [*EMOTION_HEADINGS.values(), *headings.values()]
    table = [["condition", "n", *(title for title, _ in shown)]]
    for entry in conditions:
        name = Condition(entry["noise"], entry["snr_db"]).name
        table.append(_table_row(name, [entry], headings))
    for noise in ("seen", "unseen"):
        entries = [entry for entry in conditions if entry["noise"] == noise]
        if entries:
            table.append(_table_row(f"mean {noise}", entries, headings))
    lines = [markdown_rows(table)]
    if any(entry["se"] for entry in conditions):
        lines += ["", "Enhancement: unprocessed -> enhanced."]
    # Results of earlier versions have no calibration.
    lines += _calibration_note(results.get("calibration"))
    return "\n".join([*lines, *_unscored_note(conditions)]) + "\n"


def mean_text(
    entries: Sequence[Mapping[str, Any]], column: str, key: str, decimals: int
) -> str:
    """Averages a score over conditions, as far as they have it.

    Arguments
    ---------
    entries : sequence of Mapping
        Conditions, as `results_dictionary` gives them.
    column : str
        `ser`, `se` or `noisy`.
    key : str
        Name of the metric.
    decimals : int
        How many to print.

    Returns
    -------
    str
        The mean; a dash where no condition has the score.

    Example
    -------
    >>> mean_text([{"ser": {"uar": 0.5}}, {"ser": None}], "ser", "uar", 3)
    '0.500'
    """
    found = ((entry[column] or {}).get(key) for entry in entries)
    values = [value for value in found if value is not None]
    if not values:
        return "-"
    return f"{sum(values) / len(values):.{decimals}f}"


def _headings_of(
    conditions: Sequence[Mapping[str, Any]],
) -> dict[str, tuple[str, int]]:
    """The headings of the metrics that were computed, in their order."""
    computed = {key for entry in conditions for key in entry["se"] or {}}
    return {
        key: heading
        for key, heading in ENHANCEMENT_HEADINGS.items()
        if key in (computed or METRICS)
    }


def _table_row(
    name: str,
    entries: Sequence[Mapping[str, Any]],
    headings: Mapping[str, tuple[str, int]],
) -> list[str]:
    row = [name, str(sum(entry["num_utterances"] for entry in entries))]
    row += [
        mean_text(entries, "ser", key, decimals)
        for key, (_, decimals) in EMOTION_HEADINGS.items()
    ]
    for key, (_, decimals) in headings.items():
        pair = [
            mean_text(entries, column, key, decimals)
            for column in ("noisy", "se")
        ]
        row.append("-" if pair == ["-", "-"] else " -> ".join(pair))
    return row


def _calibration_note(calibration: Mapping[str, Any] | None) -> list[str]:
    if calibration is None:
        return []
    errors = ", ".join(
        f"{noise} {error:.3f}" for noise, error in calibration["ece"].items()
    )
    text = f"Expected calibration error: {errors}"
    if calibration["temperature"] is not None:
        text += f", with temperature {calibration['temperature']:.2f}"
    return ["", f"{text}."]


def _unscored_note(conditions: Sequence[Mapping[str, Any]]) -> list[str]:
    counts = []
    for key, (title, _) in ENHANCEMENT_HEADINGS.items():
        count = sum((e["num_unscored"] or {}).get(key, 0) for e in conditions)
        if count:
            counts.append(f"{title} {count}")
    if not counts:
        return []
    text = f"Utterances not scored, left out of both: {', '.join(counts)}."
    return ["", text]
