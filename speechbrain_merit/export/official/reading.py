"""A published checkpoint, read and accounted for to the last tensor.

Authors
 * The speechbrain-merit developers 2026
"""

import dataclasses
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from transformers import WavLMConfig

from . import files
from .checking import check_weights, spelling_of_weight_norm
from .encoder_config import from_official_config
from .extras import Extras
from .scalar_pickle import read_mean_and_std
from .weight_files import holds_all, read_checkpoint, read_state_dict


@dataclasses.dataclass
class OfficialCheckpoint:
    """What the published files hold.

    Arguments
    ---------
    encoder_config : WavLMConfig
        Of the encoder.
    sizes : dict of str to int
        What the tensors tell, see `PUBLISHED_SIZES`.
    weights : dict of str to torch.Tensor
        By their names in our model.
    extras : Extras
        What is not part of the model.
    """

    encoder_config: WavLMConfig
    sizes: dict[str, int]
    weights: dict[str, torch.Tensor]
    extras: Extras


def read_official(source: str | Path) -> OfficialCheckpoint:
    """Reads the published files; the tensors stay in them until used.

    Arguments
    ---------
    source : str or Path
        As for `find_official_files`.

    Returns
    -------
    OfficialCheckpoint
        All of it.

    Raises
    ------
    FileNotFoundError
        If the source cannot be had, or lacks files.
    ValueError
        If a file is refused, or tensors are unknown, missing or misshapen.

    Example
    -------
    >>> read_official(str(getfixture("tmpdir")))
    Traceback (most recent call last):
    ...
    FileNotFoundError: ... lacks final_ssl.pt, ...
    """
    paths = files.find_official_files(source)
    pretraining = read_checkpoint(paths[files.ENCODER_CONFIG])
    official_config = pretraining.get("cfg")
    if not isinstance(official_config, Mapping):
        raise ValueError(
            f"{paths[files.ENCODER_CONFIG]} holds no configuration under 'cfg'."
        )
    config = from_official_config(official_config)
    mean, std = read_mean_and_std(paths[files.NORMALIZATION])
    given = {name: read_state_dict(paths[name]) for name in files.WEIGHTS}
    layout, sizes = check_weights(config, given)
    weights = {
        "encoder.normalization.mean": torch.tensor(mean),
        "encoder.normalization.std": torch.tensor(std),
    }
    unused = {}
    for file, entries in layout.items():
        for entry in entries:
            if entry.target is None:
                unused[entry.name] = given[file][entry.name]
            else:
                weights[entry.target] = given[file][entry.name]
    encoder = given[files.ENCODER]
    extras = Extras(
        encoder_config=dict(official_config),
        encoder_weights=_equal(pretraining.get("model"), encoder),
        mean=mean,
        std=std,
        weight_norm=spelling_of_weight_norm(encoder),
        unused=unused,
    )
    return OfficialCheckpoint(config, sizes, weights, extras)


def _equal(one: Any, other: Mapping[str, torch.Tensor]) -> bool:
    return (
        isinstance(one, Mapping)
        and one.keys() == other.keys()
        and all(
            isinstance(one[name], torch.Tensor)
            and holds_all(one[name])
            and torch.equal(one[name], other[name])
            for name in other
        )
    )
