"""Choosing the balancing of task losses by name.

Authors
 * The speechbrain-merit developers 2026
"""

from collections.abc import Mapping, Sequence

from .base import TaskBalancing, UncertaintyBalancing
from .gradient_balancing import WEIGHTINGS, GradientBalancing

KINDS = ("fixed", "uncertainty", *WEIGHTINGS)


def task_balancing(
    kind: str,
    tasks: Sequence[str],
    loss_weights: Mapping[str, float],
    seed: int,
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
        Of what a `GradientBalancing` draws.

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
    >>> tasks = ["enhance", "emotion"]
    >>> balancing = task_balancing("pcgrad", tasks, weights, seed=1)
    >>> balancing.needs_task_gradients
    True
    """
    if kind == "fixed":
        return TaskBalancing(tasks, loss_weights)
    if kind == "uncertainty":
        return UncertaintyBalancing(tasks, loss_weights)
    if kind in WEIGHTINGS:
        return GradientBalancing(tasks, loss_weights, WEIGHTINGS[kind](), seed)
    raise ValueError(
        f"There is no task balancing {kind!r}: choose one of {list(KINDS)}."
    )
