"""`speechbrain-merit sweep`: many systems, folds and seeds, one command.

Authors
 * The speechbrain-merit developers 2026
"""

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from tqdm import tqdm

from speechbrain.utils.logger import get_logger
from speechbrain_merit.config.corpora import DEFAULT_CORPUS
from speechbrain_merit.experiments.sweep import (
    Outcome,
    PlannedRun,
    Progress,
    Scheduler,
    parse_systems,
    plan_runs,
    read_spec,
    summary_text,
)
from speechbrain_merit.experiments.sweep.plan import as_arguments

logger = get_logger(__name__)

SUMMARY_FILE = "sweep.md"
# As shells have it after Ctrl-C.
INTERRUPTED = 130
_DESCRIPTION = """\
Trains and tests systems over folds and seeds, one after another or side by
side. A run that fails stops no other. What is finished is not run again: the
same command goes on after an interruption, and every run where it stopped.
Arguments after -- go to every run of train.py, such as --data_folder.
"""


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
    >>> arguments = ["sweep", "--variants", "se_only,ser_only", "--", "--lr=1"]
    >>> parsed = parser.parse_args(arguments)
    >>> parsed.variants, parsed.options
    (['se_only', 'ser_only'], ['--lr=1'])
    """
    parser = commands.add_parser(
        "sweep",
        help="train and test many systems, folds and seeds",
        description=_DESCRIPTION,
    )
    parser.set_defaults(run=run)
    add = parser.add_argument
    add(
        "options",
        nargs="*",
        metavar="-- OPTIONS",
        help="arguments of train.py for every run",
    )
    add(
        "--spec",
        type=Path,
        metavar="FILE",
        help="YAML with variants, folds, seeds, corpus and options; what is "
        "given here comes before it",
    )
    add("--variants", type=_listed, metavar="A,B", help="files of hparams")
    add("--folds", type=_listed, metavar="0,1", help="default: 0")
    add("--seeds", type=_listed, metavar="1,2", help="default: 1986")
    add("--corpus", help=f"folder of recipes (default: {DEFAULT_CORPUS})")
    add(
        "--out",
        type=Path,
        help="folder for the runs (default: results/CORPUS, as train.py has "
        "it)",
    )
    add(
        "--script",
        type=Path,
        default=Path("train.py"),
        help="train.py, beside its folder hparams (default: here)",
    )
    places = parser.add_mutually_exclusive_group()
    places.add_argument(
        "--devices",
        type=_listed,
        metavar="cuda:0,cuda:1",
        help="run as many side by side, one on each; name one twice to run "
        "two on it",
    )
    places.add_argument(
        "--jobs",
        type=int,
        default=1,
        metavar="N",
        help="run so many side by side, on what train.py takes by default",
    )
    add(
        "--dry_run",
        action="store_true",
        help="list what would be run, and run nothing",
    )


def _listed(text: str) -> list[str]:
    return [part.strip() for part in text.split(",") if part.strip()]


def run(arguments: argparse.Namespace) -> int:
    """Runs the sweep.

    Arguments
    ---------
    arguments : argparse.Namespace
        Of this subcommand.

    Returns
    -------
    int
        Exit status: one where a run has no results, 130 after an
        interruption, else zero.

    Raises
    ------
    FileNotFoundError
        If there is no such script or description.
    ValueError
        If the options do not make sense.

    Example
    -------
    >>> run(argparse.Namespace(script=Path("nowhere.py")))
    Traceback (most recent call last):
    ...
    FileNotFoundError: nowhere.py does not exist: run the command in the ...
    """
    if not arguments.script.is_file():
        raise FileNotFoundError(
            f"{arguments.script} does not exist: run the command in the "
            "project's folder, or name the script by --script."
        )
    slots = arguments.devices or [None] * arguments.jobs
    if not slots:
        raise ValueError("--jobs must be 1 or more.")
    runs, out = _plan(arguments)
    if arguments.dry_run:
        for planned in runs:
            state = "finished" if planned.is_finished else "to be run"
            tqdm.write(f"{planned.name}: {state}")
        return 0
    try:
        with Progress(len(runs)) as progress:
            outcomes = Scheduler(arguments.script, slots, progress).run(runs)
    except KeyboardInterrupt:
        logger.error("Interrupted: the same command goes on.")
        return INTERRUPTED
    return _conclude(outcomes, out)


def _plan(arguments: argparse.Namespace) -> tuple[list[PlannedRun], Path]:
    """Puts command line and description together."""
    spec = read_spec(arguments.spec) if arguments.spec else {}
    chosen = {
        key: getattr(arguments, key) or spec.get(key)
        for key in ("variants", "folds", "seeds", "corpus")
    }
    if not chosen["variants"]:
        raise ValueError("There is nothing to run: give --variants or --spec.")
    corpus = chosen["corpus"] or DEFAULT_CORPUS
    out = arguments.out or Path("results") / corpus
    runs = plan_runs(
        parse_systems(chosen["variants"]),
        list(dict.fromkeys(chosen["folds"] or ["0"])),
        list(dict.fromkeys(chosen["seeds"] or ["1986"])),
        corpus,
        out,
        arguments.script.parent / "hparams",
        # The last one of two counts.
        [*as_arguments(spec.get("options") or {}), *arguments.options],
    )
    return runs, out


def _conclude(outcomes: Sequence[Outcome], out: Path) -> int:
    """Says what became of the runs, and where to go from here."""
    text = summary_text(outcomes)
    out.mkdir(parents=True, exist_ok=True)
    (out / SUMMARY_FILE).write_text(text, encoding="utf-8")
    tqdm.write(f"\n{text}\nAlso in {out / SUMMARY_FILE}")
    missing = [o.run.name for o in outcomes if not o.is_good]
    if missing:
        logger.error(
            "%d of %d runs have no results; the same command tries them "
            "again: %s",
            len(missing),
            len(outcomes),
            ", ".join(missing),
        )
        return 1
    tqdm.write(
        f"Compare them by: speechbrain-merit report {out} --out "
        f"{out / 'report'} --baseline SYSTEM"
    )
    return 0
