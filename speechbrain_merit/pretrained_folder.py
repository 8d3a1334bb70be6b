"""Writing a trained model as a folder that `from_hparams` loads.

Authors
 * The speechbrain-merit developers 2026
"""

import os
from pathlib import Path

import ruamel.yaml
import torch
from hyperpyyaml import load_hyperpyyaml

from speechbrain.dataio.encoder import CategoricalEncoder
from speechbrain_merit.lobes import JointModel
from speechbrain_merit.lobes.joint_model import EMOTION, ENHANCE

_LOAD_MODEL = "!apply:speechbrain_merit.pretrained_folder.load_model"
_HEADER = "# A trained model and its labels, without its training.\n"
_MODULES = """
modules:
    model: !ref <model>
"""
# What SpeechBrain's EncoderClassifier and WaveformEnhancement look for.
_ADAPTERS = "speechbrain_merit.inference.stock_adapters"
_STOCK_MODULES = {
    EMOTION: f"""\
    compute_features: !new:torch.nn.Identity
    mean_var_norm: !new:{_ADAPTERS}.UnchangedFeatures
    embedding_model: !new:{_ADAPTERS}.EmotionEmbedding
        model: !ref <model>
    classifier: !new:{_ADAPTERS}.EmotionScores
        model: !ref <model>
""",
    ENHANCE: f"""\
    enhance_model: !new:{_ADAPTERS}.WaveformEnhancer
        model: !ref <model>
""",
}
_LOADING = """
audio_normalizer: !new:speechbrain.dataio.preprocess.AudioNormalizer
    sample_rate: !ref <sample_rate_hz>
label_encoder: !new:speechbrain.dataio.encoder.CategoricalEncoder
pretrainer: !new:speechbrain.utils.parameter_transfer.Pretrainer
    loadables:
        model: !ref <model>
        label_encoder: !ref <label_encoder>
"""


def write_pretrained_folder(
    folder: str | Path,
    hyperparameters: str | Path,
    model: JointModel,
    label_encoder: CategoricalEncoder,
) -> None:
    r'''Writes hyperparams.yaml, model.ckpt and label_encoder.ckpt.

    The encoder's configuration goes into the YAML, its weights into the
    checkpoint: loading the folder touches neither a network nor the place
    that the encoder came from. SpeechBrain's own `EncoderClassifier` and
    `WaveformEnhancement` load the folder as well as
    `JointEnhancementClassifier` does, for the tasks that the model has.

    Arguments
    ---------
    folder : str or Path
        Where to write.
    hyperparameters : str or Path
        The experiment's resolved hyperparams.yaml.
    model : JointModel
        The trained model.
    label_encoder : CategoricalEncoder
        Its classes.

    Example
    -------
    >>> from hyperpyyaml import load_hyperpyyaml, resolve_references
    >>> folder = Path(getfixture("tmpdir"))
    >>> text = """
    ... sample_rate_hz: 16000
    ... encoder: !new:speechbrain_merit.lobes.SpeechEncoder
    ...     config: {model_type: wavlm, num_hidden_layers: 1, hidden_size: 16,
    ...         num_attention_heads: 2, num_conv_pos_embedding_groups: 2}
    ... model: !new:speechbrain_merit.lobes.JointModel
    ...     encoder: !ref <encoder>
    ...     integrator: !new:speechbrain_merit.lobes.SparseMoE
    ...         num_layers: 2
    ...         input_size: 16
    ...         output_size: 8
    ...     frontend: !new:speechbrain_merit.lobes.SpectralFrontend
    ...     enhancement_head: !new:speechbrain_merit.lobes.SpectralMaskHead
    ...         feature_size: 8
    ... """
    >>> resolved = resolve_references(text).getvalue()
    >>> _ = (folder / "hyperparams.yaml").write_text(resolved)
    >>> model = load_hyperpyyaml(text)["model"]
    >>> labels = CategoricalEncoder()
    >>> labels.update_from_iterable(["angry", "sad"])
    >>> write_pretrained_folder(
    ...     folder / "pretrained", folder / "hyperparams.yaml", model, labels
    ... )
    >>> sorted(path.name for path in (folder / "pretrained").iterdir())
    ['hyperparams.yaml', 'label_encoder.ckpt', 'model.ckpt']
    '''
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    yaml = ruamel.yaml.YAML()
    experiment = yaml.load(Path(hyperparameters).read_text(encoding="utf-8"))
    encoder = experiment["encoder"]
    encoder["source"] = None
    encoder["config"] = _encoder_config(model)
    _inline_models(experiment["model"], yaml)
    # Weights are loaded and then left alone, whatever was trained.
    kept = {"sample_rate_hz": experiment["sample_rate_hz"]}
    kept["model"] = experiment["model"]
    partial = folder / "hyperparams.yaml.partial"
    with partial.open("w", encoding="utf-8") as file:
        file.write(_HEADER)
        yaml.dump(kept, file)
        file.write(_MODULES)
        file.writelines(_STOCK_MODULES[task] for task in model.tasks)
        file.write(_LOADING)
    torch.save(model.state_dict(), folder / "model.ckpt.partial")
    os.replace(folder / "model.ckpt.partial", folder / "model.ckpt")
    # The name under which a Pretrainer looks for it beside the YAML.
    label_encoder.save(folder / "label_encoder.ckpt")
    os.replace(partial, folder / "hyperparams.yaml")


