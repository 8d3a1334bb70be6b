"""The small enhancement head: what it keeps, and that no batch changes it."""

import pytest
import torch

from speechbrain_merit.lobes import (
    EmotionHead,
    JointModel,
    SparseMoE,
    SpectralFrontend,
    SpeechEncoder,
    SubbandHead,
    WaveformNormalization,
    make_pooling,
)
from speechbrain_merit.lobes.subband_bands import SubbandBands

FRONTEND = SpectralFrontend(512, 256)
WHISPER = {
    "model_type": "whisper",
    "d_model": 16,
    "encoder_layers": 2,
    "encoder_attention_heads": 2,
    "encoder_ffn_dim": 32,
    "decoder_layers": 0,
    "vocab_size": 8,
    "pad_token_id": 0,
    "bos_token_id": 1,
    "eos_token_id": 2,
    "decoder_start_token_id": 1,
    "suppress_tokens": None,
    "begin_suppress_tokens": None,
}


@pytest.fixture
def head():
    torch.manual_seed(0)
    return SubbandHead(8, channels=8, hidden_size=16).eval()


def _speech(*shape):
    generator = torch.Generator().manual_seed(1)
    return 0.1 * torch.randn(*shape, generator=generator)


def test_bands_keep_what_is_constant_and_cover_every_bin():
    bands = SubbandBands(num_bins=257, num_low=65, num_high=64)
    ones = torch.ones(257)
    torch.testing.assert_close(bands.join(ones), torch.ones(129))
    torch.testing.assert_close(bands.spread(torch.ones(129)), ones)
    tone = torch.zeros(257)
    tone[200] = 1.0
    spread = bands.spread(bands.join(tone))
    assert spread.argmax() in range(195, 206)
    assert spread[:180].eq(0).all()


def test_a_new_head_passes_speech_through(head):
    waveform = _speech(1, 8000)
    spectrum = FRONTEND.analyze(waveform)
    features = torch.zeros(1, 25, 8)
    enhanced = head(spectrum, features, torch.tensor([25]))
    result = FRONTEND.synthesize(enhanced.log1p, enhanced)
    error_db = 20 * torch.log10((result - waveform).norm() / waveform.norm())
    assert error_db < -20


def test_an_utterance_does_not_depend_on_its_batch(head):
    lengths = torch.tensor([1.0, 0.6])
    waveform = _speech(2, 8000)
    features = torch.rand(2, 25, 8)
    spectrum = FRONTEND.analyze(waveform, lengths)
    together = head(spectrum, features, torch.tensor([25, 15]))
    alone = head(
        FRONTEND.analyze(waveform[1:, :4800]),
        features[1:, :15],
        torch.tensor([15]),
    )
    num_frames = int(alone.counts[0])
    for name in ("log1p", "phase"):
        padded = getattr(together, name)[1]
        torch.testing.assert_close(
            padded[:num_frames], getattr(alone, name)[0], atol=1e-5, rtol=1e-4
        )
        assert padded[num_frames:].abs().max() == 0


def test_features_are_read_at_their_own_time(head):
    # 16 ms after 16 ms, with one feature per 20 ms, the last one held.
    features = torch.arange(4.0).reshape(1, 4, 1).repeat(1, 1, 8)
    aligned = head._align(features, torch.tensor([4]), num_frames=7)
    assert aligned[0, :, 0].tolist() == [0, 0, 1, 2, 3, 3, 3]


def test_all_parameters_learn(head):
    waveform = _speech(2, 4800)
    spectrum = FRONTEND.analyze(waveform)
    enhanced = head.train()(
        spectrum, torch.rand(2, 15, 8), torch.tensor([15, 15])
    )
    FRONTEND.synthesize(enhanced.log1p, enhanced).square().sum().backward()
    missing = [n for n, p in head.named_parameters() if p.grad is None]
    assert missing == []


def test_bands_that_cannot_be_halved_are_refused():
    with pytest.raises(ValueError, match="num_low_bins \\+ num_high_bands"):
        SubbandHead(8, num_high_bands=63)


def test_in_a_joint_model_a_gain_changes_nothing():
    torch.manual_seed(0)
    encoder = SpeechEncoder(
        config=WHISPER, normalization=WaveformNormalization("level")
    )
    model = JointModel(
        encoder,
        SparseMoE(encoder.num_layers, encoder.output_size, 16, 8),
        FRONTEND,
        SubbandHead(8, channels=8, hidden_size=16),
        EmotionHead(make_pooling("attentive", 8), 4, hidden_size=16),
    ).eval()
    waveform = _speech(1, 8000)
    with torch.no_grad():
        plain, faint = model(waveform), model(waveform * 0.01)
        enhanced = model.enhanced_waveform(plain)
    torch.testing.assert_close(faint.logits, plain.logits)
    torch.testing.assert_close(
        model.enhanced_waveform(faint), enhanced * 0.01, atol=1e-6, rtol=1e-3
    )
