"""`speechbrain-merit sweep`: many variants, folds and seeds, one command.

Authors
 * The speechbrain-merit developers 2026
"""

import logging
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

from tqdm import tqdm

from .workers import WorkerDied, Workers

logger = logging.getLogger(__name__)


def run(
    options: Sequence[str] = (),
    *,
    spec: Path | None = None,
    variants: str | None = None,
    folds: str | None = None,
    seeds: str | None = None,
    corpus: str | None = None,
    out: Path | None = None,
    script: Path = Path("train.py"),
    devices: str | None = None,
    jobs: int = 1,
    ray: str | None = None,
    cpus: float = 1.0,
    gpus: float = 0.0,
    dry_run: bool = False,
) -> int:
    """Trains and tests variants over folds and seeds.

    This goes one after another, or side by side. A run that fails stops no
    other. What is finished is not run again: the same command goes on after
    an interruption, and every run where it stopped.

    Arguments
    ---------
    options : sequence of str
        Arguments of train.py for every run, after --, such as --data_folder.
    spec : Path, optional
        YAML with variants, folds, seeds, corpus and options; what is given
        here comes before it.
    variants : str, optional
        Files of hparams, such as se_only,ser_only.
    folds : str, optional
        Such as 0,1; 0 by default.
    seeds : str, optional
        Such as 1,2; 1986 by default.
    corpus : str, optional
        Folder of recipes; mini by default.
    out : Path, optional
        Folder for the runs; results/CORPUS, as train.py has it, by default.
    script : Path
        train.py, beside its folder hparams; the one in this folder by default.
    devices : str, optional
        Such as cuda:0,cuda:1: run as many side by side, one on each; name one
        twice to run two on it.
    jobs : int
        Run so many side by side, on what train.py takes by default.
    ray : str, optional
        Address of a Ray cluster to run them on, such as auto.
    cpus : float
        Cores of each run on Ray.
    gpus : float
        GPUs of each run on Ray.
    dry_run : bool
        List what would be run, and run nothing.

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
    >>> run(script=Path("nowhere.py"))
    Traceback (most recent call last):
    ...
    FileNotFoundError: nowhere.py does not exist: run the command in the ...
    """
    if not script.is_file():
        raise FileNotFoundError(
            f"{script} does not exist: run the command in the project's "
            "folder, or name the script by --script."
        )
    if jobs < 1 or (devices and jobs > 1):
        raise ValueError("Give --jobs of 1 or more, or --devices, not both.")
    if variants is None and spec is None:
        raise ValueError("There is nothing to run: give --variants or --spec.")
    # Here, so that its help and mistakes do not wait for PyTorch.
    from speechbrain_merit.experiments import sweep
    from speechbrain_merit.experiments.sweep.plan import as_arguments
    from speechbrain_merit.training.faults import INTERRUPTED

    chosen = _chosen(spec, variants, folds, seeds, corpus)
    out = out or Path("results") / chosen["corpus"]
    runs = sweep.plan_runs(
        sweep.parse_variants(chosen["variants"]),
        list(dict.fromkeys(chosen["folds"])),
        list(dict.fromkeys(chosen["seeds"])),
        chosen["corpus"],
        out,
        script.parent / "hparams",
        # The last one of two counts.
        [*as_arguments(chosen["options"]), *options],
    )
    if dry_run:
        for planned in runs:
            state = "finished" if planned.is_finished else "to be run"
            tqdm.write(f"{planned.name}: {state}")
        return 0
    places: list[str | None] = [*_listed(devices)] or [None] * jobs
    make_trainer = partial(sweep.Trainer, script, places)
    where: Any = {"ray": ray, "cpus": cpus, "gpus": gpus, "in_process": True}
    missing = []
    try:
        with (
            Workers(make_trainer, len(places), **where) as workers,
            tqdm(total=len(runs), unit="run", disable=None) as bar,
        ):
            for chain, found in workers.map(sweep.chained(runs)):
                if isinstance(found, WorkerDied):
                    found = [sweep.Outcome(r, reason=str(found)) for r in chain]
                for outcome in found:
                    bar.write(outcome.text)
                    bar.update()
                    missing += [] if outcome.is_good else [outcome.run.name]
    except KeyboardInterrupt:
        logger.error("Interrupted: the same command goes on.")
        return INTERRUPTED
    return _conclude(missing, len(runs), out)


def _chosen(
    spec: Path | None,
    variants: str | None,
    folds: str | None,
    seeds: str | None,
    corpus: str | None,
) -> dict[str, Any]:
    """Puts command line, description and defaults together."""
    from speechbrain_merit.config.corpora import DEFAULT_CORPUS
    from speechbrain_merit.experiments.sweep import read_spec

    chosen: dict[str, Any] = {"folds": ["0"], "seeds": ["1986"], "options": {}}
    chosen["corpus"] = DEFAULT_CORPUS
    given = {
        "variants": _listed(variants),
        "folds": _listed(folds),
        "seeds": _listed(seeds),
        "corpus": corpus,
    }
    for values in (read_spec(spec) if spec else {}, given):
        chosen.update((key, value) for key, value in values.items() if value)
    if "variants" not in chosen:
        raise ValueError("There is nothing to run: give --variants or --spec.")
    return chosen


def _listed(text: str | None) -> list[str]:
    parts = (text or "").split(",")
    return [part.strip() for part in parts if part.strip()]


def _conclude(missing: Sequence[str], num_runs: int, out: Path) -> int:
    """Says which runs have no results, and where to go from here."""
    if missing:
        logger.error(
            "%d of %d runs have no results; the same command tries them "
            "again: %s",
            len(missing),
            num_runs,
            ", ".join(missing),
        )
        return 1
    tqdm.write(
        f"Compare them by: speechbrain-merit report {out} --out "
        f"{out / 'report'} --baseline SYSTEM"
    )
    return 0
