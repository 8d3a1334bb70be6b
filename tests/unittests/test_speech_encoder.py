"""Encoders of every supported kind, at toy size, alone and in batches."""

import numpy as np
import pytest
import torch
from transformers import WhisperFeatureExtractor

from speechbrain_merit.lobes import SpeechEncoder, WaveformNormalization

TOY = {
    "hidden_size": 16,
    "num_hidden_layers": 3,
    "num_attention_heads": 2,
    "intermediate_size": 24,
    "conv_dim": [8] * 7,
    "num_conv_pos_embeddings": 8,
    "num_conv_pos_embedding_groups": 2,
}
WHISPER = {
    "model_type": "whisper",
    "d_model": 16,
    "encoder_layers": 3,
    "decoder_layers": 1,
    "encoder_attention_heads": 2,
    "decoder_attention_heads": 2,
    "encoder_ffn_dim": 24,
    "decoder_ffn_dim": 24,
    "vocab_size": 8,
    "pad_token_id": 0,
    "bos_token_id": 1,
    "eos_token_id": 2,
    "decoder_start_token_id": 1,
}
CONFIGS = {
    # As WavLM-Large: LayerNorm in the convolutions and before each block.
    "wavlm-large": {
        **TOY,
        "model_type": "wavlm",
        "feat_extract_norm": "layer",
        "do_stable_layer_norm": True,
    },
    # As WavLM-Base: group norm over time in the convolutions.
    "wavlm-base": {**TOY, "model_type": "wavlm"},
    "hubert": {**TOY, "model_type": "hubert"},
    "wav2vec2": {
        **TOY,
        "model_type": "wav2vec2",
        "feat_extract_norm": "layer",
        "do_stable_layer_norm": True,
    },
    "whisper": WHISPER,
}


def make(name, **options):
    torch.manual_seed(0)
    return SpeechEncoder(config=CONFIGS[name], **options).eval()


@pytest.mark.parametrize("name", CONFIGS)
def test_alone_equals_in_a_batch(name):
    encoder = make(name)
    counts = [8000, 5123, 700]
    padded = torch.full((3, 8000), 5.0)
    for row, count in zip(padded, counts, strict=True):
        row[:count] = torch.randn(count)
    batch = encoder(padded, torch.tensor(counts) / 8000)
    for row, count in enumerate(counts):
        alone = encoder(padded[row : row + 1, :count])
        frames = int(alone.counts)
        assert int(batch.counts[row]) == frames
        torch.testing.assert_close(
            batch.hidden_states[:, row, :frames],
            alone.hidden_states[:, 0],
            atol=1e-4,
            rtol=1e-4,
        )
        assert (batch.hidden_states[:, row, frames:] == 0).all()


@pytest.mark.parametrize("name", CONFIGS)
def test_sizes_come_from_the_model(name):
    encoder = make(name)
    encoded = encoder(torch.randn(1, 4000))
    assert encoded.hidden_states.shape[0] == encoder.num_layers == 4
    assert encoded.hidden_states.shape[3] == encoder.output_size == 16


@pytest.mark.parametrize(
    ("num_samples", "frames"),
    [(400, 1), (719, 1), (720, 2), (16000, 49), (48000, 149)],
)
def test_frames_by_the_convolutions_own_formula(num_samples, frames):
    # Published receptive field of 400 samples every 320.
    encoded = make("wavlm-large")(torch.randn(1, num_samples))
    assert encoded.counts.tolist() == [frames]
    assert encoded.hidden_states.shape[2] == frames


@pytest.mark.parametrize("num_samples", [1, 100, 399])
@pytest.mark.parametrize("name", CONFIGS)
def test_short_input_is_extended_with_zeros(name, num_samples):
    encoder = make(name)
    waveform = torch.randn(1, num_samples)
    extended = torch.nn.functional.pad(waveform, (0, 400 - num_samples))
    result = encoder(waveform)
    assert int(result.counts) == 1
    assert torch.isfinite(result.hidden_states).all()
    if name != "whisper":
        torch.testing.assert_close(
            result.hidden_states, encoder(extended).hidden_states
        )


def test_last_state_comes_from_before_the_final_norm():
    encoder = make("wavlm-large")
    waveform = torch.randn(1, 4000)
    states = encoder(waveform).hidden_states
    model = encoder.features.model
    after = model(waveform).last_hidden_state
    torch.testing.assert_close(model.encoder.layer_norm(states[-1]), after)
    # Whatever transformers returns as the others, they are the same.
    theirs = model(waveform, output_hidden_states=True).hidden_states
    for ours, other in zip(states[:-1], theirs[:-1], strict=True):
        torch.testing.assert_close(ours, other)


def test_whisper_log_mel_equals_the_published_one():
    encoder = make("whisper")
    waveform = np.random.default_rng(0).standard_normal(20037)
    waveform = waveform.astype(np.float32)
    extractor = WhisperFeatureExtractor(feature_size=80)
    expected = extractor(waveform, sampling_rate=16000, return_tensors="pt")
    ours = encoder.features.log_mel(
        torch.from_numpy(waveform)[None], torch.tensor([20037])
    )
    torch.testing.assert_close(
        ours[0],
        expected.input_features[0, :, : ours.shape[2]],
        atol=1e-4,
        rtol=0,
    )


def test_whisper_equals_transformers_at_30_s():
    encoder = make("whisper")
    waveform = torch.randn(1, 480000)
    theirs = encoder.features.encoder(
        encoder.features.log_mel(waveform, torch.tensor([480000]))
    ).last_hidden_state
    ours = encoder(waveform).hidden_states[-1]
    ours = encoder.features.encoder.layer_norm(ours)
    torch.testing.assert_close(ours, theirs, atol=1e-4, rtol=1e-4)


