"""The part of a Hugging Face configuration that decides on an encoder.

A configuration may also name code, kernels and other models to fetch. Nothing
that is not listed here is written or read.

Authors
 * The speechbrain-merit developers 2026
"""

from collections.abc import Callable
from typing import Any

from .checks import (
    check_keys,
    is_count,
    is_few,
    is_flag,
    is_list_of,
    is_name,
    is_none_or,
    is_number,
)

_CONVOLUTIONAL = {
    "hidden_size": is_count,
    "num_hidden_layers": is_few,
    "num_attention_heads": is_few,
    "intermediate_size": is_count,
    "hidden_act": is_name,
    "layer_norm_eps": is_number,
    "feat_extract_norm": is_name,
    "feat_extract_activation": is_name,
    "conv_dim": is_list_of(is_count),
    "conv_stride": is_list_of(is_count),
    "conv_kernel": is_list_of(is_count),
    "conv_bias": is_flag,
    "num_conv_pos_embeddings": is_count,
    "num_conv_pos_embedding_groups": is_few,
    "do_stable_layer_norm": is_flag,
    # With either of these, a model holds one more parameter.
    "mask_time_prob": is_number,
    "mask_feature_prob": is_number,
}
_ADAPTER = {
    "add_adapter": is_flag,
    "adapter_kernel_size": is_few,
    "adapter_stride": is_few,
    "num_adapter_layers": is_few,
    "output_hidden_size": is_none_or(is_count),
}
_KEYS: dict[str, dict[str, Callable[[Any], bool]]] = {
    "wavlm": {
        **_CONVOLUTIONAL,
        **_ADAPTER,
        "num_buckets": is_count,
        "max_bucket_distance": is_count,
    },
    "wav2vec2": {
        **_CONVOLUTIONAL,
        **_ADAPTER,
        "adapter_attn_dim": is_none_or(is_count),
    },
    "hubert": {
        **_CONVOLUTIONAL,
        "feat_proj_layer_norm": is_flag,
        "conv_pos_batch_norm": is_flag,
    },
    "whisper": {
        "d_model": is_count,
        "encoder_layers": is_few,
        "encoder_attention_heads": is_few,
        "encoder_ffn_dim": is_count,
        "num_mel_bins": is_few,
        "max_source_positions": is_count,
        "activation_function": is_name,
        "scale_embedding": is_flag,
    },
}
# The smallest decoder that there can be: it is built and dropped.
_NO_DECODER = {
    "vocab_size": 8,
    "decoder_layers": 0,
    "max_target_positions": 4,
    "pad_token_id": 0,
    "bos_token_id": 1,
    "eos_token_id": 2,
    "decoder_start_token_id": 1,
}


def describe_config(config: Any) -> dict[str, Any]:
    """Lists what decides on an encoder.

    Arguments
    ---------
    config : transformers.PretrainedConfig
        Of a WavLM, wav2vec 2.0, HuBERT or Whisper model.

    Returns
    -------
    dict
        Plain values by their names in the configuration.

    Example
    -------
    >>> from transformers import WhisperConfig
    >>> describe_config(WhisperConfig(d_model=16))["d_model"]
    16
    """
    found = {key: getattr(config, key) for key in _KEYS[config.model_type]}
    return {
        "model_type": config.model_type,
        **{
            key: list(value) if isinstance(value, tuple) else value
            for key, value in found.items()
        },
    }


def check_config(found: Any, place: str) -> dict[str, Any]:
    """Gives the options of an encoder, if they are nothing else.

    Arguments
    ---------
    found : Any
        What `describe_config` gave, as it came from a file.
    place : str
        What to call it in errors.

    Returns
    -------
    dict
        For `SpeechEncoder`.

    Raises
    ------
    ValueError
        If a value is missing, unknown or none of its kind.

    Example
    -------
    >>> check_config({"model_type": "../elsewhere"}, "config")
    Traceback (most recent call last):
    ...
    ValueError: config has the model_type '../elsewhere': use one of ...
    """
    model_type = found.get("model_type") if isinstance(found, dict) else None
    if type(model_type) is not str or model_type not in _KEYS:
        raise ValueError(
            f"{place} has the model_type {model_type!r}: use one of "
            f"{sorted(_KEYS)}."
        )
    checks = _KEYS[model_type]
    check_keys(found, {"model_type": None, **checks}, place)
    wrong = [key for key in checks if not checks[key](found[key])]
    if wrong:
        raise ValueError(
            f"{place} has values that are none of their kind: "
            f"{ {key: found[key] for key in wrong} }."
        )
    return {**found, **(_NO_DECODER if model_type == "whisper" else {})}
