"""WavLM's fused attention against that of transformers."""

import copy
import warnings

import pytest
import torch
from transformers import WavLMConfig, WavLMModel
from transformers.models.wavlm import modeling_wavlm

from speechbrain_merit.lobes import SpeechEncoder
from speechbrain_merit.lobes.wavlm_attention import (
    FusedWavLMAttention,
    position_buckets,
    use_fused_attention,
)

# That of the tensors below, see benchmarks/lobes_on_device.py.
DEVICE = torch.get_default_device()

SIZES = {
    "hidden_size": 16,
    "num_hidden_layers": 3,
    "num_attention_heads": 2,
    "intermediate_size": 24,
    "conv_dim": [8, 8],
    "conv_kernel": [40, 1],
    "conv_stride": [20, 1],
    "num_conv_pos_embeddings": 4,
    "num_conv_pos_embedding_groups": 2,
    "feat_extract_norm": "layer",
    "layerdrop": 0.0,
    "apply_spec_augment": False,
    "hidden_dropout": 0.0,
    "attention_dropout": 0.0,
    "activation_dropout": 0.0,
    "feat_proj_dropout": 0.0,
    "final_dropout": 0.0,
}


def make_pair(**options):
    """The same random model with both implementations."""
    torch.manual_seed(0)
    theirs = WavLMModel(WavLMConfig(**SIZES, **options))
    with torch.no_grad():
        for layer in theirs.encoder.layers:
            layer.attention.gru_rel_pos_const.normal_()
            layer.attention.gru_rel_pos_linear.weight.normal_()
        theirs.encoder.layers[0].attention.rel_attn_embed.weight.normal_(std=2)
    ours = copy.deepcopy(theirs)
    use_fused_attention(ours)
    return ours, theirs


def make_attention(seed=0, **options):
    torch.manual_seed(seed)
    attention = modeling_wavlm.WavLMAttention(16, 2, **options)
    torch.nn.init.normal_(attention.gru_rel_pos_const)
    return attention, FusedWavLMAttention(copy.deepcopy(attention))


def run(model, waveform, mask):
    """Hidden states on true frames, and the gradients."""
    model.zero_grad()
    states = model(waveform, attention_mask=mask).last_hidden_state
    if mask is not None:
        counts = model._get_feat_extract_output_lengths(mask.sum(1))
        true = torch.arange(states.shape[1]) < counts[:, None]
        states = states[true]
    states.sin().sum().backward()
    gradients = {
        name: parameter.grad
        for name, parameter in model.named_parameters()
        if parameter.grad is not None
    }
    return states.detach(), gradients


def padded_batch():
    waveform = torch.randn(
        3, 1000, generator=torch.Generator(DEVICE).manual_seed(1)
    )
    mask = torch.arange(1000) < torch.tensor([[1000], [430], [60]])
    return waveform * mask, mask


@pytest.mark.filterwarnings("ignore:Support for mismatched")
@pytest.mark.parametrize("padded", [True, False])
@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize("stable", [True, False])
def test_equals_transformers(stable, training, padded):
    ours, theirs = make_pair(do_stable_layer_norm=stable)
    waveform, mask = padded_batch()
    states, gradients = {}, {}
    for name, model in (("ours", ours), ("theirs", theirs)):
        model.train(training)
        states[name], gradients[name] = run(
            model, waveform, mask if padded else None
        )
    torch.testing.assert_close(
        states["ours"], states["theirs"], atol=1e-5, rtol=1e-5
    )
    assert gradients["ours"].keys() == gradients["theirs"].keys()
    assert any("rel_attn_embed" in name for name in gradients["ours"])
    for name, gradient in gradients["theirs"].items():
        # Some are sums over all frames that cancel out.
        torch.testing.assert_close(
            gradients["ours"][name], gradient, atol=5e-5, rtol=1e-4, msg=name
        )


@pytest.mark.filterwarnings("ignore:Support for mismatched")
def test_equals_transformers_without_gradients():
    ours, theirs = make_pair(do_stable_layer_norm=True)
    waveform, mask = padded_batch()
    with torch.no_grad():
        ours, theirs = (
            model.eval()(waveform, attention_mask=mask).last_hidden_state
            for model in (ours, theirs)
        )
    # The third utterance has 2 true frames, the second 20.
    for row, count in enumerate([49, 20, 2]):
        torch.testing.assert_close(
            ours[row, :count], theirs[row, :count], atol=1e-5, rtol=1e-5
        )


