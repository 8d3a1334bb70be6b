"""The joint model: alone as in a batch, one task without the other, learning."""

import pytest
import torch

from speechbrain.nnet.losses import l1_loss
from speechbrain_merit.lobes import (
    AttentiveStatisticsPooling,
    EmotionHead,
    JointModel,
    SparseMoE,
    SpectralFrontend,
    SpectralMaskHead,
    SpeechEncoder,
    WaveformNormalization,
)
from speechbrain_merit.losses.task_losses import emotion_loss

ENCODER = {
    "model_type": "wavlm",
    "feat_extract_norm": "layer",
    "do_stable_layer_norm": True,
    "hidden_size": 16,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "intermediate_size": 24,
    "conv_dim": [8] * 7,
    "num_conv_pos_embeddings": 8,
    "num_conv_pos_embedding_groups": 2,
    "hidden_dropout": 0.0,
    "attention_dropout": 0.0,
    "activation_dropout": 0.0,
    "feat_proj_dropout": 0.0,
}


def make(mode="utterance", heads=("enhance", "emotion"), dropout=0.0):
    torch.manual_seed(0)
    encoder = SpeechEncoder(
        config=ENCODER,
        freeze="none",
        normalization=WaveformNormalization(mode),
    )
    mask = SpectralMaskHead(12, hidden_size=16)
    emotion = EmotionHead(AttentiveStatisticsPooling(12), 4, 16, dropout)
    return JointModel(
        encoder,
        SparseMoE(encoder.num_layers, encoder.output_size, 32, 12),
        SpectralFrontend(),
        enhancement_head=mask if "enhance" in heads else None,
        emotion_head=emotion if "emotion" in heads else None,
    )


@pytest.mark.parametrize("mode", ["none", "utterance"])
def test_alone_equals_in_a_batch(mode):
    model = make(mode).eval()
    counts = [9600, 7111, 3000]
    padded = torch.full((3, 9600), 3.0)
    for row, count in zip(padded, counts, strict=True):
        row[:count] = 0.1 * torch.randn(count)
    lengths = torch.tensor(counts) / 9600
    batch = model(padded, lengths)
    waveforms = model.enhanced_waveform(batch, lengths)
    for row, count in enumerate(counts):
        alone = model(padded[row : row + 1, :count])
        waveform = model.enhanced_waveform(alone)[0]
        for task, routing in alone.integration.routing.items():
            best = routing.probabilities[0].topk(2, dim=-1).values
            ties = int((best[:, 0] - best[:, 1] < 1e-5).sum())
            frames = len(best)
            there = batch.integration.routing[task].experts[row, :frames]
            assert int((there != routing.experts[0]).sum()) <= ties
        torch.testing.assert_close(
            batch.logits[row], alone.logits[0], atol=1e-4, rtol=0
        )
        torch.testing.assert_close(
            waveforms[row, :count], waveform, atol=1e-4, rtol=0
        )
        assert (waveforms[row, count:] == 0).all()


def test_one_task_costs_nothing_of_the_other():
    model = make().eval()
    waveform = torch.randn(1, 4000)
    both = model(waveform)
    for head in (model.enhancement_head, model.frontend):
        head.forward = head.analyze = None  # a call would raise
    emotion = model(waveform, tasks=["emotion"])
    torch.testing.assert_close(emotion.logits, both.logits)
    assert emotion.enhanced_log1p is None
    assert list(emotion.integration.routing) == ["emotion"]
    model = make().eval()
    model.emotion_head.forward = None
    enhanced = model(waveform, tasks=["enhance"])
    torch.testing.assert_close(enhanced.enhanced_log1p, both.enhanced_log1p)
    assert enhanced.logits is None


def test_models_of_one_task():
    model = make(heads=("emotion",))
    assert model.tasks == ("emotion",)
    assert model(torch.randn(1, 4000)).enhanced_log1p is None
    with pytest.raises(ValueError, match="enhance"):
        model(torch.randn(1, 4000), tasks=["enhance"])
    with pytest.raises(ValueError, match="enhancement_head"):
        make(heads=())


def test_level_of_the_output_follows_the_input():
    model = make("utterance").eval()
    waveform = torch.randn(1, 4000)
    loud = model.enhanced_waveform(model(waveform))
    quiet = model.enhanced_waveform(model(0.01 * waveform))
    torch.testing.assert_close(quiet, 0.01 * loud, atol=1e-5, rtol=1e-2)


def test_a_perfect_mask_is_reached_by_the_target():
    # The target of clean speech is the spectrum that the model itself sees.
    model = make("utterance").eval()
    waveform = torch.randn(2, 4000)
    lengths = torch.tensor([1.0, 0.7])
    output = model(waveform, lengths)
    target = model.target_log1p(waveform, lengths, output)
    torch.testing.assert_close(target, output.spectrum.log1p)


def test_one_batch_is_learned_by_both_tasks():
    model = make("utterance").train()
    torch.manual_seed(1)
    time = torch.arange(8000) / 16000
    pitches = torch.tensor([150.0, 250.0, 400.0, 700.0]).unsqueeze(1)
    clean = torch.sin(2 * torch.pi * pitches * time)
    noisy = clean + 0.7 * torch.randn_like(clean)
    labels = torch.arange(4)
    optimizer = torch.optim.AdamW(model.parameters(), lr=3e-3)
    history = []
    for _ in range(80):
        output = model(noisy)
        emotion = emotion_loss(output.logits, labels)
        target = model.target_log1p(clean, None, output)
        enhance = l1_loss(output.enhanced_log1p, target)
        optimizer.zero_grad()
        (emotion + enhance).backward()
        for task in model.tasks:
            gate = model.integrator.gates[task].fc.weight
            assert gate.grad.abs().sum() > 0
        optimizer.step()
        history.append((emotion.item(), enhance.item()))
    assert history[-1][0] < 0.1  # from the logarithm of 4
    assert history[-1][1] < 0.5 * history[0][1]
