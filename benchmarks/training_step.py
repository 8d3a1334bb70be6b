"""A training step of the full paper model against the plain one.

Run from the top of the project; prints one table.
> python benchmarks/training_step.py
> python benchmarks/training_step.py --device cuda:0 --precisions fp32 bf16 \
>   --repetitions 20

The model has the paper's sizes: an encoder of WavLM-Large's configuration with
random weights, frozen convolutions, three experts. The first row is the plain
one, in fp32: all experts on every frame, and transformers' own attention. On a
GPU the batch is the paper's, 4 x 12 s; elsewhere smaller by default. Every row
is a new process on a CPU, and runs one step to warm up and to count the products.

Times are the least of the repetitions: what other programs take only adds.
With `--bf16_steps`, bfloat16 without checkpoints goes on to that many steps,
which shows whether all losses are finite.
The parts are forward and backward together. GiB are the peak of the whole
process beyond what Python and its modules take, on a GPU of the device. The
last column is how much of the throughput of one large matrix product, in the
same precision, the step's products reach.

Authors
 * The speechbrain-merit developers 2026
"""

import argparse
import contextlib
import dataclasses
import functools
import time
from types import SimpleNamespace

import torch
from memory import peak_gib, start_peak, with_free_memory
from moe_layer import all_experts
from system_costs import load_model
from timing import describe_device, synchronize
from torch.utils.flop_counter import FlopCounterMode
from transformers.models.wavlm.modeling_wavlm import WavLMAttention

from speechbrain_merit.lobes import JointModel
from speechbrain_merit.lobes.joint_model import EMOTION, ENHANCE
from speechbrain_merit.losses.task_losses import emotion_loss

SAMPLE_RATE_HZ = 16000
PARTS = ("encoder", "experts", "heads", "optimizer")
PLAIN = "plain"


@dataclasses.dataclass
class StepCost:
    """What a training step takes.

    Arguments
    ---------
    seconds : dict
        Of every part, and in `step` of them all.
    peak_gib : float
        Memory.
    tflop : float
        Operations in matrix products, convolutions and attention.
    tflop_per_s : float
        Of one large matrix product.
    num_steps : int
        How many were taken.
    finite : bool
        Whether all losses were.
    """

    seconds: dict[str, float]
    peak_gib: float
    tflop: float
    tflop_per_s: float
    num_steps: int
    finite: bool


class PlainExperts(torch.nn.Module):
    """Runs all experts on every frame, in the place of `SparseMoE`."""

    def __init__(self, moe: torch.nn.Module) -> None:
        super().__init__()
        self.moe = moe

    def forward(self, hidden_states, lengths, tasks):
        """Gives the features alone, which have no padding."""
        shape = hidden_states.shape[1:3]
        features = all_experts(self.moe)(hidden_states, tasks)
        return SimpleNamespace(
            features={t: f.unflatten(0, shape) for t, f in features.items()},
            auxiliary_losses={},
        )


def use_plain_parts(model: JointModel) -> None:
    """Puts the reference's experts and attention into a model."""
    model.integrator = PlainExperts(model.integrator)
    config = model.encoder.config
    for layer in model.encoder.features.layers:
        plain = WavLMAttention(
            config.hidden_size,
            config.num_attention_heads,
            dropout=config.attention_dropout,
            num_buckets=config.num_buckets,
            max_distance=config.max_bucket_distance,
            has_relative_position_bias=hasattr(
                layer.attention, "rel_attn_embed"
            ),
        )
        plain.load_state_dict(layer.attention.state_dict())
        layer.attention = plain


