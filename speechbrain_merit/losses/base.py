"""Task losses in a fixed ratio, or weighted by learned uncertainties.

Authors
 * The speechbrain-merit developers 2026
"""

from collections.abc import Mapping, Sequence
from typing import ClassVar

import torch
from torch import nn

from speechbrain_merit.losses.task_losses import weighted_sum


class TaskBalancing(nn.Module):
    """Adds up the losses with their fixed weights, as Sparse MERIT does.

    Other balancings inherit from it and treat the tasks otherwise. Auxiliary
    losses are those that no task is named after; they are multiplied by their
    fixed weights and added, whatever happens to the tasks. What a balancing
    learns is in its `state_dict`.

    Arguments
    ---------
    tasks : sequence of str
        Names of the losses to balance; each may be missing from a batch.
    loss_weights : Mapping
        Fixed weight of every loss, of tasks and auxiliary, by name.

    Raises
    ------
    ValueError
        If the tasks are not distinct, or one has no fixed weight.

    Example
    -------
    >>> weights = {"enhance": 10.0, "emotion": 1.0, "router_z": 0.1}
    >>> balancing = TaskBalancing(["enhance", "emotion"], weights)
    >>> balancing({"enhance": torch.tensor(3.0), "router_z": torch.tensor(5.0)})
    tensor(30.5000)
    """

    # Whether `backward` and `apply_gradients` of `GradientBalancing` take the
    # place of differentiating the total.
    needs_task_gradients: ClassVar[bool] = False

    def __init__(
        self, tasks: Sequence[str], loss_weights: Mapping[str, float]
    ) -> None:
        super().__init__()
        if not tasks or len(set(tasks)) != len(tasks):
            raise ValueError(f"tasks must be distinct names, not {tasks}.")
        missing = [task for task in tasks if task not in loss_weights]
        if missing:
            raise ValueError(
                f"loss_weights has no weight for the tasks {missing}: it "
                f"names {sorted(loss_weights)}."
            )
        self.tasks = tuple(tasks)
        self.loss_weights = dict(loss_weights)

    def forward(self, losses: Mapping[str, torch.Tensor]) -> torch.Tensor:
        """Adds up what every loss contributes.

        Arguments
        ---------
        losses : Mapping
            Scalar losses by name.

        Returns
        -------
        torch.Tensor
            Scalar.

        Raises
        ------
        ValueError
            If an auxiliary loss has no weight.
        """
        terms = self.task_terms(losses).values()
        auxiliary = self.auxiliary_losses(losses)
        return sum(terms) + weighted_sum(auxiliary, self.loss_weights)

    def task_terms(
        self, losses: Mapping[str, torch.Tensor]
    ) -> dict[str, torch.Tensor]:
        """Weights the losses of the tasks.

        Arguments
        ---------
        losses : Mapping
            Scalar losses by name.

        Returns
        -------
        dict of str to torch.Tensor
            What every task contributes to the total; tasks that have no loss
            are left out.
        """
        return {
            task: weighted_sum({task: losses[task]}, self.loss_weights)
            for task in self.tasks
            if task in losses
        }

    def auxiliary_losses(
        self, losses: Mapping[str, torch.Tensor]
    ) -> dict[str, torch.Tensor]:
        """Finds the losses that belong to no task.

        Arguments
        ---------
        losses : Mapping
            Scalar losses by name.

        Returns
        -------
        dict of str to torch.Tensor
            Those without a task, unweighted.
        """
        return {n: loss for n, loss in losses.items() if n not in self.tasks}


class UncertaintyBalancing(TaskBalancing):
    """Learns one log variance per task, beside the fixed weights.

    A. Kendall, Y. Gal and R. Cipolla, "Multi-task learning using uncertainty
    to weigh losses for scene geometry and semantics", CVPR 2018. With the
    fixed weights w and the learned s = log sigma^2, which start at 0, the
    tasks contribute

        sum_i exp(-s_i) * w_i * L_i + s_i / 2,

    the form of their equation 7 for regression, sum_i L_i / (2 sigma_i^2) +
    log sigma_i, with its factor 1/2 absorbed in w_i; in their equation 10
    classification has the weight 1 / sigma^2 itself, so that the form is the
    same for both. It is derived for squared errors and cross-entropies; for
    an L1 error it is a heuristic.

    The fixed weights still scale the losses: they set the ratio that training
    starts with. The best s_i for a given loss is log(2 * w_i * L_i), so that a
    fixed weight counts the less, the further s has been learned. The s of a
    task without a loss is left alone.

    Arguments
    ---------
    tasks : sequence of str
        Names of the losses to balance.
    loss_weights : Mapping
        Fixed weight of every loss by name.

    Example
    -------
    >>> weights = {"enhance": 10.0, "emotion": 1.0}
    >>> balancing = UncertaintyBalancing(["enhance", "emotion"], weights)
    >>> losses = {"enhance": torch.tensor(3.0), "emotion": torch.tensor(2.0)}
    >>> balancing(losses)
    tensor(32., grad_fn=<AddBackward0>)
    """

    def __init__(
        self, tasks: Sequence[str], loss_weights: Mapping[str, float]
    ) -> None:
        super().__init__(tasks, loss_weights)
        self.log_variances = nn.Parameter(torch.zeros(len(self.tasks)))

    def task_terms(
        self, losses: Mapping[str, torch.Tensor]
    ) -> dict[str, torch.Tensor]:
        """Weights the losses of the tasks, and adds the price of a variance.

        Arguments
        ---------
        losses : Mapping
            Scalar losses by name.

        Returns
        -------
        dict of str to torch.Tensor
            What every task contributes to the total.
        """
        log_variances = dict(zip(self.tasks, self.log_variances, strict=True))
        return {
            task: torch.exp(-log_variances[task]) * term
            + log_variances[task] / 2
            for task, term in super().task_terms(losses).items()
        }
