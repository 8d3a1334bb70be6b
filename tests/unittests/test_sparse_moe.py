"""The sparse layer against a plain all-experts version, and its gates."""

import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode

from speechbrain_merit.lobes import SparseMoE
from speechbrain_merit.lobes.experts import Expert
from speechbrain_merit.lobes.routing_losses import router_means, routing_losses

# That of the tensors below, see benchmarks/lobes_on_device.py.
DEVICE = torch.get_default_device()

TASKS = ("enhance", "emotion")


def make(seed=0, **options):
    torch.manual_seed(seed)
    return SparseMoE(3, 6, hidden_size=10, output_size=5, **options)


def all_experts(moe, hidden_states, task):
    """Every expert on every frame, weighted: what the layer must equal."""
    frames = torch.cat(
        [n(h) for n, h in zip(moe.layer_norms, hidden_states, strict=True)],
        dim=-1,
    )
    probabilities = moe.gates[task](frames).softmax(dim=-1)
    chosen, index = probabilities.topk(moe.top_k, dim=-1)
    constant = (chosen / chosen.sum(-1, keepdim=True)).detach()
    weights = {
        "probability": chosen,
        "frozen": constant,
        "straight_through": constant + chosen - chosen.detach(),
    }[moe.router_learning]
    outputs = torch.stack([expert(frames) for expert in moe.experts], dim=-1)
    index = index.unsqueeze(-2).expand(*outputs.shape[:-1], -1)
    return (outputs.gather(-1, index) * weights.unsqueeze(-2)).sum(-1)


@pytest.mark.parametrize("top_k", [1, 2, 4])
@pytest.mark.parametrize(
    "router_learning", ["straight_through", "probability", "frozen"]
)
def test_equals_all_experts(top_k, router_learning):
    moe = make(num_experts=4, top_k=top_k, router_learning=router_learning)
    hidden_states = torch.randn(3, 2, 9, 6, requires_grad=True)
    gradients = []
    for run in (
        lambda task: moe(hidden_states).features[task],
        lambda task: all_experts(moe, hidden_states, task),
    ):
        moe.zero_grad()
        results = [run(task) for task in TASKS]
        (results[0].square().sum() + results[1].sin().sum()).backward()
        found = {
            name: p.grad.clone()
            for name, p in moe.named_parameters()
            if p.grad is not None
        }
        found["hidden_states"], hidden_states.grad = hidden_states.grad, None
        gradients.append((results, found))
    (sparse, sparse_grads), (dense, dense_grads) = gradients
    for ours, plain in zip(sparse, dense, strict=True):
        torch.testing.assert_close(ours, plain)
    for name, gradient in dense_grads.items():
        torch.testing.assert_close(sparse_grads[name], gradient)


def test_forward_weight_of_top_1_is_exactly_one():
    moe = make()
    hidden_states = torch.randn(3, 1, 20, 6)
    result = moe(hidden_states)
    frames = moe._join_layers(hidden_states, None)
    experts = result.routing["emotion"].experts[0, :, 0].tolist()
    for time, expert in enumerate(experts):
        alone = moe.experts[expert](frames[time : time + 1])[0]
        torch.testing.assert_close(result.features["emotion"][0, time], alone)


def test_gates_learn_unless_frozen():
    for router_learning, learns in (
        ("straight_through", True),
        ("probability", True),
        ("frozen", False),
    ):
        moe = make(router_learning=router_learning)
        optimizer = torch.optim.SGD(moe.parameters(), lr=0.1)
        before = {t: moe.gates[t].fc.weight.clone() for t in TASKS}
        result = moe(torch.randn(3, 2, 30, 6))
        sum(f.square().sum() for f in result.features.values()).backward()
        optimizer.step()
        for task in TASKS:
            gradient = moe.gates[task].fc.weight.grad
            assert learns == (gradient is not None and gradient.abs().sum() > 0)
            changed = not torch.equal(moe.gates[task].fc.weight, before[task])
            assert changed == learns


def test_experts_see_only_their_frames_and_each_once():
    moe = make(num_experts=4).eval()
    seen = [0] * 4
    for number, expert in enumerate(moe.experts):
        expert.register_forward_pre_hook(
            lambda _, args, number=number: seen.__setitem__(
                number, seen[number] + len(args[0])
            )
        )
    result = moe(torch.randn(3, 2, 50, 6), torch.tensor([1.0, 0.6]))
    first, second = (result.routing[t].experts[..., 0] for t in TASKS)
    for expert in range(4):
        either = (first == expert) | (second == expert)
        assert seen[expert] == int(either.sum())
    assert sum(seen) < 2 * 80  # both tasks agree on some frames


