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
        `router_z_loss` of the frames, a scalar.
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
    return RouterMeans(
        num_frames=len(logits),
        shares=_expert_shares(probabilities, experts),
        probabilities=probabilities.mean(dim=0),
        router_z=router_z_loss(logits),
    )


def routing_losses(
    means: Mapping[str, RouterMeans],
) -> dict[str, torch.Tensor]:
    """Adds up the losses of all gates, by the name of the loss.

    Arguments
    ---------
    means : Mapping
        `RouterMeans` by task.

    Returns
    -------
    dict of str to torch.Tensor
        Scalars: `load_balance` as of `switch_load_balance`, `router_kl` as
        of `kl_to_uniform` and `router_z` as of `router_z_loss`.

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
            _balance_of_means(gate.shares, gate.probabilities) for gate in gates
        ),
        "router_kl": sum(_kl_of_mean(gate.probabilities) for gate in gates),
        "router_z": sum(gate.router_z for gate in gates),
    }


def switch_load_balance(
    probabilities: torch.Tensor, experts: torch.Tensor
) -> torch.Tensor:
    """Load-balancing loss of the Switch Transformer, 1 when balanced.

    `num_experts * sum_i f_i P_i` with f_i the share of choices that fell on
    expert i and P_i its mean probability over the full softmax. Fedus, Zoph,
    Shazeer, "Switch Transformers", JMLR 23 (2022), equations 4 to 6.

    Arguments
    ---------
    probabilities : torch.Tensor
        Gate probabilities of true frames only, `[frame, expert]`.
    experts : torch.Tensor
        Chosen experts of the same frames, `[frame, top_k]`.

    Returns
    -------
    torch.Tensor
        Scalar.

    Example
    -------
    >>> probabilities = torch.tensor([[0.9, 0.1], [0.7, 0.3]])
    >>> switch_load_balance(probabilities, torch.tensor([[0], [0]]))
    tensor(1.6000)
    """
    shares = _expert_shares(probabilities, experts)
    return _balance_of_means(shares, probabilities.mean(dim=0))


def kl_to_uniform(probabilities: torch.Tensor) -> torch.Tensor:
    """Divergence of the mean gate probabilities from uniform ones.

    `KL(P || U) = sum_i P_i log(num_experts * P_i)` with P_i the mean
    probability of expert i: 0 when balanced, the logarithm of the number of
    experts when all frames surely go to one.

    Arguments
    ---------
    probabilities : torch.Tensor
        Gate probabilities of true frames only, `[frame, expert]`.

    Returns
    -------
    torch.Tensor
        Scalar.

    Example
    -------
    >>> kl_to_uniform(torch.tensor([[0.9, 0.1], [0.1, 0.9]]))
    tensor(0.)
    """
    return _kl_of_mean(probabilities.mean(dim=0))


def router_z_loss(logits: torch.Tensor) -> torch.Tensor:
    """Mean squared log-partition of the gate, which keeps its logits small.

    Zoph et al., "ST-MoE: Designing Stable and Transferable Sparse Expert
    Models", arXiv 2202.08906, equation 5.

    Arguments
    ---------
    logits : torch.Tensor
        Gate logits of true frames only, `[frame, expert]`.

    Returns
    -------
    torch.Tensor
        Scalar.

    Example
    -------
    >>> router_z_loss(torch.zeros(5, 2)).sqrt()  # the logarithm of 2
    tensor(0.6931)
    """
    return logits.logsumexp(dim=1).square().mean()


def _expert_shares(
    probabilities: torch.Tensor, experts: torch.Tensor
) -> torch.Tensor:
    # Unlike torch.bincount, this needs no look at the values by the host.
    numbers = torch.arange(probabilities.shape[1], device=experts.device)
    counts = (experts.flatten().unsqueeze(1) == numbers).sum(dim=0)
    return counts.to(probabilities.dtype) / max(experts.numel(), 1)


def _balance_of_means(
    shares: torch.Tensor, probabilities: torch.Tensor
) -> torch.Tensor:
    return len(shares) * (shares * probabilities).sum()


def _kl_of_mean(probabilities: torch.Tensor) -> torch.Tensor:
    num_experts = len(probabilities)
    return math.log(num_experts) - torch.special.entr(probabilities).sum()
