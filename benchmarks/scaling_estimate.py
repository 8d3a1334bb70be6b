"""What one device, one node and several nodes need for a training: computed.

Run from the top of the project; prints what docs/scaling.md sums up. Nothing
is measured here: parameters are counted in the model of the YAML file, at the
paper's size and without its weights; all else follows from them and from the
options, which are the assumptions.
> python benchmarks/scaling_estimate.py
> python benchmarks/scaling_estimate.py --peak_tflops 312 --utilisation 0.2 0.4

Authors
 * The speechbrain-merit developers 2026
"""

import argparse
import dataclasses

import numpy as np
import torch
from hyperpyyaml import load_hyperpyyaml
from system_costs import PAPER, ROOT
from torch import nn

from speechbrain_merit.config import compose
from speechbrain_merit.lobes import JointModel

# Augmentations make tensors that need values.
WITHOUT_VALUES = """
data_folder: none
speed_perturb: null
speech_augmentation: null
mixture_augmentation: null
"""
SAMPLE_RATE_HZ = 16000
FRAMES_PER_S = 50
SPECTRUM_FRAMES_PER_S = 100
# Of AdamW in float32: weight, gradient and two moments are read, weight and
# moments written.
OPTIMIZER_BYTES = (4 + 3) * 4


@dataclasses.dataclass
class Costs:
    """What the model takes.

    Arguments
    ---------
    parameters : int
        All of them.
    trained : int
        Those with gradients.
    frozen_macs : float
        Multiply-accumulates per second of audio where nothing trains.
    encoder_macs : float
        Of the Transformer, per second of audio, padding included.
    expert_macs : float
        Of one expert that gets every frame.
    head_macs : float
        Of both heads.
    """

    parameters: int
    trained: int
    frozen_macs: float
    encoder_macs: float
    expert_macs: float
    head_macs: float


def load_without_weights(system: str) -> JointModel:
    """Builds the model of a YAML file at the paper's size, without values."""
    variant = ROOT / "hparams" / f"{system}.yaml"
    composed = compose(variant, WITHOUT_VALUES + PAPER)
    with torch.device("meta"):
        return load_hyperpyyaml(composed.text)["model"]


def count(module: nn.Module) -> int:
    """Counts the weights of matrix products, each used once per frame."""
    return sum(p.numel() for p in module.parameters() if p.ndim > 1)


def costs_of(model: JointModel, duration_s: float) -> Costs:
    """Counts parameters and multiply-accumulates per second of audio."""
    encoder = model.encoder.features.model
    frozen, rate_hz = 0.0, float(SAMPLE_RATE_HZ)
    for layer in encoder.feature_extractor.conv_layers:
        rate_hz /= layer.conv.stride[0]
        frozen += rate_hz * layer.conv.weight.numel()
    config = model.encoder.config
    # Scores and weighted values of every frame against all frames.
    attention = (
        2 * duration_s * FRAMES_PER_S * config.hidden_size
    ) * config.num_hidden_layers
    transformer = count(encoder.feature_projection) + count(encoder.encoder)
    return Costs(
        parameters=sum(p.numel() for p in model.parameters()),
        trained=sum(p.numel() for p in model.parameters() if p.requires_grad),
        frozen_macs=frozen,
        encoder_macs=FRAMES_PER_S * (transformer + attention),
        expert_macs=FRAMES_PER_S * count(model.integrator.experts[0]),
        head_macs=FRAMES_PER_S * count(model.emotion_head)
        + SPECTRUM_FRAMES_PER_S * count(model.enhancement_head),
    )


@dataclasses.dataclass
class Batches:
    """What utterances of different lengths cost, as factors.

    Arguments
    ---------
    duration_s : float
        Mean duration of an utterance.
    padding : float
        Seconds computed per second of speech.
    waiting : float
        Longest over mean batch of the processes of a step.
    """

    duration_s: float
    padding: float
    waiting: float


def simulate_batches(
    arguments: argparse.Namespace, num_processes: int
) -> Batches:
    """Draws utterances at random into batches, and those into steps."""
    generator = np.random.default_rng(0)
    shape = (2000, num_processes, arguments.batch_size)
    spread_s = arguments.mean_duration_s - arguments.min_duration_s
    durations_s = arguments.min_duration_s + generator.exponential(
        spread_s, shape
    )
    durations_s = durations_s.clip(max=arguments.max_duration_s)
    longest_s = durations_s.max(axis=2)
    return Batches(
        duration_s=float(durations_s.mean()),
        padding=float(longest_s.mean() / durations_s.mean()),
        waiting=float(longest_s.max(axis=1).mean() / longest_s.mean()),
    )


