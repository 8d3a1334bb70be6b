"""Balancing of task losses, against hand-computed and plainly computed values."""

import math

import pytest
import torch
from torch import nn

from speechbrain_merit.losses import (
    KINDS,
    WEIGHTINGS,
    TaskBalancing,
    UncertaintyBalancing,
    task_balancing,
)
from speechbrain_merit.losses.gradient_conflict import gradient_cosines

TASKS = ("enhance", "emotion")
WEIGHTS = {"enhance": 10.0, "emotion": 2.0, "load_balance": 0.5, "unused": 9.0}
ONES = dict.fromkeys(WEIGHTS, 1.0)


def unscaled(loss):
    return loss


def make(kind, tasks=TASKS, loss_weights=WEIGHTS, seed=1):
    return task_balancing(kind, tasks, loss_weights, seed)


def step(balancing, parameter, losses, other=()):
    """Gradient of one parameter after one step on one batch."""
    parameter.grad = None
    balancing.backward(losses, [parameter], other, scale=unscaled)
    balancing.apply_gradients()
    return parameter.grad


class ToyModel(nn.Module):
    """One shared layer and two heads whose tasks conflict."""

    def __init__(self):
        super().__init__()
        generator = torch.Generator().manual_seed(7)
        self.shared = nn.Linear(3, 4)
        self.heads = nn.ModuleDict({task: nn.Linear(4, 1) for task in TASKS})
        self.never_used = nn.Parameter(torch.ones(2))
        for parameter in self.parameters():
            parameter.data = torch.randn(parameter.shape, generator=generator)
        self.heads["emotion"].weight.data = -self.heads[
            "enhance"
        ].weight.data.roll(1)

    def forward(self, inputs):
        features = self.shared(inputs).tanh()
        losses = {
            task: (head(features) - 1).square().mean()
            for task, head in self.heads.items()
        }
        return {**losses, "load_balance": features.square().mean()}


def toy_inputs():
    return torch.randn(8, 3, generator=torch.Generator().manual_seed(3))


def gradients_of(model):
    return {
        name: parameter.grad
        for name, parameter in model.named_parameters()
        if parameter.grad is not None
    }


def accumulate(balancing, model, batches, factor=1.0, absent=None):
    """Gradients of one step; `absent` names the loss missing per batch."""
    for index, inputs in enumerate(batches):
        losses = model(inputs)
        if absent:
            losses.pop(absent[index], None)
        balancing.backward(
            losses,
            model.shared.parameters(),
            model.parameters(),
            scale=lambda loss: loss * (factor / len(batches)),
        )
    balancing.apply_gradients()
    return gradients_of(model)


def assert_same(found, expected, factor=1.0):
    assert found.keys() == expected.keys()
    for name in found:
        torch.testing.assert_close(
            found[name] / factor, expected[name], rtol=1e-4, atol=1e-6
        )


def task_gradient(model, inputs, names, weights=WEIGHTS):
    """Plain gradient of some losses at the shared layer, as one vector."""
    losses = model(inputs)
    loss = sum(weights[name] * losses[name] for name in names)
    found = torch.autograd.grad(loss, list(model.shared.parameters()))
    return torch.cat([gradient.flatten() for gradient in found])


def flat(gradients):
    names = ("shared.weight", "shared.bias")
    return torch.cat([gradients[name].flatten() for name in names])


# Totals


def test_fixed_is_the_weighted_sum():
    losses = {
        "enhance": torch.tensor(3.0),
        "emotion": torch.tensor(5.0),
        "load_balance": torch.tensor(4.0),
    }
    balancing = TaskBalancing(TASKS, WEIGHTS)
    assert balancing(losses).item() == 10 * 3 + 2 * 5 + 0.5 * 4
    del losses["emotion"], losses["load_balance"]
    assert balancing(losses).item() == 30
    assert not list(balancing.parameters())


