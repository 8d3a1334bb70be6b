"""How far a GPU's results are from those of the CPU; prints one table.

Run from the top of the project.
> python benchmarks/device_agreement.py --device cuda:0
> python benchmarks/device_agreement.py --device cuda:0 \
>   --sources none speechbrain_merit/pretrained/merit-base

The same padded batch goes through the same model: on the CPU in float32, which
is the reference, and on the device in float32 (not tf32), bfloat16 and, on a
GPU, tf32. An error is the norm of the difference over that of the reference.

Authors
 * The speechbrain-merit developers 2026
"""

import argparse

import torch
from inference import SAMPLE_RATE_HZ, load
from timing import describe_device

from speechbrain_merit.lobes.joint_model import (
    EMOTION,
    ENHANCE,
    JointModel,
    JointOutput,
)

LENGTHS = (1.0, 0.7, 0.4, 0.9)


def make_batch(duration_s: float) -> torch.Tensor:
    """Makes noise with most power at low frequencies, as speech has it."""
    generator = torch.Generator().manual_seed(0)
    shape = (len(LENGTHS), round(duration_s * SAMPLE_RATE_HZ))
    white = torch.randn(shape, generator=generator)
    mean = torch.nn.functional.avg_pool1d(white, 15, 1, 7)
    return 0.1 * white + mean


def run(
    model: JointModel, batch: torch.Tensor, device: str, precision: str
) -> JointOutput:
    """Runs the model on a device."""
    torch.backends.cuda.matmul.allow_tf32 = precision == "tf32"
    torch.backends.cudnn.allow_tf32 = precision == "tf32"
    autocast = torch.autocast(
        torch.device(device).type, torch.bfloat16, enabled=precision == "bf16"
    )
    with torch.no_grad(), autocast:
        return model.to(device)(
            batch.to(device), torch.tensor(LENGTHS, device=device)
        )


def relative_error(found: torch.Tensor, expected: torch.Tensor) -> float:
    """Gives the norm of the difference over that of what is expected."""
    difference = found.cpu().double() - expected.double()
    return float(difference.norm() / expected.double().norm())


def print_row(name: str, found: JointOutput, expected: JointOutput) -> None:
    """Compares logits, spectra and, on true frames, the chosen experts."""
    shares = []
    for task in (ENHANCE, EMOTION):
        # Not every model sends the frames of both tasks to experts.
        if task not in expected.integration.routing:
            shares.append("-")
            continue
        theirs = expected.integration.routing[task].experts
        ours = found.integration.routing[task].experts.cpu()
        share = float((ours == theirs)[theirs >= 0].float().mean())
        shares.append(f"{share:.2%}")
    errors = (
        relative_error(found.logits, expected.logits),
        relative_error(found.enhanced_log1p, expected.enhanced_log1p),
    )
    labels = (
        found.logits.argmax(1).cpu() == expected.logits.argmax(1)
    ).tolist()
    cells = [
        *(f"{error:.1e}" for error in errors),
        *shares,
        f"{sum(labels)} of {len(labels)}",
    ]
    print(f"| {name} | {' | '.join(cells)} |", flush=True)


def main() -> None:
    """Parses the options and prints the table."""
    parser = argparse.ArgumentParser(
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "--sources", nargs="+", default=["none"], help="none: random weights"
    )
    parser.add_argument(
        "--corpus", default="none", help="whose sizes; none: the paper's"
    )
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--duration_s", type=float, default=4.0)
    arguments = parser.parse_args()
    device = arguments.device
    print(
        f"{describe_device(device)}, {len(LENGTHS)} x {arguments.duration_s} "
        f"s, sizes of {arguments.corpus} where there is no source\n"
    )
    print(
        "| source | precision | error of the logits | error of the spectrum | "
        f"same experts, {ENHANCE} | same experts, {EMOTION} | same labels |\n"
        "| --- | --- | --: | --: | --: | --: | --: |"
    )
    batch = make_batch(arguments.duration_s)
    precisions = ["fp32", "bf16"]
    if device.startswith("cuda"):
        precisions.append("tf32")
    for source in arguments.sources:
        model = load(source, arguments.corpus, "cpu", "fp32").mods.model
        expected = run(model, batch, "cpu", "fp32")
        for precision in precisions:
            found = run(model, batch, device, precision)
            print_row(f"{source} | {precision}", found, expected)


if __name__ == "__main__":
    main()
