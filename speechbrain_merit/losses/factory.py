"""Choosing the balancing of task losses by name.

Authors
 * The speechbrain-merit developers 2026
"""

from collections.abc import Mapping, Sequence

from .base import TaskBalancing
from .fixed import FixedBalancing
from .gradnorm import GradNorm
from .pcgrad import PCGrad
from .uncertainty import UncertaintyBalancing

KINDS = ("fixed", "uncertainty", "pcgrad", "gradnorm")


def task_balancing(
    kind: str,
    tasks: Sequence[str],
    loss_weights: Mapping[str, float],
    seed: int,
    gradnorm_alpha: float,
    gradnorm_lr: float,
) -> TaskBalancing:
    """Makes a balancing.

    Arguments
    ---------
    kind : str
        One of `KINDS`.
    tasks : sequence of str
        Names of the losses to balance.
    loss_weights : Mapping
        Fixed weight of every loss by name.
    seed : int
        Of `pcgrad`.
    gradnorm_alpha : float
        How much stronger `gradnorm` pulls a task that trains slowly.
    gradnorm_lr : float
        Learning rate of the weights of `gradnorm`.

    Returns
    -------
    TaskBalancing
        Of that kind.

    Raises
    ------
    ValueError
        If there is no such kind.

    Example
    -------
    >>> weights = {"enhance": 1.0, "emotion": 1.0}
    >>> balancing = task_balancing(
    ...     "pcgrad",
    ...     ["enhance", "emotion"],
    ...     weights,
    ...     seed=1,
    ...     gradnorm_alpha=1.5,
    ...     gradnorm_lr=0.01,
    ... )
    >>> balancing.needs_task_gradients
    True
    """
    if kind == "fixed":
        return FixedBalancing(tasks, loss_weights)
    if kind == "uncertainty":
        return UncertaintyBalancing(tasks, loss_weights)
    if kind == "pcgrad":
        return PCGrad(tasks, loss_weights, seed)
    if kind == "gradnorm":
        return GradNorm(tasks, loss_weights, gradnorm_alpha, gradnorm_lr)
    raise ValueError(
        f"There is no task balancing {kind!r}: choose one of {list(KINDS)}."
    )