def test_uncertainty_by_hand():
    balancing = UncertaintyBalancing(TASKS, WEIGHTS)
    balancing.log_variances.data = torch.tensor([math.log(4), math.log(0.5)])
    losses = {
        "enhance": torch.tensor(3.0, requires_grad=True),
        "emotion": torch.tensor(5.0),
        "load_balance": torch.tensor(4.0),
    }
    total = balancing(losses)
    # 30 / 4 + ln(4) / 2 + 10 / 0.5 + ln(0.5) / 2 + 0.5 * 4
    assert total.item() == pytest.approx(29.5 + math.log(2) / 2)
    total.backward()
    assert losses["enhance"].grad.item() == pytest.approx(10 / 4)
    # The derivative by s is 1/2 - exp(-s) w L.
    assert balancing.log_variances.grad.tolist() == pytest.approx([-7, -19.5])


def test_uncertainty_is_stationary_at_twice_the_weighted_loss():
    balancing = UncertaintyBalancing(TASKS, WEIGHTS)
    balancing.log_variances.data = torch.tensor([60.0, 20.0]).log()
    losses = {"enhance": torch.tensor(3.0), "emotion": torch.tensor(5.0)}
    balancing(losses).backward()
    assert balancing.log_variances.grad.tolist() == pytest.approx(
        [0, 0], abs=1e-6
    )


def test_uncertainty_leaves_an_absent_task_alone():
    balancing = UncertaintyBalancing(TASKS, WEIGHTS)
    total = balancing({"emotion": torch.tensor(5.0)})
    assert total.item() == 10
    total.backward()
    assert balancing.log_variances.grad.tolist() == [0, 0.5 - 10]


def test_totals_that_are_logged():
    losses = {"enhance": torch.tensor(3.0), "load_balance": torch.tensor(4.0)}
    for kind in WEIGHTINGS:
        assert make(kind)(losses).item() == 32


# PCGrad


def test_pcgrad_projects_two_conflicting_gradients():
    # (1, 0) off (-1, 1) is (1/2, 1/2); (-1, 1) off (1, 0) is (0, 1).
    weight = nn.Parameter(torch.zeros(2))
    losses = {"enhance": weight[0], "emotion": weight[1] - weight[0]}
    found = step(make("pcgrad", loss_weights=ONES), weight, losses)
    assert found.tolist() == pytest.approx([0.5, 1.5])


def test_pcgrad_projects_weighted_gradients_and_adds_auxiliary_ones():
    # (10, 0) off (-2, 2) is (5, 5); (-2, 2) off (10, 0) is (0, 2); the
    # auxiliary gradient (-7, 0) conflicts, and is only added.
    weight = nn.Parameter(torch.zeros(2))
    losses = {
        "enhance": weight[0],
        "emotion": weight[1] - weight[0],
        "load_balance": -14 * weight[0],
    }
    found = step(make("pcgrad"), weight, losses)
    assert found.tolist() == pytest.approx([5 - 7, 5 + 2])


def test_pcgrad_without_conflict_is_the_plain_sum():
    weight = nn.Parameter(torch.zeros(2))
    losses = {"enhance": weight[0], "emotion": weight[0] + 3 * weight[1]}
    found = step(make("pcgrad"), weight, losses)
    assert found.tolist() == [12, 6]


def test_pcgrad_of_opposite_gradients_is_zero():
    weight = nn.Parameter(torch.zeros(2))
    losses = {"enhance": weight.sum(), "emotion": -3 * weight.sum()}
    found = step(make("pcgrad", loss_weights=ONES), weight, losses)
    assert found.tolist() == pytest.approx([0, 0], abs=1e-6)


def surgery(gradients, orders):
    """Algorithm 1 of the paper, word by word."""
    total = torch.zeros_like(gradients[0])
    for task, order in enumerate(orders):
        projected = gradients[task].clone()
        for other in order:
            product = torch.dot(projected, gradients[other])
            if other != task and product < 0:
                square = torch.dot(gradients[other], gradients[other])
                projected -= product / square * gradients[other]
        total += projected
    return total


def test_pcgrad_of_three_tasks_follows_the_algorithm_in_random_order():
    tasks = ("a", "b", "c")
    generator = torch.Generator().manual_seed(5)
    vectors = torch.randn(3, 4, generator=generator)
    vectors -= vectors.mean(dim=0)  # they sum to zero, so that some conflict
    balancing = make("pcgrad", tasks, dict.fromkeys(tasks, 1.0), seed=11)
    orders = torch.Generator().manual_seed(11)
    weight = nn.Parameter(torch.zeros(4))
    results = []
    for _ in range(8):
        losses = {
            task: torch.dot(vector, weight)
            for task, vector in zip(tasks, vectors, strict=True)
        }
        results.append(step(balancing, weight, losses))
        order = [torch.randperm(3, generator=orders).tolist() for _ in tasks]
        expected = surgery(vectors, order)
        torch.testing.assert_close(results[-1], expected)
    assert len({tuple(result.tolist()) for result in results}) > 1


