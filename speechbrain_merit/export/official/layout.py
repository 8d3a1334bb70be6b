"""Every tensor of the published files: its name there and here, its shape.

Authors
 * The speechbrain-merit developers 2026
"""

from collections.abc import Iterator
from typing import NamedTuple

from transformers import WavLMConfig

from speechbrain_merit.lobes.joint_model import EMOTION, ENHANCE

from . import files

# The published order of the tasks.
TASKS = (ENHANCE, EMOTION)
NUM_BINS = 201

# Spellings of weight norm: torch before 2.1, and since.
WEIGHT_NORM = {
    "old": ("weight_g", "weight_v"),
    "new": (
        "parametrizations.weight.original0",
        "parametrizations.weight.original1",
    ),
}


class Size(NamedTuple):
    """A length that the files tell: `factor` times the size, plus `offset`.

    Arguments
    ---------
    name : str
        Name of the size.
    factor : int
        What it is multiplied by.
    offset : int
        What is added.
    """

    name: str
    factor: int = 1
    offset: int = 0


NUM_EXPERTS = Size("num_experts")
EXPERT_HIDDEN = Size("expert_hidden_size")
FEATURES = Size("feature_size")
MASK_HIDDEN = Size("mask_hidden_size")
EMOTION_HIDDEN = Size("emotion_hidden_size")
NUM_CLASSES = Size("num_classes")


class Entry(NamedTuple):
    """One tensor.

    Arguments
    ---------
    name : str
        Name in the published file.
    target : str or None
        Name in our model; None for what nothing uses.
    shape : tuple
        Lengths, each an int or a `Size`.
    """

    name: str
    target: str | None
    shape: tuple[int | Size, ...]


def official_layout(
    config: WavLMConfig, num_experts: int, weight_norm: str
) -> dict[str, list[Entry]]:
    """Lists the tensors of every published file, in their order there.

    Arguments
    ---------
    config : WavLMConfig
        Of the encoder.
    num_experts : int
        Number of experts.
    weight_norm : str
        How the positional convolution's weight norm is spelled: `old` or
        `new`, see `WEIGHT_NORM`.

    Returns
    -------
    dict of str to list of Entry
        By file.

    Example
    -------
    >>> layout = official_layout(WavLMConfig(), 3, "new")
    >>> layout["final_ser.pt"][-1].name, layout["final_ser.pt"][-1].target
    ('out.0.bias', 'emotion_head.output.bias')
    """
    return {
        files.ENCODER: list(_encoder(config, weight_norm)),
        files.INTEGRATOR: list(_integrator(config, num_experts)),
        files.POOLING: list(_pooling()),
        files.EMOTION_HEAD: list(_emotion_head()),
        files.ENHANCEMENT_HEAD: list(_enhancement_head(config)),
    }


def _affine(
    name: str, target: str | None, *shape: int | Size
) -> Iterator[Entry]:
    """A weight of this shape and a bias of its first length."""
    for leaf, lengths in (("weight", shape), ("bias", shape[:1])):
        ours = None if target is None else f"{target}.{leaf}"
        yield Entry(f"{name}.{leaf}", ours, lengths)


def _encoder(config: WavLMConfig, weight_norm: str) -> Iterator[Entry]:
    size, model = config.hidden_size, "encoder.features.model"
    yield Entry("mask_emb", f"{model}.masked_spec_embed", (size,))
    yield from _convolutions(config, model)
    num_channels = config.conv_dim[-1]
    yield from _affine(
        "post_extract_proj",
        f"{model}.feature_projection.projection",
        size,
        num_channels,
    )
    yield from _positions(config, model, weight_norm)
    for number in range(config.num_hidden_layers):
        yield from _encoder_layer(
            config,
            f"encoder.layers.{number}",
            f"{model}.encoder.layers.{number}",
            has_position_bias=number == 0,
        )
    yield from _affine(
        "encoder.layer_norm", f"{model}.encoder.layer_norm", size
    )
    yield from _affine(
        "layer_norm", f"{model}.feature_projection.layer_norm", num_channels
    )


def _convolutions(config: WavLMConfig, model: str) -> Iterator[Entry]:
    inputs = [1, *config.conv_dim[:-1]]
    for number, (before, size, kernel) in enumerate(
        zip(inputs, config.conv_dim, config.conv_kernel, strict=True)
    ):
        name = f"feature_extractor.conv_layers.{number}"
        target = f"{model}.{name}"
        kinds = _affine(f"{name}.0", f"{target}.conv", size, before, kernel)
        yield from kinds if config.conv_bias else [next(kinds)]
        yield from _affine(f"{name}.2.1", f"{target}.layer_norm", size)


