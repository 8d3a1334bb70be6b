"""How far two tasks agree on where to take what they share.

Authors
 * The speechbrain-merit developers 2026
"""

import re
from collections.abc import Mapping

import torch
from torch import nn

# Where a training writes its means, by epoch and group.
CONFLICT = "gradient_cosines.json"
# A layer, an expert: up to the first number.
_GROUP = re.compile(r"(.*?\.\d+)\..*")


def gradient_cosines(
    first: torch.Tensor,
    second: torch.Tensor,
    parameters: Mapping[str, nn.Parameter],
) -> dict[str, float]:
    """Gives the cosine between two losses' gradients, group by group.

    Below 0, a step for one loss harms the other: the gradients are in conflict
    (T. Yu et al., "Gradient surgery for multi-task learning", NeurIPS 2020,
    definition 1). The graph stays for the backward pass.

    Arguments
    ---------
    first : torch.Tensor
        A scalar loss.
    second : torch.Tensor
        Another one, of the same graph.
    parameters : Mapping
        Parameters by name; those under one number, such as `layers.3`, are a
        group, all others alone.

    Returns
    -------
    dict of str to float
        By group; those that one of the losses does not reach are left out.

    Example
    -------
    >>> weight = nn.Parameter(torch.zeros(2))
    >>> x, y = weight
    >>> cosines = gradient_cosines(x, y - x, {"layers.3.weight": weight})
    >>> round(cosines["layers.3"], 4)
    -0.7071
    """
    trained = {n: p for n, p in parameters.items() if p.requires_grad}
    gradients = [
        torch.autograd.grad(
            loss, [*trained.values()], retain_graph=True, allow_unused=True
        )
        for loss in (first, second)
    ]
    products: dict[str, torch.Tensor] = {}
    for name, one, other in zip(trained, *gradients, strict=True):
        if one is not None and other is not None:
            group = _GROUP.sub(r"\1", name)
            pairs = torch.stack([one * other, one.square(), other.square()])
            products[group] = pairs.flatten(1).sum(1, dtype=torch.float64) + (
                products.get(group, 0)
            )
    return {
        group: float(dot / (one * other).sqrt())
        for group, (dot, one, other) in products.items()
        if one * other > 0
    }
