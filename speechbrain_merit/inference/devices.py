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
        If there is no such kind of device, or none of that kind here.

    Example
    -------
    >>> device_name(torch.device("cpu", 0))
    'cpu'
    >>> device_name("gpu")
    Traceback (most recent call last):
    ...
    ValueError: 'gpu' is no device: use e.g. 'cpu', 'cuda:0' or 'mps'.
    """
    try:
        parsed = torch.device(device)
    except (RuntimeError, TypeError) as error:
        raise ValueError(
            f"{device!r} is no device: use e.g. 'cpu', 'cuda:0' or 'mps'."
        ) from error
    if parsed.type == "cpu":
        return "cpu"
    if parsed.type == "cuda":
        return _cuda_name(parsed)
    if parsed.type == "mps" and not torch.backends.mps.is_available():
        raise ValueError("There is no device 'mps' here: use e.g. 'cpu'.")
    return parsed.type if parsed.type == "mps" else str(parsed)


def _cuda_name(device: torch.device) -> str:
    count = torch.cuda.device_count() if torch.cuda.is_available() else 0
    if count == 0:
        raise ValueError(f"There is no device '{device}' here: use e.g. 'cpu'.")
    # Without an index, PyTorch means the current one.
    index = (
        torch.cuda.current_device() if device.index is None else device.index
    )
    if index >= count:
        raise ValueError(
            f"There is no device '{device}' here: the last one is "
            f"'cuda:{count - 1}'."
        )
    return f"cuda:{index}"


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