def test_pcgrad_at_the_shared_layer_of_a_model():
    model = ToyModel()
    one, two = (task_gradient(model, toy_inputs(), [t]) for t in TASKS)
    assert torch.dot(one, two) < 0
    expected = surgery([one, two], [[1], [0]])
    expected += task_gradient(model, toy_inputs(), ["load_balance"])
    found = accumulate(make("pcgrad"), model, [toy_inputs()])
    torch.testing.assert_close(flat(found), expected)


@pytest.mark.parametrize("kind", WEIGHTINGS)
def test_parameters_of_one_task_get_the_plain_gradient(kind):
    model = ToyModel()
    TaskBalancing(TASKS, WEIGHTS)(model(toy_inputs())).backward()
    expected = gradients_of(model)
    model.zero_grad()
    # All are called shared; the heads are reached by one task each.
    balancing = make(kind)
    balancing.backward(
        model(toy_inputs()), model.parameters(), [], scale=unscaled
    )
    balancing.apply_gradients()
    found = gradients_of(model)
    assert model.never_used.grad is None
    for name in found:
        if name.startswith("heads"):
            torch.testing.assert_close(found[name], expected[name])
    assert not torch.allclose(flat(found), flat(expected))


@pytest.mark.parametrize("kind", WEIGHTINGS)
def test_frozen_parameters_are_passed_over(kind):
    model = ToyModel()
    model.shared.bias.requires_grad_(False)
    model.heads["emotion"].requires_grad_(False)
    found = accumulate(make(kind), model, [toy_inputs()])
    assert set(found) == {
        "shared.weight",
        "heads.enhance.weight",
        "heads.enhance.bias",
    }


# Accumulation and precision


@pytest.mark.parametrize("kind", WEIGHTINGS)
def test_two_micro_batches_are_one_batch(kind):
    model = ToyModel()
    whole, parts = make(kind), make(kind)
    for _ in range(2):
        expected = accumulate(whole, model, [toy_inputs()])
        model.zero_grad()
        found = accumulate(parts, model, toy_inputs().split(4))
        assert_same(found, expected)
        model.zero_grad()
    for name, state in whole.state_dict().items():
        torch.testing.assert_close(parts.state_dict()[name], state)


def test_pcgrad_projects_the_sum_not_the_micro_batches():
    # The second micro-batch has the conflict, their sum has none.
    weight = nn.Parameter(torch.zeros(2))
    balancing = make("pcgrad", loss_weights=ONES)
    for emotion in (weight.sum() * 3, weight[1] - weight[0]):
        losses = {"enhance": weight[0], "emotion": emotion}
        balancing.backward(losses, [weight], [], scale=unscaled)
    balancing.apply_gradients()
    assert weight.grad.tolist() == [4, 4]


@pytest.mark.parametrize("kind", WEIGHTINGS)
def test_a_task_may_be_missing_in_a_micro_batch(kind):
    model = ToyModel()
    halves = toy_inputs().split(4)
    found = accumulate(make(kind), model, halves, absent=["emotion", None])
    one = task_gradient(model, toy_inputs(), ["enhance"])
    two = task_gradient(model, halves[1], ["emotion"]) / 2
    rest = task_gradient(model, toy_inputs(), ["load_balance"])
    expected = step_on(kind, torch.stack([one, two]))
    if kind == "pcgrad":
        expected = surgery([one, two], [[1], [0]])
    torch.testing.assert_close(flat(found), expected + rest)


@pytest.mark.parametrize("kind", WEIGHTINGS)
def test_a_task_may_be_missing_in_a_step(kind):
    model, balancing = ToyModel(), make(kind)
    found = accumulate(balancing, model, [toy_inputs()], absent=["emotion"])
    expected = task_gradient(model, toy_inputs(), ["enhance", "load_balance"])
    torch.testing.assert_close(flat(found), expected)
    assert "heads.emotion.weight" not in found


