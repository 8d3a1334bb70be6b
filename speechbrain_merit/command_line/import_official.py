"""`speechbrain-merit import-official`: a published checkpoint as our folder.

Authors
 * The speechbrain-merit developers 2026
"""

import argparse
from pathlib import Path
from typing import Any

from speechbrain_merit.export.official import import_official
from speechbrain_merit.export.official.importing import EMOTIONS, GATES


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
    >>> parser.parse_args(["import-official", "author/model", "model"]).gate
    'sparse'
    """
    parser = commands.add_parser(
        "import-official",
        help="make a folder of a checkpoint that the authors published",
        description="Makes a folder, from which the model loads here, of a "
        "checkpoint in the format of the code published with the paper.",
    )
    parser.set_defaults(run=run)
    add = parser.add_argument
    add("source", help="folder with the published files, or its hub name")
    add("destination", type=Path, help="folder to make")
    add(
        "--gate",
        choices=GATES,
        default="sparse",
        help="one expert for every frame, or all of them; the files of both "
        "look the same (default: %(default)s)",
    )
    add(
        "--emotions",
        nargs="+",
        default=list(EMOTIONS),
        metavar="NAME",
        help="names of the classes in the order of the files, which do not "
        f"name them (default: {' '.join(EMOTIONS)})",
    )
    add(
        "--license",
        default="other",
        help="the hub's identifier of the licence of the weights (default: "
        "%(default)s)",
    )


def run(arguments: argparse.Namespace) -> int:
    """Imports the checkpoint.

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
        If the source cannot be had, or lacks files.
    ValueError
        If something in it is not as published, or the destination exists.

    Example
    -------
    >>> parser = argparse.ArgumentParser()
    >>> add_parser(parser.add_subparsers())
    >>> empty = str(getfixture("tmpdir"))
    >>> run(parser.parse_args(["import-official", empty, "model"]))
    Traceback (most recent call last):
    ...
    FileNotFoundError: ... lacks final_ssl.pt, ...
    """
    import_official(
        arguments.source,
        arguments.destination,
        arguments.gate,
        arguments.emotions,
        arguments.license,
    )
    return 0
