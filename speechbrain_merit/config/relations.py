"""What must hold between several hyperparameters.

Authors
 * The speechbrain-merit developers 2026
"""

import importlib.util
from collections.abc import Callable, Iterator, Mapping
from typing import Any, NamedTuple

from speechbrain_merit.metrics.composite import COMPOSITE_METRICS
from speechbrain_merit.metrics.dnsmos import DNSMOS_METRICS

_WIDE_BAND = {"pesq_wb", *COMPOSITE_METRICS}
_SCORED_BY = {
    "pesq": _WIDE_BAND,
    "pystoi": {"stoi"},
    "speechmos": {*DNSMOS_METRICS},
}


class Relation(NamedTuple):
    """What may not be with several keys.

    Arguments
    ---------
    keys : tuple of str
        Which ones, with dots in mappings.
    broken : callable
        Takes their values and tells whether they do not go together.
    message : str
        What to say then, with the values in braces.
    """

    keys: tuple[str, ...]
    broken: Callable[..., Any]
    message: str


def broken_relations(values: Mapping[str, Any]) -> Iterator[tuple[str, ...]]:
    """Finds what does not go together.

    Arguments
    ---------
    values : Mapping
        Value by key, of those that are right in themselves; a relation with
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
    flat = dict(values)
    for key, value in values.items():
        if isinstance(value, dict):
            flat |= {f"{key}.{name}": item for name, item in value.items()}
    for keys, broken, message in _RELATIONS:
        if flat.keys() >= set(keys):
            found = [flat[key] for key in keys]
            if broken(*found):
                yield message.format(*found), *keys


_RELATIONS = (
    Relation(
        ("snr_low_db", "snr_high_db"),
        lambda low, high: low > high,
        "snr_low_db {} is above snr_high_db {}.",
    ),
    Relation(
        ("top_k", "num_experts"),
        lambda top_k, num_experts: top_k > num_experts,
        "top_k is {}, but there are only {} experts: lower it, or raise "
        "num_experts.",
    ),
    Relation(
        ("hop_length", "n_fft"),
        lambda hop_length, n_fft: hop_length > n_fft,
        "hop_length {} is above n_fft {}: samples between the frames would be "
        "lost.",
    ),
    Relation(
        ("label_mapping", "emotions"),
        lambda mapping, emotions: {*mapping.values()} - {*emotions, None},
        "label_mapping {} leads to what emotions {} does not have.",
    ),
    Relation(
        ("normalization_mode", "normalization_mean", "normalization_std"),
        lambda mode, *given: any(
            (x is None) == (mode == "corpus") for x in given
        ),
        "normalization_mode is {}, normalization_mean {} and normalization_std "
        "{}: the mode corpus needs both, and no other takes them.",
    ),
    Relation(
        ("max_duration_s", "sample_rate_hz", "n_fft"),
        lambda duration_s, rate_hz, n_fft: duration_s * rate_hz < n_fft,
        "max_duration_s {} at sample_rate_hz {} is less than one frame, which "
        "has n_fft {} samples.",
    ),
    Relation(
        ("ckpt_interval_minutes", "ckpt_interval_steps"),
        lambda minutes, steps: minutes > 0 and steps > 0,
        "ckpt_interval_minutes is {} and ckpt_interval_steps {}: one of them "
        "must be 0.",
    ),
    *(
        Relation(
            (key, "device"),
            lambda precision, device: (precision, device) == ("fp16", "cpu"),
            f"{key} is {{}}, which the device {{}} does not have: give bf16 or "
            "fp32.",
        )
        for key in ("precision", "eval_precision")
    ),
    Relation(
        ("dynamic_batching", "max_batch_duration_s", "max_duration_s"),
        lambda dynamic, batch_s, longest_s: dynamic and batch_s < longest_s,
        "dynamic_batching is {}, but max_batch_duration_s {} below "
        "max_duration_s {}: an utterance of that length fits into no batch.",
    ),
    Relation(
        ("sampling_weights", "dynamic_batching"),
        lambda weights, dynamic: weights and dynamic,
        "sampling_weights is {} and dynamic_batching {}: batches of like length "
        "draw every utterance once. Set one of them back.",
    ),
    Relation(
        (
            "hidden_state_cache_folder",
            "freeze_encoder",
            "number_of_frozen_epochs",
        ),
        lambda folder, freeze, frozen: folder
        and freeze != "all"
        and not frozen,
        "hidden_state_cache_folder is {}, but freeze_encoder {}: an encoder that "
        "trains gives other hidden states in every epoch. Set it to null, or "
        "freeze_encoder to all.",
    ),
    Relation(
        ("number_of_frozen_epochs", "number_of_epochs"),
        lambda frozen, epochs: frozen > epochs,
        "number_of_frozen_epochs {} is above number_of_epochs {}, which "
        "counts them.",
    ),
    Relation(
        ("enhancement_metrics", "sample_rate_hz"),
        lambda metrics, rate_hz: rate_hz != 16000 and _WIDE_BAND & {*metrics},
        f"enhancement_metrics is {{}}, of which {', '.join(sorted(_WIDE_BAND))} "
        "are defined at 16000 Hz alone, but sample_rate_hz is {}.",
    ),
    Relation(
        ("enhancement_metrics",),
        lambda metrics: any(
            {*metrics} & names and importlib.util.find_spec(package) is None
            for package, names in _SCORED_BY.items()
        ),
        "enhancement_metrics is {}: pip install '.[dnsmos]' in the project's "
        "folder for those of DNSMOS, '.[train]' for the others.",
    ),
    Relation(
        ("valid_snrs_db", "score_weights.enhance"),
        lambda snrs_db, weight: weight and not snrs_db,
        "valid_snrs_db is {}: on clean speech alone the enhancement has no "
        "score. Give an SNR, or set score_weights.enhance to 0.",
    ),
    *(
        Relation(
            (key, "task_balancing.tasks"),
            lambda weights, tasks: {*tasks} - {*weights},
            f"{key} {{}} has no weight for one of the tasks {{}}.",
        )
        for key in ("loss_weights", "score_weights")
    ),
    *(
        Relation(
            (f"{key}.tasks", "task_balancing.tasks"),
            lambda own, balanced: {*own} != {*balanced},
            f"{key}.tasks is {{}}, but task_balancing.tasks {{}}: they must be "
            "the same.",
        )
        for key in ("integrator", "experts")
    ),
    Relation(
        ("encoder_source", "encoder_config"),
        lambda source, config: source is None and "model_type" not in config,
        "encoder_source is {} and encoder_config {}: name a speech encoder, or "
        "describe one of random weights with its model_type.",
    ),
)
