"""Parameters, multiply-accumulates and step time of every system.

Run from the top of the project; prints one table.
> python benchmarks/system_costs.py --corpus mini
> python benchmarks/system_costs.py --corpus none --device cuda:0

With `--corpus none` the sizes are the paper's, with an encoder of
WavLM-Large's configuration and random weights.

Authors
 * The speechbrain-merit developers 2026
"""

import argparse
import platform
import time
from pathlib import Path

import torch
from hyperpyyaml import load_hyperpyyaml
from torch.utils.flop_counter import FlopCounterMode

from speechbrain_merit.config import compose
from speechbrain_merit.lobes import EnhanceThenClassify, JointModel
from speechbrain_merit.lobes.joint_model import EMOTION, ENHANCE
from speechbrain_merit.losses.task_losses import emotion_loss

ROOT = Path(__file__).resolve().parents[1]
SYSTEMS = (
    "sparse_merit",
    "dense_merit",
    "weighted_sum_merit",
    "weighted_sum_experts",
    "naive_mtl",
    "task_specific_mtl",
    "ser_only",
    "se_only",
    "se_then_ser",
    "merit_plus",
)
PAPER = """
encoder_source: null
encoder_config:
    model_type: wavlm
    hidden_size: 1024
    num_hidden_layers: 24
    num_attention_heads: 16
    intermediate_size: 4096
    feat_extract_norm: layer
    do_stable_layer_norm: True
"""


def load_model(
    system: str, corpus: str, encoder_source: str | None
) -> JointModel | EnhanceThenClassify:
    """Builds the model of a YAML file, with a corpus's sizes or the paper's."""
    if system == "se_then_ser":  # as in its file, with an untrained enhancer
        parts = (
            load_model(part, corpus, encoder_source)
            for part in ("se_only", "ser_only")
        )
        return EnhanceThenClassify(*parts)
    variant = ROOT / "hparams" / f"{system}.yaml"
    overrides = "data_folder: none\n"
    if corpus == "none":
        overrides += PAPER
    else:
        if encoder_source:
            overrides += f"encoder_source: {encoder_source}\n"
        overrides += f"corpus: {corpus}\n"
    composed = compose(variant, overrides, None if corpus == "none" else ROOT)
    return load_hyperpyyaml(composed.text)["model"]


def training_step(
    model: JointModel | EnhanceThenClassify,
    optimizer: torch.optim.Optimizer,
    noisy: torch.Tensor,
    clean: torch.Tensor,
) -> None:
    """Runs a training step on a batch."""
    output = model(noisy)
    loss = sum(output.integration.auxiliary_losses.values())
    if ENHANCE in model.tasks:
        target = model.target_log1p(clean, None, output)
        loss = loss + (output.enhanced_log1p - target).abs().mean()
    if EMOTION in model.tasks:
        labels = torch.zeros(len(noisy), dtype=torch.int64, device=noisy.device)
        loss = loss + emotion_loss(output.logits, labels)
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()


def macs_per_second(
    model: JointModel | EnhanceThenClassify, device: str
) -> float:
    """Counts the multiply-accumulates of the forward pass per audio second.

    Matrix products, convolutions and attention count; the LSTM, which torch's
    counter does not know, is added from its sizes.
    """
    duration_s = 4
    waveform = torch.randn(1, duration_s * 16000, device=device)
    model.eval()
    with torch.no_grad(), FlopCounterMode(display=False) as counter:
        output = model(waveform)
    macs = counter.get_total_flops() / 2
    if output.spectrum is not None:
        lstm_weights = sum(
            p.numel()
            for name, p in model.named_parameters()
            if ".blstm." in name and "weight" in name
        )
        macs += lstm_weights * int(output.spectrum.counts[0])
    return macs / duration_s


def measure(
    system: str, arguments: argparse.Namespace
) -> tuple[float, float, float, float]:
    """Gives trained and all parameters, MACs per second, and seconds a step."""
    torch.manual_seed(0)
    device = arguments.device
    model = load_model(system, arguments.corpus, arguments.encoder_source)
    model.to(device)
    trained = sum(p.numel() for p in model.parameters() if p.requires_grad)
    total = sum(p.numel() for p in model.parameters())
    macs = macs_per_second(model, device)
    model.train()
    optimizer = torch.optim.AdamW(
        [p for p in model.parameters() if p.requires_grad], lr=1e-5
    )
    shape = (arguments.batch_size, round(arguments.duration_s * 16000))
    clean = torch.randn(shape, device=device)
    noisy = clean + torch.randn_like(clean)
    times = []
    for _ in range(arguments.repetitions + 1):
        synchronize(device)
        start = time.perf_counter()
        training_step(model, optimizer, noisy, clean)
        synchronize(device)
        times.append(time.perf_counter() - start)
    # The first step allocates.
    return trained, total, macs, sorted(times[1:])[len(times[1:]) // 2]


def synchronize(device: str) -> None:
    """Waits for what was started on a GPU."""
    if device.startswith("cuda"):
        torch.cuda.synchronize(device)


def main() -> None:
    """Prints the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--corpus", default="mini")
    parser.add_argument("--encoder_source", default=None)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--batch_size", type=int, default=4)
    parser.add_argument("--duration_s", type=float, default=4.0)
    parser.add_argument("--repetitions", type=int, default=5)
    arguments = parser.parse_args()
    print(
        f"{platform.processor() or platform.machine()}, {arguments.device}, "
        f"{torch.get_num_threads()} threads, torch {torch.__version__}, "
        f"sizes of {arguments.corpus}, {arguments.batch_size} x "
        f"{arguments.duration_s} s a step\n"
    )
    print("| system | trained, M | all, M | GMAC per s | s per step | ratio |")
    print("| --- | --: | --: | --: | --: | --: |")
    first_s = None
    for system in SYSTEMS:
        trained, total, macs, step_s = measure(system, arguments)
        first_s = first_s or step_s
        print(
            f"| {system} | {trained / 1e6:.2f} | {total / 1e6:.2f} | "
            f"{macs / 1e9:.2f} | {step_s:.3f} | {step_s / first_s:.2f} |"
        )


if __name__ == "__main__":
    main()
