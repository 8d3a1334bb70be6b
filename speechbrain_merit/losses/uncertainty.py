"""Task losses weighted by learned uncertainties.

Authors
 * The speechbrain-merit developers 2026
"""

from collections.abc import Mapping, Sequence

import torch
from torch import nn

from .base import TaskBalancing


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