@pytest.mark.parametrize("kind", WEIGHTINGS)
def test_the_scale_of_a_gradient_scaler_goes_through(kind):
    model = ToyModel()
    plain, scaled = make(kind), make(kind)
    for _ in range(2):
        expected = accumulate(plain, model, toy_inputs().split(4))
        model.zero_grad()
        found = accumulate(scaled, model, toy_inputs().split(4), factor=1024.0)
        assert_same(found, expected, factor=1024.0)
        model.zero_grad()
    for name, state in plain.state_dict().items():
        torch.testing.assert_close(scaled.state_dict()[name], state)


@pytest.mark.parametrize("bad", [math.inf, math.nan])
@pytest.mark.parametrize("kind", WEIGHTINGS)
def test_the_scaler_skips_a_step_that_is_not_finite(kind, bad):
    weight = nn.Parameter(torch.tensor([1.0, 1.0]))
    optimizer = torch.optim.SGD([weight], lr=0.1)
    scaler = torch.amp.GradScaler("cpu", init_scale=1024.0)
    balancing = make(kind, loss_weights=ONES)
    for factor, moves in ((bad, False), (1.0, True)):
        before = weight.detach().clone()
        losses = {
            "enhance": weight[0] * factor,
            "emotion": 2 * weight[1] - weight[0],
        }
        balancing.backward(losses, [weight], [], scale=scaler.scale)
        balancing.apply_gradients()
        scaler.unscale_(optimizer)
        scaler.step(optimizer)
        scaler.update()
        optimizer.zero_grad()
        assert torch.equal(weight, before) != moves
    assert scaler.get_scale() == 512.0


@pytest.mark.parametrize("kind", WEIGHTINGS)
def test_bfloat16_autocast_gives_finite_float32_gradients(kind):
    model, balancing = ToyModel(), make(kind)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert model.shared(toy_inputs()).dtype == torch.bfloat16
        losses = model(toy_inputs())
    balancing.backward(
        losses, model.shared.parameters(), model.parameters(), scale=unscaled
    )
    balancing.apply_gradients()
    exact = accumulate(make(kind), ToyModel(), [toy_inputs()])
    found = gradients_of(model)
    assert found.keys() == exact.keys()
    for name, gradient in found.items():
        assert gradient.dtype == torch.float32
        torch.testing.assert_close(gradient, exact[name], rtol=0.1, atol=0.5)


def test_gradients_share_no_memory():
    # Autograd gives both addends one tensor; scalers work on it in place.
    one, two = nn.Parameter(torch.ones(3)), nn.Parameter(torch.ones(3))
    for shared, other in (([one, two], []), ([one], [two])):
        one.grad = two.grad = None
        balancing = make("pcgrad", loss_weights=ONES)
        losses = {"enhance": (one + two).sum(), "load_balance": two.sum() * 0}
        balancing.backward(losses, shared, other, scale=unscaled)
        balancing.apply_gradients()
        one.grad.mul_(5)
        assert two.grad.tolist() == [1, 1, 1]


def test_reset_drops_left_over_micro_batches():
    weight = nn.Parameter(torch.ones(2))
    for kind in WEIGHTINGS:
        balancing = make(kind, loss_weights=ONES)
        losses = {"enhance": 100 * weight.sum()}
        balancing.backward(losses, [weight], [], scale=unscaled)
        balancing.reset()
        assert step(balancing, weight, {"enhance": weight[0]}).tolist() == [
            1,
            0,
        ]


# The other weightings


def step_on(kind, gradients, loss_weights=ONES):
    """The balanced gradient where the tasks have these, `[task, parameter]`."""
    weight = nn.Parameter(torch.zeros(gradients.shape[1]))
    losses = {
        task: torch.dot(gradient, weight)
        for task, gradient in zip(TASKS, gradients, strict=True)
    }
    return step(make(kind, loss_weights=loss_weights), weight, losses)


@pytest.mark.parametrize("seed", range(5))
def test_mgda_is_the_shortest_convex_combination(seed):
    one, two = torch.randn(2, 6, generator=torch.Generator().manual_seed(seed))
    # Between the two ends the derivative by the share of the first is zero.
    share = torch.dot(two - one, two) / (two - one).square().sum()
    share = share.clamp(0, 1)
    found = step_on("mgda", torch.stack([one, two]))
    torch.testing.assert_close(found, share * one + (1 - share) * two)


