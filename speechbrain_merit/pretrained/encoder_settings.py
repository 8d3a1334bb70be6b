"""The part of a Hugging Face configuration that decides on an encoder.

A configuration may also name code, kernels and other models to fetch. Only what
its own class has as an argument is written or read.

Authors
 * The speechbrain-merit developers 2026
"""

import inspect
from collections.abc import Mapping
from typing import Any

from speechbrain_merit.lobes.speech_model_loading import SUPPORTED_MODELS

# The smallest decoder that there can be: it is built and dropped.
_NO_DECODER = {
    "vocab_size": 8,
    "decoder_layers": 0,
    "max_target_positions": 4,
    "pad_token_id": 0,
    "bos_token_id": 1,
    "eos_token_id": 2,
    "decoder_start_token_id": 1,
    "suppress_tokens": None,
    "begin_suppress_tokens": None,
}


def own_settings(config: Any) -> dict[str, Any]:
    """Gives the options that an encoder of the same kind is built from.

    Arguments
    ---------
    config : PreTrainedConfig
        Of a model that `SpeechEncoder` takes.

    Returns
    -------
    dict
        `config` of `SpeechEncoder`, in values that YAML has.

    Example
    -------
    >>> from transformers import WavLMConfig
    >>> settings = own_settings(WavLMConfig(hidden_size=16, auto_map={}))
    >>> settings["hidden_size"], "auto_map" in settings
    (16, False)
    """
    known = {"model_type": config.model_type, **config.to_diff_dict()}
    own = _options_of(config.model_type)
    return checked_settings({k: v for k, v in known.items() if k in own})


def checked_settings(config: Mapping[str, Any]) -> dict[str, Any]:
    """Gives the options of an encoder, and nothing else.

    Flags and numbers that are no options of its own are left out, as what
    transformers has for every model; texts are refused, which may name code.

    Arguments
    ---------
    config : Mapping
        A configuration with its `model_type`, of a file that nobody vouches
        for.

    Returns
    -------
    dict
        `config` of `SpeechEncoder`.

    Raises
    ------
    ValueError
        If the type is not one of ours, or a text none of its options.

    Example
    -------
    >>> config = {"model_type": "wavlm", "hidden_size": 16, "dtype": "float16"}
    >>> checked_settings(config)
    {'model_type': 'wavlm', 'hidden_size': 16}
    >>> checked_settings({"model_type": "wavlm", "auto_map": "code.Model"})
    Traceback (most recent call last):
    ...
    ValueError: A wavlm has no options ['auto_map']: remove them.
    """
    model_type = config.get("model_type")
    if model_type not in SUPPORTED_MODELS:
        raise ValueError(
            f"The encoder has the model_type {model_type!r}: use one of "
            f"{SUPPORTED_MODELS}."
        )
    own = _options_of(model_type)
    others = config.keys() - own - _common_options()
    naming = [key for key in others if isinstance(config[key], str | dict)]
    if naming:
        raise ValueError(
            f"A {model_type} has no options {sorted(naming)}: remove them."
        )
    kept = {key: value for key, value in config.items() if key in own}
    return {**kept, **(_NO_DECODER if model_type == "whisper" else {})}


def _common_options() -> frozenset[str]:
    """What every model has, and none is built from."""
    # Its import takes long, and importing this module need not.
    from transformers import PreTrainedConfig

    return frozenset(inspect.signature(PreTrainedConfig).parameters)


def _options_of(model_type: str) -> set[str]:
    from transformers import CONFIG_MAPPING

    parameters = inspect.signature(CONFIG_MAPPING[model_type]).parameters
    return parameters.keys() - _common_options() | {"model_type"}
