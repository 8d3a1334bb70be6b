"""Runs lines of tests/recipes/<Corpus>.csv as SpeechBrain's recipe tests do.

A line names a training script and a YAML file. `test_debug_flags` are what the
script is called with from the top of the repository, the recipe's folder being
on Python's path. `test_debug_checks` says what must come of it:
`file_exists=[train_log.txt,save/label_encoder.txt]` lists files below the
output folder, and `performance_check=[train_log.txt, train loss, <=1.5,
epoch: 2]` bounds a value of the last line with that pattern.

Authors
 * The speechbrain-merit developers 2026
"""

import csv
import operator
import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

from warm_process import ROOT, warm_process

_COMPARISONS = {
    "<=": operator.le,
    ">=": operator.ge,
    "==": operator.eq,
    "<": operator.lt,
    ">": operator.gt,
}
_NUMBER = r"[-+]?\d+(?:\.\d+)?(?:[eE][-+]?\d+)?"


def read_rows(folder: Path) -> dict[str, dict[str, str]]:
    """Reads all lines of a folder of CSV files.

    Arguments
    ---------
    folder : Path
        With a file `<Corpus>.csv` for every corpus.

    Returns
    -------
    dict
        Fields of every line by `<Corpus>/<name of the YAML>`.
    """
    rows = {}
    for path in sorted(folder.glob("*.csv")):
        with path.open(encoding="utf-8", newline="") as file:
            for row in csv.DictReader(file, skipinitialspace=True):
                name = f"{path.stem}/{Path(row['Hparam_file']).stem}"
                if name in rows:
                    raise ValueError(f"{path} has {name} twice.")
                rows[name] = row
    return rows


def run_row(
    row: dict[str, str], output_folder: Path
) -> subprocess.CompletedProcess:
    """Runs the script of a line.

    Arguments
    ---------
    row : dict
        Fields of the line.
    output_folder : Path
        For the experiment.

    Returns
    -------
    subprocess.CompletedProcess
        With all that was printed in `stdout`.
    """
    flags = [
        row["test_debug_flags"],
        f"--output_folder={output_folder}",
        "--device=cpu",
    ]
    # Debugging makes two batches of everything, which no bound can be for.
    if "performance_check" not in row["test_debug_checks"]:
        flags.append("--debug")
    # As a shell reads it for upstream's runner: values are quoted.
    line = shlex.split(
        " ".join([row["Script_file"], row["Hparam_file"], *flags])
    )
    recipe = (ROOT / row["Script_file"]).parent
    warm_process().start(
        line, before="recipe_rows.import_from", given={"folder": str(recipe)}
    )
    return subprocess.CompletedProcess(line, *warm_process().wait())


def import_from(folder: str) -> None:
    """Puts a folder on Python's path, as upstream's runner does."""
    sys.path.insert(1, folder)


def failures(checks: str, output_folder: Path) -> Iterator[str]:
    """Says which checks of a line an experiment does not pass.

    Arguments
    ---------
    checks : str
        The field `test_debug_checks`.
    output_folder : Path
        Of the experiment.

    Yields
    ------
    str
        A message per failure.
    """
    kinds = dict(re.findall(r"(\w+)=\[([^\]]*)\]", checks))
    unknown = set(kinds) - {"file_exists", "performance_check"}
    if unknown:
        yield f"there is no check {', '.join(sorted(unknown))}"
    for name in filter(None, kinds.get("file_exists", "").split(",")):
        if not (output_folder / name.strip()).exists():
            yield f"{name.strip()} does not exist"
    if "performance_check" in kinds:
        yield from _bound_failures(kinds["performance_check"], output_folder)


def _bound_failures(check: str, output_folder: Path) -> Iterator[str]:
    """Says whether a value of a log is beyond its bound."""
    fields = [field.strip() for field in check.split(",")]
    if len(fields) != 4:
        yield f"[{check}] is not [file, variable, bound, pattern of the line]"
        return
    name, variable, bound, pattern = fields
    symbol, limit = re.fullmatch(rf"([<>=]+)\s*({_NUMBER})", bound).groups()
    text = (output_folder / name).read_text(encoding="utf-8")
    lines = [line for line in text.splitlines() if pattern in line]
    if not lines:
        yield f"{name} has no line with {pattern!r}"
        return
    value = re.search(rf"{re.escape(variable)}: ({_NUMBER})", lines[-1])
    if value is None:
        yield f"the line with {pattern!r} of {name} has no {variable!r}"
    elif not _COMPARISONS[symbol](float(value[1]), float(limit)):
        yield f"{variable} is {value[1]}, not {bound}"