def test_one_task_runs_only_its_gate():
    moe = make()
    moe.gates["enhance"].forward = None  # a call would raise
    assert set(moe(torch.randn(3, 1, 4, 6), tasks=["emotion"]).features) == {
        "emotion"
    }


def test_padding_is_neither_routed_nor_counted():
    moe = make().eval()
    hidden_states = torch.randn(3, 1, 8, 6)
    garbage = torch.full((3, 1, 5, 6), 1e3)
    padded = torch.cat([hidden_states, garbage], dim=2)
    alone = moe(hidden_states)
    result = moe(padded, torch.tensor([8 / 13]))
    for task in TASKS:
        routing = result.routing[task]
        assert (routing.experts[:, 8:] == -1).all()
        assert (routing.probabilities[:, 8:] == 0).all()
        assert (result.features[task][:, 8:] == 0).all()
        assert routing.counts().sum() == 8
        torch.testing.assert_close(
            result.features[task][:, :8], alone.features[task]
        )
    for name, loss in alone.auxiliary_losses.items():
        torch.testing.assert_close(result.auxiliary_losses[name], loss)


def test_gradients_of_padding():
    """Padding has none, and leaves those of the frames as they are."""
    moe = make(top_k=2)
    gradients = []
    for padding in (0, 4):
        moe.zero_grad()
        torch.manual_seed(1)
        states = torch.randn(3, 1, 8, 6)
        states = torch.nn.functional.pad(states, (0, 0, 0, padding))
        states.requires_grad_()
        features = moe(states, torch.tensor([8 / (8 + padding)])).features
        sum(f.sin().sum() for f in features.values()).backward()
        assert (states.grad[:, :, 8:] == 0).all()
        gradients.append([p.grad for p in moe.parameters()])
        gradients[-1].append(states.grad[:, :, :8])
    for alone, padded in zip(*gradients, strict=True):
        torch.testing.assert_close(padded, alone)


def send_all_to(moe, number):
    with torch.no_grad():
        for gate in moe.gates.values():
            gate.fc.weight.zero_()
            gate.fc.bias.zero_()[number] = 1.0


def test_an_expert_that_no_frame_chose():
    """It costs nothing, but has gradients: other processes wait for them."""
    moe = make(num_experts=4)
    send_all_to(moe, 2)
    result = moe(torch.randn(3, 2, 7, 6))
    sum(f.square().sum() for f in result.features.values()).backward()
    for number, expert in enumerate(moe.experts):
        for parameter in expert.parameters():
            assert parameter.grad is not None
            assert bool((parameter.grad != 0).any()) == (number == 2)
    moe.eval()
    for number in (0, 1, 3):
        moe.experts[number].forward = None  # a call would raise
    moe(torch.randn(3, 2, 7, 6))


class ValuesRead(TorchDispatchMode):
    """Notes the operations after which a host waits for a GPU."""

    WAITING = ("item", "_local_scalar_dense", "nonzero", "masked_select")
    WAITING += ("bincount", "unique", "_unique2", "repeat_interleave")

    def __init__(self):
        super().__init__()
        self.names = []

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        name = func.overloadpacket.__name__
        masks = name in ("index", "index_put", "index_put_") and any(
            index is not None and index.dtype == torch.bool for index in args[1]
        )
        if name in self.WAITING or masks:
            self.names.append(name)
        return func(*args, **(kwargs or {}))


@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize("top_k", [1, 2])
def test_the_host_waits_once(monkeypatch, top_k, training):
    moe = make(top_k=top_k, num_experts=5).train(training)
    lists = []
    to_list = torch.Tensor.tolist
    monkeypatch.setattr(
        torch.Tensor, "tolist", lambda t: lists.append(t.shape) or to_list(t)
    )
    with ValuesRead() as read:
        features = moe(torch.randn(3, 2, 7, 6)).features
        sum(f.sum() for f in features.values()).backward()
    assert read.names == []
    assert lists == [(5,)]


def test_results_repeat_to_the_last_bit():
    moe = make(top_k=2, num_experts=4)
    hidden_states = torch.randn(3, 2, 50, 6, requires_grad=True)
    runs = []
    for _ in range(2):
        moe.zero_grad()
        hidden_states.grad = None
        features = moe(hidden_states, torch.tensor([1.0, 0.5])).features
        sum(f.square().sum() for f in features.values()).backward()
        grown = [p.grad.clone() for p in moe.parameters()]
        runs.append([*features.values(), *grown, hidden_states.grad])
    for first, second in zip(*runs, strict=True):
        assert torch.equal(first, second)


