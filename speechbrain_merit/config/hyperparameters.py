"""What the value of a hyperparameter may be.

What the YAML builds is not listed, and what is missing in some variants has a
default, which nothing ever takes.

Authors
 * The speechbrain-merit developers 2026
"""

from collections.abc import Collection
from dataclasses import fields
from typing import Annotated, Any, TypeVar

import torch
from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from speechbrain.utils.run_opts import RunOptions
from speechbrain_merit.lobes.joint_model import EMOTION, ENHANCE
from speechbrain_merit.lobes.pooling import POOLINGS
from speechbrain_merit.lobes.sparse_moe import ROUTER_LEARNING
from speechbrain_merit.lobes.speech_encoder import FREEZE
from speechbrain_merit.lobes.speech_model_loading import SUPPORTED_MODELS
from speechbrain_merit.lobes.waveform_normalization import MODES
from speechbrain_merit.losses import KINDS
from speechbrain_merit.metrics.composite import COMPOSITE_METRICS
from speechbrain_merit.metrics.dnsmos import DNSMOS_METRICS
from speechbrain_merit.metrics.enhancement import METRICS

from .names import suggestion

TASKS = (ENHANCE, EMOTION)
LOSSES = (*TASKS, "load_balance", "router_kl", "router_z")
Item = TypeVar("Item")
# What not every variant has.
SOME: Any = Field(default=None)


def _one_of(names: Collection[str]) -> AfterValidator:
    def check(name: str) -> str:
        if name not in names:
            hint = suggestion(name, names)
            raise ValueError(f"be one of {', '.join(names)}.{hint}")
        return name

    return AfterValidator(check)


def _distinct(items: list[Item]) -> list[Item]:
    for place, item in enumerate(items):
        if item in items[:place]:
            raise ValueError(f"have {item!r} once.")
    return items


def _fold(fold: Any) -> Any:
    # True counts as a number in Python.
    number = isinstance(fold, int) and not isinstance(fold, bool)
    if (number and fold >= 0) or (isinstance(fold, str) and fold):
        return fold
    raise ValueError("be a whole number from 0 on, or a text")


def _is_here(device: str) -> str:
    try:
        torch.empty(0, device=device)
    except (RuntimeError, AssertionError) as error:
        reason = str(error).partition("\n")[0]
        raise ValueError(
            f"be a device of this machine, such as cpu or cuda:0: {reason}"
        ) from error
    return device


Text = Annotated[str, Field(min_length=1)]
Size = Annotated[int, Field(ge=1)]
Count = Annotated[int, Field(ge=0)]
# What numpy takes.
Seed = Annotated[int, Field(ge=0, le=2**32 - 1)]
Share = Annotated[float, Field(ge=0, le=1)]
Positive = Annotated[float, Field(gt=0)]
NotNegative = Annotated[float, Field(ge=0)]
Pair = Annotated[list[Positive], Field(min_length=2, max_length=2)]
Weights = dict[str, NotNegative]
# Beyond these, float32 keeps nothing of one of the two signals.
SnrDb = Annotated[float, Field(ge=-100, le=100)]
# None: clean speech alone is tested.
SnrsDb = Annotated[list[SnrDb], AfterValidator(_distinct)]
Task = Annotated[str, _one_of(TASKS)]
Tasks = Annotated[list[Task], Field(min_length=1), AfterValidator(_distinct)]
Metric = Annotated[
    str, _one_of((*METRICS, *COMPOSITE_METRICS, *DNSMOS_METRICS))
]

Precision = Annotated[str, _one_of(("fp32", "fp16", "bf16"))]


class Strict(BaseModel):
    """No text counts as a number, no number as a flag."""

    model_config = ConfigDict(strict=True, allow_inf_nan=False, extra="allow")


class Arguments(Strict):
    """Of what the YAML builds, whatever it is."""

    minimum_rms_db: float = SOME
    max_draws: Size = SOME
    cache_size: Count = SOME
    speeds: Annotated[list[Size], Field(min_length=1)] = SOME
    augment_prob: Share = SOME
    batch_size: Size = SOME
    shuffle: bool = SOME
    num_workers: Count = SOME
    tasks: Tasks = SOME
    smoothing_frames: Size = SOME
    temperatures: Pair | None = SOME
    shortcut_tasks: Tasks = SOME


class EncoderConfig(Strict):
    """What an encoder of random weights is like."""

    model_type: Annotated[str, _one_of(SUPPORTED_MODELS)] = SOME


