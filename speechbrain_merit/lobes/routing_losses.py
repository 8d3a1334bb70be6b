"""Auxiliary losses that keep a router balanced and its logits small.

Authors
 * The speechbrain-merit developers 2026
"""

import math

import torch


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
    num_experts = probabilities.shape[1]
    # Unlike torch.bincount, this needs no look at the values by the host.
    numbers = torch.arange(num_experts, device=experts.device)
    counts = (experts.flatten().unsqueeze(1) == numbers).sum(dim=0)
    share = counts.to(probabilities.dtype) / max(experts.numel(), 1)
    return num_experts * (share * probabilities.mean(dim=0)).sum()


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
    mean = probabilities.mean(dim=0)
    num_experts = probabilities.shape[1]
    return math.log(num_experts) - torch.special.entr(mean).sum()


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
