"""Our models as files that the published code reads.

Authors
 * The speechbrain-merit developers 2026
"""

import os
from collections.abc import Mapping
from pathlib import Path

import torch
from hyperpyyaml import load_hyperpyyaml
from torch import nn

from speechbrain_merit.lobes import JointModel
from speechbrain_merit.pretrained.folder import (
    find_pretrained_folder,
    read_weights,
)

from . import files
from .encoder_config import to_official_config
from .exportable import check_exportable
from .extras import Extras, read_extras
from .layout import official_layout
from .scalar_pickle import write_mean_and_std

_NORMALIZATION = ("encoder.normalization.mean", "encoder.normalization.std")


def export_official(source: str | Path, destination: str | Path) -> None:
    """Writes a model in the published format.

    Of a model that `import_official` made, the tensors are those that it was
    given, under the same names. Of another, what the published files carry
    without using it is filled with ones and zeros. The files do not say
    whether the gates are sparse or dense, nor what the classes are, which
    stay in the model's order.

    Arguments
    ---------
    source : str or Path
        A pretrained folder, or an experiment's output folder. Reading it runs
        what its hyperparams.yaml says.
    destination : str or Path
        Folder to make.

    Raises
    ------
    FileNotFoundError
        If the source holds no model.
    ValueError
        If the destination exists, or the model is one that the published code
        cannot run.

    Example
    -------
    >>> export_official("nowhere", "official")
    Traceback (most recent call last):
    ...
    FileNotFoundError: nowhere holds no hyperparams.yaml: give the ...
    """
    folder = Path(find_pretrained_folder(source))
    destination = Path(destination)
    if destination.exists():
        raise ValueError(
            f"{destination} exists: remove it or choose another destination."
        )
    model = _skeleton(folder)
    check_exportable(model, source)
    weights = read_weights(folder)
    extras = read_extras(folder) or _extras_of(model, weights)
    contents = _rename(model, weights, extras, source)
    partial = destination.with_name(destination.name + ".partial")
    partial.mkdir(parents=True, exist_ok=True)
    for name, tensors in contents.items():
        torch.save({"model": tensors}, partial / name)
    pretraining = contents[files.ENCODER] if extras.encoder_weights else {}
    torch.save(
        {"cfg": extras.encoder_config, "model": pretraining},
        partial / files.ENCODER_CONFIG,
    )
    write_mean_and_std(partial / files.NORMALIZATION, extras.mean, extras.std)
    os.replace(partial, destination)


def _skeleton(folder: Path) -> nn.Module:
    """The model without its weights, which would take time and memory."""
    hyperparameters = folder / "hyperparams.yaml"
    if not hyperparameters.is_file():
        raise FileNotFoundError(
            f"{folder} holds no hyperparams.yaml: give the folder of an "
            "imported model, or of a finished experiment."
        )
    with hyperparameters.open(encoding="utf-8") as file, torch.device("meta"):
        return load_hyperpyyaml(file)["model"]


def _extras_of(
    model: JointModel, weights: Mapping[str, torch.Tensor]
) -> Extras:
    """What the published files hold beyond a model of our own."""
    config = model.encoder.config
    entries = official_layout(config, 0, "new")[files.ENHANCEMENT_HEAD]
    return Extras(
        encoder_config=to_official_config(config),
        encoder_weights=False,
        mean=weights["encoder.normalization.mean"].item(),
        std=weights["encoder.normalization.std"].item(),
        weight_norm="new",
        unused={
            name: torch.zeros(shape)
            if name.endswith("bias")
            else torch.ones(shape)
            for name, target, shape in entries
            if target is None
        },
    )


def _rename(
    model: JointModel,
    weights: Mapping[str, torch.Tensor],
    extras: Extras,
    source: str | Path,
) -> dict[str, dict[str, torch.Tensor]]:
    """Gives every tensor its published name and file."""
    num_experts = model.integrator.num_experts
    layout = official_layout(
        model.encoder.config, num_experts, extras.weight_norm
    )
    targets = {e.target for entries in layout.values() for e in entries}
    problems = [
        f"{name} has no place in the published files"
        for name in weights
        if name not in targets and name not in _NORMALIZATION
    ]
    known = {None, *weights}
    problems += [f"{target} is missing" for target in targets - known]
    if problems:
        raise ValueError(
            f"The weights of {source} are not those of the published system:\n"
            + "\n".join(sorted(problems))
        )
    return {
        file: {
            name: extras.unused[name] if target is None else weights[target]
            for name, target, _ in entries
        }
        for file, entries in layout.items()
    }
