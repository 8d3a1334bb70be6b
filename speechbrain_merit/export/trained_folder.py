"""A finished experiment's model as a folder to hand on.

Authors
 * The speechbrain-merit developers 2026
"""

import json
from pathlib import Path

import ruamel.yaml

from speechbrain_merit.data.atomic_write import atomic_write
from speechbrain_merit.pretrained.folder import copy_pretrained_folder

from .card import trained_model_card


def export_experiment(
    experiment: Path, destination: Path, license: str, half_precision: bool
) -> None:
    """Makes a folder with the model and its card.

    Arguments
    ---------
    experiment : Path
        Output folder of train.py.
    destination : Path
        Folder to make.
    license : str
        The hub's identifier of the licence of the weights.
    half_precision : bool
        Whether to store the weights as float16.

    Raises
    ------
    FileNotFoundError
        If the experiment is not finished.
    ValueError
        If the destination exists, or a weight exceeds half precision.

    Example
    -------
    >>> export_experiment(Path("nowhere"), Path("to"), "mit", False)
    Traceback (most recent call last):
    ...
    FileNotFoundError: nowhere lacks pretrained/hyperparams.yaml: give the ...
    """
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
    card = trained_model_card(results, _encoder_name(experiment), license)
    with atomic_write(destination) as partial:
        copy_pretrained_folder(
            experiment / "pretrained", partial, half_precision
        )
        (partial / "README.md").write_text(card, encoding="utf-8")


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
