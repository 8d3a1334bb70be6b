"""`speechbrain-merit report`: systems compared, with statistics.

Authors
 * The speechbrain-merit developers 2026
"""

import argparse
from pathlib import Path
from typing import Any

from tqdm import tqdm

from speechbrain_merit.experiments.report import (
    common_folds,
    find_runs,
    write_report,
)


def add_parser(commands: Any) -> None:
    """Adds the subcommand.

    Arguments
    ---------
    commands : Any
        What `ArgumentParser.add_subparsers` gave.

    Example
    -------
    >>> parser = argparse.ArgumentParser()
    >>> add_parser(parser.add_subparsers())
    >>> parser.parse_args(["report", "results/mini", "--out", "report"]).results
    ['results/mini']
    """
    parser = commands.add_parser(
        "report",
        help="compare systems: tables, significance, figures",
        description="Compares tested systems over folds and seeds, and writes "
        "tables in Markdown and LaTeX, figures as PNG and PDF, and one HTML "
        "page with everything.",
    )
    parser.set_defaults(run=run)
    add = parser.add_argument
    add(
        "results",
        nargs="+",
        metavar="RESULTS",
        help="output folders of train.py, or folders above them; NAME=FOLDER "
        "shows a system under another name",
    )
    add("--out", type=Path, required=True, help="folder to write")
    add(
        "--baseline",
        metavar="SYSTEM",
        help="test the others against this system for significance",
    )
    add(
        "--common_folds",
        action="store_true",
        help="leave out folds that a system was not tested on",
    )
    add(
        "--resamples",
        type=int,
        default=10000,
        help="test sets to draw for intervals (default: %(default)s)",
    )
    add(
        "--seed",
        type=int,
        default=0,
        help="seed of the drawing (default: %(default)s)",
    )


def run(arguments: argparse.Namespace) -> int:
    """Writes the report.

    Arguments
    ---------
    arguments : argparse.Namespace
        Of this subcommand.

    Returns
    -------
    int
        Exit status: zero.

    Raises
    ------
    FileNotFoundError
        If there are no results.
    ValueError
        If they cannot be compared.

    Example
    -------
    >>> run(argparse.Namespace(results=["nowhere"]))
    Traceback (most recent call last):
    ...
    FileNotFoundError: nowhere holds no results.json: give the output ...
    """
    runs = find_runs(arguments.results)
    if arguments.common_folds:
        runs = common_folds(runs)
    page = write_report(
        runs,
        arguments.out,
        arguments.baseline,
        arguments.resamples,
        arguments.seed,
    )
    tqdm.write(f"{len(runs)} runs compared in {page}")
    return 0
