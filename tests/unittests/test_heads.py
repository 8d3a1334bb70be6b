"""The two heads and their parts against plain implementations."""

import pytest
import torch

from speechbrain_merit.lobes import (
    AttentiveStatisticsPooling,
    BidirectionalLSTM,
    EmotionHead,
    MeanPooling,
    SpectralMaskHead,
)

# That of the tensors below, see benchmarks/lobes_on_device.py.
DEVICE = torch.get_default_device()


def packed_twin(lstm, input_size, hidden_size, num_layers):
    """A torch.nn.LSTM with the same weights, for packed sequences."""
    twin = torch.nn.LSTM(
        input_size,
        hidden_size,
        num_layers,
        batch_first=True,
        bidirectional=True,
    )
    state = {}
    for layer in range(num_layers):
        for part, suffix in ((lstm.forwards, ""), (lstm.backwards, "_reverse")):
            for name, value in part[layer].state_dict().items():
                state[name.replace("_l0", f"_l{layer}{suffix}")] = value
    twin.load_state_dict(state)
    return twin


@pytest.mark.parametrize("num_layers", [1, 2, 3])
def test_bidirectional_lstm_equals_packed_lstm(num_layers):
    torch.manual_seed(0)
    lstm = BidirectionalLSTM(4, 6, num_layers)
    twin = packed_twin(lstm, 4, 6, num_layers)
    counts = torch.tensor([7, 3, 1])
    inputs = torch.randn(3, 7, 4)
    packed = torch.nn.utils.rnn.pack_padded_sequence(
        inputs, counts, batch_first=True, enforce_sorted=False
    )
    expected, _ = torch.nn.utils.rnn.pad_packed_sequence(
        twin(packed)[0], batch_first=True
    )
    expected = expected[..., :6] + expected[..., 6:]
    result = lstm(inputs, counts)
    for row, count in enumerate(counts):
        torch.testing.assert_close(result[row, :count], expected[row, :count])


def test_pooling_by_hand():
    pooling = AttentiveStatisticsPooling(1)
    with torch.no_grad():
        pooling.projection.weight.fill_(1.0)
        pooling.projection.bias.zero_()
        pooling.attention.fill_(2.0)
    frames = torch.tensor([0.5, -1.0, 2.0])
    weights = torch.exp(2 * torch.tanh(frames))
    weights = weights / weights.sum()
    mean = (weights * frames).sum()
    deviation = ((weights * (frames - mean) ** 2).sum()).sqrt()
    padded = torch.tensor([[[0.5], [-1.0], [2.0], [99.0]]])
    result = pooling(padded, torch.tensor([0.75]))
    torch.testing.assert_close(result, torch.stack([mean, deviation])[None])


def test_pooling_of_one_frame_has_the_floor_as_deviation():
    pooling = AttentiveStatisticsPooling(3)
    features = torch.randn(1, 1, 3, requires_grad=True)
    result = pooling(features)
    torch.testing.assert_close(result[:, :3], features[:, 0])
    torch.testing.assert_close(result[:, 3:], torch.full((1, 3), 1e-5**0.5))
    result.sum().backward()
    assert torch.isfinite(features.grad).all()


def test_pooling_survives_bfloat16():
    pooling = AttentiveStatisticsPooling(8)
    features = 100 + torch.randn(1, 50, 8)
    with torch.autocast(DEVICE.type, dtype=torch.bfloat16):
        result = pooling(features)
    assert result.dtype == torch.float32
    torch.testing.assert_close(
        result[:, 8:], features.std(dim=1, correction=0), rtol=0.3, atol=0.1
    )


def test_emotion_head_ignores_padding():
    head = EmotionHead(AttentiveStatisticsPooling(8), 4, 16).eval()
    features = torch.randn(1, 6, 8)
    padded = torch.cat([features, torch.full((1, 4, 8), 50.0)], dim=1)
    torch.testing.assert_close(
        head(padded, torch.tensor([0.6])), head(features)
    )


def test_an_emotion_head_without_a_hidden_layer_is_linear():
    head = EmotionHead(MeanPooling(8), 4, hidden_size=0).eval()
    features = torch.randn(2, 6, 8)
    expected = features.mean(dim=1) @ head.output.weight.t() + head.output.bias
    torch.testing.assert_close(head(features), expected)


def test_features_are_repeated_and_the_last_one_held():
    head = SpectralMaskHead(1, num_bins=3, hidden_size=4)
    features = torch.tensor([[[1.0], [2.0], [3.0]], [[4.0], [5.0], [77.0]]])
    aligned = head._align(features, torch.tensor([3, 2]), 8)[..., 0]
    assert aligned.tolist() == [
        [1, 1, 2, 2, 3, 3, 3, 3],
        [4, 4, 5, 5, 5, 5, 5, 5],
    ]


def test_mask_lies_between_nothing_and_everything():
    head = SpectralMaskHead(5, num_bins=11, hidden_size=8)
    spectrum = torch.rand(2, 9, 11)
    spectrum[1, 6:] = 0
    counts = torch.tensor([9, 6])
    result = head(spectrum, counts, torch.randn(2, 4, 5), torch.tensor([4, 3]))
    assert ((result >= 0) & (result <= spectrum)).all()
    assert (result[1, 6:] == 0).all()
