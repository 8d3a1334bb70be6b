"""Gradient surgery: conflicting parts of task gradients are projected away.

Authors
 * The speechbrain-merit developers 2026
"""

from collections.abc import Mapping, Sequence

import torch

from .gradient_balancing import GradientBalancing
from .task_gradients import TaskGradients


class PCGrad(GradientBalancing):
    """Projects the gradient of every task off those that it conflicts with.

    T. Yu, S. Kumar, A. Gupta, S. Levine, K. Hausman and C. Finn, "Gradient
    surgery for multi-task learning", NeurIPS 2020, algorithm 1. Gradients are
    those of the losses with their fixed weights, over the whole step and the
    concatenation of the shared parameters that more than one task reaches.
    Gradients of auxiliary losses are added as they are.

    Arguments
    ---------
    tasks : sequence of str
        Names of the losses to balance.
    loss_weights : Mapping
        Fixed weight of every loss by name.
    seed : int
        Of the random order in which a task meets the others; where it has got
        to is in the `state_dict`.

    Example
    -------
    >>> weight = torch.nn.Parameter(torch.zeros(2))
    >>> weights = {"enhance": 1.0, "emotion": 1.0}
    >>> balancing = PCGrad(["enhance", "emotion"], weights, seed=1)
    >>> losses = {"enhance": weight[0], "emotion": weight[1] - weight[0]}
    >>> balancing.backward(losses, [weight], [], scale=lambda loss: loss)
    >>> balancing.apply_gradients()
    >>> weight.grad  # (1/2, 1/2) of "enhance" and (0, 1) of "emotion"
    tensor([0.5000, 1.5000])
    """

    def __init__(
        self,
        tasks: Sequence[str],
        loss_weights: Mapping[str, float],
        seed: int,
    ) -> None:
        super().__init__(tasks, loss_weights)
        self.generator = torch.Generator().manual_seed(seed)

    def balance(self, gradients: TaskGradients) -> dict[str, float]:
        """Projects by way of the inner products of the gradients.

        Arguments
        ---------
        gradients : TaskGradients
            Of the whole step, averaged over the processes.

        Returns
        -------
        dict of str to float
            Factor of every task's gradient in the sum of the projected ones.
        """
        # Drawn whatever the gradients are, so that all processes agree.
        orders = [
            torch.randperm(len(self.tasks), generator=self.generator).tolist()
            for _ in self.tasks
        ]
        contested = gradients.contested()
        products = [
            [gradients.inner_product(a, b, contested) for b in self.tasks]
            for a in self.tasks
        ]
        factors = projection_factors(products, orders)
        return dict(zip(self.tasks, factors, strict=True))

    def get_extra_state(self) -> torch.Tensor:
        """Gives the state of the random order.

        Returns
        -------
        torch.Tensor
            State of the generator, bytes.
        """
        return self.generator.get_state()

    def set_extra_state(self, state: torch.Tensor) -> None:
        """Restores the state of the random order.

        Arguments
        ---------
        state : torch.Tensor
            What `get_extra_state` gave.
        """
        self.generator.set_state(state.cpu())


def projection_factors(
    products: Sequence[Sequence[float]], orders: Sequence[Sequence[int]]
) -> list[float]:
    """Sums up the projected gradients as a combination of the given ones.

    A projected gradient is a linear combination of the gradients, so that
    their inner products are all that algorithm 1 of Yu et al. needs.

    Arguments
    ---------
    products : sequence
        Inner products of the gradients, `[task, task]`.
    orders : sequence
        For every task the order in which it meets the tasks; itself among
        them is passed over.

    Returns
    -------
    list of float
        Factor of every task's gradient; all 1 where a product is not finite,
        so that such gradients reach the gradient scaler as they are.

    Example
    -------
    >>> projection_factors([[1.0, -1.0], [-1.0, 2.0]], [[1], [0]])
    [2.0, 1.5]
    """
    gram = torch.tensor(products, dtype=torch.float64)
    combinations = torch.eye(len(gram), dtype=torch.float64)
    if gram.isfinite().all():
        for task, order in enumerate(orders):
            for other in order:
                product = combinations[task] @ gram[:, other]
                square = gram[other, other]
                # Products of tiny gradients may underflow one by one.
                if other != task and product < 0 and square > 0:
                    combinations[task, other] -= product / square
    return combinations.sum(dim=0).tolist()
