"""What every hyperparameter may be, and what must hold between them.

A key that train.py or a variant has needs a line in `RULES`; what depends on
several keys, one in `RELATIONS`.

Authors
 * The speechbrain-merit developers 2026
"""

import importlib.util
from collections.abc import Mapping
from typing import Any, NamedTuple

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

from .kinds import (
    AnyOf,
    Anything,
    Flag,
    Kind,
    Listed,
    Maybe,
    Number,
    OneOf,
    Table,
    Text,
    Whole,
)

TASKS = (ENHANCE, EMOTION)
LOSSES = (*TASKS, "load_balance", "router_kl", "router_z")
WIDE_BAND_HZ = 16000
WIDE_BAND_METRICS = ("pesq_wb", *COMPOSITE_METRICS)
# Beyond these, float32 keeps nothing of one of the two signals.
SNR_DB = Number(low=-100, high=100)
SHARE = Number(low=0, high=1)
SIZE = Whole(low=1)
COUNT = Whole(low=0)

# Keys with dots lie in a mapping. What is missing from a variant is not
# looked at; `REQUIRED` may not be missing.
RULES: dict[str, Kind] = {
    # What numpy takes as a seed.
    "seed": Whole(low=0, high=2**32 - 1),
    "system": Text(),
    "corpus": Text(),
    "fold": AnyOf((COUNT, Text())),
    "data_folder": Text(),
    "noise_folder": Maybe(Text()),
    "output_folder": Text(),
    "save_folder": Text(),
    "manifest_folder": Text(),
    "train_log": Text(),
    "use_tensorboard": Flag(),
    "tensorboard_logs_folder": Text(),
    "skip_prep": Flag(),
    "pretrained_folder": Maybe(Text()),
    "enhancer_folder": Text(),
    "prepare_corpus": Anything(),
    "prepare_options": Table(),
    # Mixing and augmentation
    "sample_rate_hz": SIZE,
    "max_duration_s": Number(above=0),
    "snr_low_db": SNR_DB,
    "snr_high_db": SNR_DB,
    "clean_probability": SHARE,
    # None: clean speech alone is tested.
    "test_snrs_db": Listed(SNR_DB),
    "valid_snrs_db": Listed(SNR_DB),
    "evaluation_seed": Whole(low=0, high=2**32 - 1),
    "audio_cache_folder": Maybe(Text()),
    "audio_cache_memory_mib": Number(low=0),
    "read_speech": Anything(),
    "noises": Anything(),
    "noises.minimum_rms_db": Number(),
    "noises.max_draws": SIZE,
    "noises.cache_size": COUNT,
    "speed_perturb": Anything(),
    "speed_perturb.speeds": Listed(SIZE, at_least=1),
    "speech_augmentation": Anything(),
    "speech_augmentation.augment_prob": SHARE,
    "drop_freq": Anything(),
    "drop_chunk": Anything(),
    "mixture_augmentation": Anything(),
    "mixture_augmentation.augment_prob": SHARE,
    "training_mixer": Anything(),
    # Training
    "number_of_epochs": SIZE,
    "batch_size": SIZE,
    "grad_accumulation_factor": SIZE,
    "dynamic_batching": Flag(),
    "max_batch_duration_s": Number(above=0),
    "num_length_buckets": SIZE,
    "ckpt_interval_minutes": Number(low=0),
    "ckpt_interval_steps": COUNT,
    "process_timeout_minutes": Number(above=0),
    "nonfinite_patience": COUNT,
    "lr": Number(low=0),
    "lr_encoder": Number(low=0),
    "weight_decay": Number(low=0),
    "warmup_fraction": SHARE,
    "freeze_encoder": OneOf(FREEZE),
    "number_of_frozen_epochs": COUNT,
    "checkpoint_activations": Flag(),
    "hidden_state_cache_gib": Number(low=0),
    "allow_tf32": Flag(),
    "loss_weights": Table(Number(low=0), LOSSES),
    "task_balancing_kind": OneOf(KINDS),
    "label_smoothing": SHARE,
    "score_weights": Table(Number(low=0), TASKS),
    "early_stopping_epochs": SIZE,
    "early_stopping_warmup": COUNT,
    "num_averaged_checkpoints": SIZE,
    "dynamic_batch_sampler": Anything(),
    "num_workers": COUNT,
    "train_dataloader_opts": Table(),
    "train_dataloader_opts.batch_size": SIZE,
    "train_dataloader_opts.shuffle": Flag(),
    "train_dataloader_opts.num_workers": COUNT,
    "valid_dataloader_opts": Table(),
    "valid_dataloader_opts.batch_size": SIZE,
    "valid_dataloader_opts.num_workers": COUNT,
    "test_dataloader_opts": Table(),
    "test_dataloader_opts.batch_size": SIZE,
    "test_dataloader_opts.num_workers": COUNT,
    "enhancement_metrics": Listed(
        OneOf((*METRICS, *COMPOSITE_METRICS, *DNSMOS_METRICS))
    ),
    "num_metric_jobs": SIZE,
    # Model
    "emotions": Listed(Text(), at_least=1),
    "label_mapping": Table(Maybe(Text())),
    "encoder_source": Maybe(Text()),
    "encoder_config": Table(),
    "encoder_save_path": Text(),
    "standardize_hidden_states": Flag(),
    "standardization_utterances": SIZE,
    "normalization_mode": OneOf(MODES),
    "normalization_mean": Maybe(Number()),
    "normalization_std": Maybe(Number(above=0)),
    "num_experts": SIZE,
    "top_k": SIZE,
    "router_learning": OneOf(ROUTER_LEARNING),
    "expert_hidden_size": SIZE,
    "feature_size": SIZE,
    "expert_dropout": SHARE,
    "expert_input_dropout": SHARE,
    "feature_dropout": SHARE,
    "router_noise": Number(low=0),
    "mask_hidden_size": SIZE,
    "mask_dropout": SHARE,
    "pooling_kind": OneOf(tuple(POOLINGS)),
    "emotion_hidden_size": SIZE,
    "emotion_dropout": SHARE,
    "n_fft": Whole(low=2),
    "hop_length": SIZE,
    # Objects
    "normalization": Anything(),
    "encoder": Anything(),
    "fusion": Anything(),
    "make_expert": Anything(),
    "experts": Anything(),
    "experts.tasks": Listed(OneOf(TASKS), at_least=1),
    "layer_sum": Anything(),
    "integrator": Anything(),
    "integrator.tasks": Listed(OneOf(TASKS), at_least=1),
    "integrator.shortcut_tasks": Listed(OneOf(TASKS), at_least=1),
    "frontend": Anything(),
    "enhancement_head": Anything(),
    "pooling": Anything(),
    "emotion_head": Anything(),
    "classifier": Anything(),
    "enhancer": Anything(),
    "model": Anything(),
    "task_balancing": Anything(),
    "task_balancing.tasks": Listed(OneOf(TASKS), at_least=1),
    "hidden_state_cache": Anything(),
    "modules": Anything(),
    "opt_class": Anything(),
    "encoder_opt_class": Anything(),
    "lr_schedule": Anything(),
    "epoch_counter": Anything(),
    "train_logger": Anything(),
    "label_encoder": Anything(),
    "checkpointer": Anything(),
}

