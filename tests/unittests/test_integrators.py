"""Weighted sums, experts made of them, and what a mixture can be told to do."""

import math

import pytest
import torch
from torch import nn

from speechbrain_merit.lobes import (
    AttentiveStatisticsPooling,
    LayerConcatenation,
    LayerSumExpert,
    MeanPooling,
    ShortcutIntegrator,
    SparseMoE,
    WeightedLayerSum,
    WeightedSumIntegrator,
    make_pooling,
)
from speechbrain_merit.lobes.routing_losses import router_means, routing_losses

# That of the tensors below, see benchmarks/lobes_on_device.py.
DEVICE = torch.get_default_device()

STATES = torch.randn(
    3, 2, 7, 8, generator=torch.Generator(DEVICE).manual_seed(0)
)
LENGTHS = torch.tensor([1.0, 4 / 7])


def test_a_weighted_sum_starts_as_the_mean():
    fusion = WeightedLayerSum(3, 8)
    torch.testing.assert_close(fusion(STATES), STATES.mean(dim=0))


def test_a_weighted_sum_has_softmax_weights():
    fusion = WeightedLayerSum(3, 8)
    with torch.no_grad():
        # Odds of 1 to 2 to 5.
        fusion.logits.copy_(torch.tensor([1.0, 2.0, 5.0]).log())
    expected = (STATES[0] + 2 * STATES[1] + 5 * STATES[2]) / 8
    torch.testing.assert_close(fusion(STATES), expected)


def test_normalised_layers_have_the_same_scale():
    fusion = WeightedLayerSum(2, 8, normalize=True)
    states = torch.stack([STATES[0], 100 * STATES[0]])
    torch.testing.assert_close(
        fusion(states),
        nn.functional.layer_norm(STATES[0], (8,)),
        atol=1e-3,
        rtol=1e-3,
    )


def test_another_number_of_layers_is_refused():
    with pytest.raises(ValueError, match="gave 3 .* num_layers is 4"):
        WeightedLayerSum(4, 8)(STATES)


def test_tasks_share_a_sum_or_have_their_own():
    shared = WeightedSumIntegrator(3, 8, ["enhance", "emotion"])
    own = WeightedSumIntegrator(3, 8, ["enhance", "emotion"], shared=False)
    assert sum(p.numel() for p in shared.parameters()) == 3
    assert sum(p.numel() for p in own.parameters()) == 6
    features = shared(STATES, LENGTHS).features
    assert features["enhance"] is features["emotion"]
    own(STATES, LENGTHS).features["emotion"].sum().backward()
    assert own.sums["enhance"].logits.grad is None
    assert own.sums["emotion"].logits.grad.abs().sum() > 0
    assert list(own(STATES, LENGTHS, ["enhance"]).features) == ["enhance"]
    with pytest.raises(ValueError, match="pitch"):
        own(STATES, LENGTHS, ["pitch"])


def with_shortcut(tasks=("enhance",)):
    torch.manual_seed(0)
    return ShortcutIntegrator(
        SparseMoE(3, 8, hidden_size=16, output_size=4),
        WeightedLayerSum(3, 8),
        input_size=8,
        shortcut_tasks=tasks,
    )


def test_a_task_gets_the_layers_and_the_others_the_experts():
    experts = SparseMoE(3, 8, hidden_size=16, output_size=4, tasks=["enhance"])
    integrator = LayerConcatenation(experts, layers=[0, 2])
    result = integrator(STATES, LENGTHS)
    assert torch.equal(result.features["emotion"][..., :8], STATES[0])
    assert torch.equal(result.features["emotion"][..., 8:], STATES[2])
    expected = experts(STATES, LENGTHS)
    torch.testing.assert_close(
        result.features["enhance"], expected.features["enhance"]
    )
    assert list(result.routing) == ["enhance"]
    alone = integrator(STATES, LENGTHS, ["emotion"])
    assert list(alone.features) == ["emotion"]
    with pytest.raises(ValueError, match="Unknown tasks"):
        integrator(STATES, LENGTHS, ["translate"])


def test_a_shortcut_is_added_to_its_tasks_alone():
    integrator = with_shortcut()
    with torch.no_grad():
        # Odds of 1 to 2 to 5.
        integrator.shortcut.logits.copy_(torch.tensor([1.0, 2.0, 5.0]).log())
    padded = STATES.clone()
    padded[:, 1, 4:] = 0
    experts = integrator.integrator(padded, LENGTHS)
    result = integrator(padded, LENGTHS)
    layer_sum = (padded[0] + 2 * padded[1] + 5 * padded[2]) / 8
    expected = experts.features["enhance"] + torch.einsum(
        "btc,oc->bto", layer_sum, integrator.projection.weight
    )
    torch.testing.assert_close(result.features["enhance"], expected)
    assert not result.features["enhance"][1, 4:].any()
    assert torch.equal(result.features["emotion"], experts.features["emotion"])
    for task, routing in experts.routing.items():
        assert torch.equal(result.routing[task].experts, routing.experts)
    assert result.auxiliary_losses == experts.auxiliary_losses


