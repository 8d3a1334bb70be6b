"""The original WavLM's configuration as Hugging Face's.

Authors
 * The speechbrain-merit developers 2026
"""

import ast
from collections.abc import Mapping
from typing import Any

from transformers import WavLMConfig

# Original name, Hugging Face's name.
_SHAPES = {
    "encoder_layers": "num_hidden_layers",
    "encoder_embed_dim": "hidden_size",
    "encoder_ffn_embed_dim": "intermediate_size",
    "encoder_attention_heads": "num_attention_heads",
    "conv_bias": "conv_bias",
    "conv_pos": "num_conv_pos_embeddings",
    "conv_pos_groups": "num_conv_pos_embedding_groups",
    "num_buckets": "num_buckets",
    "max_distance": "max_bucket_distance",
}
_DROPOUTS = {
    "dropout": "hidden_dropout",
    "attention_dropout": "attention_dropout",
    "activation_dropout": "activation_dropout",
    "dropout_input": "feat_proj_dropout",
}
# What the published system's encoder has, as WavLM-Large does.
_FIXED = {
    "extractor_mode": "layer_norm",
    "layer_norm_first": True,
    "activation_fn": "gelu",
    "relative_position_embedding": True,
    "gru_rel_pos": True,
}
_FIXED_HERE = {
    "feat_extract_norm": "layer",
    "do_stable_layer_norm": True,
    "hidden_act": "gelu",
}
_CONVOLUTIONS = "conv_feature_layers"
# So that no configuration can ask for endless lists, or for more than there
# is memory to describe.
_MOST_LAYERS = 100
_LARGEST_SIZE = 1_000_000


def from_official_config(official: Mapping[str, Any]) -> WavLMConfig:
    """Translates the configuration in `WavLM-Large.pt`.

    Settings of masking and of dropout outside the encoder's layers say nothing
    about what the encoder computes, and are passed over.

    Arguments
    ---------
    official : Mapping
        The original WavLM's `cfg`.

    Returns
    -------
    WavLMConfig
        Hugging Face's configuration of the same encoder.

    Raises
    ------
    ValueError
        If settings are missing, or are not as the published system has them.

    Example
    -------
    >>> from_official_config({"encoder_layers": 24})
    Traceback (most recent call last):
    ...
    ValueError: The encoder's configuration lacks encoder_embed_dim, ...
    """
    needed = [*_SHAPES, *_FIXED, _CONVOLUTIONS]
    missing = [name for name in needed if name not in official]
    if missing:
        raise ValueError(
            f"The encoder's configuration lacks {', '.join(missing)}."
        )
    for name, value in _FIXED.items():
        if official[name] != value:
            raise ValueError(
                f"The encoder's configuration has {name} "
                f"{official[name]!r}: the published system has {value!r}, and "
                "only that can be imported."
            )
    _check_sizes(official)
    sizes, kernels, strides = zip(
        *_parse_convolutions(official[_CONVOLUTIONS]), strict=True
    )
    return WavLMConfig(
        **{ours: official[name] for name, ours in _SHAPES.items()},
        **{ours: official.get(name, 0.0) for name, ours in _DROPOUTS.items()},
        **_FIXED_HERE,
        conv_dim=list(sizes),
        conv_kernel=list(kernels),
        conv_stride=list(strides),
    )


def _check_sizes(official: Mapping[str, Any]) -> None:
    wrong = {
        name: official[name]
        for name in _SHAPES
        if name != "conv_bias" and not _is_size(official[name])
    }
    if not wrong and official["encoder_layers"] > _MOST_LAYERS:
        wrong["encoder_layers"] = official["encoder_layers"]
    if wrong or type(official["conv_bias"]) is not bool:
        raise ValueError(
            "The encoder's configuration has sizes that no encoder has: "
            f"{wrong or {'conv_bias': official['conv_bias']}}."
        )


def _is_size(value: Any) -> bool:
    return type(value) is int and 1 <= value <= _LARGEST_SIZE


def _parse_convolutions(text: str) -> list[tuple[int, int, int]]:
    """Reads `[(512, 10, 5)] + [(512, 3, 2)] * 4` without running it."""
    try:
        layers = _evaluate(ast.parse(text, mode="eval").body)
        for layer in layers:
            if len(layer) != 3 or not all(map(_is_size, layer)):
                raise ValueError("a layer is not three whole numbers")
    except Exception as error:
        raise ValueError(
            f"The encoder's configuration has {_CONVOLUTIONS} "
            f"{str(text)[:200]!r}, which is no sum of lists of (size, kernel, "
            f"stride): {error}."
        ) from error
    return layers


def _evaluate(node: ast.expr) -> list:
    """Evaluates literal lists, their sums and multiples."""
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Add):
        layers = _evaluate(node.left) + _evaluate(node.right)
    elif isinstance(node, ast.BinOp) and isinstance(node.op, ast.Mult):
        times = ast.literal_eval(node.right)
        if type(times) is not int or not 1 <= times <= _MOST_LAYERS:
            raise ValueError(f"not repeated 1 to {_MOST_LAYERS} times")
        layers = _evaluate(node.left) * times
    else:
        layers = ast.literal_eval(node)
    if not isinstance(layers, list) or not 1 <= len(layers) <= _MOST_LAYERS:
        raise ValueError(f"not a list of 1 to {_MOST_LAYERS} layers")
    return layers