# What train.py reads whatever the variant is.
REQUIRED = (
    "seed",
    "system",
    "corpus",
    "fold",
    "data_folder",
    "noise_folder",
    "output_folder",
    "save_folder",
    "manifest_folder",
    "use_tensorboard",
    "tensorboard_logs_folder",
    "skip_prep",
    "pretrained_folder",
    "prepare_corpus",
    "prepare_options",
    "sample_rate_hz",
    "max_duration_s",
    "test_snrs_db",
    "valid_snrs_db",
    "evaluation_seed",
    "noises",
    "read_speech",
    "training_mixer",
    "number_of_epochs",
    "process_timeout_minutes",
    "batch_size",
    "warmup_fraction",
    "freeze_encoder",
    "number_of_frozen_epochs",
    "dynamic_batching",
    "checkpoint_activations",
    "allow_tf32",
    "label_smoothing",
    "score_weights",
    "num_averaged_checkpoints",
    "dynamic_batch_sampler",
    "train_dataloader_opts",
    "valid_dataloader_opts",
    "test_dataloader_opts",
    "enhancement_metrics",
    "num_metric_jobs",
    "emotions",
    "label_mapping",
    "standardization_utterances",
    "hop_length",
    "hidden_state_cache",
    "modules",
    "opt_class",
    "encoder_opt_class",
    "lr_schedule",
    "epoch_counter",
    "train_logger",
    "label_encoder",
    "checkpointer",
)


class Relation(NamedTuple):
    """What must hold between several keys.

    Arguments
    ---------
    keys : tuple of str
        Which ones; nothing is checked where one of them is missing, or is
        not what `RULES` wants.
    problem : callable
        Takes their values and tells what is wrong, as a sentence; None or
        empty where nothing is.
    """

    keys: tuple[str, ...]
    problem: Any


def _snr_range(low: float, high: float) -> str | None:
    if low > high:
        return f"snr_low_db {low} is above snr_high_db {high}."
    return None


def _experts(top_k: int, num_experts: int) -> str | None:
    if top_k > num_experts:
        return (
            f"top_k is {top_k}, but there are only {num_experts} experts: "
            "lower it, or raise num_experts."
        )
    return None


def _frames(hop_length: int, n_fft: int) -> str | None:
    if hop_length > n_fft:
        return (
            f"hop_length {hop_length} is above n_fft {n_fft}: samples between "
            "the frames would be lost."
        )
    return None


