"""Tests of the hidden states of Hugging Face encoders, with random weights.

Authors
 * The speechbrain-merit developers 2026
"""

import pytest
import torch

transformers = pytest.importorskip("transformers")


@pytest.fixture
def whisper_folder(tmp_path):
    """A tiny Whisper with what its feature extractor needs."""
    torch.manual_seed(0)
    config = transformers.WhisperConfig(
        d_model=16,
        encoder_layers=2,
        decoder_layers=1,
        encoder_attention_heads=2,
        decoder_attention_heads=2,
        encoder_ffn_dim=32,
        decoder_ffn_dim=32,
        vocab_size=16,
        pad_token_id=0,
        bos_token_id=1,
        eos_token_id=2,
        decoder_start_token_id=1,
    )
    transformers.WhisperModel(config).save_pretrained(tmp_path)
    transformers.WhisperFeatureExtractor().save_pretrained(tmp_path)
    return str(tmp_path)


@pytest.fixture
def wavlm_folder(tmp_path):
    """A tiny WavLM with LayerNorms first, as in WavLM-Large."""
    torch.manual_seed(0)
    config = transformers.WavLMConfig(
        hidden_size=16,
        num_hidden_layers=2,
        num_attention_heads=2,
        intermediate_size=32,
        conv_dim=[8, 8],
        conv_kernel=[400, 2],
        conv_stride=[160, 2],
        num_conv_pos_embeddings=4,
        num_conv_pos_embedding_groups=2,
        feat_extract_norm="layer",
        do_stable_layer_norm=True,
        do_normalize=False,
    )
    transformers.WavLMModel(config).save_pretrained(tmp_path)
    transformers.Wav2Vec2FeatureExtractor(do_normalize=False).save_pretrained(
        tmp_path
    )
    return str(tmp_path)


def make_whisper(folder, **options):
    """Loads the encoder of Whisper."""
    from speechbrain.integrations.huggingface.whisper import Whisper

    return Whisper(
        folder,
        folder,
        encoder_only=True,
        freeze=True,
        output_all_hiddens=True,
        **options,
    )


def test_whisper_reads_no_padding(whisper_folder, device):
    """An utterance is encoded the same alone and in a batch."""
    whisper = make_whisper(whisper_folder).to(device).eval()
    wav = 0.1 * torch.randn(2, 6400, device=device)
    lens = torch.tensor([1.0, 0.5], device=device)
    together = whisper(wav, wav_lens=lens)
    alone = whisper(wav[1:, :3200], wav_lens=lens[:1])
    assert together.shape == (3, 2, 20, 16)
    assert torch.allclose(together[:, 1, :10], alone[:, 0], atol=1e-5)
    other = wav.clone()
    other[1, 3200:] = 1.0
    assert torch.equal(whisper(other, wav_lens=lens)[:, 0], together[:, 0])
    assert torch.allclose(
        whisper(other, wav_lens=lens)[:, 1, :10], together[:, 1, :10]
    )


def test_whisper_at_30_s_is_as_before(whisper_folder, device):
    """At the full length, both ways of encoding agree."""
    whisper = make_whisper(whisper_folder).to(device).eval()
    wav = 0.1 * torch.randn(1, 480000, device=device)
    at_length = whisper(wav, wav_lens=torch.ones(1, device=device))
    # The last frames differ in what is taken to follow the 30 s.
    assert torch.allclose(
        at_length[0, :, :1490], whisper(wav)[0, :, :1490], atol=1e-4
    )


@pytest.mark.parametrize("lens", [None, torch.ones(1)])
def test_last_state_of_whisper(whisper_folder, lens):
    """The last state differs by the final LayerNorm alone."""
    wav = 0.1 * torch.randn(1, 6400)
    normed = make_whisper(whisper_folder).eval()
    raw = make_whisper(whisper_folder, norm_last_hidden=False).eval()
    expected, found = normed(wav, wav_lens=lens), raw(wav, wav_lens=lens)
    assert torch.allclose(expected[:-1], found[:-1], atol=1e-6)
    norm = raw.model.encoder.layer_norm
    assert torch.allclose(expected[-1], norm(found[-1]), atol=1e-5)
    assert not torch.allclose(expected[-1], found[-1], atol=1e-2)


def test_last_state_of_wavlm(wavlm_folder):
    """The final LayerNorm makes of the last state what WavLM gives."""
    from speechbrain.integrations.huggingface.wavlm import WavLM

    wav = 0.1 * torch.randn(1, 6400)
    wavlm = WavLM(
        wavlm_folder,
        wavlm_folder,
        freeze=True,
        output_all_hiddens=True,
        norm_last_hidden=False,
    ).eval()
    states = wavlm(wav)
    wavlm.output_all_hiddens = False
    final = wavlm(wav)
    assert torch.allclose(
        final, wavlm.model.encoder.layer_norm(states[-1]), atol=1e-5
    )
    assert not torch.allclose(final, states[-1], atol=1e-2)


def test_weighted_ssl_model_reads_no_padding(wavlm_folder):
    """What is in the padding changes nothing."""
    from speechbrain.integrations.huggingface.weighted_ssl import (
        WeightedSSLModel,
    )

    model = WeightedSSLModel(wavlm_folder, wavlm_folder, freeze=True).eval()
    wav, lens = 0.1 * torch.randn(2, 6400), torch.tensor([1.0, 0.5])
    other = wav.clone()
    other[1, 4000:] = 1.0
    features, again = model(wav, lens), model(other, lens)
    assert torch.allclose(features[1, :8], again[1, :8], atol=1e-5)
