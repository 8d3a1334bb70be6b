"""Loading a Hugging Face speech model by name, folder or configuration.

Authors
 * The speechbrain-merit developers 2026
"""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import nn

from .wavlm_attention import use_fused_attention

_HUB_NAME = re.compile(r"[\w.-]+/[\w.-]+")
SUPPORTED_MODELS = ("wavlm", "hubert", "wav2vec2", "whisper")


def load_speech_model(
    source: str | None, config: Mapping[str, Any] | None, save_path: str
) -> nn.Module:
    """Builds a speech model, in float32.

    Layer dropping and SpecAugment are switched off: both would put the layers
    that the experts see out of step.

    Arguments
    ---------
    source : str or None
        Hub name or folder.
    config : mapping or None
        Hugging Face configuration with its `model_type`, for random weights;
        of no use where there is a source.
    save_path : str
        Where a model from the hub is stored.

    Returns
    -------
    torch.nn.Module
        A transformers model.

    Raises
    ------
    ValueError
        If neither `source` nor `config` is given, or the type of the model
        is not among `SUPPORTED_MODELS`.
    OSError
        If the source cannot be loaded, e.g. because there is no network.

    Example
    -------
    >>> load_speech_model("no/such-folder/at-all", None, "pretrained_models")
    Traceback (most recent call last):
    ...
    FileNotFoundError: There is no folder no/such-folder/at-all for the ...
    """
    if source is not None:
        model = _load(source, save_path)
    elif config:
        model = _from_config(config)
    else:
        raise ValueError(
            "Give the speech encoder a source (hub name or folder), or a "
            "config for random weights."
        )
    if model.config.model_type not in SUPPORTED_MODELS:
        raise ValueError(
            f"{source or 'config'} is a model of type "
            f"{model.config.model_type!r}: use one of {SUPPORTED_MODELS}."
        )
    model.config.apply_spec_augment = False
    # Whisper reads it at construction and keeps it in its encoder.
    model.config.layerdrop = 0.0
    if model.config.model_type == "wavlm":
        use_fused_attention(model)
    return model


def could_be_on_hub(source: str) -> bool:
    """Tells whether a name is one of the model hub, by its form.

    Arguments
    ---------
    source : str
        What was given for a model, and is no folder.

    Returns
    -------
    bool
        True for OWNER/NAME, where no folder is called as the owner is.

    Example
    -------
    >>> could_be_on_hub("microsoft/wavlm-large"), could_be_on_hub("./wavlm")
    (True, False)
    """
    owner = Path(source).parent
    return bool(_HUB_NAME.fullmatch(source)) and not owner.exists()


def _from_config(config: Mapping[str, Any]) -> nn.Module:
    options = dict(config)
    model_type = options.pop("model_type", None)
    if model_type not in SUPPORTED_MODELS:
        raise ValueError(
            f"The encoder's config has model_type {model_type!r}: use one of "
            f"{SUPPORTED_MODELS}."
        )
    # Here and below: its import takes as long as PyTorch's, and not everyone
    # who imports this module builds an encoder.
    from transformers import AutoConfig, AutoModel

    return AutoModel.from_config(AutoConfig.for_model(model_type, **options))


def _load(source: str, save_path: str) -> nn.Module:
    from speechbrain.integrations.huggingface.huggingface import (
        HFTransformersInterface,
    )

    if not could_be_on_hub(source) and not Path(source).is_dir():
        raise FileNotFoundError(
            f"There is no folder {source} for the speech encoder: give one, or "
            "OWNER/NAME of a model on the hub."
        )
    try:
        _refuse_kernels(source, save_path)
        interface = HFTransformersInterface(
            source, save_path=save_path, dtype=torch.float32
        )
    except Exception as error:
        # transformers and the hub's client raise many kinds of errors here,
        # few of which say what was asked for.
        where = (
            "the folder was found, but not a complete model in it"
            if Path(source).is_dir()
            else "it is no folder here, and the model hub did not give it"
        )
        raise OSError(
            f"The speech encoder {source!r} cannot be loaded: {where}. "
            "Without network, download it elsewhere and give its folder. "
            f"The library says: {type(error).__name__}: {error}"
        ) from error
    return interface.model


def _refuse_kernels(source: str, save_path: str) -> None:
    # transformers refuses code of the source's own by itself, but fetches and
    # runs a kernel that the configuration names where it finds the package
    # `kernels`.
    from transformers import PreTrainedConfig

    config, _ = PreTrainedConfig.get_config_dict(source, cache_dir=save_path)
    for key in ("attn_implementation", "_attn_implementation"):
        if "/" in str(config.get(key)):
            raise ValueError(
                f"its configuration has {key} {config[key]!r}, which would "
                "fetch code and run it: remove that key"
            )
