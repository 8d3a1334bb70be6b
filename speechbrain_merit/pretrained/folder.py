"""Writing a trained model as a folder that `from_hparams` loads.

Authors
 * The speechbrain-merit developers 2026
"""

import io
import shutil
from pathlib import Path
from typing import Any

import jinja2
import ruamel.yaml
from hyperpyyaml import load_hyperpyyaml, resolve_references

from speechbrain.dataio.encoder import CategoricalEncoder
from speechbrain.utils.logger import get_logger
from speechbrain_merit.data.atomic_write import atomic_write
from speechbrain_merit.data.reading_errors import naming_file
from speechbrain_merit.lobes import JointModel

from . import MERIT_BASE
from .encoder_settings import own_settings
from .weights import check_weights, read_weights, write_weights

logger = get_logger(__name__)

HYPERPARAMETERS = "hyperparams.yaml"
# The model that comes with the package, and what it was called before.
_NAMES = [MERIT_BASE.name]
_SHIPPED = (*_NAMES, "merit-mini")
# The name under which a Pretrainer looks for it beside the YAML.
LABELS = "label_encoder.ckpt"
_LOAD_MODEL = "!apply:speechbrain_merit.pretrained.folder.load_model"
# Loads a pickle; folders had it that were written before.
_STOCK_PRETRAINER = "!new:speechbrain.utils.parameter_transfer.Pretrainer"
_PRETRAINER = "!new:speechbrain_merit.pretrained.weights.SafetensorsPretrainer"
_TEMPLATE = jinja2.Environment(
    loader=jinja2.PackageLoader("speechbrain_merit.pretrained"),
    undefined=jinja2.StrictUndefined,
    trim_blocks=True,
    keep_trailing_newline=True,
).get_template("hyperparams.yaml.jinja")


def write_pretrained_folder(
    folder: str | Path,
    hyperparameters: str | Path,
    model: JointModel,
    label_encoder: CategoricalEncoder,
) -> None:
    r'''Writes hyperparams.yaml, model.safetensors and label_encoder.ckpt.

    The YAML describes the model, for all who load it: `from_hparams` of
    `JointEnhancementClassifier` and of SpeechBrain's own `EncoderClassifier`
    and `WaveformEnhancement`, and `from_plain`, which runs nothing of it. The
    encoder's configuration goes into it, so that loading the folder touches
    neither a network nor the place that the encoder came from.

    Arguments
    ---------
    folder : str or Path
        Where to write.
    hyperparameters : str or Path
        The experiment's hyperparams.yaml.
    model : JointModel
        The trained model.
    label_encoder : CategoricalEncoder
        Its classes.

    Example
    -------
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
    >>> _ = (folder / "hyperparams.yaml").write_text(text)
    >>> model = load_hyperpyyaml(text)["model"]
    >>> labels = CategoricalEncoder()
    >>> labels.update_from_iterable(["angry", "sad"])
    >>> write_pretrained_folder(
    ...     folder / "pretrained", folder / "hyperparams.yaml", model, labels
    ... )
    >>> sorted(path.name for path in (folder / "pretrained").iterdir())
    ['hyperparams.yaml', 'label_encoder.ckpt', 'model.safetensors']
    '''
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    yaml = ruamel.yaml.YAML()
    # As the rest of the file is.
    yaml.indent(mapping=4)
    text = Path(hyperparameters).read_text(encoding="utf-8")
    experiment = yaml.load(resolve_references(text).getvalue())
    encoder = experiment["encoder"]
    encoder["source"] = None
    encoder["config"] = own_settings(model.encoder.config)
    encoder.pop("save_path", None)
    _inline_models(experiment["model"], yaml)
    # Weights are loaded and then left alone, whatever was trained.
    kept = {key: experiment[key] for key in ("sample_rate_hz", "model")}
    description = io.StringIO()
    yaml.dump(kept, description)
    write_weights(folder, model.state_dict())
    label_encoder.save(folder / LABELS)
    with atomic_write(folder / HYPERPARAMETERS) as partial:
        text = _TEMPLATE.render(
            description=description.getvalue(), tasks=model.tasks
        )
        partial.write_text(text, encoding="utf-8")


