"""Sparse mixture of shared experts with one gate per task.

The routing rule, stated once. The paper sends every frame to the expert with
the highest gate probability and weights it by 1. Its published code builds
that weight by scattering ones, so no gradient ever reaches a gate. Here the
forward value is the paper's, and with `router_learning="straight_through"`
the backward pass treats the weight as the chosen expert's probability.

Reference: J.-T. Tzeng, C. Busso, C.-C. Lee, "Joint Learning using
Mixture-of-Expert-Based Representation for Speech Enhancement and Robust
Emotion Recognition", IEEE TASLP vol. 34, 2026, arXiv 2509.08470.

Authors
 * The speechbrain-merit developers 2026
"""

import math
from collections.abc import Callable, Sequence
from functools import partial

import torch
from torch import nn

from .experts import Expert
from .gates import Gate
from .integration import Integration, Routing
from .lengths import absolute_lengths, step_mask
from .routing_losses import router_means, routing_losses

ROUTER_LEARNING = ("straight_through", "probability", "frozen")


class SparseMoE(nn.Module):
    """Normalises and joins all layers, then routes frames through experts.

    An expert sees only the frames that some task chose it for, and a frame
    that both tasks send to the same expert is computed once. Padding is
    neither routed nor counted.

    Arguments
    ---------
    num_layers : int
        Number of hidden states, e.g. 25 for WavLM-Large; 1 with a `fusion`.
    input_size : int
        Width of a hidden state.
    hidden_size : int
        Hidden width of an expert.
    output_size : int
        Width of the features.
    num_experts : int
        Number of shared experts.
    tasks : sequence of str
        Names of the tasks; each has its own gate.
    top_k : int
        Experts per frame and task. The paper's 1 gives the expert the weight
        1; for more, the weights are the chosen probabilities scaled to sum to
        one.
    router_learning : str
        `straight_through`: forward weights as above, gradients as if they
        were the chosen probabilities. `probability`: the weight is the
        probability itself, as in the Switch Transformer. `frozen`: weights
        are constants and the gates stay as initialised, as in the published
        code.
    dropout : float
        Probability of dropping a hidden unit of an expert; the paper has
        none.
    input_dropout : float
        Probability of dropping an input unit of the experts; the gates see
        them all. The paper has none.
    router_noise : float
        Standard deviation of Gaussian noise on the gates' logits in training,
        as in the noisy top-k gating of Shazeer et al., "Outrageously large
        neural networks", arXiv 1701.06538, but of fixed size. The paper has
        none.
    fusion : torch.nn.Module, optional
        Joins the hidden states into one, `[layer, ..., channel]` to `[...,
        channel]`, before all else; none by default: they are concatenated.
    make_expert : callable, optional
        Gives a new expert, a module from `[frame, num_layers * input_size]`
        to `[frame, output_size]`; `Expert` with the sizes above by default.
    make_gate : callable, optional
        Gives a new gate for a width and a number of experts; a `Gate` by
        default.

    Raises
    ------
    ValueError
        If an argument is out of range, or a name unknown or given twice.

    Example
    -------
    >>> moe = SparseMoE(
    ...     num_layers=3, input_size=8, hidden_size=16, output_size=4
    ... )
    >>> result = moe(torch.rand(3, 2, 7, 8), torch.tensor([1.0, 0.5]))
    >>> result.features["emotion"].shape
    torch.Size([2, 7, 4])
    >>> result.routing["enhance"].experts.shape
    torch.Size([2, 7, 1])
    """

    def __init__(
        self,
        num_layers: int,
        input_size: int,
        hidden_size: int = 4096,
        output_size: int = 1024,
        num_experts: int = 3,
        tasks: Sequence[str] = ("enhance", "emotion"),
        top_k: int = 1,
        router_learning: str = "straight_through",
        dropout: float = 0.0,
        input_dropout: float = 0.0,
        router_noise: float = 0.0,
        fusion: nn.Module | None = None,
        make_expert: Callable[[], nn.Module] | None = None,
        make_gate: Callable[[int, int], Gate] = Gate,
    ) -> None:
        super().__init__()
        if not 1 <= top_k <= num_experts:
            raise ValueError(
                f"top_k is {top_k}, but must lie between 1 and num_experts, "
                f"which is {num_experts}."
            )
        if router_learning not in ROUTER_LEARNING:
            raise ValueError(
                f"Unknown router_learning {router_learning!r}: use one of "
                f"{ROUTER_LEARNING}."
            )
        if not tasks or len(set(tasks)) != len(tasks):
            raise ValueError(f"tasks must be distinct names, not {tasks}.")
        self.output_size = output_size
        self.num_experts = num_experts
        self.top_k = top_k
        self.router_learning = router_learning
        self.router_noise = router_noise
        self.fusion = fusion
        self.layer_norms = nn.ModuleList(
            nn.LayerNorm(input_size) for _ in range(num_layers)
        )
        width = num_layers * input_size
        self.gates = nn.ModuleDict(
            {task: make_gate(width, num_experts) for task in tasks}
        )
        if router_learning == "frozen":
            self.gates.requires_grad_(False)
        self.input_dropout = nn.Dropout(input_dropout)
        if make_expert is None:
            make_expert = partial(
                Expert, width, hidden_size, output_size, dropout
            )
        self.experts = nn.ModuleList(make_expert() for _ in range(num_experts))

    def forward(
        self,
        hidden_states: torch.Tensor,
        lengths: torch.Tensor | None = None,
        tasks: Sequence[str] | None = None,
    ) -> Integration:
        """Routes every true frame, once per asked task.

        Arguments
        ---------
        hidden_states : torch.Tensor
            All representations of the encoder, `[layer, batch, time,
            channel]`.
        lengths : torch.Tensor, optional
            Relative lengths, `[batch]`.
        tasks : sequence of str, optional
            Tasks to route for; all by default. Only their gates and the
            experts they choose run.

        Returns
        -------
        Integration
            Features `[batch, time, output_size]` and routing per task; the
            auxiliary losses `load_balance` (Switch), `router_kl` and
            `router_z`, summed over the tasks.

        Raises
        ------
        ValueError
            If a task is unknown or the number of layers is not the module's.
        """
        if self.fusion is not None:
            hidden_states = self.fusion(hidden_states).unsqueeze(0)
        tasks = self._check(hidden_states, tasks)
        shape = hidden_states.shape[1:3]
        # On the CPU, where looking at values makes nothing wait.
        counts = absolute_lengths(lengths, *shape)
        rows = None
        if lengths is not None:
            rows = _true_rows(counts, shape[1], hidden_states.device)
        frames = self._join_layers(hidden_states, rows)
        logits = {task: self._score(task, frames, counts) for task in tasks}
        probabilities = {t: logits[t].softmax(dim=1) for t in tasks}
        experts = {
            t: self.gates[t].choose(logits[t], self.top_k) for t in tasks
        }
        outputs = self._dispatch(frames, probabilities, experts)
        means = {
            t: router_means(logits[t], probabilities[t], experts[t])
            for t in tasks
        }
        unflatten = partial(_unflatten, rows=rows, shape=shape)
        return Integration(
            features={t: unflatten(outputs[t], padding=0.0) for t in tasks},
            auxiliary_losses=routing_losses(means),
            routing={
                t: Routing(
                    unflatten(probabilities[t].detach(), padding=0.0),
                    unflatten(experts[t], padding=-1),
                )
                for t in tasks
            },
            router_means=means,
        )

    def _check(
        self, hidden_states: torch.Tensor, tasks: Sequence[str] | None
    ) -> list[str]:
        tasks = list(self.gates) if tasks is None else list(tasks)
        unknown = [task for task in tasks if task not in self.gates]
        if unknown or not tasks:
            raise ValueError(
                f"Unknown tasks {unknown}: ask for some of {list(self.gates)}."
            )
        if len(hidden_states) != len(self.layer_norms):
            raise ValueError(
                f"The encoder gave {len(hidden_states)} representations, but "
                f"num_layers is {len(self.layer_norms)}."
            )
        return tasks

    def _score(
        self, task: str, frames: torch.Tensor, counts: torch.Tensor
    ) -> torch.Tensor:
        logits = self.gates[task](frames, counts)
        if self.training and self.router_noise > 0:
            logits = logits + self.router_noise * torch.randn_like(logits)
        return logits

    def _join_layers(
        self, hidden_states: torch.Tensor, rows: torch.Tensor | None
    ) -> torch.Tensor:
        # [layer, batch, time, channel] -> [true frame, layer * channel]
        normalised = [
            norm(states if rows is None else states.index_select(0, rows))
            for norm, states in zip(
                self.layer_norms, hidden_states.flatten(1, 2), strict=True
            )
        ]
        return torch.cat(normalised, dim=1)

    def _weights(
        self, probabilities: torch.Tensor, experts: torch.Tensor
    ) -> torch.Tensor:
        """Weight of every chosen expert, `[frame, top_k]`."""
        chosen = probabilities.gather(1, experts)
        # More than top_k: all, see `Gate`, with weights that sum to one.
        if self.router_learning == "probability" or (
            experts.shape[1] > self.top_k
        ):
            return chosen
        weights = (chosen / chosen.sum(dim=1, keepdim=True)).detach()
        if self.router_learning == "straight_through":
            weights = weights + (chosen - chosen.detach())
        return weights

    def _dispatch(
        self,
        frames: torch.Tensor,
        probabilities: dict[str, torch.Tensor],
        experts: dict[str, torch.Tensor],
    ) -> dict[str, torch.Tensor]:
        chosen = frames.new_zeros(
            len(frames), self.num_experts, dtype=torch.bool
        )
        for indices in experts.values():
            chosen = chosen.scatter(1, indices, True)
        outputs = self._run_experts(self.input_dropout(frames), chosen)
        # The outputs lie by expert, then by frame: counting the choices in
        # that order tells where the one of a frame and an expert is.
        by_expert = chosen.t().flatten()
        slots = (by_expert.cumsum(0) - 1).view_as(chosen.t()).t()
        return {
            task: _combine(
                outputs,
                slots.gather(1, indices),
                self._weights(probabilities[task], indices).to(outputs.dtype),
            )
            for task, indices in experts.items()
        }

    def _run_experts(
        self, frames: torch.Tensor, chosen: torch.Tensor
    ) -> torch.Tensor:
        """Gives `[choice, output_size]`, sorted by expert, then by frame."""
        # The only time that the host waits for the device.
        counts = chosen.sum(dim=0).tolist()
        by_expert = chosen.t().flatten().to(torch.uint8)
        order = by_expert.argsort(descending=True, stable=True)
        rows = order[: sum(counts)] % len(frames)
        outputs = []
        for expert, own in zip(self.experts, rows.split(counts), strict=True):
            # In training an unused expert still sees zero frames, so that its
            # parameters have (zero) gradients on every distributed process.
            if len(own) == 0 and not self.training:
                continue
            whole = len(own) == len(frames)
            outputs.append(
                expert(frames if whole else frames.index_select(0, own))
            )
        return torch.cat(outputs)


def _combine(
    outputs: torch.Tensor, slots: torch.Tensor, weights: torch.Tensor
) -> torch.Tensor:
    """Adds up what the chosen experts made of every frame."""
    parts = [
        weight.unsqueeze(1) * outputs.index_select(0, slot)
        for slot, weight in zip(slots.t(), weights.t(), strict=True)
    ]
    return sum(parts[1:], parts[0])


def _true_rows(
    counts: torch.Tensor, num_frames: int, device: torch.device
) -> torch.Tensor | None:
    """Numbers of the true frames in a flattened batch, None for all."""
    if bool((counts == num_frames).all()):
        return None
    mask = step_mask(counts, num_frames)
    return mask.flatten().nonzero().squeeze(1).to(device)


def _unflatten(
    values: torch.Tensor,
    rows: torch.Tensor | None,
    shape: tuple[int, int],
    padding: float,
) -> torch.Tensor:
    """Puts `[true frame, ...]` back into `[batch, time, ...]`."""
    if rows is not None:
        full = values.new_full((math.prod(shape), values.shape[1]), padding)
        values = full.index_copy(0, rows, values)
    return values.unflatten(0, shape)