class Step:
    """A training step, part by part.

    Arguments
    ---------
    model : JointModel
        Trained by AdamW.
    arguments : argparse.Namespace
        Batch and device.
    autocast : contextlib.AbstractContextManager
        Around the forward pass.
    """

    def __init__(self, model, arguments, autocast) -> None:
        self.model, self.autocast = model, autocast
        self.device = arguments.device
        self.optimizer = torch.optim.AdamW(
            [p for p in model.parameters() if p.requires_grad], lr=1e-5
        )
        shape = (
            arguments.batch_size,
            round(arguments.duration_s * SAMPLE_RATE_HZ),
        )
        self.clean = torch.randn(shape, device=self.device)
        self.noisy = self.clean + torch.randn_like(self.clean)
        self.seconds: dict[str, float] = {}
        self.finite = True

    @contextlib.contextmanager
    def timed(self, part: str):
        """Adds to the seconds of a part."""
        synchronize(self.device)
        start = time.perf_counter()
        yield
        synchronize(self.device)
        spent = time.perf_counter() - start
        self.seconds[part] = self.seconds.get(part, 0.0) + spent

    def __call__(self) -> dict[str, float]:
        """Runs the step; between the parts, gradients are handed on."""
        self.seconds = {}
        model = self.model
        with self.timed("encoder"), self.autocast:
            normalised, statistics = model.encoder.normalize(self.noisy)
            encoded = model.encoder.encode(normalised)
        states = encoded.hidden_states.detach().requires_grad_()
        with self.timed("experts"), self.autocast:
            integration = model.integrator(states, encoded.lengths, model.tasks)
        features = {
            task: given.detach().requires_grad_()
            for task, given in integration.features.items()
        }
        with self.timed("heads"):
            with self.autocast:
                loss = self.loss(normalised, statistics, encoded, features)
            loss.backward()
        self.finite &= bool(torch.isfinite(loss))
        with self.timed("experts"):
            auxiliary = sum(integration.auxiliary_losses.values())
            outputs = [integration.features[task] for task in features]
            gradients = [features[task].grad for task in features]
            if integration.auxiliary_losses:
                outputs.append(auxiliary)
                gradients.append(None)
            torch.autograd.backward(outputs, gradients)
        with self.timed("encoder"):
            encoded.hidden_states.backward(states.grad)
        del encoded, states, integration, features, outputs, gradients
        with self.timed("optimizer"):
            self.optimizer.step()
            self.optimizer.zero_grad()
        self.seconds["step"] = sum(self.seconds.values())
        return self.seconds

    def loss(self, normalised, statistics, encoded, features):
        """Runs the heads, and sums their losses."""
        model = self.model
        spectrum = model.frontend.analyze(normalised)
        enhanced = model.enhancement_head(
            spectrum.log1p, spectrum.counts, features[ENHANCE], encoded.counts
        )
        target = model.target_log1p(
            self.clean, None, SimpleNamespace(statistics=statistics)
        )
        logits = model.emotion_head(features[EMOTION], encoded.lengths)
        labels = torch.zeros(
            len(logits), dtype=torch.int64, device=logits.device
        )
        return (enhanced - target).abs().mean() + emotion_loss(logits, labels)


def matmul_tflop_per_s(
    device: str, dtype: torch.dtype, repetitions: int = 5
) -> float:
    """Measures one large matrix product."""
    size = 8192 if device.startswith("cuda") else 2048
    a, b = torch.randn(2, size, size, device=device).to(dtype)
    least_s = float("inf")
    for _ in range(repetitions):
        synchronize(device)
        start = time.perf_counter()
        torch.mm(a, b)
        synchronize(device)
        least_s = min(least_s, time.perf_counter() - start)
    return 2 * size**3 / least_s / 1e12


