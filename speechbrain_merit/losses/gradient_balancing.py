"""Balancing that looks at the gradient of every task on its own.

Authors
 * The speechbrain-merit developers 2026
"""

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import ClassVar

import torch
from torch import nn

from speechbrain.utils.distributed import is_distributed_initialized
from speechbrain_merit.losses.task_losses import weighted_sum

from .base import TaskBalancing

try:
    from torchjd.aggregation import (
        AlignedMTLWeighting,
        IMTLGWeighting,
        MGDAWeighting,
        PCGradWeighting,
        Weighting,
    )
except ImportError as error:
    raise ImportError(
        "Training needs torchjd: pip install '.[train]' in the project's "
        "folder."
    ) from error

# A parameter that nothing has reached is absent.
_Sums = dict[nn.Parameter, torch.Tensor]
# Those that need nothing but the inner products of one step: no state, no
# solver that torchjd does not bring. PCGrad's factors come to the number of
# tasks where none conflict, as without a balancing; those of MGDA and IMTL-G
# to one; Aligned-MTL's are at most a task's share of one.
WEIGHTINGS: dict[str, type[Weighting]] = {
    "pcgrad": PCGradWeighting,
    "mgda": MGDAWeighting,
    "aligned_mtl": AlignedMTLWeighting,
    "imtl_g": IMTLGWeighting,
}


class GradientBalancing(TaskBalancing):
    """Takes the place of `backward()`: tasks are differentiated one by one.

    What the gradient of every task is multiplied by comes from the inner
    products of the gradients. They are those of the losses with their fixed
    weights, over the whole step and the concatenation of the shared parameters
    that more than one task reaches. Gradients of auxiliary losses, and all at
    other parameters, are added as they are.

    Call `backward` with the losses of every micro-batch, and `apply_gradients`
    before the gradients are unscaled, clipped and given to the optimizer.
    Gradients are averaged over the processes here, because
    `torch.autograd.grad` passes by `DistributedDataParallel`: run every
    forward pass, that of the last micro-batch too, under its `no_sync`.

    What has accumulated between two steps is not in the `state_dict`; `reset`
    drops it, where micro-batches are left over at the end of an epoch.

    Arguments
    ---------
    tasks : sequence of str
        Names of the losses to balance.
    loss_weights : Mapping
        Fixed weight of every loss by name.
    weighting : torchjd.aggregation.Weighting
        Turns a Gramian, `[task, task]`, into factors, `[task]`; see
        `WEIGHTINGS`.
    seed : int
        Of what the weighting draws, such as the order in which PCGrad
        projects; where it has got to is in the `state_dict`.

    Example
    -------
    >>> weight = nn.Parameter(torch.zeros(2))
    >>> tasks, ones = ["enhance", "emotion"], {"enhance": 1.0, "emotion": 1.0}
    >>> balancing = GradientBalancing(tasks, ones, PCGradWeighting(), seed=1)
    >>> losses = {"enhance": weight[0], "emotion": weight[1] - weight[0]}
    >>> balancing.backward(losses, [weight], [], scale=lambda loss: loss)
    >>> balancing.apply_gradients()
    >>> weight.grad  # (1/2, 1/2) of "enhance" and (0, 1) of "emotion"
    tensor([0.5000, 1.5000])
    """

    needs_task_gradients: ClassVar[bool] = True

    def __init__(
        self,
        tasks: Sequence[str],
        loss_weights: Mapping[str, float],
        weighting: Weighting,
        seed: int,
    ) -> None:
        super().__init__(tasks, loss_weights)
        self.weighting = weighting
        state = torch.Generator().manual_seed(seed).get_state()
        self.register_buffer("random_state", state)
        self.reset()

    def reset(self) -> None:
        """Forgets what has accumulated since the last step."""
        self._by_task: dict[str, _Sums] = {task: {} for task in self.tasks}
        # Of auxiliary losses, and of all losses at parameters not shared.
        self._rest: _Sums = {}
        self._shared: list[nn.Parameter] = []
        self._other: list[nn.Parameter] = []

    def backward(
        self,
        losses: Mapping[str, torch.Tensor],
        shared_parameters: Iterable[nn.Parameter],
        other_parameters: Iterable[nn.Parameter],
        scale: Callable[[torch.Tensor], torch.Tensor],
    ) -> None:
        """Accumulates the gradients of a micro-batch, and frees its graph.

        Frozen parameters are passed over.

        Arguments
        ---------
        losses : Mapping
            Scalar losses by name.
        shared_parameters : iterable of torch.nn.Parameter
            Where the tasks are balanced.
        other_parameters : iterable of torch.nn.Parameter
            All others, where gradients are only added up; those that are
            shared are passed over, so that these may be all that there are.
        scale : callable
            Scales a loss linearly, with the same factor until the next step:
            `GradScaler.scale` of the loss over the number of micro-batches.

        Raises
        ------
        ValueError
            If no shared parameter is trained, or an auxiliary loss has no
            weight.
        """
        shared = _trained(shared_parameters)
        if not shared:
            raise ValueError(
                "shared_parameters has none that is trained: give those of "
                "the modules that all tasks use."
            )
        known = set(shared)
        other = [p for p in _trained(other_parameters) if p not in known]
        self._shared, self._other = shared, other
        jobs = [
            (self._by_task[t], x) for t, x in self.task_terms(losses).items()
        ]
        if auxiliary := self.auxiliary_losses(losses):
            rest = weighted_sum(auxiliary, self.loss_weights)
            jobs.append((self._rest, rest))
        jobs = [(sums, term) for sums, term in jobs if term.requires_grad]
        for number, (sums, term) in enumerate(jobs, start=1):
            found = torch.autograd.grad(
                scale(term),
                shared + other,
                retain_graph=number < len(jobs),
                allow_unused=True,
            )
            _add(sums, shared, found[: len(shared)])
            _add(self._rest, other, found[len(shared) :])

    def apply_gradients(self) -> None:
        """Leaves the balanced gradients in `.grad`, scaled as they came.

        Gradients that are not finite stay so. What is in `.grad` already is
        added to, as `torch.Tensor.backward` does.

        Raises
        ------
        ValueError
            If nothing has accumulated.
        """
        if not self._shared:
            raise ValueError("Call backward() before apply_gradients().")
        if is_distributed_initialized():
            for sums in self._by_task.values():
                _average(sums, self._shared)
            _average(self._rest, self._shared + self._other)
        found = [*self._by_task.values(), self._rest]
        counts = Counter(p for sums in self._by_task.values() for p in sums)
        # In an order that all processes have.
        contested = [p for p in self._shared if counts[p] > 1]
        factors = self.factors(self._gramian(contested))
        for sums, factor in zip(found[:-1], factors, strict=True):
            for p in contested:
                if p in sums:
                    sums[p] *= factor
        for p in self._shared + self._other:
            parts = [sums[p] for sums in found if p in sums]
            if p.grad is not None:
                parts.append(p.grad)
            if parts:
                p.grad = sum(parts[1:], start=parts[0])
        self.reset()

    def _gramian(self, parameters: Sequence[nn.Parameter]) -> torch.Tensor:
        size, device = len(self.tasks), self._shared[0].device
        total = torch.zeros(size, size, dtype=torch.float64, device=device)
        for p in parameters:
            rows = torch.stack(
                [s.get(p, torch.zeros_like(p)) for s in self._by_task.values()]
            ).flatten(1)
            # Not a matrix product, which may be in TF32.
            total += (rows[:, None] * rows).sum(-1)
        return total.cpu()

    def factors(self, gramian: torch.Tensor) -> list[float]:
        """Weighs the gradients of the tasks, once per optimizer step.

        Arguments
        ---------
        gramian : torch.Tensor
            Inner products of the tasks' gradients, `[task, task]`.

        Returns
        -------
        list of float
            Factor of every task's gradient. It is 1 where a task has no
            gradient, and for all tasks where not everything is finite, so that
            such gradients reach the gradient scaler as they are.
        """
        factors = torch.ones(len(gramian), dtype=gramian.dtype)
        # MGDA would stand still for the sake of a task without a gradient.
        found = gramian.diagonal() > 0
        if found.sum() > 1 and gramian.isfinite().all():
            # torchjd draws from the generator that everything draws from.
            with torch.random.fork_rng(devices=[]):
                torch.set_rng_state(self.random_state.cpu())
                weights = self.weighting(gramian[found][:, found])
                self.random_state.copy_(torch.get_rng_state())
            if weights.isfinite().all():
                factors[found] = weights
        return factors.tolist()


