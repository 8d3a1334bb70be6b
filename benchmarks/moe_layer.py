"""The mixture of experts against one that runs all experts on every frame.

Run from the top of the project; prints one table.
> python benchmarks/moe_layer.py --num_threads 1
> python benchmarks/moe_layer.py --device cuda:0 --precision bf16 \
>   --num_frames 600 2400
> python benchmarks/moe_layer.py --experts 3 --num_frames 50 100 300 600 \
>   --forward_only

Random hidden states and gates choose each expert about equally often. The
bound is the ratio of the frames that the experts compute: no sparse layer can
be faster than that unless its matrix products are. The last column is the
largest difference of a feature. Gradients are dropped as they come, so that
many experts fit into memory. In bf16 on a GPU, `grouped_mm` is torch's kernel
for all experts at once, whose stacked copy of the weights is not timed.

Authors
 * The speechbrain-merit developers 2026
"""

import argparse
from collections.abc import Callable, Sequence
from functools import partial

import torch
from timing import Timing, describe_device, time_in_turns

from speechbrain_merit.lobes import SparseMoE

Layer = Callable[[torch.Tensor, Sequence[str]], dict[str, torch.Tensor]]
PRECISIONS = {"fp32": torch.float32, "bf16": torch.bfloat16}
TASKS = (("enhance", "emotion"), ("emotion",))


def join_layers(moe: SparseMoE, hidden_states: torch.Tensor) -> torch.Tensor:
    """Normalises and joins all layers, `[frame, layer * channel]`."""
    normalised = [
        norm(states)
        for norm, states in zip(moe.layer_norms, hidden_states, strict=True)
    ]
    return torch.cat(normalised, dim=-1).flatten(0, 1)


def choose(
    moe: SparseMoE, frames: torch.Tensor, task: str
) -> tuple[torch.Tensor, torch.Tensor]:
    """Gives the chosen experts and their straight-through weights of 1."""
    probabilities = moe.gates[task](frames).softmax(dim=1)
    chosen, experts = probabilities.max(dim=1)
    return experts, (1 + (chosen - chosen.detach())).to(frames.dtype)


def all_experts(moe: SparseMoE) -> Layer:
    """The reference: every expert on every frame, then a mask."""

    def layer(hidden_states, tasks):
        frames = join_layers(moe, hidden_states)
        outputs = []
        for expert in moe.experts:
            hidden = torch.nn.functional.linear(
                frames, expert.fc1.weight, expert.fc1.bias
            )
            outputs.append(expert.fc2(torch.relu(hidden)))
        stacked = torch.stack(outputs)
        features = {}
        for task in tasks:
            experts, weights = choose(moe, frames, task)
            mask = torch.nn.functional.one_hot(experts, len(moe.experts))
            mask = mask.to(frames.dtype) * weights.unsqueeze(1)
            features[task] = torch.einsum("fe,efd->fd", mask, stacked)
        return features

    return layer


def sparse(moe: SparseMoE) -> Layer:
    """The layer of the package."""

    def layer(hidden_states, tasks):
        features = moe(hidden_states, tasks=tasks).features
        return {task: features[task].flatten(0, 1) for task in tasks}

    return layer


def grouped(moe: SparseMoE) -> Layer:
    """The same frames through torch's kernel for groups of matrix products."""

    def stack(name: str) -> list[torch.Tensor]:
        linears = [getattr(expert, name) for expert in moe.experts]
        weights = torch.stack(
            [linear.weight.detach().t() for linear in linears]
        )
        biases = torch.stack([linear.bias.detach() for linear in linears])
        return [weights.requires_grad_(), biases.requires_grad_()]

    first, second = stack("fc1"), stack("fc2")
    for parameter in (*first, *second):
        parameter.register_post_accumulate_grad_hook(drop_gradient)

    def multiply(frames, parameters, offsets, experts):
        weights, biases = parameters
        product = torch.nn.functional.grouped_mm(frames, weights, offs=offsets)
        return product + biases[experts]

    def layer(hidden_states, tasks):
        frames = join_layers(moe, hidden_states)
        choices = {task: choose(moe, frames, task) for task in tasks}
        chosen = frames.new_zeros(
            len(moe.experts), len(frames), dtype=torch.bool
        )
        for experts, _ in choices.values():
            chosen = chosen.scatter(0, experts.unsqueeze(0), True)
        experts, rows = chosen.nonzero(as_tuple=True)
        offsets = chosen.sum(dim=1).cumsum(0).to(torch.int32)
        hidden = multiply(frames[rows], first, offsets, experts).relu()
        outputs = multiply(hidden, second, offsets, experts)
        slots = (chosen.flatten().cumsum(0) - 1).view_as(chosen)
        return {
            task: outputs[slots.gather(0, e.unsqueeze(0)).squeeze(0)]
            * weights.unsqueeze(1)
            for task, (e, weights) in choices.items()
        }

    return layer


def drop_gradient(parameter: torch.Tensor) -> None:
    """Frees the gradient of a parameter."""
    parameter.grad = None


