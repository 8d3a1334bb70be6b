"""`speechbrain-merit export-official`: a model as the published code reads it.

Authors
 * The speechbrain-merit developers 2026
"""

import argparse
from pathlib import Path
from typing import Any

from speechbrain_merit.export.official import export_official


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
    >>> parser.parse_args(["export-official", "model", "files"]).destination
    PosixPath('files')
    """
    parser = commands.add_parser(
        "export-official",
        help="write a model in the format of the published code",
        description="Writes an imported model, or one trained here that is "
        "built as the paper's, in the format of the code published with it.",
    )
    parser.set_defaults(run=run)
    add = parser.add_argument
    add(
        "source",
        type=Path,
        help="folder of an imported or exported model, or output folder of "
        "train.py",
    )
    add("destination", type=Path, help="folder to make")


def run(arguments: argparse.Namespace) -> int:
    """Exports the model.

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
        If the source holds no model.
    ValueError
        If the published code cannot run it, or the destination exists.

    Example
    -------
    >>> run(argparse.Namespace(source=Path("no"), destination=Path("to")))
    Traceback (most recent call last):
    ...
    FileNotFoundError: no holds no hyperparams.yaml: give the folder ...
    """
    export_official(arguments.source, arguments.destination)
    return 0
