"""Sound in whatever form a program has it: arrays, files, open files, pipes.

Authors
 * The speechbrain-merit developers 2026
"""

import io
import math
import os
from pathlib import Path
from typing import Any

import numpy as np
import soundfile
import torch

from .atomic_write import is_device
from .decoding import Source

# Whose range is that of a file's samples.
_INTEGERS = (torch.uint8, torch.int16, torch.int32)


def as_samples(values: Any) -> torch.Tensor:
    """Makes samples of what an array holds, such that full scale is 1.

    Arguments
    ---------
    values : torch.Tensor or array or list
        Floats as they are; integers as files of so many bits have them.

    Returns
    -------
    torch.Tensor
        Of the same shape, float32.

    Raises
    ------
    ValueError
        If these are no numbers, or integers that do not tell their scale.

    Example
    -------
    >>> as_samples(np.array([-32768, 16384], dtype="int16"))
    tensor([-1.0000,  0.5000])
    """
    if not isinstance(values, torch.Tensor):
        values = torch.as_tensor(np.asarray(values))
    if values.is_floating_point():
        return values.float()
    if values.dtype not in _INTEGERS:
        raise ValueError(
            f"Nothing tells what full scale is for samples of {values.dtype}: "
            "give int16, int32 or floats within -1 and 1."
        )
    full_scale = 2.0 ** (torch.iinfo(values.dtype).bits - 1)
    zero = full_scale if values.dtype == torch.uint8 else 0.0
    return (values.float() - zero) / full_scale


def as_source(source: Any, sample_rate_hz: int) -> Source:
    """Makes something that can be opened more than once of a recording.

    Arguments
    ---------
    source : str or Path or file object or torch.Tensor or array or list
        A file; a pipe, which is read to its end; or samples, `[time]` or
        `[channel, time]`, as for `as_samples`.
    sample_rate_hz : int
        Sample rate of samples.

    Returns
    -------
    str or Path or file object
        For `open_audio`.

    Raises
    ------
    ValueError
        If an array is neither of one channel nor of several, or its rate is
        no number of samples per second.

    Example
    -------
    >>> soundfile.info(as_source([0.0, 0.5, 0.25], 16000)).frames
    3
    """
    if isinstance(source, str | os.PathLike):
        if not is_device(source):
            return source
        return io.BytesIO(Path(source).read_bytes())
    if hasattr(source, "read"):
        return source if source.seekable() else io.BytesIO(source.read())
    if not 0 < sample_rate_hz < math.inf or sample_rate_hz % 1:
        raise ValueError(
            f"A sample rate of {sample_rate_hz} Hz is none: give a whole number."
        )
    samples = torch.atleast_2d(as_samples(source).detach().cpu())
    if samples.ndim != 2 or len(samples) > samples.shape[1] > 0:
        raise ValueError(
            f"Samples of the shape {tuple(samples.shape)} are no recording: "
            "give [time] or [channel, time]."
        )
    file = io.BytesIO()
    # A format without a limit on its size.
    soundfile.write(
        file, samples.T.numpy(), int(sample_rate_hz), "FLOAT", format="W64"
    )
    file.seek(0)
    return file