def run(
    layer: Layer,
    hidden_states: torch.Tensor,
    tasks: Sequence[str],
    backward: bool,
) -> dict[str, torch.Tensor]:
    """Runs a layer forward, or forward and backward."""
    with torch.set_grad_enabled(backward):
        features = layer(hidden_states, tasks)
        if backward:
            sum(f.float().square().mean() for f in features.values()).backward()
            hidden_states.grad = None
    return features


def frames_per_expert(
    moe: SparseMoE, hidden_states: torch.Tensor, tasks: Sequence[str]
) -> int:
    """Counts the pairs of a frame and an expert that some task chose."""
    with torch.no_grad():
        routing = moe(hidden_states, tasks=tasks).routing
    pairs = [report.experts.flatten() for report in routing.values()]
    numbers = torch.arange(len(pairs[0]), device=hidden_states.device)
    codes = torch.cat([e * len(numbers) + numbers for e in pairs])
    return len(codes.unique())


def print_rows(
    num_experts: int, num_frames: int, arguments: argparse.Namespace
) -> None:
    """Measures the layer with one number of experts and of frames."""
    device = arguments.device
    dtype = PRECISIONS[arguments.precision]
    torch.manual_seed(0)
    # Random weights are made there too, which takes a CPU many seconds.
    with torch.device(device):
        moe = SparseMoE(
            arguments.num_layers,
            arguments.input_size,
            arguments.hidden_size,
            arguments.output_size,
            num_experts=num_experts,
        )
    moe.to(device, dtype)
    for parameter in moe.parameters():
        parameter.register_post_accumulate_grad_hook(drop_gradient)
    hidden_states = torch.randn(
        (arguments.num_layers, 1, num_frames, arguments.input_size),
        device=device,
        dtype=dtype,
    ).requires_grad_()
    layers = {"all experts": all_experts(moe), "SparseMoE": sparse(moe)}
    if device.startswith("cuda") and dtype == torch.bfloat16:
        layers["grouped_mm"] = grouped(moe)
    for tasks in TASKS:
        pairs = frames_per_expert(moe, hidden_states, tasks)
        bound = num_experts * num_frames / pairs
        for backward in arguments.passes:
            steps = {
                name: partial(run, layer, hidden_states, tasks, backward)
                for name, layer in layers.items()
            }
            timings = time_in_turns(steps, arguments.repetitions, device)
            features = {name: step() for name, step in steps.items()}
            begin = f"| {num_experts} | {num_frames} | {' + '.join(tasks)} | "
            begin += "forward + backward" if backward else "forward"
            print_timings(begin, timings, features, bound)


def print_timings(
    begin: str,
    timings: dict[str, Timing],
    features: dict[str, dict[str, torch.Tensor]],
    bound: float,
) -> None:
    """Prints a row for everything that is not the reference."""
    (_, plain), *others = timings.items()
    expected, *found = features.values()
    for (name, timing), ours in zip(others, found, strict=True):
        difference = max(
            float((ours[task] - expected[task]).detach().abs().max())
            for task in ours
        )
        print(
            f"{begin} | {name} | {plain.wall_s:.4f} | {timing.wall_s:.4f} | "
            f"{plain.wall_s / timing.wall_s:.2f} | "
            f"{plain.cpu_s / timing.cpu_s:.2f} | {bound:.2f} | "
            f"{difference:.0e} |",
            flush=True,
        )


def main() -> None:
    """Parses the sizes and prints the table."""
    parser = argparse.ArgumentParser(
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--precision", default="fp32", choices=PRECISIONS)
    parser.add_argument("--experts", type=int, nargs="+", default=[3, 5, 8, 16])
    parser.add_argument("--num_frames", type=int, nargs="+", default=[300])
    parser.add_argument("--num_layers", type=int, default=25)
    parser.add_argument("--input_size", type=int, default=1024)
    parser.add_argument("--hidden_size", type=int, default=4096)
    parser.add_argument("--output_size", type=int, default=1024)
    parser.add_argument("--repetitions", type=int, default=5)
    parser.add_argument("--num_threads", type=int, default=None)
    parser.add_argument(
        "--forward_only",
        dest="passes",
        action="store_const",
        const=(False,),
        default=(False, True),
    )
    arguments = parser.parse_args()
    if arguments.num_threads:
        torch.set_num_threads(arguments.num_threads)
    print(
        f"{describe_device(arguments.device)}, {arguments.precision}, "
        f"frames of {arguments.num_layers} x {arguments.input_size}, "
        f"{arguments.hidden_size} hidden, "
        f"{arguments.output_size} out, least of {arguments.repetitions}\n"
    )
    print(
        "| experts | frames | tasks | pass | layer | all experts, s | layer, s |"
        " ratio | ratio of CPU time | bound | difference |"
    )
    print("| --: | --: | --- | --- | --- | --: | --: | --: | --: | --: | --: |")
    for num_experts in arguments.experts:
        for num_frames in arguments.num_frames:
            print_rows(num_experts, num_frames, arguments)


if __name__ == "__main__":
    main()
