"""What every integrator returns: features per task and a routing report.

An integrator takes all hidden states of the encoder, `[layer, batch, time,
channel]`, with relative lengths, and gives one feature sequence per task. The
mixture of experts is one; a learned weighted sum of the layers is another.

Authors
 * The speechbrain-merit developers 2026
"""

import dataclasses

import torch

from .routing_losses import RouterMeans


@dataclasses.dataclass
class Routing:
    """Where the gate of one task sent every frame.

    Arguments
    ---------
    probabilities : torch.Tensor
        Gate probabilities, `[batch, time, expert]`, float32, zero on padding.
    experts : torch.Tensor
        Chosen experts, best first, `[batch, time, top_k]`, int64, -1 on
        padding.
    """

    probabilities: torch.Tensor
    experts: torch.Tensor

    def counts(self) -> torch.Tensor:
        """Counts the choices of every expert over the true frames.

        Returns
        -------
        torch.Tensor
            Number of frames sent to every expert, `[expert]`, int64.

        Example
        -------
        >>> experts = torch.tensor([[[0], [2], [2], [-1]]])
        >>> Routing(torch.zeros(1, 4, 3), experts).counts()
        tensor([1, 0, 2])
        """
        chosen = self.experts[self.experts >= 0]
        return torch.bincount(chosen, minlength=self.probabilities.shape[-1])


@dataclasses.dataclass
class Integration:
    """Result of an integrator.

    Arguments
    ---------
    features : dict of str to torch.Tensor
        Feature sequence of every asked task, `[batch, time, channel]`, zero
        on padding.
    auxiliary_losses : dict of str to torch.Tensor
        Unweighted scalar losses by name; empty for integrators without any.
    routing : dict of str to Routing
        One report per task; empty for integrators without gates.
    router_means : dict of str to RouterMeans
        What `routing_losses` made the auxiliary losses of, per task; empty
        for integrators without gates.
    """

    features: dict[str, torch.Tensor]
    auxiliary_losses: dict[str, torch.Tensor] = dataclasses.field(
        default_factory=dict
    )
    routing: dict[str, Routing] = dataclasses.field(default_factory=dict)
    router_means: dict[str, RouterMeans] = dataclasses.field(
        default_factory=dict
    )
