"""Gates by hand: what they choose, and what they weight it by."""

import pytest
import torch

from speechbrain_merit.lobes import Gate, SparseMoE


def fixed(logits, **options):
    """A gate of two experts with these logits for the one-hot frames."""
    gate = Gate(len(logits), 2, **options)
    with torch.no_grad():
        gate.fc.weight.copy_(torch.tensor(logits).t())
        gate.fc.bias.zero_()
    return gate


def test_smoothing_stays_within_an_utterance():
    gate = fixed([[6.0, 0], [0, 3], [0, 3], [3, 0], [9, 0]], smoothing_frames=3)
    found = gate(torch.eye(5), torch.tensor([3, 2]))
    first = [[3.0, 1.5], [2, 2], [0, 3]]  # of frames 0-1, 0-2 and 1-2
    expected = torch.tensor([*first, [6.0, 0], [6, 0]])
    torch.testing.assert_close(found, expected)


def test_the_whole_utterance_goes_to_one_expert():
    torch.manual_seed(0)
    moe = SparseMoE(
        2, 6, 8, 4, make_gate=lambda *sizes: Gate(*sizes, smoothing_frames=99)
    )
    states, lengths = torch.randn(2, 8, 12, 6), torch.linspace(0.3, 1, 8)
    routing = moe(states, lengths).routing["emotion"]
    chosen = [set(row[row >= 0].tolist()) for row in routing.experts]
    assert all(len(numbers) == 1 for numbers in chosen)
    assert len(set.union(*chosen)) > 1
    alone = moe(states[:, :1, :4]).routing["emotion"]
    assert torch.equal(routing.experts[:1, :4], alone.experts)
    torch.testing.assert_close(
        routing.probabilities[:1, :4], alone.probabilities
    )


def test_dense_at_first_and_one_expert_when_tested():
    torch.manual_seed(0)
    moe = SparseMoE(
        1,
        4,
        8,
        4,
        make_gate=lambda *sizes: Gate(*sizes, temperatures=(4, 0.25)),
    )
    states, gate = torch.randn(1, 1, 9, 4), moe.gates["emotion"]
    frames = torch.nn.functional.layer_norm(states[0, 0], (4,))
    outputs = torch.stack([expert(frames) for expert in moe.experts], 1)
    # 4 * (1/16) ** share
    for share, temperature in ((0, 4.0), (0.5, 1.0), (1, 0.25)):
        for one in moe.gates.values():
            one.set_progress(share)
        weights = (gate.fc(frames) / temperature).softmax(1)
        expected = (weights.unsqueeze(2) * outputs).sum(1)
        result = moe(states)
        torch.testing.assert_close(result.features["emotion"][0], expected)
        assert result.routing["emotion"].experts.shape == (1, 9, 3)
    moe.eval()
    result = moe(states)
    best = gate.fc(frames).argmax(1)
    assert result.routing["emotion"].experts.flatten().equal(best)
    torch.testing.assert_close(
        result.features["emotion"][0], outputs[torch.arange(9), best]
    )


def test_an_even_number_of_frames_has_no_middle():
    with pytest.raises(ValueError, match="smoothing_frames is 4"):
        Gate(4, 2, smoothing_frames=4)
