"""The parts that a plainly described model may have, and no others.

Authors
 * The speechbrain-merit developers 2026
"""

import dataclasses
from collections.abc import Callable, Mapping
from operator import attrgetter
from typing import Any

from torch import nn

from speechbrain_merit import lobes

from .checks import (
    is_count,
    is_few,
    is_flag,
    is_list_of,
    is_name,
    is_none_or,
    is_number,
)


@dataclasses.dataclass(frozen=True)
class Argument:
    """An argument of a part's constructor.

    Arguments
    ---------
    of : callable
        Gives its value for a part that is there.
    kind : str
        `value`: plain; `part`: another part; `factory`: something that makes
        such a part whenever it is called; `config`: an encoder's
        configuration.
    check : callable, optional
        Tells whether a plain value may be one.
    parts : tuple of str
        Names of the parts that it may be.
    optional : bool
        Whether there may be no part.
    """

    of: Callable[[Any], Any]
    kind: str
    check: Callable[[Any], bool] | None = None
    parts: tuple[str, ...] = ()
    optional: bool = False


@dataclasses.dataclass(frozen=True)
class Part:
    """A class of lobes and what it is made from.

    Arguments
    ---------
    build : type
        The class.
    arguments : Mapping
        What decides on its function, by name. What matters in training alone,
        like dropout, is left to its default.
    """

    build: type[nn.Module]
    arguments: Mapping[str, Argument]


def _value(
    check: Callable[[Any], bool], of: str | Callable[[Any], Any]
) -> Argument:
    return Argument(
        attrgetter(of) if isinstance(of, str) else of, "value", check
    )


def _part(of: str, *parts: str, optional: bool = False) -> Argument:
    return Argument(attrgetter(of), "part", None, parts, optional)


def _expert(moe: lobes.SparseMoE) -> nn.Module:
    return moe.experts[0]


def _fitted(name: str) -> Callable[[lobes.WaveformNormalization], float | None]:
    """Mean and deviation are numbers for one mode and None for the others."""
    return lambda normalization: (
        getattr(normalization, name).item()
        if normalization.mode == "corpus"
        else None
    )


PARTS: dict[str, Part] = {
    "EnhanceThenClassify": Part(
        lobes.EnhanceThenClassify,
        {
            "enhancer": _part("enhancer", "JointModel"),
            "classifier": _part("classifier", "JointModel"),
        },
    ),
    "JointModel": Part(
        lobes.JointModel,
        {
            "encoder": _part("encoder", "SpeechEncoder"),
            "integrator": _part(
                "integrator",
                "SparseMoE",
                "WeightedSumIntegrator",
                "ShortcutIntegrator",
            ),
            "frontend": _part("frontend", "SpectralFrontend"),
            "enhancement_head": _part(
                "enhancement_head", "SpectralMaskHead", optional=True
            ),
            "emotion_head": _part("emotion_head", "EmotionHead", optional=True),
        },
    ),
    "SpeechEncoder": Part(
        lobes.SpeechEncoder,
        {
            "config": Argument(attrgetter("config"), "config"),
            "normalization": _part("normalization", "WaveformNormalization"),
            "standardize": _value(
                is_flag, lambda encoder: encoder.standardization is not None
            ),
        },
    ),
    "WaveformNormalization": Part(
        lobes.WaveformNormalization,
        {
            "mode": _value(is_name, "mode"),
            "mean": _value(is_none_or(is_number), _fitted("mean")),
            "std": _value(is_none_or(is_number), _fitted("std")),
        },
    ),
    "SparseMoE": Part(
        lobes.SparseMoE,
        {
            "num_layers": _value(is_few, lambda moe: len(moe.layer_norms)),
            "input_size": _value(
                is_count, lambda moe: moe.layer_norms[0].normalized_shape[0]
            ),
            "output_size": _value(is_count, "output_size"),
            "num_experts": _value(is_few, "num_experts"),
            "tasks": _value(is_list_of(is_name), lambda moe: list(moe.gates)),
            "top_k": _value(is_few, "top_k"),
            "router_learning": _value(is_name, "router_learning"),
            "fusion": _part("fusion", "WeightedLayerSum", optional=True),
            "make_expert": Argument(
                _expert, "factory", None, ("Expert", "LayerSumExpert")
            ),
        },
    ),
    "Expert": Part(
        lobes.Expert,
        {
            "input_size": _value(is_count, "fc1.in_features"),
            "hidden_size": _value(is_count, "fc1.out_features"),
            "output_size": _value(is_count, "fc2.out_features"),
        },
    ),
    "LayerSumExpert": Part(
        lobes.LayerSumExpert,
        {
            "num_layers": _value(is_few, "num_layers"),
            "layer_size": _value(is_count, "fusion.input_size"),
        },
    ),
    "WeightedSumIntegrator": Part(
        lobes.WeightedSumIntegrator,
        {
            "num_layers": _value(
                is_few,
                lambda integrator: len(_sums(integrator)[0].logits),
            ),
            "input_size": _value(is_count, "output_size"),
            "tasks": _value(
                is_list_of(is_name), lambda integrator: list(integrator.tasks)
            ),
            "shared": _value(
                is_flag,
                lambda integrator: all(
                    fusion is _sums(integrator)[0]
                    for fusion in _sums(integrator)
                ),
            ),
        },
    ),
    "ShortcutIntegrator": Part(
        lobes.ShortcutIntegrator,
        {
            "integrator": _part("integrator", "SparseMoE"),
            "shortcut": _part("shortcut", "WeightedLayerSum"),
            "input_size": _value(is_count, "projection.in_features"),
            "shortcut_tasks": _value(
                is_list_of(is_name),
                lambda integrator: list(integrator.shortcut_tasks),
            ),
        },
    ),
    "WeightedLayerSum": Part(
        lobes.WeightedLayerSum,
        {
            "num_layers": _value(is_few, lambda fusion: len(fusion.logits)),
            "input_size": _value(is_count, "input_size"),
            "normalize": _value(is_flag, "normalize"),
        },
    ),
    "SpectralFrontend": Part(
        lobes.SpectralFrontend,
        {
            "n_fft": _value(is_few, "n_fft"),
            "hop_length": _value(is_few, "hop_length"),
            "magnitude_floor": _value(is_number, "magnitude_floor"),
        },
    ),
    "SpectralMaskHead": Part(
        lobes.SpectralMaskHead,
        {
            "feature_size": _value(
                is_count,
                lambda head: (
                    head.input_projection.in_features
                    - head.output_projection.out_features
                ),
            ),
            "num_bins": _value(is_count, "output_projection.out_features"),
            "hidden_size": _value(is_count, "input_projection.out_features"),
            "num_layers": _value(is_few, lambda head: len(head.blstm.forwards)),
            "frame_ratio": _value(is_few, "frame_ratio"),
        },
    ),
    "EmotionHead": Part(
        lobes.EmotionHead,
        {
            "pooling": _part(
                "pooling", "AttentiveStatisticsPooling", "MeanPooling"
            ),
            "num_classes": _value(is_count, "num_classes"),
            "hidden_size": _value(is_count, "output.in_features"),
        },
    ),
    "AttentiveStatisticsPooling": Part(
        lobes.AttentiveStatisticsPooling,
        {
            "input_size": _value(is_count, "projection.in_features"),
            "minimum_variance": _value(is_number, "minimum_variance"),
        },
    ),
    "MeanPooling": Part(
        lobes.MeanPooling, {"input_size": _value(is_count, "output_size")}
    ),
}


def _sums(integrator: lobes.WeightedSumIntegrator) -> list[nn.Module]:
    return list(integrator.sums.values())
