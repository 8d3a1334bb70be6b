"""Peak memory of a step, on a CPU or a GPU.

Authors
 * The speechbrain-merit developers 2026
"""

import concurrent.futures
import ctypes
import gc
import multiprocessing
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

import torch
from timing import synchronize

Result = TypeVar("Result")


def start_peak(device: str) -> float:
    """Forgets the peak so far.

    Arguments
    ---------
    device : str
        Where the memory is; on `cpu` that of this process, on Linux.

    Returns
    -------
    float
        What is in use now, in GiB.
    """
    if device.startswith("cuda"):
        torch.cuda.reset_peak_memory_stats(device)
        return torch.cuda.memory_allocated(device) / 2**30
    # What was freed, but not given back, would hide what comes.
    ctypes.CDLL("libc.so.6").malloc_trim(0)
    Path("/proc/self/clear_refs").write_text("5")
    return _resident_gib("VmRSS")


def peak_gib(device: str) -> float:
    """Reads the peak since `start_peak`.

    Arguments
    ---------
    device : str
        As there.

    Returns
    -------
    float
        In GiB, with what was in use before.
    """
    if device.startswith("cuda"):
        synchronize(device)
        return torch.cuda.max_memory_allocated(device) / 2**30
    return _resident_gib("VmHWM")


def with_free_memory(
    device: str, function: Callable[..., Result], *arguments
) -> Result:
    """Runs a function where nothing has been allocated.

    Arguments
    ---------
    device : str
        Where the memory is. A CPU's is that of a new process; a GPU's is
        counted by torch, and freed.
    function : callable
        Of a module, so that it can be found there.
    *arguments
        For the function.

    Returns
    -------
    Result
        What it returns.
    """
    if device.startswith("cuda"):
        gc.collect()
        torch.cuda.empty_cache()
        return function(*arguments)
    with concurrent.futures.ProcessPoolExecutor(
        1, multiprocessing.get_context("spawn")
    ) as pool:
        return pool.submit(function, *arguments).result()


def _resident_gib(field: str) -> float:
    lines = Path("/proc/self/status").read_text(encoding="utf-8").splitlines()
    (line,) = [line for line in lines if line.startswith(field)]
    return int(line.split()[1]) / 2**20
