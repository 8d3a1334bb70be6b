"""`speechbrain-merit export`: a trained model as a folder to hand on.

Authors
 * The speechbrain-merit developers 2026
"""

import argparse
import json
import os
import shutil
from pathlib import Path
from typing import Any

import ruamel.yaml

from speechbrain.utils.logger import get_logger
from speechbrain_merit.export.card import trained_model_card
from speechbrain_merit.inference import JointEnhancementClassifier
from speechbrain_merit.pretrained.folder import use_plain_weights
from speechbrain_merit.pretrained.plain import write_plain_folder

logger = get_logger(__name__)


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
    >>> parser.parse_args(["export", "results/run", "model"]).destination
    PosixPath('model')
    """
    parser = commands.add_parser(
        "export",
        help="make a folder with a trained model and its card",
        description="Makes a folder of a finished experiment's model and a "
        "model card, from which the model loads without the experiment.",
    )
    parser.set_defaults(run=run)
    add = parser.add_argument
    add("experiment", type=Path, help="output folder of train.py")
    add("destination", type=Path, help="folder to make")
    add(
        "--license",
        default="other",
        help="the hub's identifier of the licence of the weights, which the "
        "training data have a say in, e.g. cc-by-nc-sa-4.0 (default: "
        "%(default)s)",
    )
    add(
        "--half_precision",
        action="store_true",
        help="store the weights as float16: half the size",
    )


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
        If the experiment is not finished.
    ValueError
        If the destination exists.

    Example
    -------
    >>> run(argparse.Namespace(experiment=Path("no"), destination=Path("to")))
    Traceback (most recent call last):
    ...
    FileNotFoundError: no lacks pretrained/hyperparams.yaml: give the ...
    """
    experiment, destination = arguments.experiment, arguments.destination
    for name in ("pretrained/hyperparams.yaml", "results.json"):
        if not (experiment / name).is_file():
            raise FileNotFoundError(
                f"{experiment} lacks {name}: give the output folder of a "
                "finished experiment."
            )
    if destination.exists():
        raise ValueError(
            f"{destination} exists: remove it or choose another destination."
        )
    results = json.loads((experiment / "results.json").read_text("utf-8"))
    card = trained_model_card(
        results, _encoder_name(experiment), arguments.license
    )
    partial = destination.with_name(destination.name + ".partial")
    shutil.copytree(
        experiment / "pretrained",
        partial,
        ignore=shutil.ignore_patterns("*.partial"),
        dirs_exist_ok=True,
    )
    _add_plain_files(partial, arguments.half_precision)
    (partial / "README.md").write_text(card, encoding="utf-8")
    os.replace(partial, destination)
    return 0


def _add_plain_files(folder: Path, half_precision: bool) -> None:
    """Puts the weights in the form that loads without running anything."""
    model = JointEnhancementClassifier.from_hparams(
        folder, run_opts={"device": "cpu"}
    )
    try:
        write_plain_folder(
            folder,
            model.mods.model,
            model.emotions,
            model.hparams.sample_rate_hz,
            half_precision,
        )
    except ValueError as error:
        logger.warning(
            "%s The folder can be loaded by from_hparams, not by from_plain, "
            "and is in full precision.",
            error,
        )
    else:
        use_plain_weights(folder)


def _encoder_name(experiment: Path) -> str | None:
    """What the encoder was before training; None if it was random."""
    path = experiment / "hyperparams.yaml"
    if not path.is_file():
        return None
    hyperparameters = ruamel.yaml.YAML().load(path.read_text("utf-8"))
    source = hyperparameters.get("encoder_source")
    if source is None:
        return None
    path = Path(source)
    # A folder's place says nothing to others.
    return path.name if path.is_absolute() or path.exists() else source
