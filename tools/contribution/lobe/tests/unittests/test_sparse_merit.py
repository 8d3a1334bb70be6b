"""Tests of Sparse MERIT.

Authors
 * The speechbrain-merit developers 2026
"""

import pytest
import torch


def make_moe(device, **options):
    """Makes a small mixture of experts."""
    from speechbrain.lobes.models.SparseMERIT import SparseMoE

    torch.manual_seed(0)
    moe = SparseMoE(3, 8, hidden_size=16, output_size=4, **options)
    return moe.to(device)


@pytest.mark.parametrize("top_k", [1, 2])
def test_dense_reference(device, top_k):
    """The routed frames are those of all experts on all frames."""
    moe = make_moe(device, top_k=top_k).eval()
    states = torch.randn(3, 2, 7, 8, device=device)
    result = moe(states)
    frames = torch.cat(
        [norm(state) for norm, state in zip(moe.layer_norms, states)], dim=-1
    )
    for task, gate in moe.gates.items():
        probabilities = gate.fc(frames).softmax(dim=-1)
        best, experts = probabilities.topk(top_k, dim=-1)
        weights = torch.zeros_like(probabilities).scatter(
            -1, experts, best / best.sum(dim=-1, keepdim=True)
        )
        outputs = torch.stack([expert(frames) for expert in moe.experts], -1)
        expected = (outputs * weights.unsqueeze(-2)).sum(dim=-1)
        assert torch.allclose(result.features[task], expected, atol=1e-5)


def test_padding_is_not_routed(device):
    """Padding has no features, no expert and no part in the losses."""
    moe = make_moe(device).eval()
    states = torch.randn(3, 2, 8, 8, device=device)
    lens = torch.tensor([1.0, 0.5], device=device)
    result = moe(states, lens)
    other = states.clone()
    other[:, 1, 4:] = 1e3
    again = moe(other, lens)
    for task in moe.gates:
        features = result.features[task]
        assert not features[1, 4:].any()
        assert (result.routing[task].experts[1, 4:] == -1).all()
        assert torch.equal(features, again.features[task])
    for name, loss in result.auxiliary_losses.items():
        assert torch.equal(loss, again.auxiliary_losses[name])


def test_gates_learn(device):
    """Gradients of the features reach the gates, but frozen ones."""
    states = torch.randn(3, 2, 7, 8, device=device)
    for learning in ("straight_through", "probability", "frozen"):
        moe = make_moe(device, router_learning=learning)
        features = moe(states).features
        sum(x.square().sum() for x in features.values()).backward()
        for gate in moe.gates.values():
            gradient = gate.fc.weight.grad
            if learning == "frozen":
                assert gradient is None
            else:
                assert gradient.abs().sum() > 0


def test_routing_losses(device):
    """Values of balanced and of collapsed gates."""
    from speechbrain.lobes.models.SparseMERIT import (
        router_means,
        routing_losses,
    )

    collapsed = torch.tensor([[50.0, 0.0], [50.0, 0.0]], device=device)
    experts = collapsed.argmax(dim=1, keepdim=True)
    means = router_means(collapsed, collapsed.softmax(dim=1), experts)
    losses = routing_losses({"emotion": means})
    # All frames to one of N experts: N, and the logarithm of N.
    assert float(losses["load_balance"]) == pytest.approx(2.0)
    assert float(losses["router_kl"]) == pytest.approx(0.693147, abs=1e-5)
    assert float(losses["router_z"]) == pytest.approx(2500.0)
    even = torch.tensor([[0.1, 0.0], [0.0, 0.1]], device=device)
    experts = even.argmax(dim=1, keepdim=True)
    means = router_means(even, even.softmax(dim=1), experts)
    losses = routing_losses({"emotion": means})
    assert float(losses["load_balance"]) == pytest.approx(1.0)
    assert float(losses["router_kl"]) == pytest.approx(0.0, abs=1e-6)


@pytest.mark.parametrize(
    "options",
    [{"top_k": 4}, {"router_learning": "x"}, {"tasks": ["a", "a"]}],
)
def test_wrong_arguments_are_refused(device, options):
    """The message names the argument."""
    with pytest.raises(ValueError, match=next(iter(options))):
        make_moe(device, **options)


def test_mask_head_reads_no_padding(device):
    """An utterance is masked the same alone and in a batch."""
    from speechbrain.lobes.models.SparseMERIT import SpectralMaskHead

    torch.manual_seed(0)
    head = SpectralMaskHead(4, num_bins=11, hidden_size=16).to(device)
    spectrum = torch.rand(2, 9, 11, device=device)
    features = torch.rand(2, 5, 4, device=device)
    counts = torch.tensor([9, 5], device=device)
    feature_counts = torch.tensor([5, 3], device=device)
    masked = head(spectrum, counts, features, feature_counts)
    alone = head(
        spectrum[1:, :5], counts[1:], features[1:, :3], feature_counts[1:]
    )
    assert torch.allclose(masked[1, :5], alone[0], atol=1e-6)
    assert (masked <= spectrum).all()


def test_bidirectional_lstm_is_a_packed_one(device):
    """The sum of both directions, with the weights of `torch.nn.LSTM`."""
    from speechbrain.lobes.models.SparseMERIT import BidirectionalLSTM

    torch.manual_seed(0)
    ours = BidirectionalLSTM(3, 5, num_layers=2).to(device)
    packed = torch.nn.LSTM(3, 5, 2, batch_first=True, bidirectional=True)
    packed = packed.to(device)
    weights = {}
    for suffix, layers in (("", ours.forwards), ("_reverse", ours.backwards)):
        for number, layer in enumerate(layers):
            for name, value in layer.state_dict().items():
                key = name.replace("l0", f"l{number}") + suffix
                weights[key] = value
    packed.load_state_dict(weights)
    steps, counts = torch.randn(2, 6, 3, device=device), [6, 4]
    expected, _ = torch.nn.utils.rnn.pad_packed_sequence(
        packed(
            torch.nn.utils.rnn.pack_padded_sequence(
                steps, counts, batch_first=True
            )
        )[0],
        batch_first=True,
    )
    expected = expected[..., :5] + expected[..., 5:]
    result = ours(steps, torch.tensor(counts, device=device))
    for row, count in enumerate(counts):
        assert torch.allclose(
            result[row, :count], expected[row, :count], atol=1e-5
        )


def test_emotion_head_pools_true_frames(device):
    """Padding changes no logits; a single frame has no deviation."""
    from speechbrain.lobes.models.SparseMERIT import (
        AttentiveStatisticsPooling,
        EmotionHead,
    )

    torch.manual_seed(0)
    pooling = AttentiveStatisticsPooling(8)
    head = EmotionHead(pooling, 4, hidden_size=16).to(device).eval()
    features = torch.rand(2, 6, 8, device=device)
    lens = torch.tensor([1.0, 0.5], device=device)
    logits = head(features, lens)
    assert torch.allclose(logits[1:], head(features[1:, :3]), atol=1e-6)
    pooled = pooling(features[:, :1])
    assert torch.allclose(pooled[:, :8], features[:, 0], atol=1e-6)
    assert pooled[:, 8:].max() < 1e-2
