"""WavLM's fused attention against that of transformers.

Prints one table of Transformer layers of WavLM-Large's sizes: seconds of a
pass over a batch whose last utterance is half padding, processor time, and
peak memory beyond the weights. On a CPU the memory is that of a new process
for each row, as Linux counts it.

Run from the top of the project.
> python benchmarks/wavlm_attention.py --num_threads 2
> python benchmarks/wavlm_attention.py --device cuda:0 --precision bf16

Authors
 * The speechbrain-merit developers 2026
"""

import argparse
import contextlib
import copy
from collections.abc import Callable

import torch
from memory import peak_gib, start_peak, with_free_memory
from timing import describe_device, time_in_turns
from torch import nn
from transformers import WavLMConfig
from transformers.models.wavlm.modeling_wavlm import (
    WavLMEncoderLayerStableLayerNorm,
)

from speechbrain_merit.lobes.wavlm_attention import FusedWavLMAttention

FRAMES_PER_S = 50
PASSES = {"inference": False, "forward + backward": True}


def make_layers(arguments: argparse.Namespace) -> dict[str, nn.ModuleList]:
    """Builds the same layers with both implementations."""
    torch.manual_seed(0)
    config = WavLMConfig(
        hidden_size=1024,
        num_attention_heads=16,
        intermediate_size=4096,
        attention_dropout=0.0,
        hidden_dropout=0.0,
        activation_dropout=0.0,
    )
    theirs = nn.ModuleList(
        WavLMEncoderLayerStableLayerNorm(config, number == 0)
        for number in range(arguments.num_layers)
    ).to(arguments.device)
    ours = copy.deepcopy(theirs)
    for layer in ours:
        layer.attention = FusedWavLMAttention(layer.attention)
    return {"transformers": theirs, "fused": ours}


def make_step(
    layers: nn.ModuleList, arguments: argparse.Namespace, backward: bool
) -> Callable[[], torch.Tensor]:
    """Gives a function that runs the layers once."""
    device = arguments.device
    num_frames = round(arguments.duration_s * FRAMES_PER_S)
    shape = (arguments.batch_size, num_frames, 1024)
    frames = torch.randn(shape, device=device)
    mask = torch.ones(shape[:2], dtype=torch.bool, device=device)
    mask[-1, num_frames // 2 :] = False
    autocast = (
        torch.autocast(torch.device(device).type, torch.bfloat16)
        if arguments.precision == "bf16"
        else contextlib.nullcontext()
    )

    def step():
        states, bias = frames, None
        with torch.set_grad_enabled(backward), autocast:
            for layer in layers:
                states, bias = layer(
                    states, attention_mask=mask, position_bias=bias
                )
            if backward:
                states.float().square().mean().backward()
                layers.zero_grad()
        return states.detach()

    return step


def peak_memory_gib(
    name: str, arguments: argparse.Namespace, backward: bool
) -> float:
    """Measures what a pass takes beyond the weights; needs free memory."""
    torch.set_num_threads(arguments.num_threads)
    layers = make_layers(arguments)[name]
    step = make_step(layers, arguments, backward)
    before = start_peak(arguments.device)
    step()
    return peak_gib(arguments.device) - before


def print_rows(
    name: str, backward: bool, arguments: argparse.Namespace
) -> None:
    """Measures one kind of pass."""
    layers = make_layers(arguments)
    steps = {
        kind: make_step(layers[kind], arguments, backward) for kind in layers
    }
    timings = time_in_turns(steps, arguments.repetitions, arguments.device)
    memory = {
        kind: with_free_memory(
            arguments.device, peak_memory_gib, kind, arguments, backward
        )
        for kind in steps
    }
    plain = timings["transformers"]
    for kind, timing in timings.items():
        print(
            f"| {name} | {kind} | {timing.wall_s:.4f} | "
            f"{plain.wall_s / timing.wall_s:.2f} | "
            f"{plain.cpu_s / timing.cpu_s:.2f} | {memory[kind]:.2f} | "
            f"{memory[kind] / memory['transformers']:.2f} |",
            flush=True,
        )


def main() -> None:
    """Parses the sizes and prints the table."""
    parser = argparse.ArgumentParser(
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--precision", default="fp32", choices=["fp32", "bf16"])
    parser.add_argument("--batch_size", type=int, default=4)
    parser.add_argument("--duration_s", type=float, default=12.0)
    parser.add_argument("--num_layers", type=int, default=3)
    parser.add_argument("--repetitions", type=int, default=5)
    parser.add_argument(
        "--num_threads", type=int, default=torch.get_num_threads()
    )
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.num_threads)
    print(
        f"{describe_device(arguments.device)}, {arguments.precision}, "
        f"{arguments.num_layers} layers, batch {arguments.batch_size} x "
        f"{arguments.duration_s} s, least of {arguments.repetitions}\n"
    )
    print(
        "| pass | attention | s | ratio | ratio of CPU time | GiB | share |\n"
        "| --- | --- | --: | --: | --: | --: | --: |"
    )
    for name, backward in PASSES.items():
        print_rows(name, backward, arguments)


if __name__ == "__main__":
    main()
