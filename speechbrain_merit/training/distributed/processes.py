"""The processes of a training, and how long they wait for one another.

Authors
 * The speechbrain-merit developers 2026
"""

import datetime

import torch
from torch.distributed import distributed_c10d

from speechbrain.utils.distributed import is_distributed_initialized


def num_processes() -> int:
    """Counts the processes that train together.

    Returns
    -------
    int
        1 where no process group was made.

    Example
    -------
    >>> num_processes()
    1
    """
    if not is_distributed_initialized():
        return 1
    return torch.distributed.get_world_size()


def set_timeout(timeout_minutes: float) -> None:
    """Limits how long the processes wait for one another from now on.

    SpeechBrain lets them wait two hours, which a preparation by the main
    process may need. A training does not: a process that is silent for long
    has hung, and so would the others. One that ends is noticed at once,
    whatever the limit.

    Arguments
    ---------
    timeout_minutes : float
        Positive.

    Example
    -------
    >>> set_timeout(30)  # nothing to wait for in one process
    """
    if is_distributed_initialized():
        # torch has no other way to change it after the group was made.
        distributed_c10d._set_pg_timeout(
            datetime.timedelta(minutes=timeout_minutes)
        )