def all_reduce_s(
    num_bytes: float, arguments: argparse.Namespace, nodes: int, gbit_s: float
) -> float:
    """Time of the gradients' exchange, within every node and between them.

    A ring moves 2 (n - 1) / n of the bytes through every link.
    """
    gpus, links = arguments.gpus_per_node, arguments.nvlink_gbyte_s * 1e9
    inside = 2 * (gpus - 1) / gpus * num_bytes / links
    between = 2 * (nodes - 1) / nodes * num_bytes / (gbit_s / 8 * 1e9)
    return inside + between


def flops_per_second(
    costs: Costs, batches: Batches, arguments: argparse.Namespace
) -> float:
    """Operations of a training step per second of speech.

    The backward pass takes twice the forward's, where anything trains.
    Padding goes through encoder and heads, but not through the experts.
    """
    padded = costs.encoder_macs + costs.head_macs
    experts = arguments.experts_per_frame * costs.expert_macs
    trained = 3 * (padded * batches.padding + experts)
    return 2 * (trained + costs.frozen_macs * batches.padding)


def print_model(costs: Costs, arguments: argparse.Namespace) -> None:
    """Prints what does not depend on the number of devices."""
    gib = 2**30
    exchanged = costs.trained * 4
    rows = {
        "parameters, M": f"{costs.parameters / 1e6:.1f}",
        "trained parameters, M": f"{costs.trained / 1e6:.1f}",
        "forward GMAC per second: convolutions (frozen)": (
            f"{costs.frozen_macs / 1e9:.2f}"
        ),
        "forward GMAC per second: Transformer": (
            f"{costs.encoder_macs / 1e9:.2f}"
        ),
        f"forward GMAC per second: {arguments.experts_per_frame:g} experts "
        "per frame": (
            f"{arguments.experts_per_frame * costs.expert_macs / 1e9:.2f}"
        ),
        "forward GMAC per second: heads": f"{costs.head_macs / 1e9:.2f}",
        "gradient bytes per step, GB (float32)": f"{exchanged / 1e9:.2f}",
        "weights, GiB": f"{costs.parameters * 4 / gib:.2f}",
        "gradients, GiB": f"{exchanged / gib:.2f}",
        "buckets of DistributedDataParallel, GiB": f"{exchanged / gib:.2f}",
        "moments of AdamW, GiB": f"{2 * exchanged / gib:.2f}",
        "all of these, GiB": (
            f"{(costs.parameters * 4 + 4 * exchanged) / gib:.2f}"
        ),
        f"saved by sharding the moments over {arguments.gpus_per_node}, GiB": (
            f"{2 * exchanged * (1 - 1 / arguments.gpus_per_node) / gib:.2f}"
        ),
    }
    print("| of the model | |\n| --- | --: |")
    for name, value in rows.items():
        print(f"| {name} | {value} |")


def print_links(costs: Costs, arguments: argparse.Namespace) -> None:
    """Prints what the exchange of the gradients takes by itself."""
    exchanged = costs.trained * 4
    print("\n| nodes | between them, Gb/s | all-reduce, ms |")
    print("| --: | --: | --: |")
    print(f"| 1 | - | {all_reduce_s(exchanged, arguments, 1, 1) * 1e3:.0f} |")
    for gbit_s in arguments.links_gbit_s:
        time_s = all_reduce_s(exchanged, arguments, arguments.nodes, gbit_s)
        print(f"| {arguments.nodes} | {gbit_s:g} | {time_s * 1e3:.0f} |")


@dataclasses.dataclass
class Step:
    """How a number of devices trains.

    Arguments
    ---------
    utterances : int
        Of all devices, in all micro-batches of an optimizer's step.
    compute_s : float
        Forward and backward passes of the slowest device.
    exchange_s : float
        The gradients' exchange.
    exposed_s : float
        What of it the backward pass does not hide.
    optimizer_s : float
        The optimizer's pass over its memory.
    """

    utterances: int
    compute_s: float
    exchange_s: float
    exposed_s: float
    optimizer_s: float

    @property
    def total_s(self) -> float:
        """All of a step."""
        return self.compute_s + self.exposed_s + self.optimizer_s


