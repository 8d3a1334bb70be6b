"""Runs a function in several processes that can talk to each other.

Authors
 * The speechbrain-merit developers 2026
"""

import datetime
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

NUM_PROCESSES = 2
needs_gloo = pytest.mark.skipif(
    not torch.distributed.is_available()
    or not torch.distributed.is_gloo_available(),
    reason="needs torch.distributed with gloo",
)


def run_processes(function: Callable, folder: Path, *args: Any) -> list:
    """Calls a function in two new processes, as torchrun would start them.

    Arguments
    ---------
    function : callable
        Called with the rank and `args`; what it returns must be picklable.
    folder : Path
        For what the processes leave.
    *args : Any
        Further arguments.

    Returns
    -------
    list
        What the processes returned, by rank.
    """
    # Forked, since starting anew takes seconds for the imports alone.
    torch.multiprocessing.start_processes(
        _call,
        args=(function, str(folder), args),
        nprocs=NUM_PROCESSES,
        start_method="fork",
    )
    return [
        torch.load(folder / f"returned_{rank}.pt", weights_only=False)
        for rank in range(NUM_PROCESSES)
    ]


def _call(rank: int, function: Callable, folder: str, args: tuple) -> None:
    torch.set_num_threads(1)
    os.environ.update(RANK=str(rank), LOCAL_RANK=str(rank))
    torch.distributed.init_process_group(
        "gloo",
        init_method=f"file://{folder}/rendezvous",
        rank=rank,
        world_size=NUM_PROCESSES,
        timeout=datetime.timedelta(seconds=120),
    )
    torch.save(function(rank, *args), f"{folder}/returned_{rank}.pt")
    torch.distributed.destroy_process_group()
