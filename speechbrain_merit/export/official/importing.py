"""Published checkpoints as folders that our inference loads.

Authors
 * The speechbrain-merit developers 2026
"""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from hyperpyyaml import load_hyperpyyaml
from transformers import WavLMConfig

from speechbrain.dataio.encoder import CategoricalEncoder
from speechbrain_merit.data.atomic_write import atomic_write
from speechbrain_merit.export.card import TEMPLATES, imported_model_card
from speechbrain_merit.pretrained.encoder_settings import own_settings
from speechbrain_merit.pretrained.folder import write_pretrained_folder
from speechbrain_merit.pretrained.safe_loading import no_more_parameters_than

from . import published_files as files
from .encoder_config import from_official_config
from .scalar_pickle import read_mean_and_std
from .tensor_names import Weights, rename, sizes_of
from .weight_files import read_checkpoint, read_state_dict

GATES = ("sparse", "dense")
# The published order of the classes.
EMOTIONS = ("angry", "sad", "happy", "neutral")


def import_official(
    source: str | Path,
    destination: str | Path,
    gate: str = "sparse",
    emotions: Sequence[str] = EMOTIONS,
    license: str = "other",
) -> None:
    """Makes a pretrained folder of a published checkpoint.

    No tensor is changed, and all are accounted for; those that the published
    code carries along without using them are left out. Nothing of the files
    is run.

    Arguments
    ---------
    source : str or Path
        A folder, or the model hub's name of one, see `find_official_files`.
    destination : str or Path
        Folder to make.
    gate : str
        `sparse`: a frame goes to the expert of the highest score, with weight
        1. `dense`: through all experts, weighted by the softmax of the
        scores. The tensors of both are the same, so that the files do not
        tell which of them they were trained as.
    emotions : sequence of str
        Names of the classes in the order of the files, which do not name
        them.
    license : str
        The hub's identifier of the licence of the weights, for the card.

    Raises
    ------
    FileNotFoundError
        If the source cannot be had, or lacks files.
    ValueError
        If the destination exists, a file is refused, tensors are unknown,
        missing or misshapen, the number of classes is another, or the gate is
        unknown.

    Example
    -------
    >>> import_official(str(getfixture("tmpdir")), "imported")
    Traceback (most recent call last):
    ...
    FileNotFoundError: ... lacks final_ssl.pt, ...
    """
    destination = Path(destination)
    if destination.exists():
        raise ValueError(
            f"{destination} exists: remove it or choose another destination."
        )
    if gate not in GATES:
        raise ValueError(f"Unknown gate {gate!r}: use one of {GATES}.")
    paths = files.find_official_files(source)
    official_config = read_checkpoint(paths[files.ENCODER_CONFIG]).get("cfg")
    if not isinstance(official_config, Mapping):
        raise ValueError(
            f"{paths[files.ENCODER_CONFIG]} holds no configuration under 'cfg'."
        )
    config = from_official_config(official_config)
    mean_and_std = read_mean_and_std(paths[files.NORMALIZATION])
    weights = {name: read_state_dict(paths[name]) for name in files.WEIGHTS}
    sizes = sizes_of(weights)
    num_classes = sizes["num_classes"]
    if not len(emotions) == len(set(emotions)) == num_classes:
        raise ValueError(
            f"{files.EMOTION_HEAD} scores {num_classes} emotions, but the names are "
            f"{', '.join(emotions)}: give one for each, in the order of the "
            "scores."
        )
    card = imported_model_card(
        _name_of(source), gate, sizes["num_experts"], emotions, license
    )
    with atomic_write(destination) as partial:
        settings = _settings(config, mean_and_std, sizes, gate)
        _write_model(partial, settings, weights, emotions)
        (partial / "README.md").write_text(card, encoding="utf-8")


def _name_of(source: str | Path) -> str:
    """What others know it by: a folder's place says nothing to them."""
    path = Path(source)
    return path.resolve().name if path.is_dir() else str(source)


def _write_model(
    folder: Path,
    settings: Mapping[str, Any],
    weights: Weights,
    emotions: Sequence[str],
) -> None:
    template = TEMPLATES.get_template("imported_model.yaml.jinja")
    text = template.render(settings)
    # Without weights of its own, so that those in the files need no copy.
    num_tensors = sum(map(len, weights.values()))
    with torch.device("meta"), no_more_parameters_than(num_tensors):
        model = load_hyperpyyaml(text)["model"]
    normalization = "encoder.normalization."
    expected = {
        name: tensor
        for name, tensor in model.state_dict().items()
        if not name.startswith(normalization)
    }
    ours = rename(expected, weights)
    for name in ("mean", "std"):
        ours[normalization + name] = torch.tensor(settings[name])
    model.load_state_dict(ours, assign=True)
    labels = CategoricalEncoder()
    labels.update_from_iterable(emotions)
    folder.mkdir(parents=True, exist_ok=True)
    hyperparameters = folder / "hyperparams.yaml"
    hyperparameters.write_text(text, encoding="utf-8")
    write_pretrained_folder(folder, hyperparameters, model, labels)


def _settings(
    config: WavLMConfig,
    mean_and_std: tuple[float, float],
    sizes: Mapping[str, int],
    gate: str,
) -> dict[str, Any]:
    dense = gate == "dense"
    return {
        # JSON is YAML.
        "encoder_config": json.dumps(own_settings(config)),
        "width": config.hidden_size,
        "num_layers": config.num_hidden_layers + 1,
        **dict(zip(("mean", "std"), mean_and_std, strict=True)),
        "top_k": sizes["num_experts"] if dense else 1,
        "router_learning": "probability" if dense else "straight_through",
        **sizes,
    }
