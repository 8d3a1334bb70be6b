"""Times implementations in turns, so that a busy machine treats them alike.

Authors
 * The speechbrain-merit developers 2026
"""

import dataclasses
import platform
import time
from collections.abc import Callable, Mapping
from pathlib import Path

import torch


@dataclasses.dataclass
class Timing:
    """What one run of a step takes.

    Arguments
    ---------
    wall_s : float
        Least elapsed time: what other programs take only adds to it.
    cpu_s : float
        Least processor time of all threads.
    """

    wall_s: float
    cpu_s: float


def time_in_turns(
    steps: Mapping[str, Callable[[], object]], repetitions: int, device: str
) -> dict[str, Timing]:
    """Runs all steps once uncounted, then again and again one by one.

    Arguments
    ---------
    steps : Mapping
        What to run, by name.
    repetitions : int
        Counted runs of every step.
    device : str
        Where they run.

    Returns
    -------
    dict
        Timing by name.
    """
    runs: dict[str, list[tuple[float, float]]] = {name: [] for name in steps}
    for _ in range(repetitions + 1):
        for name, step in steps.items():
            runs[name].append(_time_once(step, device))
    return {
        name: Timing(*map(min, zip(*times[1:], strict=True)))
        for name, times in runs.items()
    }


def _time_once(step: Callable[[], object], device: str) -> tuple[float, float]:
    synchronize(device)
    wall_s, cpu_s = time.perf_counter(), time.process_time()
    step()
    synchronize(device)
    return time.perf_counter() - wall_s, time.process_time() - cpu_s


def synchronize(device: str) -> None:
    """Waits for what was started on a GPU.

    Arguments
    ---------
    device : str
        Such as `cuda:0`; nothing to wait for on `cpu`.
    """
    if device.startswith("cuda"):
        torch.cuda.synchronize(device)


def describe_device(device: str) -> str:
    """Names the hardware, the threads and torch's version.

    Arguments
    ---------
    device : str
        Where the benchmark runs.

    Returns
    -------
    str
        For the line above a table.
    """
    if device.startswith("cuda"):
        name = torch.cuda.get_device_name(device)
    else:
        name = f"{_processor()}, {torch.get_num_threads()} threads"
    return f"{name}, torch {torch.__version__}"


def _processor() -> str:
    # Linux says there what the platform module does not.
    information = Path("/proc/cpuinfo")
    if information.is_file():
        for line in information.read_text(encoding="utf-8").splitlines():
            if line.startswith("model name"):
                return line.split(":")[1].strip()
    return platform.processor() or platform.machine()
