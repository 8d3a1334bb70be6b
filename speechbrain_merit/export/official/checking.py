"""Comparing published files with what they should hold, to the last tensor.

Authors
 * The speechbrain-merit developers 2026
"""

from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping

import torch
from transformers import WavLMConfig

from . import files
from .layout import WEIGHT_NORM, Entry, Size, official_layout

Weights = Mapping[str, Mapping[str, torch.Tensor]]

# For what no tensor tells.
PUBLISHED_SIZES = {
    "num_experts": 3,
    "expert_hidden_size": 4096,
    "feature_size": 1024,
    "mask_hidden_size": 256,
    "emotion_hidden_size": 1024,
    "num_classes": 4,
}


def spelling_of_weight_norm(names: Mapping[str, torch.Tensor]) -> str:
    """Tells how the encoder's weight norm is spelled.

    Arguments
    ---------
    names : Mapping
        The encoder's tensors.

    Returns
    -------
    str
        `old` or `new`.

    Example
    -------
    >>> spelling_of_weight_norm({"encoder.pos_conv.0.weight_g": None})
    'old'
    """
    old = tuple(f".{leaf}" for leaf in WEIGHT_NORM["old"])
    return "old" if any(name.endswith(old) for name in names) else "new"


def check_weights(
    config: WavLMConfig, weights: Weights
) -> tuple[dict[str, list[Entry]], dict[str, int]]:
    """Accounts for every tensor.

    The sizes that the encoder's configuration does not tell are what most
    tensors say, so that one which differs is the one that is named.

    Arguments
    ---------
    config : WavLMConfig
        Of the encoder.
    weights : Mapping
        The tensors of every file.

    Returns
    -------
    tuple of dict
        What the files hold, and the sizes by name.

    Raises
    ------
    ValueError
        If tensors are unknown, missing, or of another shape or kind; names
        all of them.

    Example
    -------
    >>> layout = official_layout(WavLMConfig(), 3, "new")
    >>> check_weights(WavLMConfig(), {name: {} for name in layout})
    Traceback (most recent call last):
    ...
    ValueError: These tensors are not as the published files have them:
    final_ssl.pt: mask_emb is missing...
    """
    weight_norm = spelling_of_weight_norm(weights[files.ENCODER])
    # The gates, which are there in any case, tell how many experts there are.
    sizes = _sizes(official_layout(config, 0, weight_norm), weights)
    layout = official_layout(config, sizes["num_experts"], weight_norm)
    sizes = _sizes(layout, weights)
    problems = [
        f"{file}: {problem}"
        for file, entries in layout.items()
        for problem in _problems(entries, weights[file], sizes)
    ]
    if problems:
        raise ValueError(
            "These tensors are not as the published files have them:\n"
            + "\n".join(problems)
        )
    return layout, sizes


def _sizes(
    layout: Mapping[str, list[Entry]], weights: Weights
) -> dict[str, int]:
    votes: dict[str, Counter] = defaultdict(Counter)
    for file, entries in layout.items():
        for entry in entries:
            tensor = weights[file].get(entry.name)
            if tensor is None or tensor.ndim != len(entry.shape):
                continue
            for length, found in zip(entry.shape, tensor.shape, strict=True):
                if isinstance(length, Size) and length == Size(length.name):
                    votes[length.name][found] += 1
    found = {name: count.most_common(1)[0][0] for name, count in votes.items()}
    return {**PUBLISHED_SIZES, **found}


def _problems(
    entries: list[Entry],
    given: Mapping[str, torch.Tensor],
    sizes: Mapping[str, int],
) -> Iterator[str]:
    for entry in entries:
        if entry.name not in given:
            yield f"{entry.name} is missing"
            continue
        tensor, shape = given[entry.name], _shape(entry, sizes)
        if list(tensor.shape) != shape:
            yield f"{entry.name} is {list(tensor.shape)}, not {shape}"
        elif not tensor.is_floating_point():
            yield f"{entry.name} is {tensor.dtype}, not of floating point"
    known = {entry.name for entry in entries}
    yield from (f"{name} is unknown" for name in given if name not in known)


def _shape(entry: Entry, sizes: Mapping[str, int]) -> list[int]:
    return [
        length
        if isinstance(length, int)
        else length.factor * sizes[length.name] + length.offset
        for length in entry.shape
    ]
