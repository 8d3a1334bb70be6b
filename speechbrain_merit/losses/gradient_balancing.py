"""Balancing that looks at the gradient of every task on its own.

Authors
 * The speechbrain-merit developers 2026
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import ClassVar

import torch
from torch import nn

from speechbrain_merit.losses.task_losses import weighted_sum

from .base import TaskBalancing
from .task_gradients import TaskGradients


class GradientBalancing(TaskBalancing):
    """Takes the place of `backward()`: tasks are differentiated one by one.

    Call `backward` with the losses of every micro-batch, and `apply_gradients`
    before the gradients are unscaled, clipped and given to the optimizer.
    Gradients are averaged over the processes here, because
    `torch.autograd.grad` passes by `DistributedDataParallel`: run every
    forward pass, that of the last micro-batch too, under its `no_sync`.

    What has accumulated between two steps is not in the `state_dict`; `reset`
    drops it, where micro-batches are left over at the end of an epoch.

    Arguments
    ---------
    tasks : sequence of str
        Names of the losses to balance.
    loss_weights : Mapping
        Fixed weight of every loss by name.
    """

    needs_task_gradients: ClassVar[bool] = True

    def __init__(
        self, tasks: Sequence[str], loss_weights: Mapping[str, float]
    ) -> None:
        super().__init__(tasks, loss_weights)
        self.reset()

    def reset(self) -> None:
        """Forgets what has accumulated since the last step."""
        self.gradients = TaskGradients(self.tasks)

    def backward(
        self,
        losses: Mapping[str, torch.Tensor],
        shared_parameters: Iterable[nn.Parameter],
        other_parameters: Iterable[nn.Parameter],
        scale: Callable[[torch.Tensor], torch.Tensor],
    ) -> None:
        """Accumulates the gradients of a micro-batch, and frees its graph.

        Frozen parameters are passed over.

        Arguments
        ---------
        losses : Mapping
            Scalar losses by name.
        shared_parameters : iterable of torch.nn.Parameter
            Where the tasks are balanced.
        other_parameters : iterable of torch.nn.Parameter
            All others, where gradients are only added up; those that are
            shared are passed over, so that these may be all that there are.
        scale : callable
            Scales a loss linearly, with the same factor until the next step:
            `GradScaler.scale` of the loss over the number of micro-batches.

        Raises
        ------
        ValueError
            If no shared parameter is trained, or an auxiliary loss has no
            weight.
        """
        shared = _trained(shared_parameters)
        if not shared:
            raise ValueError(
                "shared_parameters has none that is trained: give those of "
                "the modules that all tasks use."
            )
        known = set(shared)
        other = [p for p in _trained(other_parameters) if p not in known]
        terms = self.task_terms(losses)
        auxiliary = self.auxiliary_losses(losses)
        rest = weighted_sum(auxiliary, self.loss_weights) if auxiliary else None
        self.gradients.accumulate(
            {task: scale(term) for task, term in terms.items()},
            None if rest is None else scale(rest),
            shared,
            other,
        )

    def apply_gradients(self) -> None:
        """Leaves the balanced gradients in `.grad`, scaled as they came.

        Gradients that are not finite stay so. What is in `.grad` already is
        added to, as `torch.Tensor.backward` does.

        Raises
        ------
        ValueError
            If nothing has accumulated.
        """
        if not self.gradients.shared:
            raise ValueError("Call backward() before apply_gradients().")
        self.gradients.average_over_processes()
        self.gradients.write(self.balance(self.gradients))
        self.reset()

    def balance(self, gradients: TaskGradients) -> dict[str, float]:
        """Weighs the gradients of the tasks, once per optimizer step.

        Arguments
        ---------
        gradients : TaskGradients
            Of the whole step, averaged over the processes.

        Returns
        -------
        dict of str to float
            Factor of every task's gradient where tasks can conflict.
        """
        raise NotImplementedError


def _trained(parameters: Iterable[nn.Parameter]) -> list[nn.Parameter]:
    # Without repetitions: modules may share a parameter.
    return [p for p in dict.fromkeys(parameters) if p.requires_grad]
