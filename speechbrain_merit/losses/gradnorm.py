"""Task losses weighted such that their gradients have balanced norms.

Authors
 * The speechbrain-merit developers 2026
"""

from collections.abc import Callable, Iterable, Mapping, Sequence

import torch
from torch import nn

from speechbrain.utils.distributed import is_distributed_initialized

from .gradient_balancing import GradientBalancing
from .task_gradients import TaskGradients

# Where an update would make a weight zero or negative, which would turn a
# task off for good, or around.
MINIMUM_WEIGHT = 1e-3


class GradNorm(GradientBalancing):
    """Learns a weight per task from the norms of the task gradients.

    Z. Chen, V. Badrinarayanan, C.-Y. Lee and A. Rabinovich, "GradNorm:
    Gradient normalization for adaptive loss balancing in deep multitask
    networks", ICML 2018, algorithm 1; the update is `updated_task_weights`.
    The learned weights multiply the fixed ones. Norms are those of the
    gradients over the whole step and all shared parameters.

    The initial loss of a task is that of the first step where it is positive;
    until then, and in steps without a loss of the task, its weight is left
    alone, as are all weights where a loss or gradient is not finite.

    Arguments
    ---------
    tasks : sequence of str
        Names of the losses to balance; the losses must not be negative.
    loss_weights : Mapping
        Fixed weight of every loss by name.
    alpha : float
        How much stronger a task is pulled that trains slowly; 0 makes the
        norms equal.
    lr : float
        Learning rate of the weights.

    Example
    -------
    >>> weight = nn.Parameter(torch.ones(2))
    >>> weights = {"enhance": 1.0, "emotion": 1.0}
    >>> balancing = GradNorm(["enhance", "emotion"], weights, alpha=1.0, lr=0.1)
    >>> losses = {"enhance": 3 * weight[0], "emotion": weight[1]}
    >>> balancing.backward(losses, [weight], [], scale=lambda loss: loss)
    >>> balancing.apply_gradients()
    >>> weight.grad
    tensor([3., 1.])
    >>> balancing.task_weights  # (1 - 0.3, 1 + 0.1), whose sum is to be 2
    tensor([0.7778, 1.2222])
    """

    def __init__(
        self,
        tasks: Sequence[str],
        loss_weights: Mapping[str, float],
        alpha: float,
        lr: float,
    ) -> None:
        super().__init__(tasks, loss_weights)
        self.alpha = alpha
        self.lr = lr
        self.register_buffer("task_weights", torch.ones(len(self.tasks)))
        self.register_buffer(
            "initial_losses", torch.full((len(self.tasks),), torch.nan)
        )

    def task_terms(
        self, losses: Mapping[str, torch.Tensor]
    ) -> dict[str, torch.Tensor]:
        """Weights the losses of the tasks with fixed and learned weights.

        Arguments
        ---------
        losses : Mapping
            Scalar losses by name.

        Returns
        -------
        dict of str to torch.Tensor
            What every task contributes to the total.
        """
        # A copy: the graph may outlive an update of the weights.
        weights = dict(zip(self.tasks, self.task_weights.clone(), strict=True))
        return {
            task: weights[task] * term
            for task, term in super().task_terms(losses).items()
        }

    def reset(self) -> None:
        """Forgets what has accumulated since the last step."""
        super().reset()
        self._sums: torch.Tensor | None = None

    def backward(
        self,
        losses: Mapping[str, torch.Tensor],
        shared_parameters: Iterable[nn.Parameter],
        other_parameters: Iterable[nn.Parameter],
        scale: Callable[[torch.Tensor], torch.Tensor],
    ) -> None:
        """Accumulates gradients and losses, see `GradientBalancing`.

        Arguments
        ---------
        losses : Mapping
            Scalar losses by name.
        shared_parameters : iterable of torch.nn.Parameter
            Where the norms are taken, e.g. the last layer that tasks share.
        other_parameters : iterable of torch.nn.Parameter
            All others; those that are shared are passed over.
        scale : callable
            Scales a loss linearly.
        """
        super().backward(losses, shared_parameters, other_parameters, scale)
        device = self.gradients.shared[0].device
        factor = scale(torch.ones((), device=device))
        sums = torch.zeros(2, len(self.tasks) + 1, device=device)
        # The last column is of the micro-batches, whatever they hold.
        sums[1, -1] = factor
        for column, task in enumerate(self.tasks):
            if task in losses:
                sums[0, column] = factor * losses[task].detach()
                sums[1, column] = factor
        self._sums = sums if self._sums is None else self._sums + sums

    def balance(self, gradients: TaskGradients) -> dict[str, float]:
        """Updates the weights; the gradients stay as they are.

        Arguments
        ---------
        gradients : TaskGradients
            Of the whole step, averaged over the processes.

        Returns
        -------
        dict of str to float
            1 for every task: its gradient has its weight already.
        """
        losses, present, norms = self._measure(gradients)
        if losses[present].isfinite().all():
            first = present & self.initial_losses.isnan() & (losses > 0)
            self.initial_losses[first] = losses[first]
            known = present & ~self.initial_losses.isnan()
            updated = updated_task_weights(
                self.task_weights[known],
                norms[known],
                losses[known] / self.initial_losses[known],
                self.alpha,
                self.lr,
            )
            if updated.isfinite().all():
                self.task_weights[known] = updated
        return dict.fromkeys(self.tasks, 1.0)

    def _measure(
        self, gradients: TaskGradients
    ) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """Mean losses of the step, which there are, and norms, unscaled."""
        sums, num_processes = self._sums, 1
        if sums is None:
            raise ValueError("No task has a gradient: call backward first.")
        if is_distributed_initialized():
            torch.distributed.all_reduce(sums)
            num_processes = torch.distributed.get_world_size()
        sums = sums.to(self.task_weights)
        totals, factors = sums[:, :-1]
        squares = [
            gradients.inner_product(task, task, gradients.shared)
            for task in self.tasks
        ]
        norms = self.task_weights.new_tensor(squares).sqrt()
        norms = norms / (sums[1, -1] / num_processes)
        return totals / factors, factors > 0, norms


def updated_task_weights(
    weights: torch.Tensor,
    norms: torch.Tensor,
    loss_ratios: torch.Tensor,
    alpha: float,
    lr: float,
) -> torch.Tensor:
    """Takes one step of gradient descent on the weights of GradNorm.

    The loss of Chen et al., equation 2, is `sum_i |G_i - mean(G) * r_i^alpha|`
    with the norms G_i of the weighted gradients and the loss ratios over their
    mean as r_i. Its target is held constant, so that its derivative by w_i is
    the sign of the difference times G_i / w_i, the norm without the weight.

    Arguments
    ---------
    weights : torch.Tensor
        Present weights, `[task]`.
    norms : torch.Tensor
        Norms of the weighted gradients, `[task]`.
    loss_ratios : torch.Tensor
        Losses over initial losses, `[task]`.
    alpha : float
        Exponent of the relative inverse training rates.
    lr : float
        Learning rate.

    Returns
    -------
    torch.Tensor
        New weights, positive, with the same sum, `[task]`.

    Example
    -------
    >>> ones = torch.ones(2)
    >>> updated_task_weights(ones, torch.tensor([2.0, 4.0]), ones, 1.0, 0.1)
    tensor([1.3333, 0.6667])
    """
    rates = loss_ratios / loss_ratios.mean()
    excess = norms - norms.mean() * rates**alpha
    updated = weights - lr * excess.sign() * norms / weights
    updated = updated.clamp(min=MINIMUM_WEIGHT)
    return updated * (weights.sum() / updated.sum())