@pytest.mark.parametrize("seed", range(5))
def test_imtl_g_projects_alike_on_all_tasks(seed):
    generator = torch.Generator().manual_seed(seed)
    gradients = torch.randn(2, 6, generator=generator)
    found = step_on("imtl_g", gradients)
    directions = gradients / gradients.norm(dim=1, keepdim=True)
    one, two = directions @ found
    torch.testing.assert_close(one, two)
    # In the plane of both, with factors that come to one.
    factors = torch.linalg.lstsq(gradients.T, found).solution
    assert factors.sum().item() == pytest.approx(1, abs=1e-4)
    torch.testing.assert_close(factors @ gradients, found)


@pytest.mark.parametrize("seed", range(5))
def test_aligned_mtl_is_the_mean_of_aligned_gradients(seed):
    generator = torch.Generator().manual_seed(seed)
    gradients = torch.randn(2, 6, generator=generator)
    # The nearest orthogonal gradients, as long as the least singular value.
    left, singular_values, right = torch.linalg.svd(
        gradients, full_matrices=False
    )
    aligned = singular_values.min() * left @ right
    found = step_on("aligned_mtl", gradients)
    torch.testing.assert_close(found, aligned.mean(dim=0))


@pytest.mark.parametrize("kind", WEIGHTINGS)
def test_fixed_weights_come_before_the_balancing(kind):
    gradients = torch.tensor([[1.0, 0.0], [-1.0, 1.0]])
    weights = torch.tensor([[WEIGHTS[task]] for task in TASKS])
    found = step_on(kind, gradients, WEIGHTS)
    torch.testing.assert_close(found, step_on(kind, weights * gradients))


@pytest.mark.parametrize("kind", WEIGHTINGS)
def test_a_task_without_a_gradient_stops_no_other(kind):
    found = step_on(kind, torch.tensor([[0.0, 0.0], [3.0, 4.0]]))
    assert found.tolist() == [3, 4]


@pytest.mark.parametrize("kind", WEIGHTINGS)
def test_nothing_else_draws_otherwise_for_it(kind):
    torch.manual_seed(5)
    expected = torch.rand(3)
    torch.manual_seed(5)
    step_on(kind, torch.tensor([[1.0, 0.0], [-1.0, 1.0]]))
    assert torch.equal(torch.rand(3), expected)


# States, choice and errors


@pytest.mark.parametrize("kind", KINDS)
def test_state_survives_a_checkpoint(kind, tmp_path):
    tasks = ("a", "b", "c")
    vectors = torch.tensor([[1.0, -2.0], [-1.0, 0.5], [0.3, 1.0]])
    weight = nn.Parameter(torch.ones(2))

    def steps(balancing, count):
        found = []
        optimizer = torch.optim.SGD([weight, *balancing.parameters()], lr=0.1)
        for _ in range(count):
            optimizer.zero_grad()
            losses = {
                task: (torch.dot(vector, weight) - 5).square()
                for task, vector in zip(tasks, vectors, strict=True)
            }
            if balancing.needs_task_gradients:
                balancing.backward(losses, [weight], [], scale=unscaled)
                balancing.apply_gradients()
            else:
                balancing(losses).backward()
            found.append(weight.grad.clone())
            for parameter in balancing.parameters():
                parameter.data -= 0.1 * parameter.grad
        return torch.stack(found)

    weights = dict.fromkeys(tasks, 1.0)
    first = make(kind, tasks, weights, seed=1)
    steps(first, 3)
    torch.save(first.state_dict(), tmp_path / "state.ckpt")
    second = make(kind, tasks, weights, seed=2)
    second.load_state_dict(torch.load(tmp_path / "state.ckpt"))
    assert torch.equal(steps(first, 6), steps(second, 6))


def test_kinds():
    by_task = {kind for kind in KINDS if make(kind).needs_task_gradients}
    assert by_task == set(KINDS) - {"fixed", "uncertainty"}
    assert by_task == {"pcgrad", "mgda", "aligned_mtl", "imtl_g"}
    with pytest.raises(ValueError, match="'cagrad'.*'fixed'.*'pcgrad'"):
        make("cagrad")