def test_a_shortcut_is_not_run_for_another_task():
    integrator = with_shortcut()
    result = integrator(STATES, LENGTHS, ["emotion"])
    assert list(result.features) == ["emotion"]
    result.features["emotion"].sum().backward()
    assert integrator.projection.weight.grad is None
    assert integrator.shortcut.logits.grad is None


@pytest.mark.parametrize("tasks", [(), ("enhance", "enhance")])
def test_a_shortcut_needs_distinct_tasks(tasks):
    with pytest.raises(ValueError, match="shortcut_tasks must be distinct"):
        with_shortcut(tasks)


def test_experts_can_be_weighted_sums():
    torch.manual_seed(0)
    moe = SparseMoE(
        3,
        8,
        output_size=8,
        num_experts=4,
        make_expert=lambda: LayerSumExpert(3, 8),
    )
    result = moe(STATES, LENGTHS)
    normalised = nn.functional.layer_norm(STATES, (8,))
    for task in ("enhance", "emotion"):
        expert = result.routing[task].experts[0, 2, 0]
        weights = moe.experts[expert].fusion.logits.softmax(0)
        expected = sum(
            w * x for w, x in zip(weights, normalised[:, 0, 2], strict=False)
        )
        torch.testing.assert_close(result.features[task][0, 2], expected)
    assert (result.features["enhance"][1, 4:] == 0).all()


def test_experts_can_see_one_weighted_sum():
    torch.manual_seed(0)
    moe = SparseMoE(1, 8, 16, 4, fusion=WeightedLayerSum(3, 8), num_experts=2)
    assert moe.experts[0].fc1.in_features == 8
    plain = SparseMoE(1, 8, 16, 4, num_experts=2)
    plain.load_state_dict(
        {k: v for k, v in moe.state_dict().items() if "fusion" not in k}
    )
    result = moe(STATES, LENGTHS).features["emotion"]
    mean = STATES.mean(dim=0, keepdim=True)
    torch.testing.assert_close(result, plain(mean, LENGTHS).features["emotion"])
    result.sum().backward()
    assert moe.fusion.logits.grad.abs().sum() > 0


def test_dense_routing_is_a_softmax_over_all_experts():
    torch.manual_seed(0)
    moe = SparseMoE(
        3, 8, 16, 4, num_experts=3, top_k=3, router_learning="probability"
    )
    result = moe(STATES)
    frames = torch.cat(list(nn.functional.layer_norm(STATES, (8,))), dim=-1)
    weights = moe.gates["emotion"](frames.flatten(0, 1)).softmax(dim=1)
    outputs = torch.stack([e(frames.flatten(0, 1)) for e in moe.experts], 1)
    expected = (weights.unsqueeze(-1) * outputs).sum(dim=1)
    torch.testing.assert_close(
        result.features["emotion"].flatten(0, 1), expected
    )


def test_router_noise_is_for_training_only():
    torch.manual_seed(0)
    moe = SparseMoE(3, 8, 16, 4, num_experts=3, router_noise=100.0)
    first, second = moe(STATES), moe(STATES)
    assert not torch.equal(
        first.routing["emotion"].experts, second.routing["emotion"].experts
    )
    moe.eval()
    quiet = SparseMoE(3, 8, 16, 4, num_experts=3).eval()
    quiet.load_state_dict(moe.state_dict())
    torch.testing.assert_close(
        moe(STATES).features["emotion"], quiet(STATES).features["emotion"]
    )


@pytest.mark.parametrize(
    ("mean", "divergence"),
    [
        ([0.5, 0.5], 0.0),
        ([1.0, 0.0], math.log(2)),
        # 0.75 log 1.5 + 0.25 log 0.5
        ([0.75, 0.25], 0.75 * math.log(1.5) + 0.25 * math.log(0.5)),
    ],
)
def test_divergence_from_uniform(mean, divergence):
    probabilities = torch.tensor([mean, mean])
    experts = probabilities.argmax(dim=1, keepdim=True)
    means = router_means(probabilities.log(), probabilities, experts)
    value = routing_losses({"emotion": means})["router_kl"]
    assert value.item() == pytest.approx(divergence, abs=1e-6)


def test_mean_pooling_reads_true_frames_only():
    pooled = MeanPooling(8)(STATES[0], LENGTHS)
    torch.testing.assert_close(pooled[0], STATES[0, 0].mean(dim=0))
    torch.testing.assert_close(pooled[1], STATES[0, 1, :4].mean(dim=0))


def test_pooling_by_name():
    assert isinstance(make_pooling("mean", 8), MeanPooling)
    pooling = make_pooling("attentive", 8)
    assert isinstance(pooling, AttentiveStatisticsPooling)
    with pytest.raises(ValueError, match="'max'.*attentive, mean"):
        make_pooling("max", 8)
