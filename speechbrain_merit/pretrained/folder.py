"""Writing a trained model as a folder that `from_hparams` loads.

Authors
 * The speechbrain-merit developers 2026
"""

import os
from pathlib import Path
from typing import Any

import ruamel.yaml
import safetensors.torch
import torch
from hyperpyyaml import load_hyperpyyaml

from speechbrain.dataio.encoder import CategoricalEncoder
from speechbrain_merit.lobes import JointModel
from speechbrain_merit.lobes.joint_model import EMOTION, ENHANCE
from speechbrain_merit.pretrained.plain.folder import WEIGHTS

_PICKLE = "model.ckpt"
_LOAD_MODEL = "!apply:speechbrain_merit.pretrained.folder.load_model"
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
_PRETRAINER = "!new:speechbrain.utils.parameter_transfer.Pretrainer"
_PLAIN_PRETRAINER = "!new:speechbrain_merit.pretrained.plain.PlainPretrainer"


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
    # As the rest of the file is.
    yaml.indent(mapping=4)
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
    torch.save(model.state_dict(), folder / f"{_PICKLE}.partial")
    os.replace(folder / f"{_PICKLE}.partial", folder / _PICKLE)
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


def use_plain_weights(folder: str | Path) -> None:
    """Lets hyperparams.yaml load model.safetensors, and drops model.ckpt.

    Arguments
    ---------
    folder : str or Path
        What `write_pretrained_folder` and `write_plain_folder` wrote.

    Example
    -------
    >>> folder = Path(getfixture("tmpdir"))
    >>> name = "!new:speechbrain.utils.parameter_transfer.Pretrainer"
    >>> path = folder / "hyperparams.yaml"
    >>> _ = path.write_text(f"pretrainer: {name}")
    >>> use_plain_weights(folder)
    >>> path.read_text()
    'pretrainer: !new:speechbrain_merit.pretrained.plain.PlainPretrainer'
    """
    path = Path(folder) / "hyperparams.yaml"
    text = path.read_text(encoding="utf-8")
    text = text.replace(_PRETRAINER, _PLAIN_PRETRAINER)
    path.write_text(text, encoding="utf-8")
    (Path(folder) / _PICKLE).unlink(missing_ok=True)


def read_weights(folder: str | Path) -> dict[str, torch.Tensor]:
    """Reads the weights of such a folder, in whichever form it has them.

    Arguments
    ---------
    folder : str or Path
        What `write_pretrained_folder` or `speechbrain-merit export` wrote.

    Returns
    -------
    dict of str to torch.Tensor
        By their names in the model.

    Raises
    ------
    FileNotFoundError
        If the folder has no weights.

    Example
    -------
    >>> read_weights("nowhere")
    Traceback (most recent call last):
    ...
    FileNotFoundError: nowhere holds neither model.ckpt nor model.safeten...
    """
    pickle, plain = Path(folder) / _PICKLE, Path(folder) / WEIGHTS
    if pickle.is_file():
        return torch.load(pickle, map_location="cpu", weights_only=True)
    if plain.is_file():
        return safetensors.torch.load_file(plain)
    raise FileNotFoundError(
        f"{folder} holds neither {_PICKLE} nor {WEIGHTS}: give the "
        "'pretrained' folder of a finished experiment, or an exported one."
    )


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
    model = load_hyperpyyaml(_read_hyperparameters(folder))["model"]
    model.load_state_dict(read_weights(folder))
    return model


def read_encoder_config(folder: str | Path) -> dict[str, Any]:
    """Reads what the encoder of such a folder's model is built from.

    Arguments
    ---------
    folder : str or Path
        What `write_pretrained_folder` wrote.

    Returns
    -------
    dict
        `config` of `SpeechEncoder`; of a cascade, the classifier's.

    Raises
    ------
    FileNotFoundError
        If the folder does not hold a model.

    Example
    -------
    >>> folder = Path(getfixture("tmpdir"))
    >>> text = "model: {encoder: {config: {model_type: wavlm}}}"
    >>> _ = (folder / "hyperparams.yaml").write_text(text)
    >>> read_encoder_config(folder)
    {'model_type': 'wavlm'}
    """
    model = ruamel.yaml.YAML().load(_read_hyperparameters(folder))["model"]
    return dict(model.get("classifier", model)["encoder"]["config"])


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


def _read_hyperparameters(folder: str | Path) -> str:
    path = Path(folder) / "hyperparams.yaml"
    if not path.is_file():
        raise FileNotFoundError(
            f"{folder} holds no hyperparams.yaml: give the 'pretrained' "
            "folder of a finished experiment."
        )
    return path.read_text(encoding="utf-8")


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