@pytest.mark.parametrize("kind", KINDS)
def test_missing_weights_are_refused(kind):
    with pytest.raises(ValueError, match="'speaker'"):
        make(kind, tasks=("emotion", "speaker"))
    with pytest.raises(ValueError, match="distinct"):
        make(kind, tasks=("emotion", "emotion"))
    weight = nn.Parameter(torch.ones(2))
    losses = {"emotion": weight.sum(), "router_y": weight.sum()}
    with pytest.raises(ValueError, match="'router_y'"):
        make(kind)(losses)
    if make(kind).needs_task_gradients:
        with pytest.raises(ValueError, match="'router_y'"):
            step(make(kind), weight, losses)


@pytest.mark.parametrize("kind", WEIGHTINGS)
def test_calls_that_cannot_work_are_refused(kind):
    weight = nn.Parameter(torch.ones(2))
    used_up = iter([weight])
    next(used_up)
    with pytest.raises(ValueError, match="shared_parameters"):
        make(kind).backward({"emotion": weight.sum()}, used_up, [], unscaled)
    with pytest.raises(ValueError, match="backward"):
        make(kind).apply_gradients()


# Several processes

# The second process lacks a task, and so the gradients of its head.
ABSENT = [None, "emotion"]


def train_in_process(rank, folder):
    """One of two processes with half of the batch each; saves what it got."""
    torch.set_num_threads(1)
    torch.distributed.init_process_group(
        "gloo",
        init_method=f"file://{folder}/rendezvous",
        rank=rank,
        world_size=2,
    )
    results = {}
    for kind in WEIGHTINGS:
        model, balancing = ToyModel(), make(kind)
        wrapped = nn.parallel.DistributedDataParallel(model)
        for _ in range(2):
            model.zero_grad()
            with wrapped.no_sync():
                losses = wrapped(toy_inputs().split(4)[rank])
            losses.pop(ABSENT[rank], None)
            balancing.backward(
                losses,
                model.shared.parameters(),
                model.parameters(),
                scale=unscaled,
            )
            balancing.apply_gradients()
        results[kind] = gradients_of(model), balancing.state_dict()
    torch.save(results, f"{folder}/{rank}.pt")
    torch.distributed.destroy_process_group()


@pytest.mark.skipif(
    not torch.distributed.is_available()
    or not torch.distributed.is_gloo_available(),
    reason="needs torch.distributed with gloo",
)
def test_two_processes_average_before_they_balance(tmp_path):
    torch.multiprocessing.spawn(
        train_in_process, args=(str(tmp_path),), nprocs=2
    )
    results = [torch.load(tmp_path / f"{rank}.pt") for rank in range(2)]
    for kind in WEIGHTINGS:
        model, balancing = ToyModel(), make(kind)
        for _ in range(2):
            model.zero_grad()
            expected = accumulate(
                balancing, model, toy_inputs().split(4), absent=ABSENT
            )
        for gradients, state in (result[kind] for result in results):
            assert_same(gradients, expected)
            for name, value in balancing.state_dict().items():
                torch.testing.assert_close(state[name], value)


def test_cosines_by_hand_layer_by_layer():
    """Of (1, 0) and (1, 1) in one layer, of opposite ones in another."""
    first, second = (nn.Parameter(torch.ones(2)) for _ in range(2))
    alone, frozen = nn.Parameter(torch.ones(1)), nn.Parameter(torch.ones(1))
    frozen.requires_grad_(False)
    one = first[0] + second.sum() + alone.sum()
    other = 3 * first.sum() - second.sum() + frozen.sum()
    found = gradient_cosines(
        one,
        other,
        {
            "encoder.layers.0.weight": first,
            "encoder.layers.1.weight": second,
            "integrator.gates.enhance.fc.weight": alone,
            "encoder.conv1.weight": frozen,
        },
    )
    expected = {"encoder.layers.0": 0.5**0.5, "encoder.layers.1": -1.0}
    assert found == pytest.approx(expected)
    # The graph is still there; a group's parameters are one vector.
    parts = {"layers.0.a": first, "layers.0.b": second}
    cosine = gradient_cosines(one, other, parts)["layers.0"]
    assert cosine == pytest.approx((3 - 2) / (3 * (9 + 9 + 2)) ** 0.5)