def test_whisper_refuses_what_is_too_long():
    with pytest.raises(ValueError, match="31.0 s is longer than the 30 s"):
        make("whisper")(torch.zeros(1, 31 * 16000))


def trainable(module):
    return {n for n, p in module.named_parameters() if p.requires_grad}


@pytest.mark.parametrize("name", CONFIGS)
def test_freezing(name):
    encoder = make(name, freeze="all")
    assert not trainable(encoder)
    encoder.train()
    assert not any(m.training for m in encoder.features.modules())
    assert not encoder(torch.randn(1, 4000)).hidden_states.requires_grad
    encoder.freeze("convolutions")
    names = trainable(encoder)
    assert names and not any(
        "feature_extractor" in n or ".conv1." in n for n in names
    )
    encoder.train()
    encoder(torch.randn(1, 4000)).hidden_states.square().sum().backward()
    # What trains has a gradient: no process waits for another's in vain.
    grown = {n for n, p in encoder.named_parameters() if p.grad is not None}
    assert names == grown
    if name != "whisper":
        convolutions = encoder.features.model.feature_extractor
        convolutions = getattr(convolutions, "convolutions", convolutions)
        assert not convolutions(torch.randn(1, 4000)).requires_grad
    encoder.freeze("none")
    assert any(
        "feature_extractor" in n or "conv1" in n for n in trainable(encoder)
    )


@pytest.mark.parametrize("name", CONFIGS)
def test_checkpointed_activations_give_the_same_gradients(name):
    encoder = make(name, freeze="convolutions").train()
    waveform, lengths = torch.randn(2, 8000), torch.tensor([1.0, 0.6])
    found = {}
    for enabled in (False, True):
        encoder.checkpoint_activations(enabled)
        torch.manual_seed(2)  # of the dropout
        states = encoder(waveform, lengths).hidden_states
        (states * torch.linspace(-1, 1, states.shape[3])).sum().backward()
        found[enabled] = (
            states.detach(),
            {
                name: p.grad.clone()
                for name, p in encoder.named_parameters()
                if p.requires_grad
            },
        )
        encoder.zero_grad()
    assert torch.equal(found[False][0], found[True][0])
    for parameter, gradient in found[False][1].items():
        torch.testing.assert_close(found[True][1][parameter], gradient)


def test_checkpointed_activations_are_computed_again():
    encoder = make("wavlm-large", freeze="none").train()
    runs = []
    feed_forward = encoder.features.layers[1].feed_forward
    feed_forward.register_forward_pre_hook(lambda *_: runs.append(1))
    for enabled, expected in ((True, 2), (False, 1)):
        encoder.checkpoint_activations(enabled)
        encoder(torch.randn(1, 4000)).hidden_states.sum().backward()
        assert len(runs) == expected
        runs.clear()


def test_normalization_is_applied_once():
    encoder = make(
        "wavlm-large", normalization=WaveformNormalization("utterance")
    )
    waveform = torch.randn(1, 4000)
    torch.testing.assert_close(
        encoder(waveform).hidden_states,
        encoder(7 * waveform + 3).hidden_states,
        atol=1e-4,
        rtol=1e-4,
    )


def test_a_saved_model_loads_from_its_folder(tmp_path):
    encoder = make("wavlm-large")
    encoder.features.model.half().save_pretrained(tmp_path)
    encoder.features.model.float()
    loaded = SpeechEncoder(str(tmp_path)).eval()
    assert {p.dtype for p in loaded.parameters()} == {torch.float32}
    waveform = torch.randn(1, 4000)
    torch.testing.assert_close(
        loaded(waveform).hidden_states,
        encoder(waveform).hidden_states,
        atol=0.05,
        rtol=0.05,
    )


def test_what_cannot_be_loaded_is_named(tmp_path):
    with pytest.raises(OSError, match=r"cannot be loaded: the folder was"):
        SpeechEncoder(str(tmp_path))
    with pytest.raises(ValueError, match="a source"):
        SpeechEncoder()
    with pytest.raises(ValueError, match="'bert'"):
        SpeechEncoder(config={"model_type": "bert"})
    with pytest.raises(ValueError, match="'half'"):
        make("wavlm-large", freeze="half")
    with pytest.raises(ValueError, match="at least one"):
        make("wavlm-large")(torch.zeros(1, 0))


def test_standardised_hidden_states():
    """Zero mean, unit deviation over true frames, and padding still zero."""
    encoder = make("wavlm-large", standardize=True)
    plain = make("wavlm-large")
    assert encoder.needs_fitting and not plain.needs_fitting
    torch.manual_seed(1)
    waveform, lengths = torch.randn(3, 8000), torch.tensor([1.0, 0.5, 0.8])
    encoder.fit_standardization([(waveform[:2], lengths[:2])])
    encoder.fit_standardization([(waveform, lengths)])
    assert not encoder.needs_fitting
    before, after = plain(waveform, lengths), encoder(waveform, lengths)
    rows = zip(before.hidden_states.unbind(1), before.counts, strict=True)
    frames = torch.cat([states[:, :count] for states, count in rows], dim=1)
    mean, std = frames.mean(1), frames.std(1, correction=0)
    for row, count in enumerate(after.counts):
        torch.testing.assert_close(
            after.hidden_states[:, row, :count],
            (before.hidden_states[:, row, :count] - mean[:, None])
            / std[:, None],
            atol=1e-4,
            rtol=1e-4,
        )
        assert (after.hidden_states[:, row, count:] == 0).all()
    restored = make("wavlm-large", standardize=True)
    restored.load_state_dict(encoder.state_dict())
    assert not restored.needs_fitting


def test_standardisation_needs_frames():
    encoder = make("whisper", standardize=True)
    with pytest.raises(ValueError, match="no frames"):
        encoder.fit_standardization([])