def step_of(
    costs: Costs,
    arguments: argparse.Namespace,
    nodes: int,
    gpus: int,
    gbit_s: float,
    utilisation: float,
) -> Step:
    """Computes a step of so many devices in all."""
    batches = simulate_batches(arguments, gpus)
    flops = flops_per_second(costs, batches, arguments) * batches.duration_s
    rate = arguments.peak_tflops * 1e12 * utilisation
    compute_s = flops * arguments.batch_size * batches.waiting / rate
    exchange_s = exposed_s = 0.0
    if gpus > 1:
        exchange_s = all_reduce_s(costs.trained * 4, arguments, nodes, gbit_s)
        # Behind the backward pass, two thirds of the last micro-batch, except
        # for what is ready last.
        hidden_s = arguments.overlap * compute_s * 2 / 3
        exposed_s = max(exchange_s - hidden_s, 0.05 * exchange_s)
    at_once = gpus * arguments.batch_size
    accumulation = max(round(arguments.utterances_per_step / at_once), 1)
    moved = costs.trained * OPTIMIZER_BYTES
    return Step(
        utterances=accumulation * at_once,
        compute_s=accumulation * compute_s,
        exchange_s=exchange_s,
        exposed_s=exposed_s,
        optimizer_s=moved / (arguments.memory_gbyte_s * 1e9),
    )


def print_training(costs: Costs, arguments: argparse.Namespace) -> None:
    """Prints the step and the whole training for every number of devices."""
    links, node = arguments.links_gbit_s, arguments.gpus_per_node
    settings = [(1, 1, links[0]), (1, node, links[0])]
    settings += [(arguments.nodes, node * arguments.nodes, g) for g in links]
    duration_s = simulate_batches(arguments, 1).duration_s
    num_utterances = arguments.hours * 3600 / duration_s
    print(
        "\n| of the peak | GPUs | Gb/s | utterances a step | compute, ms "
        "| exchange, ms | not hidden, ms | step, ms | utterances per s and GPU "
        "| hours |\n|" + " --: |" * 10
    )
    for utilisation in arguments.utilisation:
        for nodes, gpus, gbit_s in settings:
            step = step_of(costs, arguments, nodes, gpus, gbit_s, utilisation)
            num_steps = arguments.epochs * num_utterances / step.utterances
            print(
                f"| {utilisation:.0%} | {gpus} | "
                f"{f'{gbit_s:g}' if nodes > 1 else '-'} | {step.utterances} | "
                f"{step.compute_s * 1e3:.0f} | {step.exchange_s * 1e3:.0f} | "
                f"{step.exposed_s * 1e3:.0f} | {step.total_s * 1e3:.0f} | "
                f"{step.utterances / step.total_s / gpus:.0f} | "
                f"{num_steps * step.total_s / 3600:.1f} |"
            )


def main() -> None:
    """Prints the tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    add = parser.add_argument
    add("--system", default="sparse_merit")
    add("--hours", type=float, default=230.0, help="of training speech")
    add("--epochs", type=int, default=20)
    add("--min_duration_s", type=float, default=2.75)
    add("--mean_duration_s", type=float, default=5.6)
    add("--max_duration_s", type=float, default=12.0)
    add("--batch_size", type=int, default=4, help="of a process")
    add("--utterances_per_step", type=int, default=32, help="at least")
    add("--experts_per_frame", type=float, default=1.67, help="of both tasks")
    add("--peak_tflops", type=float, default=989.0, help="dense, of a device")
    add("--utilisation", type=float, nargs="+", default=[0.1, 0.3])
    add("--memory_gbyte_s", type=float, default=3350.0)
    add("--overlap", type=float, default=0.8, help="of the backward pass")
    add("--gpus_per_node", type=int, default=8)
    add("--nodes", type=int, default=8)
    add("--nvlink_gbyte_s", type=float, default=450.0, help="each direction")
    add("--links_gbit_s", type=float, nargs="+", default=[100.0, 400.0])
    arguments = parser.parse_args()
    costs = costs_of(
        load_without_weights(arguments.system), arguments.max_duration_s
    )
    shown = ", ".join(f"{k} {v}" for k, v in sorted(vars(arguments).items()))
    print(f"Computed, not measured, for {shown}\n")
    print_model(costs, arguments)
    print_links(costs, arguments)
    for gpus in (1, arguments.gpus_per_node * arguments.nodes):
        batches = simulate_batches(arguments, gpus)
        print(
            f"\n{gpus} GPUs: mean utterance {batches.duration_s:.1f} s, "
            f"{batches.padding:.2f} s computed per second of speech, longest "
            f"batch of a step {batches.waiting:.2f} times the mean"
        )
    print_training(costs, arguments)


if __name__ == "__main__":
    main()