def test_buckets_equal_those_of_transformers():
    attention, _ = make_attention()
    offsets = torch.arange(-3000, 3001)
    torch.testing.assert_close(
        position_buckets(offsets, 320, 800),
        attention._relative_positions_bucket(offsets),
    )


def test_buckets_by_the_papers_formula():
    # 320 buckets, 800 frames: exact below 80, then logarithmic up to 800.
    buckets = position_buckets(
        torch.tensor([0, 79, 80, 253, 800, 9999]), 320, 800
    )
    # 253 = 80 * sqrt(10), in the middle on a logarithmic scale.
    assert buckets.tolist() == [0, 160 + 79, 160 + 80, 160 + 120, 319, 319]
    before = position_buckets(torch.tensor([-79, -800]), 320, 800)
    assert before.tolist() == [79, 159]


def test_bias_of_long_inputs():
    theirs, ours = make_attention()
    torch.testing.assert_close(
        ours._position_bias(1100), theirs.compute_bias(1100, 1100)
    )


def test_a_trained_embedding_is_never_out_of_date():
    theirs, ours = make_attention()
    hidden_states = torch.randn(2, 11, 16)
    for _ in range(3):
        expected = theirs(hidden_states)[0]
        torch.testing.assert_close(ours(hidden_states)[0], expected)
        for attention in (theirs, ours):
            with torch.no_grad():
                attention.rel_attn_embed.weight.mul_(-1.5).add_(0.3)
    ours.load_state_dict(make_attention(seed=5)[0].state_dict())
    other, _ = make_attention(seed=5)
    torch.testing.assert_close(ours(hidden_states)[0], other(hidden_states)[0])


def test_attention_weights_are_dropped_in_training_only():
    theirs, ours = make_attention(dropout=0.4)
    hidden_states = torch.randn(1, 6, 16)
    with torch.no_grad():
        quiet = ours.eval()(hidden_states)[0]
        torch.testing.assert_close(
            quiet, theirs.eval()(hidden_states)[0], atol=1e-5, rtol=1e-5
        )
        ours.train()
        assert not torch.equal(ours(hidden_states)[0], ours(hidden_states)[0])
        # What is left is scaled up, so that the mean stays what it was.
        many = ours(hidden_states.expand(20000, -1, -1))[0]
    torch.testing.assert_close(many.mean(dim=0), quiet[0], atol=0.02, rtol=0)


def test_padding_is_not_attended_to():
    _, ours = make_attention()
    hidden_states = torch.randn(1, 9, 16)
    alone = ours(hidden_states[:, :5])[0]
    mask = torch.arange(9)[None] < 5
    hidden_states[:, 5:] = 1e3
    torch.testing.assert_close(ours(hidden_states, mask)[0][:, :5], alone)


def test_keeps_the_names_and_their_order():
    ours, theirs = make_pair()
    assert list(ours.state_dict()) == list(theirs.state_dict())
    assert [name for name, _ in ours.named_parameters()] == [
        name for name, _ in theirs.named_parameters()
    ]


def test_bias_is_computed_once_and_not_repeated():
    ours, _ = make_pair()
    shapes = []
    for layer in ours.encoder.layers:
        layer.attention.register_forward_hook(
            lambda _, args, output: shapes.append(output[2].shape)
        )
    ours.encoder.layers[0].attention._position_bias = None
    with pytest.raises(TypeError):
        ours(torch.randn(3, 1000))
    del ours.encoder.layers[0].attention._position_bias
    ours(torch.randn(3, 1000))
    assert shapes == [(2, 49, 49)] * 3


def test_encoder_uses_it_and_nothing_is_warned_of():
    encoder = SpeechEncoder(config={"model_type": "wavlm", **SIZES})
    for layer in encoder.features.layers:
        assert isinstance(layer.attention, FusedWavLMAttention)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        encoder(torch.randn(2, 4000), torch.tensor([1.0, 0.5]))
    with torch.autocast(DEVICE.type, dtype=torch.bfloat16):
        states = encoder(torch.randn(2, 4000)).hidden_states
    assert torch.isfinite(states).all()
