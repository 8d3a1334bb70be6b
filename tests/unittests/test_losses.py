"""Losses by hand, and without targets."""

import math

import pytest
import torch

from speechbrain_merit.losses.task_losses import (
    NO_LABEL,
    class_weights,
    compressed_spectrum_loss,
    emotion_loss,
    weighted_sum,
)


def test_class_weights_of_the_paper():
    labels = ["a"] * 6 + ["b"] * 3 + ["c"] + [None] * 5
    weights = class_weights(labels, ["a", "b", "c", "d"])
    assert weights == [10 / 24, 10 / 12, 10 / 4, 0.0]


def test_emotion_loss_by_hand():
    logits = torch.log(torch.tensor([[0.7, 0.3], [0.2, 0.8], [0.5, 0.5]]))
    targets = torch.tensor([0, 0, NO_LABEL])
    plain = -(math.log(0.7) + math.log(0.2)) / 2
    assert emotion_loss(logits, targets).item() == pytest.approx(plain)
    weights = torch.tensor([3.0, 1.0])
    targets = torch.tensor([0, 1, NO_LABEL])
    weighted = -(3 * math.log(0.7) + math.log(0.8)) / 4
    loss = emotion_loss(logits, targets, weights)
    assert loss.item() == pytest.approx(weighted)


def test_no_labels_no_loss_and_no_gradient():
    logits = torch.randn(2, 4, requires_grad=True)
    loss = emotion_loss(logits, torch.tensor([NO_LABEL, NO_LABEL]))
    loss.backward()
    assert loss.item() == 0
    assert torch.equal(logits.grad, torch.zeros(2, 4))


def test_a_loss_without_weight_is_refused():
    with pytest.raises(ValueError, match="'router_y'"):
        weighted_sum({"router_y": torch.ones(())}, {"router_z": 1.0})


def compressed_power(waveform, n_fft):
    """Mean over bands and samples of magnitudes to the power of 0.6, by hand."""
    padded = torch.nn.functional.pad(waveform, (n_fft // 2, n_fft))
    frames = padded.unfold(-1, n_fft, n_fft // 2)[
        : len(waveform) * 2 // n_fft + 2
    ]
    window = torch.hamming_window(n_fft)
    magnitudes = torch.fft.rfft(frames * window).abs() * 16 / n_fft**0.5
    return (magnitudes**0.6).mean(1).sum() / (len(waveform) / (n_fft // 2))


def test_compressed_spectra_by_hand():
    """The phase reversed, and half of the amplitude; SI-SNR counts to 35 dB."""
    speech = 0.05 * torch.randn(
        8192, generator=torch.Generator().manual_seed(1)
    )
    powers = [compressed_power(speech, n_fft) for n_fft in (256, 512, 1024)]
    power = float(sum(powers)) / 3
    for gain, expected in (
        (1.0, 0.0),
        (-1.0, 0.3 * 4 * power),
        (0.5, (1 - 0.5**0.3) ** 2 * power),
    ):
        loss = compressed_spectrum_loss(
            gain * speech[None], speech[None], torch.ones(1)
        )
        assert float(loss) + 0.07 == pytest.approx(expected, rel=1e-3, abs=1e-6)


def test_compressed_spectra_of_an_utterance_do_not_depend_on_the_batch():
    generator = torch.Generator().manual_seed(1)
    noisy, clean = 0.05 * torch.randn(2, 2, 6000, generator=generator)
    noisy.requires_grad_()
    lengths = torch.tensor([1.0, 0.5])
    mask = (torch.arange(6000) < 6000 * lengths[:, None]).float()
    together = compressed_spectrum_loss(noisy * mask, clean * mask, lengths)
    alone = [
        compressed_spectrum_loss(x[None, :n], y[None, :n], torch.ones(1))
        for x, y, n in zip(noisy, clean, (6000, 3000), strict=True)
    ]
    assert torch.allclose(together, (alone[0] + 0.5 * alone[1]) / 1.5)
    together.backward()
    assert noisy.grad.isfinite().all() and not noisy.grad[1, 3000:].any()
