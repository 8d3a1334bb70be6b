"""Published checkpoints as folders that our inference loads.

Authors
 * The speechbrain-merit developers 2026
"""

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from hyperpyyaml import load_hyperpyyaml, resolve_references

from speechbrain.dataio.encoder import CategoricalEncoder
from speechbrain_merit.export.card import imported_model_card
from speechbrain_merit.pretrained.folder import write_pretrained_folder

from .published_checkpoint import OfficialCheckpoint, read_official
from .published_files import EMOTION_HEAD
from .tensor_names import rename, sizes_of

GATES = ("sparse", "dense")
# The published order of the classes.
EMOTIONS = ("angry", "sad", "happy", "neutral")
_HYPERPARAMETERS = """\
sample_rate_hz: 16000
encoder_config: {}
mean: !PLACEHOLDER
std: !PLACEHOLDER
num_layers: !PLACEHOLDER
top_k: !PLACEHOLDER
router_learning: !PLACEHOLDER
num_experts: !PLACEHOLDER
expert_hidden_size: !PLACEHOLDER
feature_size: !PLACEHOLDER
mask_hidden_size: !PLACEHOLDER
emotion_hidden_size: !PLACEHOLDER
num_classes: !PLACEHOLDER
encoder: !new:speechbrain_merit.lobes.SpeechEncoder
    config: !ref <encoder_config>
    normalization: !new:speechbrain_merit.lobes.WaveformNormalization
        mode: corpus
        mean: !ref <mean>
        std: !ref <std>
model: !new:speechbrain_merit.lobes.JointModel
    encoder: !ref <encoder>
    integrator: !new:speechbrain_merit.lobes.SparseMoE
        num_layers: !ref <num_layers>
        input_size: !ref <encoder_config[hidden_size]>
        hidden_size: !ref <expert_hidden_size>
        output_size: !ref <feature_size>
        num_experts: !ref <num_experts>
        tasks: [enhance, emotion]
        top_k: !ref <top_k>
        router_learning: !ref <router_learning>
    frontend: !new:speechbrain_merit.lobes.SpectralFrontend
        n_fft: 400
        hop_length: 160
    enhancement_head: !new:speechbrain_merit.lobes.SpectralMaskHead
        feature_size: !ref <feature_size>
        num_bins: 201
        hidden_size: !ref <mask_hidden_size>
    emotion_head: !new:speechbrain_merit.lobes.EmotionHead
        pooling: !new:speechbrain_merit.lobes.AttentiveStatisticsPooling
            input_size: !ref <feature_size>
        num_classes: !ref <num_classes>
        hidden_size: !ref <emotion_hidden_size>
"""


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
    checkpoint = read_official(source)
    sizes = sizes_of(checkpoint.weights)
    num_classes = sizes["num_classes"]
    if not len(emotions) == len(set(emotions)) == num_classes:
        raise ValueError(
            f"{EMOTION_HEAD} scores {num_classes} emotions, but the names are "
            f"{', '.join(emotions)}: give one for each, in the order of the "
            "scores."
        )
    partial = destination.with_name(destination.name + ".partial")
    _write_model(
        partial, checkpoint, _settings(checkpoint, sizes, gate), emotions
    )
    card = imported_model_card(
        _name_of(source), gate, sizes["num_experts"], emotions, license
    )
    (partial / "README.md").write_text(card, encoding="utf-8")
    os.replace(partial, destination)


def _name_of(source: str | Path) -> str:
    """What others know it by: a folder's place says nothing to them."""
    path = Path(source)
    return path.resolve().name if path.is_dir() else str(source)


def _write_model(
    folder: Path,
    checkpoint: OfficialCheckpoint,
    settings: Mapping[str, Any],
    emotions: Sequence[str],
) -> None:
    text = resolve_references(_HYPERPARAMETERS, settings).getvalue()
    # Without weights of its own, so that those in the files need no copy.
    with torch.device("meta"):
        model = load_hyperpyyaml(text)["model"]
    normalization = model.encoder.normalization
    normalization.mean = torch.tensor(checkpoint.mean)
    normalization.std = torch.tensor(checkpoint.std)
    expected = {
        name: tensor
        for name, tensor in model.state_dict().items()
        if not name.startswith("encoder.normalization.")
    }
    model.load_state_dict(
        rename(expected, checkpoint.weights), strict=False, assign=True
    )
    labels = CategoricalEncoder()
    labels.update_from_iterable(emotions)
    folder.mkdir(parents=True, exist_ok=True)
    hyperparameters = folder / "hyperparams.yaml"
    hyperparameters.write_text(text, encoding="utf-8")
    write_pretrained_folder(folder, hyperparameters, model, labels)


def _settings(
    checkpoint: OfficialCheckpoint, sizes: Mapping[str, int], gate: str
) -> dict[str, Any]:
    config, dense = checkpoint.encoder_config, gate == "dense"
    return {
        "encoder_config": {"model_type": "wavlm", **config.to_diff_dict()},
        "num_layers": config.num_hidden_layers + 1,
        "mean": checkpoint.mean,
        "std": checkpoint.std,
        "top_k": sizes["num_experts"] if dense else 1,
        "router_learning": "probability" if dense else "straight_through",
        **sizes,
    }
