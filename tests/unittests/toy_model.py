"""A joint model of random weights as a folder, without training.

Authors
 * The speechbrain-merit developers 2026
"""

from collections.abc import Sequence
from pathlib import Path
from types import SimpleNamespace

import torch
from hyperpyyaml import load_hyperpyyaml, resolve_references

from speechbrain.dataio.encoder import CategoricalEncoder
from speechbrain_merit.inference import JointEnhancementClassifier
from speechbrain_merit.lobes import JointModel
from speechbrain_merit.lobes.lengths import step_mask
from speechbrain_merit.pretrained.folder import write_pretrained_folder

EMOTIONS = ["angry", "sad", "happy", "neutral"]
# One group of 16 channels: see `test_precision.py` for fewer.
_ENCODER = """\
sample_rate_hz: 16000
encoder_source: null
encoder: !new:speechbrain_merit.lobes.SpeechEncoder
    config:
        model_type: wavlm
        feat_extract_norm: layer
        do_stable_layer_norm: True
        hidden_size: 16
        num_hidden_layers: 2
        num_attention_heads: 2
        intermediate_size: 24
        conv_dim: [8, 8, 8, 8, 8, 8, 8]
        num_conv_pos_embeddings: 8
        num_conv_pos_embedding_groups: 1
    normalization: !new:speechbrain_merit.lobes.WaveformNormalization
        mode: {normalization}
model: !new:speechbrain_merit.lobes.JointModel
    encoder: !ref <encoder>
    integrator: !new:speechbrain_merit.lobes.SparseMoE
        num_layers: 3
        input_size: 16
        output_size: 12
    frontend: !new:speechbrain_merit.lobes.SpectralFrontend
"""
_HEADS = {
    "enhance": """\
    enhancement_head: !new:speechbrain_merit.lobes.SpectralMaskHead
        feature_size: 12
        hidden_size: 16
""",
    "emotion": """\
    emotion_head: !new:speechbrain_merit.lobes.EmotionHead
        pooling: !new:speechbrain_merit.lobes.AttentiveStatisticsPooling
            input_size: 12
        num_classes: 4
        hidden_size: 16
""",
}


def write_experiment(
    folder: Path,
    normalization: str = "none",
    tasks: Sequence[str] = ("enhance", "emotion"),
) -> JointModel:
    """Writes what train.py leaves: hyperparameters and a trained model.

    Arguments
    ---------
    folder : Path
        For the experiment.
    normalization : str
        Of the waveform.
    tasks : sequence of str
        Of the model.

    Returns
    -------
    JointModel
        The model, for comparison.
    """
    text = _ENCODER.format(normalization=normalization)
    text += "".join(_HEADS[task] for task in tasks)
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "hyperparams.yaml").write_text(
        resolve_references(text).getvalue()
    )
    with torch.random.fork_rng():
        torch.manual_seed(0)
        model = load_hyperpyyaml(text)["model"].eval()
    labels = CategoricalEncoder()
    labels.update_from_iterable(EMOTIONS)
    write_pretrained_folder(
        folder / "pretrained", folder / "hyperparams.yaml", model, labels
    )
    return model


def take_all_for_speech(model: JointEnhancementClassifier) -> None:
    """Lets a model take made-up noise for speech.

    Arguments
    ---------
    model : JointEnhancementClassifier
        Changed in place.
    """

    def frames(waveform, counts, frame_size):
        return step_mask(counts, int(counts.max()))

    model.speech_detector = SimpleNamespace(frames=frames)