def measure(
    kind: str, precision: str, checkpoints: bool, arguments: argparse.Namespace
) -> StepCost:
    """Measures one row; needs free memory."""
    torch.set_num_threads(arguments.num_threads)
    torch.backends.cuda.matmul.allow_tf32 = precision == "tf32"
    torch.backends.cudnn.allow_tf32 = precision == "tf32"
    torch.manual_seed(0)
    autocast = torch.autocast(
        torch.device(arguments.device).type,
        torch.bfloat16,
        enabled=precision == "bf16",
    )
    dtype = torch.bfloat16 if precision == "bf16" else torch.float32
    tflop_per_s = matmul_tflop_per_s(arguments.device, dtype)
    before = start_peak(arguments.device)
    # Random weights are made there too, which takes a CPU many seconds.
    with torch.device(arguments.device):
        model = load_model("sparse_merit", arguments.corpus, None)
        if kind == PLAIN:
            use_plain_parts(model)
    model.encoder.checkpoint_activations(checkpoints)
    model.to(arguments.device).train()
    step = Step(model, arguments, autocast)
    with FlopCounterMode(display=False) as counter:
        step()
    num_steps = arguments.repetitions
    if precision == "bf16" and not checkpoints:
        num_steps = max(num_steps, arguments.bf16_steps)
    runs = [dict(step()) for _ in range(num_steps)]
    best = min(runs, key=lambda seconds: seconds["step"])
    return StepCost(
        best,
        peak_gib(arguments.device) - before,
        counter.get_total_flops() / 1e12,
        tflop_per_s,
        num_steps + 1,
        step.finite,
    )


def print_row(name: str, cost: StepCost, plain: StepCost) -> None:
    """Prints a row, and what it is of the plain one."""
    step_s = cost.seconds["step"]
    parts = " | ".join(f"{cost.seconds[part]:.3f}" for part in PARTS)
    share = cost.tflop / step_s / cost.tflop_per_s
    print(
        f"| {name} | {parts} | {step_s:.3f} | "
        f"{plain.seconds['step'] / step_s:.2f} | {cost.peak_gib:.2f} | "
        f"{cost.peak_gib / plain.peak_gib:.0%} | {cost.tflop:.2f} | "
        f"{share:.0%} | {cost.num_steps} | {'yes' if cost.finite else 'NO'} |",
        flush=True,
    )


def parse_arguments() -> argparse.Namespace:
    """Reads the options."""
    parser = argparse.ArgumentParser(
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--device", default="cpu")
    parser.add_argument(
        "--precisions",
        nargs="+",
        default=["fp32"],
        choices=["fp32", "tf32", "bf16"],
    )
    parser.add_argument("--batch_size", type=int, default=None)
    parser.add_argument("--duration_s", type=float, default=None)
    parser.add_argument("--repetitions", type=int, default=2)
    parser.add_argument("--bf16_steps", type=int, default=0)
    parser.add_argument(
        "--corpus", default="none", help="whose sizes; none: the paper's"
    )
    parser.add_argument(
        "--num_threads", type=int, default=torch.get_num_threads()
    )
    arguments = parser.parse_args()
    on_gpu = arguments.device.startswith("cuda")
    arguments.batch_size = arguments.batch_size or (4 if on_gpu else 1)
    arguments.duration_s = arguments.duration_s or (12.0 if on_gpu else 2.0)
    return arguments


def main() -> None:
    """Prints the table."""
    arguments = parse_arguments()
    torch.set_num_threads(arguments.num_threads)
    print(
        f"{describe_device(arguments.device)}, {arguments.batch_size} x "
        f"{arguments.duration_s} s, least of {arguments.repetitions}\n"
    )
    print(
        f"| model | {' | '.join(f'{part}, s' for part in PARTS)} | step, s | "
        "speed-up | GiB | of plain | TFLOP | share of matmul | steps | finite |"
    )
    print("| --- |" + " --: |" * (len(PARTS) + 7) + " --- |")
    run = functools.partial(with_free_memory, arguments.device, measure)
    plain = run(PLAIN, "fp32", False, arguments)
    print_row("plain, fp32", plain, plain)
    for precision in arguments.precisions:
        for checkpoints in (False, True):
            cost = run("package", precision, checkpoints, arguments)
            name = f"this package, {precision}"
            name += ", checkpoints" if checkpoints else ""
            print_row(name, cost, plain)


if __name__ == "__main__":
    main()