def _trained(parameters: Iterable[nn.Parameter]) -> list[nn.Parameter]:
    # Without repetitions: modules may share a parameter.
    return [p for p in dict.fromkeys(parameters) if p.requires_grad]


def _add(
    sums: _Sums,
    parameters: Sequence[nn.Parameter],
    gradients: Sequence[torch.Tensor | None],
) -> None:
    for p, gradient in zip(parameters, gradients, strict=True):
        if gradient is not None:
            # A new tensor: autograd may hand out one for two parameters, and
            # what comes next works in place.
            sums[p] = gradient + sums.get(p, 0)


def _average(sums: _Sums, parameters: Sequence[nn.Parameter]) -> None:
    if not parameters:
        return
    reached = [float(p in sums) for p in parameters]
    pieces = [torch.tensor(reached, device=parameters[0].device)]
    pieces += [sums.get(p, torch.zeros_like(p)) for p in parameters]
    # In one piece, for every exchange costs time of its own.
    flat = torch.cat([piece.detach().reshape(-1) for piece in pieces])
    torch.distributed.all_reduce(flat)
    counts, *found = flat.split([piece.numel() for piece in pieces])
    for p, count, piece in zip(parameters, counts.tolist(), found, strict=True):
        if count > 0:
            mean = piece / torch.distributed.get_world_size()
            sums[p] = mean.view_as(p)
