"""What must hold between several hyperparameters.

Authors
 * The speechbrain-merit developers 2026
"""

import importlib.util
from collections.abc import Iterator, Mapping
from typing import Any

from speechbrain_merit.lobes.speech_model_loading import SUPPORTED_MODELS
from speechbrain_merit.metrics.composite import COMPOSITE_METRICS
from speechbrain_merit.metrics.dnsmos import DNSMOS_METRICS

from .names import suggestion

WIDE_BAND_HZ = 16000
WIDE_BAND_METRICS = ("pesq_wb", *COMPOSITE_METRICS)
# What is wrong, as a sentence, and the keys that it is about.
Problem = tuple[str, ...]


def broken_relations(values: Mapping[str, Any]) -> Iterator[Problem]:
    """Finds what does not fit together.

    Arguments
    ---------
    values : Mapping
        Value by key, of those that are right in themselves; what depends on
        another one is not looked at.

    Yields
    ------
    tuple of str
        A sentence, and the keys that it is about.

    Example
    -------
    >>> list(broken_relations({"snr_low_db": 9, "snr_high_db": 8}))
    [('snr_low_db 9 is above snr_high_db 8.', 'snr_low_db', 'snr_high_db')]
    """
    yield from _of_mixtures(values)
    yield from _of_metrics(values)
    yield from _of_training(values)
    yield from _of_tasks(values)
    yield from _of_the_model(values)


def _of_mixtures(values: Mapping[str, Any]) -> Iterator[Problem]:
    match values:
        case {"snr_low_db": low, "snr_high_db": high} if low > high:
            text = f"snr_low_db {low} is above snr_high_db {high}."
            yield text, "snr_low_db", "snr_high_db"
    match values:
        case {"label_mapping": mapping, "emotions": emotions}:
            wrong = sorted({v for v in mapping.values() if v} - set(emotions))
            if wrong:
                text = (
                    f"label_mapping leads to {', '.join(wrong)}, which "
                    f"emotions {emotions} does not have."
                )
                yield text, "label_mapping", "emotions"
    match values:
        case {
            "dynamic_batching": True,
            "max_batch_duration_s": batch,
            "max_duration_s": longest,
        } if batch < longest:
            text = (
                f"max_batch_duration_s {batch} is below max_duration_s "
                f"{longest}: an utterance of that length fits into no batch."
            )
            yield text, "max_batch_duration_s", "max_duration_s"


def _of_metrics(values: Mapping[str, Any]) -> Iterator[Problem]:
    metrics = values.get("enhancement_metrics", [])
    wide = [name for name in metrics if name in WIDE_BAND_METRICS]
    rate_hz = values.get("sample_rate_hz", WIDE_BAND_HZ)
    if wide and rate_hz != WIDE_BAND_HZ:
        text = (
            f"enhancement_metrics has {', '.join(wide)}, which are defined at "
            f"{WIDE_BAND_HZ} Hz alone, but sample_rate_hz is {rate_hz}."
        )
        yield text, "enhancement_metrics", "sample_rate_hz"
    needed = [name for name in metrics if name in DNSMOS_METRICS]
    if needed and importlib.util.find_spec("speechmos") is None:
        text = (
            f"enhancement_metrics has {', '.join(needed)}: install "
            "speechbrain-merit[dnsmos] for that."
        )
        yield text, "enhancement_metrics"
    match values:
        case {"valid_snrs_db": [], "score_weights": {"enhance": weight}}:
            if weight:
                text = (
                    "valid_snrs_db is empty: on clean speech alone the "
                    "enhancement has no score. Give an SNR, or set "
                    "score_weights.enhance to 0."
                )
                yield text, "valid_snrs_db", "score_weights.enhance"


def _of_training(values: Mapping[str, Any]) -> Iterator[Problem]:
    match values:
        case {
            "number_of_frozen_epochs": frozen,
            "number_of_epochs": epochs,
        } if frozen > epochs:
            text = (
                f"number_of_frozen_epochs {frozen} is above number_of_epochs "
                f"{epochs}, which counts them."
            )
            yield text, "number_of_frozen_epochs", "number_of_epochs"
    match values:
        case {
            "hidden_state_cache_gib": capacity_gib,
            "freeze_encoder": freeze,
            "number_of_frozen_epochs": 0,
        } if capacity_gib and freeze != "all":
            text = (
                f"hidden_state_cache_gib is {capacity_gib}, but freeze_encoder "
                f"{freeze}: an encoder that trains gives other hidden states "
                "in every epoch. Set it to 0, or freeze_encoder to all."
            )
            yield text, "hidden_state_cache_gib", "freeze_encoder"


def _of_tasks(values: Mapping[str, Any]) -> Iterator[Problem]:
    balanced = values.get("task_balancing", {}).get("tasks")
    if balanced is None:
        return
    for key in ("loss_weights", "score_weights"):
        missing = [
            task for task in balanced if task not in values.get(key, balanced)
        ]
        if missing:
            yield f"{key} has no weight for {', '.join(missing)}.", key
    for key in ("integrator", "experts"):
        own = values.get(key, {}).get("tasks", balanced)
        if set(own) != set(balanced):
            text = (
                f"{key}.tasks is {own}, but task_balancing.tasks is "
                f"{balanced}: they must be the same."
            )
            yield text, f"{key}.tasks", "task_balancing.tasks"


def _of_the_model(values: Mapping[str, Any]) -> Iterator[Problem]:
    match values:
        case {"top_k": top_k, "num_experts": experts} if top_k > experts:
            text = (
                f"top_k is {top_k}, but there are only {experts} experts: "
                "lower it, or raise num_experts."
            )
            yield text, "top_k", "num_experts"
    match values:
        case {"hop_length": hop, "n_fft": n_fft} if hop > n_fft:
            text = (
                f"hop_length {hop} is above n_fft {n_fft}: samples between "
                "the frames would be lost."
            )
            yield text, "hop_length", "n_fft"
    match values:
        case {
            "normalization_mode": mode,
            "normalization_mean": mean,
            "normalization_std": std,
        } if [mean is not None, std is not None] != [mode == "corpus"] * 2:
            text = (
                "normalization_mean and normalization_std are for "
                "normalization_mode corpus, which needs both, and no other: "
                f"the mode is {mode}, they are {mean} and {std}."
            )
            yield (
                text,
                "normalization_mode",
                "normalization_mean",
                "normalization_std",
            )
    match values:
        case {"encoder_source": None, "encoder_config": {} as config}:
            kind = config.get("model_type")
            if not config:
                text = (
                    "encoder_source is null and encoder_config empty: name a "
                    "speech encoder, or describe one of random weights."
                )
                yield text, "encoder_source", "encoder_config"
            elif kind not in SUPPORTED_MODELS:
                hint = suggestion(str(kind), SUPPORTED_MODELS)
                text = (
                    f"encoder_config.model_type is {kind!r}: it must be one "
                    f"of {', '.join(SUPPORTED_MODELS)}.{hint}"
                )
                yield text, "encoder_config.model_type"
