"""The joint model in bfloat16, as `--precision bf16` runs it, on the CPU."""

import pytest
import torch
from toy_model import write_experiment

from speechbrain.nnet.losses import l1_loss
from speechbrain_merit.losses.task_losses import emotion_loss

# That of the tensors below, see benchmarks/lobes_on_device.py.
DEVICE = torch.get_default_device()

LENGTHS = torch.tensor([1.0, 0.7, 0.4, 0.9])


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    return write_experiment(tmp_path_factory.mktemp("toy"), "utterance")


def run(model, precision):
    """Losses, outputs and gradients of a training step."""
    torch.manual_seed(3)
    clean = torch.randn(4, 8000).cumsum(1) / 50
    noisy = clean + 0.2 * torch.randn(4, 8000)
    model.zero_grad()
    enabled = precision == "bf16"
    with torch.autocast(DEVICE.type, torch.bfloat16, enabled=enabled):
        output = model(noisy, LENGTHS)
        target = model.target_log1p(clean, LENGTHS, output)
        losses = {
            **output.integration.auxiliary_losses,
            "enhance": l1_loss(
                output.enhanced_log1p, target, length=output.spectrum.lengths
            ),
            "emotion": emotion_loss(output.logits, torch.tensor([0, 1, 2, 3])),
        }
        total = sum(losses.values())
    total.backward()
    return output, losses


def test_losses_are_finite_in_float32_and_close(model):
    _, expected = run(model, "fp32")
    _, found = run(model, "bf16")
    for name, loss in found.items():
        assert loss.dtype == torch.float32, name
        # bfloat16 has 8 bits: a relative error of 2**-8 in every product.
        torch.testing.assert_close(
            loss, expected[name], rtol=0.02, atol=0.02, msg=name
        )


def test_gates_see_float32_and_agree_where_they_are_sure(model):
    seen = []
    handles = [
        gate.register_forward_hook(lambda m, i, logits: seen.append(logits))
        for gate in model.integrator.gates.values()
    ]
    plain, _ = run(model, "fp32")
    half, _ = run(model, "bf16")
    for handle in handles:
        handle.remove()
    assert {logits.dtype for logits in seen} == {torch.float32}
    for task, routing in plain.integration.routing.items():
        best = routing.probabilities.topk(2, dim=-1).values
        sure = best[..., 0] - best[..., 1] > 0.05
        ours = half.integration.routing[task].experts[..., 0]
        assert sure.float().mean() > 0.3
        assert (ours == routing.experts[..., 0])[sure].all()


def test_gradients_are_finite_and_point_the_same_way(model):
    gradients = []
    for precision in ("fp32", "bf16"):
        run(model, precision)
        gradients.append(
            {
                name: p.grad.clone()
                for name, p in model.named_parameters()
                if p.grad is not None
            }
        )
    plain, half = gradients
    assert plain.keys() == half.keys()
    for name, gradient in half.items():
        assert gradient.dtype == torch.float32
        assert torch.isfinite(gradient).all(), name
    joined = [torch.cat([g.flatten() for g in gs.values()]) for gs in gradients]
    cosine = torch.nn.functional.cosine_similarity(*joined, dim=0)
    assert cosine > 0.99


def test_spectra_stay_in_float32(model):
    output, _ = run(model, "bf16")
    assert output.enhanced_log1p.dtype == torch.float32
    assert output.spectrum.log1p.dtype == torch.float32
    waveform = model.enhanced_waveform(output, LENGTHS)
    assert waveform.dtype == torch.float32
    assert torch.isfinite(waveform).all()


@pytest.mark.parametrize(
    "channels, kernel, stride, groups",
    [
        # The corpus mini: features, and positions.
        ((1, 96), 160, 40, 1),
        ((96, 96), 16, 8, 1),
        ((64, 64), 16, 1, 4),
        # WavLM, HuBERT, wav2vec 2.0: features, two groups of positions.
        ((1, 512), 10, 5, 1),
        ((512, 512), 3, 2, 1),
        ((512, 512), 2, 2, 1),
        ((96, 96), 128, 1, 2),
        ((128, 128), 128, 1, 2),
        # Whisper.
        ((80, 384), 3, 1, 1),
        ((384, 384), 3, 2, 1),
    ],
)
def test_convolutions_of_these_encoders_are_right_on_this_cpu(
    channels, kernel, stride, groups
):
    """oneDNN 3.10 is wrong on CPUs with AMX for 2 to 15 channels a group.

    That is where the channels of a group times the kernel reach 64: the error
    is as large as the result. No encoder that is used here has so few.
    """
    torch.manual_seed(0)
    num_products = channels[0] // groups * kernel
    signal = torch.randn(2, channels[0], 4 * kernel).bfloat16()
    weight = torch.randn(channels[1], channels[0] // groups, kernel).bfloat16()
    found = torch.conv1d(signal, weight, stride=stride, groups=groups)
    signal, weight = signal.double(), weight.double()
    exact = torch.conv1d(signal, weight, stride=stride, groups=groups)
    largest = torch.conv1d(
        signal.abs(), weight.abs(), stride=stride, groups=groups
    )
    # Sums in float32, with a unit roundoff of 2**-24, then eight bits.
    bound = num_products * 2**-24 * largest + 2**-8 * exact.abs()
    assert ((found.double() - exact).abs() <= bound).all()
