"""Task losses in a fixed ratio.

Authors
 * The speechbrain-merit developers 2026
"""

from .base import TaskBalancing


class FixedBalancing(TaskBalancing):
    """Adds up the losses with their fixed weights, as Sparse MERIT does.

    Example
    -------
    >>> import torch
    >>> weights = {"enhance": 10.0, "emotion": 1.0, "router_z": 0.1}
    >>> balancing = FixedBalancing(["enhance", "emotion"], weights)
    >>> balancing({"enhance": torch.tensor(3.0), "router_z": torch.tensor(5.0)})
    tensor(30.5000)
    """
