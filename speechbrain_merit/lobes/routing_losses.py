"""Auxiliary losses that keep a router balanced and its logits small.

The losses are functions of means over the true frames, and not linear in
them: over the batches of several processes, the means have to be averaged
before the losses are made of them.

Authors
 * The speechbrain-merit developers 2026
"""

import dataclasses
import math
from collections.abc import Mapping

import torch


@dataclasses.dataclass
class RouterMeans:
    """What the losses of one gate are made of: means over true frames.

    Arguments
    ---------
    num_frames : int
        Number of true frames.
    shares : torch.Tensor
        Share of the choices that fell on every expert, `[expert]`.
    probabilities : torch.Tensor
        Mean probability of every expert, `[expert]`.
    router_z : torch.Tensor
        Mean squared log-partition of the frames, a scalar.
    """

    num_frames: int
    shares: torch.Tensor
    probabilities: torch.Tensor
    router_z: torch.Tensor


def router_means(
    logits: torch.Tensor, probabilities: torch.Tensor, experts: torch.Tensor
) -> RouterMeans:
    """Averages what a gate did over the true frames of a batch.

    Arguments
    ---------
    logits : torch.Tensor
        Gate logits of true frames only, `[frame, expert]`.
    probabilities : torch.Tensor
        Their softmax, `[frame, expert]`.
    experts : torch.Tensor
        Chosen experts of the same frames, `[frame, top_k]`.

    Returns
    -------
    RouterMeans
        With gradients where the logits have them.

    Example
    -------
    >>> logits = torch.tensor([[2.0, 0.0], [0.0, 2.0], [4.0, 0.0]])
    >>> experts = torch.tensor([[0], [1], [0]])
    >>> router_means(logits, logits.softmax(dim=1), experts).shares
    tensor([0.6667, 0.3333])
    """
    # Unlike torch.bincount, this needs no look at the values by the host.
    numbers = torch.arange(probabilities.shape[1], device=experts.device)
    counts = (experts.flatten().unsqueeze(1) == numbers).sum(dim=0)
    return RouterMeans(
        num_frames=len(logits),
        shares=counts.to(probabilities.dtype) / max(experts.numel(), 1),
        probabilities=probabilities.mean(dim=0),
        router_z=logits.logsumexp(dim=1).square().mean(),
    )


def routing_losses(
    means: Mapping[str, RouterMeans],
) -> dict[str, torch.Tensor]:
    """Adds up the losses of all gates, by the name of the loss.

    With f_i the share of the choices that fell on expert i of N, and P_i its
    mean probability over the full softmax:

    - `load_balance`, `N * sum_i f_i P_i`, 1 when balanced. Fedus, Zoph,
      Shazeer, "Switch Transformers", JMLR 23 (2022), equations 4 to 6.
    - `router_kl`, `KL(P || U) = sum_i P_i log(N * P_i)`, the divergence from
      uniform probabilities: 0 when balanced, the logarithm of N when all frames
      surely go to one.
    - `router_z`, the mean squared log-partition, which keeps the logits small.
      Zoph et al., "ST-MoE: Designing Stable and Transferable Sparse Expert
      Models", arXiv 2202.08906, equation 5.

    Arguments
    ---------
    means : Mapping
        `RouterMeans` by task.

    Returns
    -------
    dict of str to torch.Tensor
        Scalars.

    Example
    -------
    >>> even = torch.tensor([0.5, 0.5])
    >>> means = RouterMeans(4, even, even, torch.tensor(0.25))
    >>> routing_losses({"enhance": means, "emotion": means})
    {'load_balance': tensor(2.), 'router_kl': tensor(0.), 'router_z': ...0.5...}
    """
    gates = list(means.values())
    return {
        "load_balance": sum(
            len(gate.shares) * (gate.shares * gate.probabilities).sum()
            for gate in gates
        ),
        "router_kl": sum(
            math.log(len(gate.probabilities))
            - torch.special.entr(gate.probabilities).sum()
            for gate in gates
        ),
        "router_z": sum(gate.router_z for gate in gates),
    }