def test_nothing_is_kept_of_earlier_weights():
    moe = make().eval()
    hidden_states = torch.randn(3, 1, 20, 6)
    optimizer = torch.optim.SGD(moe.parameters(), lr=0.1)
    other = make(seed=7).eval()

    def check(of):
        with torch.no_grad():
            ours = of(hidden_states).features
        for task in TASKS:
            expected = all_experts(of, hidden_states, task)
            torch.testing.assert_close(ours[task], expected)
        return ours

    first = check(moe)
    features = moe.train()(hidden_states).features
    sum(f.square().sum() for f in features.values()).backward()
    optimizer.step()
    second = check(moe.eval())
    moe.load_state_dict(other.state_dict())
    third = check(moe)
    for task in TASKS:
        assert not torch.equal(first[task], second[task])
        assert torch.equal(third[task], other(hidden_states).features[task])


def test_wide_experts_compute_the_same_without_gradients():
    """More hidden units than WideLinear multiplies at a time."""
    torch.manual_seed(0)
    expert = Expert(12, 2500, 5)
    frames = torch.randn(7, 12)
    weights = [p.double() for p in expert.parameters()]
    hidden = (frames.double() @ weights[0].t() + weights[1]).relu()
    expected = (hidden @ weights[2].t() + weights[3]).float()
    torch.testing.assert_close(expert(frames), expected, atol=1e-5, rtol=1e-5)
    with torch.no_grad():
        torch.testing.assert_close(
            expert(frames), expected, atol=1e-5, rtol=1e-5
        )


def losses_of(probabilities, experts):
    """The losses of one gate with these probabilities and choices."""
    means = router_means(probabilities.log(), probabilities, experts)
    return routing_losses({"emotion": means})


def test_load_balance_by_hand():
    # One task, two experts: f = (3/4, 1/4), P = (0.6, 0.4).
    probabilities = torch.tensor(
        [[0.9, 0.1], [0.6, 0.4], [0.7, 0.3], [0.2, 0.8]]
    )
    experts = torch.tensor([[0], [0], [0], [1]])
    expected = 2 * (0.75 * 0.6 + 0.25 * 0.4)
    loss = losses_of(probabilities, experts)["load_balance"]
    assert loss.item() == pytest.approx(expected)


def test_gate_stays_in_float32_under_autocast():
    moe = make()
    with torch.autocast(DEVICE.type, dtype=torch.bfloat16):
        result = moe(torch.randn(3, 1, 4, 6))
    assert result.routing["emotion"].probabilities.dtype == torch.float32


def test_a_single_expert_and_a_single_frame():
    moe = make(num_experts=1)
    assert moe(torch.randn(3, 1, 1, 6)).features["emotion"].shape == (1, 1, 5)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"top_k": 4}, "top_k is 4"),
        ({"top_k": 0}, "top_k is 0"),
        ({"router_learning": "magic"}, "'magic'"),
        ({"tasks": ("emotion", "emotion")}, "distinct"),
    ],
)
def test_impossible_options_are_refused(options, message):
    with pytest.raises(ValueError, match=message):
        make(**options)


def test_wrong_inputs_are_refused():
    moe = make()
    with pytest.raises(ValueError, match="4 representations"):
        moe(torch.randn(4, 1, 2, 6))
    with pytest.raises(ValueError, match="whistle"):
        moe(torch.randn(3, 1, 2, 6), tasks=["whistle"])
    with pytest.raises(ValueError, match="lengths"):
        moe(torch.randn(3, 2, 2, 6), torch.tensor([1.0]))


def test_the_first_of_equal_scores_is_chosen():
    # As argmax in the published code; topk would take the last of five.
    moe = SparseMoE(1, 4, 8, 2, num_experts=5, tasks=("emotion",))
    with torch.no_grad():
        moe.gates["emotion"].fc.weight.zero_()
        moe.gates["emotion"].fc.bias.copy_(torch.tensor([0.0, 1, 1, 0, 1]))
    routing = moe(torch.rand(1, 1, 6, 4)).routing["emotion"]
    assert routing.experts.flatten().tolist() == [1] * 6


# What mutation testing found to be untested, see docs/testing.md.


def test_the_papers_sizes():
    """Three experts from 25 x 1024 to 4096 to 1024 have 327.4 M parameters."""
    with torch.device("meta"):
        moe = SparseMoE(num_layers=25, input_size=1024)
    assert moe.experts[0].fc1.weight.shape == (4096, 25600)
    assert moe.experts[0].fc2.weight.shape == (1024, 4096)
    num_parameters = sum(p.numel() for p in moe.parameters())
    assert round(num_parameters / 1e6, 1) == 327.4
    assert (moe.num_experts, moe.top_k) == (3, 1)


