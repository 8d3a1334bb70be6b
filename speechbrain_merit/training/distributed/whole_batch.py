"""Losses of the batches of all processes together.

A loss is a mean over frames or utterances, or made of such means, and the
processes have different numbers of them. `DistributedDataParallel` averages
gradients as if they had the same: the mean over all of their batches, and
anything that is not linear in it, comes out different from that of one
process. So every mean is taken over all processes, in a single exchange of a
few numbers, and the losses are made of the common means. Every process then
has the same losses.

Authors
 * The speechbrain-merit developers 2026
"""

import dataclasses
from collections.abc import Mapping

import torch

from speechbrain_merit.lobes.integration import Integration
from speechbrain_merit.lobes.routing_losses import RouterMeans, routing_losses

from .processes import num_processes


def whole_batch_losses(
    losses: Mapping[str, torch.Tensor],
    weights: Mapping[str, torch.Tensor],
    integration: Integration,
) -> dict[str, torch.Tensor]:
    """Turns the losses of a process's batch into those of all batches.

    Call it in every process, with the same losses, and differentiate within
    `DistributedDataParallel`, or average the gradients as it does.

    Arguments
    ---------
    losses : Mapping
        Scalar losses of this process's batch by name.
    weights : Mapping
        What a loss is a mean over, as a scalar: e.g. the number of frames. A
        loss that has none here counts alike in every process.
    integration : Integration
        Its `router_means`, if any, give the auxiliary losses anew.

    Returns
    -------
    dict of str to torch.Tensor
        By name; in one process the losses as they were given.

    Example
    -------
    >>> losses = {"emotion": torch.tensor(2.0)}
    >>> frames = {"emotion": torch.tensor(300)}
    >>> whole_batch_losses(losses, frames, Integration({}))
    {'emotion': tensor(2.)}
    """
    if num_processes() == 1:
        return dict(losses)
    # By tuples, since a task and a loss may have the same name.
    means: dict = {
        ("loss", name): (loss, weights.get(name, loss.new_ones(())))
        for name, loss in losses.items()
    }
    for task, gate in integration.router_means.items():
        for field in _MEANS:
            means[task, field] = (getattr(gate, field), gate.num_frames)
    averaged = average_over_processes(means)
    gates = {
        task: dataclasses.replace(
            gate, **{field: averaged[task, field] for field in _MEANS}
        )
        for task, gate in integration.router_means.items()
    }
    return {
        **{name: averaged["loss", name] for name in losses},
        **(routing_losses(gates) if gates else {}),
    }


def average_over_processes(
    means: Mapping[object, tuple[torch.Tensor, torch.Tensor | float]],
) -> dict[object, torch.Tensor]:
    """Averages what every process has averaged, by what it averaged over.

    The gradient is multiplied by the number of processes, which is what
    `DistributedDataParallel` divides the sum of all gradients by.

    Arguments
    ---------
    means : Mapping
        Mean and weight by any key: a tensor of any shape, and a scalar that
        is not negative. The same keys in the same order in every process.

    Returns
    -------
    dict of torch.Tensor
        Means by key, zero where no process has any weight; in one process
        the means as they were given.

    Example
    -------
    >>> average_over_processes({"loss": (torch.tensor(2.0), 7.0)})
    {'loss': tensor(2.)}
    """
    if num_processes() == 1:
        return {key: mean for key, (mean, _) in means.items()}
    device = next(iter(means.values()))[0].device
    weights = [
        torch.as_tensor(weight, dtype=torch.float64).to(device)
        for _, weight in means.values()
    ]
    # In one piece, for every exchange costs time of its own.
    pieces = [torch.stack(weights)]
    for (mean, _), weight in zip(means.values(), weights, strict=True):
        pieces.append((mean.detach().double() * weight).reshape(-1))
    flat = torch.cat(pieces)
    torch.distributed.all_reduce(flat)
    totals, *sums = flat.split([piece.numel() for piece in pieces])
    averaged = {}
    for number, (key, (mean, _)) in enumerate(means.items()):
        total = totals[number].where(totals[number] > 0, 1.0)
        factor = num_processes() * weights[number] / total
        # What is added is zero, with this process's part of the gradient.
        averaged[key] = (sums[number].view_as(mean) / total).to(mean.dtype) + (
            mean - mean.detach()
        ) * factor.to(mean.dtype)
    return averaged


_MEANS = [
    field.name
    for field in dataclasses.fields(RouterMeans)
    if field.name != "num_frames"
]