def _positions(
    config: WavLMConfig, model: str, weight_norm: str
) -> Iterator[Entry]:
    name, target = "encoder.pos_conv.0", f"{model}.encoder.pos_conv_embed.conv"
    size, kernel = config.hidden_size, config.num_conv_pos_embeddings
    group = size // config.num_conv_pos_embedding_groups
    yield Entry(f"{name}.bias", f"{target}.bias", (size,))
    shapes = ((1, 1, kernel), (size, group, kernel))
    for theirs, ours, shape in zip(
        WEIGHT_NORM[weight_norm], WEIGHT_NORM["new"], shapes, strict=True
    ):
        yield Entry(f"{name}.{theirs}", f"{target}.{ours}", shape)


def _encoder_layer(
    config: WavLMConfig, name: str, target: str, has_position_bias: bool
) -> Iterator[Entry]:
    size, heads = config.hidden_size, config.num_attention_heads
    inner = config.intermediate_size
    theirs, ours = f"{name}.self_attn", f"{target}.attention"
    yield Entry(
        f"{theirs}.grep_a", f"{ours}.gru_rel_pos_const", (1, heads, 1, 1)
    )
    if has_position_bias:
        yield Entry(
            f"{theirs}.relative_attention_bias.weight",
            f"{ours}.rel_attn_embed.weight",
            (config.num_buckets, heads),
        )
    for leaf in ("k_proj", "v_proj", "q_proj", "out_proj"):
        yield from _affine(f"{theirs}.{leaf}", f"{ours}.{leaf}", size, size)
    # The gates of the position bias: two of four values each.
    yield from _affine(
        f"{theirs}.grep_linear", f"{ours}.gru_rel_pos_linear", 8, size // heads
    )
    yield from _affine(
        f"{name}.self_attn_layer_norm", f"{target}.layer_norm", size
    )
    dense = f"{target}.feed_forward"
    yield from _affine(
        f"{name}.fc1", f"{dense}.intermediate_dense", inner, size
    )
    yield from _affine(f"{name}.fc2", f"{dense}.output_dense", size, inner)
    yield from _affine(
        f"{name}.final_layer_norm", f"{target}.final_layer_norm", size
    )


def _integrator(config: WavLMConfig, num_experts: int) -> Iterator[Entry]:
    size, num_states = config.hidden_size, config.num_hidden_layers + 1
    width = num_states * size
    for number in range(num_states):
        name = f"layer_norms.{number}"
        yield from _affine(name, f"integrator.{name}", size)
    for number in range(num_experts):
        name = f"experts.{number}.fc1"
        yield from _affine(name, f"integrator.{name}", EXPERT_HIDDEN, width)
        name = f"experts.{number}.fc2"
        yield from _affine(name, f"integrator.{name}", FEATURES, EXPERT_HIDDEN)
    for number, task in enumerate(TASKS):
        yield from _affine(
            f"gates.{number}.fc",
            f"integrator.gates.{task}.fc",
            NUM_EXPERTS,
            width,
        )


def _pooling() -> Iterator[Entry]:
    target = "emotion_head.pooling"
    yield Entry("attention", f"{target}.attention", (FEATURES, 1))
    yield from _affine("sap_linear", f"{target}.projection", FEATURES, FEATURES)


def _emotion_head() -> Iterator[Entry]:
    pooled = FEATURES._replace(factor=2)
    target = "emotion_head.hidden"
    yield from _affine("fc.0.0", f"{target}.1", EMOTION_HIDDEN, pooled)
    yield from _affine("fc.0.1", f"{target}.2", EMOTION_HIDDEN)
    yield from _affine(
        "out.0", "emotion_head.output", NUM_CLASSES, EMOTION_HIDDEN
    )


def _enhancement_head(config: WavLMConfig) -> Iterator[Entry]:
    # What BSSE-SE sums the hidden states with, and the published code of this
    # system carries along.
    num_states = config.num_hidden_layers + 1
    yield Entry("weights", None, (num_states,))
    for number in range(num_states):
        yield from _affine(f"layer_norm.{number}", None, config.hidden_size)
    target = "enhancement_head"
    yield from _affine(
        "lstm_enc.0",
        f"{target}.input_projection",
        MASK_HIDDEN,
        FEATURES._replace(offset=NUM_BINS),
    )
    for number, inputs in enumerate(
        (MASK_HIDDEN, MASK_HIDDEN._replace(factor=2))
    ):
        yield from _lstm_layer(number, inputs)
    yield from _affine(
        "lstm_enc.2", f"{target}.output_projection", NUM_BINS, MASK_HIDDEN
    )


def _lstm_layer(number: int, inputs: Size) -> Iterator[Entry]:
    gates = MASK_HIDDEN._replace(factor=4)
    shapes = {
        "weight_ih": (gates, inputs),
        "weight_hh": (gates, MASK_HIDDEN),
        "bias_ih": (gates,),
        "bias_hh": (gates,),
    }
    for suffix, direction in (("", "forwards"), ("_reverse", "backwards")):
        target = f"enhancement_head.blstm.{direction}.{number}"
        for leaf, shape in shapes.items():
            name = f"lstm_enc.1.blstm.{leaf}_l{number}{suffix}"
            # Here every layer and direction is an LSTM of its own.
            yield Entry(name, f"{target}.{leaf}_l0", shape)
