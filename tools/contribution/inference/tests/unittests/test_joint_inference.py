"""Tests of joint enhancement and classification.

Authors
 * The speechbrain-merit developers 2026
"""

import pytest
import torch


class Encoder(torch.nn.Module):
    """Two layers on frames of 20 ms."""

    def __init__(self):
        super().__init__()
        self.layers = torch.nn.ModuleList(
            torch.nn.Linear(320, 8) for _ in range(2)
        )

    def forward(self, wav, wav_lens=None):
        """Gives `[layer, batch, time, channel]`."""
        frames = wav.unfold(1, 320, 320)
        return torch.stack([layer(frames) for layer in self.layers])


@pytest.fixture
def model(device):
    """A model with random weights."""
    from speechbrain.dataio.encoder import CategoricalEncoder
    from speechbrain.inference.joint import JointEnhancementClassifier
    from speechbrain.lobes.models.SparseMERIT import (
        AttentiveStatisticsPooling,
        EmotionHead,
        SparseMoE,
        SpectralMaskHead,
    )
    from speechbrain.processing.features import ISTFT, STFT, InputNormalization

    torch.manual_seed(0)
    labels = CategoricalEncoder()
    labels.update_from_iterable(["angry", "sad", "happy"])
    return JointEnhancementClassifier(
        modules={
            "encoder": Encoder(),
            "normalizer": InputNormalization(norm_type="sentence"),
            "integrator": SparseMoE(2, 8, hidden_size=16, output_size=4),
            "enhancement_head": SpectralMaskHead(4, hidden_size=16),
            "emotion_head": EmotionHead(AttentiveStatisticsPooling(4), 3),
        },
        hparams={
            "stft": STFT(16000),
            "istft": ISTFT(16000),
            "label_encoder": labels,
        },
        run_opts={"device": str(device)},
    )


def test_padding_changes_nothing(model, device):
    """An utterance gives the same alone and in a batch."""
    wavs = 0.1 * torch.randn(2, 6400, device=device)
    lens = torch.tensor([1.0, 0.5], device=device)
    enhanced, log_probs, text_lab = model(wavs, lens)
    alone, alone_log_probs, alone_text_lab = model(wavs[1:, :3200])
    assert enhanced.shape == wavs.shape
    assert not enhanced[1, 3200:].any()
    assert torch.allclose(enhanced[1, :3200], alone[0], atol=1e-5)
    assert torch.allclose(log_probs[1], alone_log_probs[0], atol=1e-5)
    assert text_lab[1] == alone_text_lab[0]


def test_one_task_gives_what_both_give(model, device):
    """Each task alone gives the numbers of the joint pass."""
    wavs = 0.1 * torch.randn(2, 6400, device=device)
    enhanced, log_probs, text_lab = model(wavs)
    assert torch.allclose(model.enhance_batch(wavs), enhanced)
    out_prob, score, index, labels = model.classify_batch(wavs)
    assert torch.allclose(out_prob, log_probs)
    assert torch.allclose(score, log_probs.amax(dim=1))
    assert labels == text_lab
    assert model.hparams.label_encoder.decode_torch(index) == text_lab


def test_a_mask_of_ones_gives_the_input(model, device):
    """Enhancement that removes nothing returns the waveform."""
    head = model.mods.enhancement_head
    head.output_projection.weight.zero_()
    head.output_projection.bias.fill_(100.0)
    wavs = 0.1 * torch.randn(1, 6400, device=device)
    assert torch.allclose(model.enhance_batch(wavs), wavs, atol=1e-4)


def test_a_file_is_written(model, tmp_path):
    """What is written is what is returned."""
    from speechbrain.dataio import audio_io

    path = "tests/samples/ASR/spk1_snt1.wav"
    written = tmp_path / "enhanced.wav"
    enhanced, log_probs, label = model.process_file(
        path, str(written), savedir=tmp_path
    )
    assert log_probs.shape == (3,)
    assert label in ("angry", "sad", "happy")
    read, rate = audio_io.load(str(written))
    assert rate == 16000
    assert torch.allclose(read[0], enhanced.cpu(), atol=1e-3)
