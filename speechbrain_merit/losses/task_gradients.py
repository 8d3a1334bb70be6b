"""Gradients of several tasks, kept apart until the optimizer steps.

Authors
 * The speechbrain-merit developers 2026
"""

from collections.abc import Mapping, Sequence

import torch
from torch import nn

from speechbrain.utils.distributed import is_distributed_initialized

# A parameter that nothing has reached is absent.
_Sums = dict[nn.Parameter, torch.Tensor]


class TaskGradients:
    """Gradients of every task at the shared parameters, and all the rest.

    The rest is what needs no balancing: gradients of auxiliary losses, and
    gradients at parameters that are not shared.

    Arguments
    ---------
    tasks : sequence of str
        Names of the tasks.

    Example
    -------
    >>> weight = nn.Parameter(torch.tensor([1.0, 2.0]))
    >>> gradients = TaskGradients(["a", "b"])
    >>> terms = {"a": weight[0], "b": weight.sum()}
    >>> gradients.accumulate(terms, None, [weight], [])
    >>> gradients.write({"a": 10.0, "b": 1.0})
    >>> weight.grad
    tensor([11.,  1.])
    """

    def __init__(self, tasks: Sequence[str]) -> None:
        self.by_task: dict[str, _Sums] = {task: {} for task in tasks}
        self.rest: _Sums = {}
        self.shared: list[nn.Parameter] = []
        self.other: list[nn.Parameter] = []

    def accumulate(
        self,
        terms: Mapping[str, torch.Tensor],
        rest: torch.Tensor | None,
        shared: Sequence[nn.Parameter],
        other: Sequence[nn.Parameter],
    ) -> None:
        """Differentiates every term on its own, and frees the graph.

        Arguments
        ---------
        terms : Mapping
            What the tasks contribute to the loss, by task.
        rest : torch.Tensor or None
            What else contributes.
        shared : sequence of torch.nn.Parameter
            Where the gradients of the tasks are kept apart.
        other : sequence of torch.nn.Parameter
            Where they are added up.
        """
        self.shared, self.other = list(shared), list(other)
        jobs = [(self.by_task[task], term) for task, term in terms.items()]
        if rest is not None:
            jobs.append((self.rest, rest))
        jobs = [(sums, term) for sums, term in jobs if term.requires_grad]
        for number, (sums, term) in enumerate(jobs, start=1):
            found = torch.autograd.grad(
                term,
                self.shared + self.other,
                retain_graph=number < len(jobs),
                allow_unused=True,
            )
            _add(sums, self.shared, found[: len(self.shared)])
            _add(self.rest, self.other, found[len(self.shared) :])

    def average_over_processes(self) -> None:
        """Averages all gradients over the processes, where there are several.

        Every process takes part with the same parameters in the same order; a
        gradient that it lacks counts as zero. What no process has reached
        stays without a gradient, as in one process.
        """
        if not is_distributed_initialized():
            return
        for sums in self.by_task.values():
            _average(sums, self.shared)
        _average(self.rest, self.shared + self.other)

    def contested(self) -> list[nn.Parameter]:
        """Finds the parameters where tasks can conflict.

        Returns
        -------
        list of torch.nn.Parameter
            The shared ones that more than one task reaches.
        """
        return [
            parameter
            for parameter in self.shared
            if sum(parameter in sums for sums in self.by_task.values()) > 1
        ]

    def inner_product(
        self, first: str, second: str, parameters: Sequence[nn.Parameter]
    ) -> float:
        """Multiplies the gradients of two tasks.

        Arguments
        ---------
        first, second : str
            Names of the tasks; the same gives the squared norm.
        parameters : sequence of torch.nn.Parameter
            Shared parameters to look at.

        Returns
        -------
        float
            Inner product of the concatenated gradients.
        """
        one, two = self.by_task[first], self.by_task[second]
        products = [
            torch.dot(one[p].reshape(-1), two[p].reshape(-1))
            for p in parameters
            if p in one and p in two
        ]
        if not products:
            return 0.0
        return torch.stack(products).sum(dtype=torch.float64).item()

    def write(self, factors: Mapping[str, float]) -> None:
        """Adds the gradients to `.grad`, as `backward` would.

        Arguments
        ---------
        factors : Mapping
            What the gradient of every task is multiplied by where tasks can
            conflict; elsewhere gradients are only added up.
        """
        contested = set(self.contested())
        for parameter in self.shared + self.other:
            parts = [
                sums[parameter]
                * (factors[task] if parameter in contested else 1)
                for task, sums in self.by_task.items()
                if parameter in sums
            ]
            if parameter in self.rest:
                parts.append(self.rest[parameter])
            if not parts:
                continue
            total = sum(parts[1:], start=parts[0])
            if parameter.grad is None:
                parameter.grad = total
            else:
                parameter.grad = parameter.grad + total


def _add(
    sums: _Sums,
    parameters: Sequence[nn.Parameter],
    gradients: Sequence[torch.Tensor | None],
) -> None:
    for parameter, gradient in zip(parameters, gradients, strict=True):
        if gradient is None:
            continue
        if parameter in sums:
            sums[parameter] += gradient
        else:
            # Autograd may hand out one tensor for two parameters, and what
            # comes next works in place.
            sums[parameter] = gradient.clone()


def _average(sums: _Sums, parameters: Sequence[nn.Parameter]) -> None:
    if not parameters:
        return
    reached = torch.tensor(
        [parameter in sums for parameter in parameters],
        dtype=torch.int32,
        device=parameters[0].device,
    )
    torch.distributed.all_reduce(reached, torch.distributed.ReduceOp.MAX)
    flags = reached.tolist()
    found = [p for p, flag in zip(parameters, flags, strict=True) if flag]
    if not found:
        return
    # In one piece, for every exchange costs time of its own.
    flat = torch.cat(
        [sums.get(p, torch.zeros_like(p)).reshape(-1) for p in found]
    ).detach()
    torch.distributed.all_reduce(flat)
    flat /= torch.distributed.get_world_size()
    pieces = flat.split([parameter.numel() for parameter in found])
    for parameter, piece in zip(found, pieces, strict=True):
        sums[parameter] = piece.view_as(parameter)
