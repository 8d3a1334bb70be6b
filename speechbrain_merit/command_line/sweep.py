"""`speechbrain-merit sweep`: many variants, folds and seeds, one command.

Authors
 * The speechbrain-merit developers 2026
"""

import datetime
import logging
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

from tqdm import tqdm

from .workers import WorkerDied, Workers

logger = logging.getLogger(__name__)

SUMMARY_FILE = "sweep.md"


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
    make_trainer = partial(
        sweep.Trainer, script, _listed(devices) or [None] * jobs
    )
    outcomes: dict[Path, Any] = {}
    try:
        with (
            Workers(
                make_trainer,
                count=len(_listed(devices)) or jobs,
                ray=ray,
                cpus=cpus,
                gpus=gpus,
                in_process=True,
            ) as workers,
            tqdm(total=len(runs), unit="run", disable=None) as bar,
        ):
            for chain, found in workers.map(sweep.chained(runs)):
                if isinstance(found, WorkerDied):
                    found = [
                        sweep.Outcome(run, "failed", 0, str(found))
                        for run in chain
                    ]
                for outcome in found:
                    outcomes[outcome.run.folder] = outcome
                    bar.write(_told(outcome))
                    bar.update()
    except KeyboardInterrupt:
        logger.error("Interrupted: the same command goes on.")
        return INTERRUPTED
    return _conclude([outcomes[run.folder] for run in runs], out)


def _told(outcome: Any) -> str:
    run, status, duration_s, reason = outcome
    duration = datetime.timedelta(seconds=round(duration_s))
    after = f" after {duration}" if duration else ""
    return f"{run.name}: {status}{after}" + (f" ({reason})" if reason else "")


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


def _conclude(outcomes: Sequence[Any], out: Path) -> int:
    """Says what became of the runs, and where to go from here."""
    from speechbrain_merit.metrics.results_table import markdown_text

    told = [_told(outcome) for outcome in outcomes]
    text = "".join(f"- {markdown_text(line)}\n" for line in told)
    out.mkdir(parents=True, exist_ok=True)
    (out / SUMMARY_FILE).write_text(text, encoding="utf-8")
    tqdm.write("\n".join(["", *told, f"Also in {out / SUMMARY_FILE}"]))
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