class Hyperparameters(Strict):
    """All keys with bounds."""

    seed: Seed
    system: Text
    corpus: Text
    fold: Annotated[Any, AfterValidator(_fold)]
    data_folder: Text
    noise_folder: Text | None
    output_folder: Text
    save_folder: Text
    manifest_folder: Text
    train_log: Text = SOME
    use_tensorboard: bool
    tensorboard_logs_folder: Text
    skip_prep: bool
    pretrained_folder: Text | None
    enhancer_folder: Text = SOME
    prepare_options: dict[str, Any]
    # Mixing and augmentation
    sample_rate_hz: Size
    max_duration_s: Positive
    snr_low_db: SnrDb
    snr_high_db: SnrDb
    clean_probability: Share
    mixtures_per_utterance: Count
    test_snrs_db: SnrsDb
    valid_snrs_db: SnrsDb
    evaluation_seed: Seed
    audio_cache_folder: Text | None = SOME
    noises: Arguments
    speed_perturb: Arguments = SOME
    speech_augmentation: Arguments = SOME
    mixture_augmentation: Arguments = SOME
    # Training
    number_of_epochs: Size
    sampling_weights: Weights = SOME
    batch_size: Size
    grad_accumulation_factor: Size = SOME
    dynamic_batching: bool
    max_batch_duration_s: Positive = SOME
    num_length_buckets: Size = SOME
    ckpt_interval_minutes: NotNegative = SOME
    ckpt_interval_steps: Count = SOME
    process_timeout_minutes: Positive
    nonfinite_patience: Count = SOME
    max_grad_norm: Positive = SOME
    device: Annotated[str, AfterValidator(_is_here)] = SOME
    precision: Precision = SOME
    eval_precision: Precision = SOME
    lr: NotNegative
    lr_encoder: NotNegative
    lr_gates: NotNegative | None
    weight_decay: NotNegative = SOME
    warmup_fraction: Share
    freeze_encoder: Annotated[str, _one_of(FREEZE)]
    number_of_frozen_epochs: Count
    checkpoint_activations: bool
    allow_tf32: bool
    hidden_state_cache_folder: Text | None = SOME
    loss_weights: Weights
    task_balancing_kind: Annotated[str, _one_of(KINDS)] = SOME
    gradient_cosine_interval: Count
    # Built, where there is one.
    waveform_loss: None = SOME
    label_smoothing: Share
    score_weights: Weights
    early_stopping_epochs: Size = SOME
    early_stopping_warmup: Count = SOME
    num_averaged_checkpoints: Size
    num_workers: Count = SOME
    train_dataloader_opts: Arguments
    valid_dataloader_opts: Arguments
    test_dataloader_opts: Arguments
    enhancement_metrics: Annotated[list[Metric], AfterValidator(_distinct)]
    num_metric_jobs: Size
    # Model
    emotions: Annotated[
        list[Text], Field(min_length=1), AfterValidator(_distinct)
    ]
    label_mapping: dict[str, Text | None]
    encoder_source: Text | None = SOME
    encoder_config: EncoderConfig = SOME
    encoder_save_path: Text = SOME
    standardize_hidden_states: bool = SOME
    standardization_utterances: Size
    normalization_mode: Annotated[str, _one_of(MODES)] = SOME
    normalization_mean: float | None = SOME
    normalization_std: Positive | None = SOME
    num_experts: Size = SOME
    top_k: Size = SOME
    router_learning: Annotated[str, _one_of(ROUTER_LEARNING)] = SOME
    expert_hidden_size: Size = SOME
    feature_size: Size = SOME
    expert_dropout: Share = SOME
    expert_input_dropout: Share = SOME
    feature_dropout: Share = SOME
    router_noise: NotNegative = SOME
    mask_hidden_size: Size = SOME
    mask_dropout: Share = SOME
    pooling_kind: Annotated[str, _one_of(POOLINGS)] = SOME
    emotion_hidden_size: Count = SOME
    emotion_dropout: Share = SOME
    n_fft: Annotated[int, Field(ge=2)] = SOME
    hop_length: Size
    make_gate: Arguments = SOME
    experts: Arguments = SOME
    integrator: Arguments = SOME
    task_balancing: Arguments = SOME


_KINDS = {k: f.annotation for k, f in Hyperparameters.model_fields.items()}
# Keys whose values are texts, such as folders.
NULLABLE_TEXTS = {key for key, kind in _KINDS.items() if kind == Text | None}
TEXTS = NULLABLE_TEXTS | {key for key, kind in _KINDS.items() if kind is str}
# Names that count as known whether a variant has them or not.
KNOWN = {*Hyperparameters.model_fields, *(f.name for f in fields(RunOptions))}
