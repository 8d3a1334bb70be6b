"""Names of devices as PyTorch's users give them, in the form SpeechBrain takes.

Authors
 * The speechbrain-merit developers 2026
"""

import dataclasses
from collections.abc import Mapping
from typing import Any

import torch

from speechbrain.utils.run_opts import RunOptions


def device_name(device: str | torch.device) -> str:
    """Names a device that is there, with its index where it may have one.

    Arguments
    ---------
    device : str or torch.device
        Such as `cpu`, `cuda`, `cuda:1` or `mps`.

    Returns
    -------
    str
        What SpeechBrain takes for it: `cpu`, `cuda:N`, `mps`.

    Raises
    ------
    ValueError
        If there is no such device here.

    Example
    -------
    >>> device_name(torch.device("cpu", 0))
    'cpu'
    >>> device_name("gpu")
    Traceback (most recent call last):
    ...
    ValueError: There is no device 'gpu' here: use e.g. 'cpu', 'cuda:0' or ...
    """
    try:
        # The only way to ask for any kind of device, and for its index.
        found = torch.empty(0, device=device).device
    except (RuntimeError, TypeError, AssertionError) as error:
        raise ValueError(
            f"There is no device {str(device)!r} here: use e.g. 'cpu', "
            f"'cuda:0' or 'mps'. {error}"
        ) from error
    return found.type if found.type in ("cpu", "mps") else str(found)


def with_device_name(
    run_opts: RunOptions | Mapping[str, Any] | None,
) -> RunOptions | dict[str, Any] | None:
    """Gives options the name of their device, where they have one.

    Arguments
    ---------
    run_opts : RunOptions or mapping or None
        Options as for SpeechBrain's `Pretrained`, whose device may also be a
        `torch.device`.

    Returns
    -------
    RunOptions or dict or None
        The same, with the device's name.

    Raises
    ------
    ValueError
        If the device is not there.

    Example
    -------
    >>> with_device_name({"device": torch.device("cpu")})
    {'device': 'cpu'}
    """
    if run_opts is None or run_opts.get("device") is None:
        return run_opts
    device = device_name(run_opts["device"])
    if isinstance(run_opts, RunOptions):
        return dataclasses.replace(run_opts, device=device)
    return {**run_opts, "device": device}