def test_noise_is_of_its_size_and_in_training_alone():
    moe = make(router_noise=0.5)
    with torch.no_grad():
        for gate in moe.gates.values():
            gate.fc.weight.zero_()
            gate.fc.bias.zero_()
    states = torch.randn(3, 4, 500, 6)
    even = torch.full((4, 500, 3), 1 / 3)
    routing = moe.eval()(states).routing["emotion"]
    torch.testing.assert_close(routing.probabilities, even)
    routing = moe.train()(states).routing["emotion"]
    logits = routing.probabilities.log()
    # The difference of two draws, whose mean the softmax takes away.
    deviation = (logits[..., 0] - logits[..., 1]).std().item()
    assert deviation == pytest.approx(0.5 * 2**0.5, rel=0.1)


def test_without_noise_nothing_is_drawn():
    moe = make()
    states = torch.randn(3, 1, 5, 6)
    before = torch.random.get_rng_state()
    moe(states)
    assert torch.equal(torch.random.get_rng_state(), before)


def test_a_gate_is_the_same_under_autocast():
    gate = make().gates["emotion"]
    frames = torch.randn(50, 18)
    expected = gate(frames)
    with torch.autocast(DEVICE.type, dtype=torch.bfloat16):
        found = gate(frames)
    assert found.dtype == torch.float32 and torch.equal(found, expected)


def test_reports_hold_no_gradients():
    routing = make()(torch.randn(3, 1, 5, 6)).routing["emotion"]
    assert not routing.probabilities.requires_grad
    assert len(routing.counts()) == 3


def test_frozen_gates_stay_whatever_the_loss():
    moe = make(router_learning="frozen")
    assert not any(p.requires_grad for p in moe.gates.parameters())
    result = moe(torch.randn(3, 2, 7, 6, requires_grad=True))
    sum(result.auxiliary_losses.values()).backward()
    assert all(p.grad is None for p in moe.gates.parameters())


def test_auxiliary_losses_by_hand():
    """Each is the sum over the tasks of what its paper defines."""
    moe = make(num_experts=4, top_k=2).eval()
    hidden_states = torch.randn(3, 2, 9, 6)
    result = moe(hidden_states)
    frames = moe._join_layers(hidden_states, None)
    expected = dict.fromkeys(("load_balance", "router_kl", "router_z"), 0.0)
    for task in TASKS:
        logits = moe.gates[task](frames).double()
        mean = logits.softmax(1).mean(0)
        chosen = logits.topk(2, dim=1).indices.flatten()
        share = torch.stack([(chosen == i).double().mean() for i in range(4)])
        expected["load_balance"] += 4 * (share * mean).sum().item()
        expected["router_kl"] += (mean * (4 * mean).log()).sum().item()
        partition = logits.exp().sum(1).log()
        expected["router_z"] += (partition**2).mean().item()
    for name, value in expected.items():
        assert result.auxiliary_losses[name].item() == pytest.approx(
            value, abs=1e-5
        )


def test_a_single_frame_is_a_share_of_one():
    losses = losses_of(torch.tensor([[0.3, 0.7]]), torch.tensor([[1]]))
    assert losses["load_balance"].item() == pytest.approx(2 * 0.7)
    uneven = torch.tensor([[0.5, 0.25, 0.25]])
    expected = 0.5 * torch.tensor(1.5).log() + 0.5 * torch.tensor(0.75).log()
    losses = losses_of(uneven, torch.tensor([[0]]))
    assert losses["router_kl"].item() == pytest.approx(expected.item())


def test_there_is_a_task():
    with pytest.raises(ValueError, match="distinct names"):
        make(tasks=())
    with pytest.raises(ValueError, match="ask for some"):
        make()(torch.randn(3, 1, 2, 6), tasks=[])


def test_a_gate_of_any_precision_computes_in_float32():
    gate = make().gates["emotion"].bfloat16()
    frames = torch.randn(50, 18).bfloat16()
    expected = frames.double() @ gate.fc.weight.double().t()
    expected = (expected + gate.fc.bias.double()).float()
    torch.testing.assert_close(gate(frames), expected, atol=1e-5, rtol=1e-5)


class LayerMean(torch.nn.Module):
    """The plainest fusion."""

    def forward(self, hidden_states):
        return hidden_states.mean(dim=0)


def test_a_fusion_comes_before_all_else():
    torch.manual_seed(0)
    fused = SparseMoE(1, 6, 10, 5, fusion=LayerMean()).eval()
    states = torch.randn(4, 2, 7, 6)
    lengths = torch.tensor([1.0, 4 / 7])
    found = fused(states, lengths).features["emotion"]
    fused.fusion = None
    expected = fused(states.mean(dim=0, keepdim=True), lengths)
    torch.testing.assert_close(found, expected.features["emotion"])
