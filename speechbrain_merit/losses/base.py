"""What all ways of balancing task losses have in common.

Authors
 * The speechbrain-merit developers 2026
"""

from collections.abc import Mapping, Sequence
from typing import ClassVar

import torch
from torch import nn

from speechbrain_merit.losses.task_losses import weighted_sum


class TaskBalancing(nn.Module):
    """Joins the losses of tasks, and auxiliary losses, into one.

    Auxiliary losses are those that no task is named after; they are
    multiplied by their fixed weights and added, whatever happens to the tasks.
    What a balancing learns is in its `state_dict`.

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