def _mapped_labels(
    mapping: Mapping[str, Any], emotions: list[str]
) -> str | None:
    wrong = sorted({v for v in mapping.values() if v} - set(emotions))
    if wrong:
        return (
            f"label_mapping leads to {', '.join(wrong)}, which emotions "
            f"{list(emotions)} does not have."
        )
    return None


def _corpus_normalization(mode: str, mean: Any, std: Any) -> str | None:
    given = [value is not None for value in (mean, std)]
    if given != [mode == "corpus"] * 2:
        return (
            "normalization_mean and normalization_std are for "
            "normalization_mode corpus, which needs both, and no other: the "
            f"mode is {mode}, they are {mean} and {std}."
        )
    return None


def _batch_duration(
    dynamic: bool, batch_duration_s: float, duration_s: float
) -> str | None:
    if dynamic and batch_duration_s < duration_s:
        return (
            f"max_batch_duration_s {batch_duration_s} is below max_duration_s "
            f"{duration_s}: an utterance of that length fits into no batch."
        )
    return None


def _hidden_state_cache(
    capacity_gib: float, freeze: str, frozen_epochs: int
) -> str | None:
    if capacity_gib and freeze != "all" and not frozen_epochs:
        return (
            f"hidden_state_cache_gib is {capacity_gib}, but freeze_encoder "
            f"{freeze}: an encoder that trains gives other hidden states in "
            "every epoch. Set it to 0, or freeze_encoder to all."
        )
    return None


def _wide_band(metrics: list[str], sample_rate_hz: int) -> str | None:
    wide = [name for name in metrics if name in WIDE_BAND_METRICS]
    if wide and sample_rate_hz != WIDE_BAND_HZ:
        return (
            f"enhancement_metrics has {', '.join(wide)}, which are defined at "
            f"{WIDE_BAND_HZ} Hz alone, but sample_rate_hz is {sample_rate_hz}."
        )
    return None


def _installed(metrics: list[str]) -> str | None:
    needed = [name for name in metrics if name in DNSMOS_METRICS]
    if needed and importlib.util.find_spec("speechmos") is None:
        return (
            f"enhancement_metrics has {', '.join(needed)}: install "
            "speechbrain-merit[dnsmos] for that."
        )
    return None


def _stages(frozen: int, epochs: int) -> str | None:
    if frozen > epochs:
        return (
            f"number_of_frozen_epochs {frozen} is above number_of_epochs "
            f"{epochs}, which counts them."
        )
    return None


def _random_encoder(source: str | None, config: Mapping) -> str | None:
    if source is not None:
        return None
    if not config:
        return (
            "encoder_source is null and encoder_config empty: name a speech "
            "encoder, or describe one of random weights."
        )
    found = OneOf(SUPPORTED_MODELS).problem(config.get("model_type"))
    return found and f"encoder_config.model_type {found}"


def _scored(snrs_db: list[float], weights: Mapping[str, float]) -> str | None:
    if not snrs_db and weights.get(ENHANCE):
        return (
            "valid_snrs_db is empty: on clean speech alone the enhancement "
            "has no score. Give an SNR, or set score_weights.enhance to 0."
        )
    return None


def _weighted_losses(
    tasks: list[str], losses: Mapping, scores: Mapping
) -> str | None:
    for name, weights in (("loss_weights", losses), ("score_weights", scores)):
        missing = [task for task in tasks if task not in weights]
        if missing:
            return f"{name} has no weight for {', '.join(missing)}."
    return None


def _same_tasks(integrated: list[str], balanced: list[str]) -> str | None:
    if set(integrated) != set(balanced):
        return (
            f"The integrator's tasks are {list(integrated)}, but "
            f"task_balancing.tasks is {list(balanced)}: they must be the same."
        )
    return None


RELATIONS = (
    Relation(("snr_low_db", "snr_high_db"), _snr_range),
    Relation(("top_k", "num_experts"), _experts),
    Relation(("hop_length", "n_fft"), _frames),
    Relation(("label_mapping", "emotions"), _mapped_labels),
    Relation(
        ("normalization_mode", "normalization_mean", "normalization_std"),
        _corpus_normalization,
    ),
    Relation(
        ("dynamic_batching", "max_batch_duration_s", "max_duration_s"),
        _batch_duration,
    ),
    Relation(
        ("hidden_state_cache_gib", "freeze_encoder", "number_of_frozen_epochs"),
        _hidden_state_cache,
    ),
    Relation(("enhancement_metrics", "sample_rate_hz"), _wide_band),
    Relation(("enhancement_metrics",), _installed),
    Relation(("number_of_frozen_epochs", "number_of_epochs"), _stages),
    Relation(("encoder_source", "encoder_config"), _random_encoder),
    Relation(("valid_snrs_db", "score_weights"), _scored),
    Relation(
        ("task_balancing.tasks", "loss_weights", "score_weights"),
        _weighted_losses,
    ),
    Relation(("integrator.tasks", "task_balancing.tasks"), _same_tasks),
    Relation(("experts.tasks", "task_balancing.tasks"), _same_tasks),
)
