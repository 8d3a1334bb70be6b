"""A published checkpoint as it lies in its files.

Authors
 * The speechbrain-merit developers 2026
"""

import dataclasses
from collections.abc import Mapping
from pathlib import Path

import torch
from transformers import WavLMConfig

from . import published_files as files
from .encoder_config import from_official_config
from .scalar_pickle import read_mean_and_std
from .weight_files import read_checkpoint, read_state_dict


@dataclasses.dataclass
class OfficialCheckpoint:
    """What the published files hold, but for optimizers.

    Arguments
    ---------
    encoder_config : WavLMConfig
        Of the encoder.
    mean : float
        Mean of the training set's samples.
    std : float
        Their standard deviation.
    weights : dict of str to dict of str to torch.Tensor
        By file and published name; they stay in the files until used.
    """

    encoder_config: WavLMConfig
    mean: float
    std: float
    weights: dict[str, dict[str, torch.Tensor]]


def read_official(source: str | Path) -> OfficialCheckpoint:
    """Reads the published files, and runs nothing that is in them.

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
        If a file is refused.

    Example
    -------
    >>> read_official(str(getfixture("tmpdir")))
    Traceback (most recent call last):
    ...
    FileNotFoundError: ... lacks final_ssl.pt, ...
    """
    paths = files.find_official_files(source)
    config = read_checkpoint(paths[files.ENCODER_CONFIG]).get("cfg")
    if not isinstance(config, Mapping):
        raise ValueError(
            f"{paths[files.ENCODER_CONFIG]} holds no configuration under 'cfg'."
        )
    return OfficialCheckpoint(
        from_official_config(config),
        *read_mean_and_std(paths[files.NORMALIZATION]),
        {name: read_state_dict(paths[name]) for name in files.WEIGHTS},
    )
