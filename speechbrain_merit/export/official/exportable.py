"""Whether the published code can run a model.

Authors
 * The speechbrain-merit developers 2026
"""

from collections.abc import Iterator
from typing import Any

from torch import nn

from speechbrain_merit.lobes import (
    AttentiveStatisticsPooling,
    Expert,
    JointModel,
    SparseMoE,
    SpectralMaskHead,
)

from .layout import NUM_BINS, TASKS


def check_exportable(model: nn.Module, source: Any) -> None:
    """Refuses a model that the published format has no place for.

    Arguments
    ---------
    model : torch.nn.Module
        Any model of a pretrained folder.
    source : Any
        Where it is, for the message.

    Raises
    ------
    ValueError
        If the published code would compute something else, or nothing; names
        all reasons.

    Example
    -------
    >>> check_exportable(nn.Linear(1, 1), "model")
    Traceback (most recent call last):
    ...
    ValueError: The published code cannot run model: it is a Linear, not ...
    """
    obstacles = list(_obstacles(model))
    if obstacles:
        raise ValueError(
            f"The published code cannot run {source}: {'; '.join(obstacles)}."
        )


def _obstacles(model: nn.Module) -> Iterator[str]:
    if not isinstance(model, JointModel):
        yield f"it is a {type(model).__name__}, not a JointModel"
        return
    encoder = model.encoder
    kind = encoder.config.model_type
    if kind != "wavlm":
        yield f"its encoder is of the type {kind}, not wavlm"
    if encoder.standardization is not None:
        yield "it standardises the hidden states"
    if encoder.normalization.mode != "corpus":
        yield (
            f"normalization_mode is {encoder.normalization.mode}, not corpus"
        )
    yield from _integrator_obstacles(model.integrator)
    if model.tasks != TASKS:
        yield f"its tasks are {', '.join(model.tasks)}, not {', '.join(TASKS)}"
        return
    yield from _head_obstacles(model)


def _integrator_obstacles(integrator: nn.Module) -> Iterator[str]:
    if not isinstance(integrator, SparseMoE):
        yield f"its integrator is a {type(integrator).__name__}"
        return
    if integrator.fusion is not None:
        yield "its experts see a sum of the hidden states"
    if not all(type(expert) is Expert for expert in integrator.experts):
        yield "its experts are not of two linear layers"
    sparse = integrator.top_k == 1
    if sparse and integrator.num_experts > 1:
        sparse = integrator.router_learning != "probability"
    # Probabilities of all experts sum to one, scaled or not.
    dense = integrator.top_k == integrator.num_experts
    if not sparse and not dense:
        yield (
            f"top_k is {integrator.top_k} of {integrator.num_experts}, with "
            f"router_learning {integrator.router_learning}: neither one "
            "expert of weight 1 nor all, weighted by the softmax"
        )


def _head_obstacles(model: JointModel) -> Iterator[str]:
    frontend, mask = model.frontend, model.enhancement_head
    if (frontend.n_fft, frontend.hop_length) != (2 * (NUM_BINS - 1), 160):
        yield (
            f"n_fft and hop_length are {frontend.n_fft} and "
            f"{frontend.hop_length}, not 400 and 160"
        )
    if not isinstance(mask, SpectralMaskHead):
        yield f"its enhancement head is a {type(mask).__name__}"
    elif len(mask.blstm.forwards) != 2:
        yield f"its LSTM has {len(mask.blstm.forwards)} layers, not 2"
    pooling = getattr(model.emotion_head, "pooling", None)
    if not isinstance(pooling, AttentiveStatisticsPooling):
        yield f"its pooling is a {type(pooling).__name__}, not attentive"
