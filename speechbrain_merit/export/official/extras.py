"""What the published files hold beyond the model, kept beside it.

With it, `export_official` gives back what `import_official` was given.

Authors
 * The speechbrain-merit developers 2026
"""

import dataclasses
from pathlib import Path
from typing import Any

import torch

from .weight_files import read_checkpoint

FILE_NAME = "official_extras.ckpt"


@dataclasses.dataclass
class Extras:
    """What is left over when a published checkpoint has become a model.

    Arguments
    ---------
    encoder_config : dict
        The original WavLM's `cfg`, whole.
    encoder_weights : bool
        Whether `WavLM-Large.pt` held the weights of `final_ssl.pt` too. Other
        weights in it are those from before the training, and not kept.
    mean : float
        Mean of the training waveforms, in double precision.
    std : float
        Their standard deviation.
    weight_norm : str
        Spelling of the encoder's weight norm, `old` or `new`.
    unused : dict of str to torch.Tensor
        Weights of the enhancement head that nothing uses.
    """

    encoder_config: dict[str, Any]
    encoder_weights: bool
    mean: float
    std: float
    weight_norm: str
    unused: dict[str, torch.Tensor]


def write_extras(folder: str | Path, extras: Extras) -> None:
    """Writes them into a pretrained folder.

    Arguments
    ---------
    folder : str or Path
        Of the model.
    extras : Extras
        What to keep.

    Example
    -------
    >>> folder = getfixture("tmpdir")
    >>> write_extras(folder, Extras({}, False, 0.0, 1.0, "new", {}))
    >>> read_extras(folder).std
    1.0
    """
    torch.save(dataclasses.asdict(extras), Path(folder) / FILE_NAME)


def read_extras(folder: str | Path) -> Extras | None:
    """Reads them from a pretrained folder.

    Arguments
    ---------
    folder : str or Path
        Of the model.

    Returns
    -------
    Extras or None
        None for a model that was not imported.

    Raises
    ------
    ValueError
        If the file cannot be read, or lacks something.

    Example
    -------
    >>> read_extras(getfixture("tmpdir")) is None
    True
    """
    path = Path(folder) / FILE_NAME
    if not path.is_file():
        return None
    try:
        return Extras(**read_checkpoint(path))
    except TypeError as error:
        raise ValueError(
            f"{path} is not what import-official wrote: {error}. Import the "
            "checkpoint again, or remove this file."
        ) from error
