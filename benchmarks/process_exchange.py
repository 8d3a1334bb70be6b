"""What several processes exchange in a training step, timed.

Run from the top of the project; prints one table.
> OMP_NUM_THREADS=1 torchrun --standalone --nproc_per_node=2 \
>   benchmarks/process_exchange.py
> torchrun --standalone --nproc_per_node=8 benchmarks/process_exchange.py \
>   --distributed_backend nccl --num_parameters 644769427

The losses' exchange is that of two gates with so many experts: it makes them
those of the whole batch. The gradients' is an all-reduce of so many numbers
in float32, as `DistributedDataParallel` does it in pieces.

Authors
 * The speechbrain-merit developers 2026
"""

import argparse
import statistics
import time
from collections.abc import Callable

import torch
from timing import describe_device, synchronize

from speechbrain.utils.distributed import ddp_init_group, get_local_rank
from speechbrain_merit.lobes import Integration
from speechbrain_merit.lobes.routing_losses import router_means, routing_losses
from speechbrain_merit.training.distributed import (
    num_processes,
    whole_batch_losses,
)

TASKS = ("enhance", "emotion")


def make_losses(num_experts: int, device: str) -> tuple:
    """What `whole_batch_losses` takes, of a batch with two gates."""
    logits = torch.randn(100, num_experts, device=device, requires_grad=True)
    means = {
        task: router_means(
            logits, logits.softmax(dim=1), logits.argmax(dim=1, keepdim=True)
        )
        for task in TASKS
    }
    auxiliary = routing_losses(means)
    losses = {**auxiliary, **{task: logits.mean() for task in TASKS}}
    weights = {task: torch.tensor(100, device=device) for task in TASKS}
    return losses, weights, Integration({}, auxiliary, {}, means)


def median_s(
    step: Callable[[], object], repetitions: int, device: str
) -> float:
    """Median time of a step that all processes start together."""
    times_s = []
    for _ in range(repetitions + 1):
        torch.distributed.barrier()
        synchronize(device)
        start_s = time.perf_counter()
        step()
        synchronize(device)
        times_s.append(time.perf_counter() - start_s)
    # The first one connects the processes.
    return statistics.median(times_s[1:])


def main() -> None:
    """Prints the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--distributed_backend", default="gloo")
    parser.add_argument("--num_experts", type=int, default=3)
    parser.add_argument("--num_parameters", type=int, default=1_000_000)
    parser.add_argument("--repetitions", type=int, default=50)
    arguments = parser.parse_args()
    ddp_init_group({"distributed_backend": arguments.distributed_backend})
    on_gpu = arguments.distributed_backend == "nccl"
    device = f"cuda:{get_local_rank()}" if on_gpu else "cpu"
    losses = make_losses(arguments.num_experts, device)
    gradients = torch.zeros(arguments.num_parameters, device=device)
    times_s = {
        "losses of the whole batch": median_s(
            lambda: whole_batch_losses(*losses), arguments.repetitions, device
        ),
        f"{arguments.num_parameters / 1e6:g} M gradients": median_s(
            lambda: torch.distributed.all_reduce(gradients),
            arguments.repetitions,
            device,
        ),
    }
    if torch.distributed.get_rank() == 0:
        print(
            f"{describe_device(device)}, {num_processes()} processes, "
            f"{arguments.distributed_backend}\n"
        )
        print("| exchange | ms |\n| --- | --: |")
        for name, time_s in times_s.items():
            print(f"| {name} | {time_s * 1e3:.3f} |")
    torch.distributed.destroy_process_group()


if __name__ == "__main__":
    main()