def find_pretrained_folder(source: str | Path) -> str:
    """Finds what to load of an experiment.

    Arguments
    ---------
    source : str or Path
        An experiment's output folder, the name of a model that comes with the
        package, or anything else that a model can be loaded from.

    Returns
    -------
    str
        The experiment's `pretrained` folder, the folder of the model that
        comes with the package; anything else as it is.

    Example
    -------
    >>> find_pretrained_folder("organisation/model")
    'organisation/model'
    """
    if str(source) in _SHIPPED and not Path(source).exists():
        if str(source) != MERIT_BASE.name:
            logger.warning("%s is no more: merit-base takes its place.", source)
        return str(MERIT_BASE)
    pretrained = Path(source) / "pretrained"
    found = (pretrained / HYPERPARAMETERS).is_file()
    return str(pretrained if found else source)


def find_model(source: str | Path) -> str:
    """Finds what to load, without asking a network for what is meant here.

    Arguments
    ---------
    source : str or Path
        As for `find_pretrained_folder`.

    Returns
    -------
    str
        A folder that is there, or else a name on the hub, or an address.

    Raises
    ------
    FileNotFoundError
        If it is none of them; the message says which folder may be meant.

    Example
    -------
    >>> find_model("merit-bsae")
    Traceback (most recent call last):
    ...
    FileNotFoundError: There is no folder merit-bsae. Did you mean merit-base? ...
    """
    found = find_pretrained_folder(source)
    path = Path(found)
    if path.is_dir() or "://" in found:
        return found
    # Here, as both take long to import.
    from speechbrain_merit.config import suggestion
    from speechbrain_merit.lobes.speech_model_loading import could_be_on_hub

    if could_be_on_hub(found):
        return found
    beside = [p.name for p in path.parent.glob("*") if p.is_dir()]
    raise FileNotFoundError(
        f"There is no folder {found}.{suggestion(path.name, beside + _NAMES)} "
        "Give a model's folder, merit-base, or OWNER/NAME for one on the hub."
    )


def copy_pretrained_folder(
    source: Path, destination: Path, half_precision: bool
) -> None:
    """Copies what a model is loaded from, and nothing else of a folder.

    Arguments
    ---------
    source : Path
        What `write_pretrained_folder` wrote, also before it wrote
        model.safetensors.
    destination : Path
        Folder to make.
    half_precision : bool
        Whether to store the weights as float16.

    Raises
    ------
    FileNotFoundError
        If the source does not hold a model.
    ValueError
        If a weight exceeds the range of half precision.

    Example
    -------
    >>> copy_pretrained_folder(Path("nowhere"), Path("to"), False)
    Traceback (most recent call last):
    ...
    FileNotFoundError: nowhere holds no hyperparams.yaml: give the ...
    """
    text = _read_hyperparameters(source)
    write_weights(destination, read_weights(source), half_precision)
    shutil.copy(source / LABELS, destination)
    text = text.replace(f"{_STOCK_PRETRAINER}\n", f"{_PRETRAINER}\n")
    (destination / HYPERPARAMETERS).write_text(text, encoding="utf-8")


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
    text = _read_hyperparameters(folder)
    with naming_file(Path(folder) / HYPERPARAMETERS):
        model = load_hyperpyyaml(text)["model"]
    weights = read_weights(folder)
    check_weights(model, weights, folder)
    model.load_state_dict(weights)
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
    text = _read_hyperparameters(folder)
    with naming_file(Path(folder) / HYPERPARAMETERS):
        model = ruamel.yaml.YAML().load(text)["model"]
        return dict(model.get("classifier", model)["encoder"]["config"])


def read_emotions(path: str | Path) -> list[str]:
    """Reads the names of a model's emotions.

    Arguments
    ---------
    path : str or Path
        The label_encoder.ckpt of what `write_pretrained_folder` wrote.

    Returns
    -------
    list of str
        In the order of the logits.

    Example
    -------
    >>> path = Path(getfixture("tmpdir")) / "label_encoder.ckpt"
    >>> encoder = CategoricalEncoder()
    >>> encoder.update_from_iterable(["angry", "sad"])
    >>> encoder.save(path)
    >>> read_emotions(path)
    ['angry', 'sad']
    """
    encoder = CategoricalEncoder()
    with naming_file(path):
        encoder.load(path)
        return [encoder.ind2lab[index] for index in sorted(encoder.ind2lab)]


def _read_hyperparameters(folder: str | Path) -> str:
    path = Path(folder) / HYPERPARAMETERS
    if not path.is_file():
        raise FileNotFoundError(
            f"{folder} holds no hyperparams.yaml: give the 'pretrained' "
            "folder of a finished experiment."
        )
    with naming_file(path):
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