def find_pretrained_folder(source: str | Path) -> str:
    """Finds what to load of an experiment.

    Arguments
    ---------
    source : str or Path
        An experiment's output folder, or anything else that a model can be
        loaded from.

    Returns
    -------
    str
        The experiment's `pretrained` folder; anything else as it is.

    Example
    -------
    >>> find_pretrained_folder("organisation/model")
    'organisation/model'
    """
    pretrained = Path(source) / "pretrained"
    found = (pretrained / "hyperparams.yaml").is_file()
    return str(pretrained if found else source)


def load_model(folder: str | Path) -> JointModel:
    """Loads the model of such a folder, as a part of another one.

    Arguments
    ---------
    folder : str or Path
        What `write_pretrained_folder` wrote. Loading runs what its
        hyperparams.yaml says.

    Returns
    -------
    JointModel
        With its weights.

    Raises
    ------
    FileNotFoundError
        If the folder does not hold a model.

    Example
    -------
    >>> load_model("nowhere")
    Traceback (most recent call last):
    ...
    FileNotFoundError: nowhere holds no hyperparams.yaml: give the ...
    """
    hyperparameters = Path(folder) / "hyperparams.yaml"
    if not hyperparameters.is_file():
        raise FileNotFoundError(
            f"{folder} holds no hyperparams.yaml: give the 'pretrained' "
            "folder of a finished experiment."
        )
    with hyperparameters.open(encoding="utf-8") as file:
        model = load_hyperpyyaml(file)["model"]
    weights = torch.load(
        Path(folder) / "model.ckpt", map_location="cpu", weights_only=True
    )
    model.load_state_dict(weights)
    return model


def load_emotions(folder: str | Path) -> list[str]:
    """Loads the names of the emotions of such a folder's model.

    Arguments
    ---------
    folder : str or Path
        What `write_pretrained_folder` wrote.

    Returns
    -------
    list of str
        In the order of the logits.

    Example
    -------
    >>> folder = Path(getfixture("tmpdir"))
    >>> encoder = CategoricalEncoder()
    >>> encoder.update_from_iterable(["angry", "sad"])
    >>> encoder.save(folder / "label_encoder.ckpt")
    >>> load_emotions(folder)
    ['angry', 'sad']
    """
    encoder = CategoricalEncoder()
    encoder.load(Path(folder) / "label_encoder.ckpt")
    return [encoder.ind2lab[index] for index in sorted(encoder.ind2lab)]


def _inline_models(node: object, yaml: ruamel.yaml.YAML) -> None:
    """Puts the definitions of models in place of calls of `load_model`."""
    if not isinstance(node, dict):
        return
    for key, value in node.items():
        if getattr(getattr(value, "tag", None), "value", None) == _LOAD_MODEL:
            source = Path(value[0]) / "hyperparams.yaml"
            text = source.read_text(encoding="utf-8")
            node[key] = yaml.load(text)["model"]
        else:
            _inline_models(value, yaml)


def _encoder_config(model: JointModel) -> dict:
    config = model.encoder.config
    return {"model_type": config.model_type, **config.to_diff_dict()}
