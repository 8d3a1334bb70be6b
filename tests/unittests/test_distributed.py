"""What processes exchange: means, shares of the data, statistics, states."""

import functools
import json
import time

import pytest
import torch
from process_group import NUM_PROCESSES, needs_gloo, run_processes
from torch.utils.data import BatchSampler

from speechbrain.dataio.sampler import (
    DistributedSamplerWrapper,
    ReproducibleRandomSampler,
)
from speechbrain.utils.repro import SaveableGenerator
from speechbrain_merit.lobes import Integration, Routing
from speechbrain_merit.lobes.routing_losses import router_means, routing_losses
from speechbrain_merit.losses.task_losses import (
    NO_LABEL,
    emotion_loss,
    emotion_loss_weight,
)
from speechbrain_merit.metrics import (
    Condition,
    EmotionStats,
    UtteranceScorer,
    condition_stats,
    results_dictionary,
)
from speechbrain_merit.metrics.routing import RoutingStats, shares_by_group
from speechbrain_merit.training.distributed import (
    ProcessRandomState,
    average_over_processes,
    gather,
    gather_rows,
    mean_over_processes,
    num_processes,
    seed_apart,
    set_timeout,
    share_data,
    whole_batch_losses,
)

# Frames and utterances of each of two processes.
SIZES = [(5, 3), (11, 2)]
CLASS_WEIGHTS = torch.tensor([0.4, 1.0, 3.0])


def inputs():
    """Weights, frames of a gate, errors and logits, for both processes."""
    generator = torch.Generator().manual_seed(3)
    num_frames, num_utterances = (
        sum(sizes) for sizes in zip(*SIZES, strict=True)
    )
    draw = functools.partial(torch.randn, generator=generator)
    labels = torch.tensor([2, NO_LABEL, 0, 1, 0])
    weight = draw(4, 3, requires_grad=True)
    return weight, draw(num_frames, 4), draw(num_utterances, 4), labels


def losses_of(weight, frames, utterances, labels):
    """Losses of a batch, what they are means over, and an integration."""
    logits = frames @ weight
    probabilities = logits.softmax(dim=1)
    experts = logits.argmax(dim=1, keepdim=True)
    means = {"enhance": router_means(logits, probabilities, experts)}
    losses = {
        **routing_losses(means),
        "enhance": logits.abs().mean(),
        "emotion": emotion_loss(
            utterances @ weight, labels, CLASS_WEIGHTS, label_smoothing=0.1
        ),
        # Of something else, which all processes count alike.
        "other": weight.square().mean(),
    }
    weights = {
        "enhance": torch.tensor(len(frames)),
        "emotion": emotion_loss_weight(labels, CLASS_WEIGHTS),
    }
    return losses, weights, Integration({}, losses, {}, means)


def gradients(rank):
    """Losses, and the gradient of each, of one process or of both."""
    weight, frames, utterances, labels = inputs()
    if rank is not None:
        frames = frames.split([s[0] for s in SIZES])[rank]
        utterances = utterances.split([s[1] for s in SIZES])[rank]
        labels = labels.split([s[1] for s in SIZES])[rank]
    losses = whole_batch_losses(*losses_of(weight, frames, utterances, labels))
    found = {}
    for name, loss in losses.items():
        (gradient,) = torch.autograd.grad(loss, weight, retain_graph=True)
        if rank is not None:
            # As DistributedDataParallel does.
            torch.distributed.all_reduce(gradient)
            gradient /= NUM_PROCESSES
        found[name] = loss.detach(), gradient
    return found


@needs_gloo
def test_losses_and_gradients_are_those_of_the_whole_batch(tmp_path):
    expected = gradients(None)
    for found in run_processes(gradients, tmp_path):
        assert found.keys() == expected.keys()
        for name, values in expected.items():
            torch.testing.assert_close(found[name], values, msg=name)


def test_one_process_is_left_alone():
    assert num_processes() == 1
    mean, losses = torch.tensor(2.0), {"emotion": torch.tensor(3.0)}
    assert average_over_processes({"a": (mean, 5)})["a"] is mean
    whole = whole_batch_losses(losses, {}, Integration({}))
    assert whole["emotion"] is losses["emotion"]
    options = {"batch_size": 2, "shuffle": True}
    assert share_data(range(4), True, 1, options) == options
    before = torch.random.get_rng_state()
    seed_apart(1)
    assert torch.equal(torch.random.get_rng_state(), before)


def test_losses_of_means_are_those_of_frames():
    _, frames, _, _ = inputs()
    logits = frames[:, :3]
    probabilities, experts = logits.softmax(dim=1), logits.topk(2).indices
    means = router_means(logits, probabilities, experts)
    found = routing_losses({"enhance": means, "emotion": means})
    # Frame by frame, and choice by choice.
    mean = sum(probabilities) / len(frames)
    balance = sum(3 * mean[expert] for expert in experts.flatten())
    for name, one in {
        "load_balance": balance / experts.numel(),
        "router_kl": sum(p * (3 * p).log() for p in mean),
        "router_z": sum(x.exp().sum().log() ** 2 for x in logits) / len(frames),
    }.items():
        torch.testing.assert_close(found[name], one + one, msg=name)


def nothing_to_average(rank):
    """No process has a label, and one a loss that is not finite."""
    mean = torch.zeros((), requires_grad=True)
    found = average_over_processes(
        {"none": (mean, 0), "bad": (torch.tensor([1.0, torch.nan])[rank], 1)}
    )
    found["none"].backward()
    return found["none"].item(), mean.grad.item(), found["bad"].item()


@needs_gloo
def test_means_over_nothing_and_over_what_is_not_finite(tmp_path):
    for none, gradient, bad in run_processes(nothing_to_average, tmp_path):
        assert (none, gradient) == (0, 0)
        # So that all processes stop, or go on, together.
        assert bad != bad


# Shares of the data


def training_batches(rank, batch_size):
    """An epoch's batches as upstream divides them among the processes."""
    options = {"batch_size": batch_size, "shuffle": True}
    sampler = share_data(range(24), True, 1986, options)["sampler"]
    wrapped = DistributedSamplerWrapper(sampler, rank=rank, shuffle=False)
    wrapped.set_epoch(3)
    training = list(BatchSampler(wrapped, batch_size, drop_last=False))
    evaluation = {
        size: share_data(range(size), False, 1986, {"batch_size": 4})
        for size in (0, 1, 4, 5, 8, 9, 23)
    }
    return training, {n: o["batch_sampler"] for n, o in evaluation.items()}


@needs_gloo
def test_training_batches_are_those_of_one_process(tmp_path):
    shares = run_processes(training_batches, tmp_path, 4)
    sampler = ReproducibleRandomSampler(range(24), seed=1986, epoch=3)
    whole = BatchSampler(sampler, NUM_PROCESSES * 4, drop_last=False)
    for expected, *parts in zip(whole, *(s[0] for s in shares), strict=True):
        assert sorted(expected) == sorted(sum(parts, []))
    one, other = (share[1] for share in shares)
    assert one[9] == [[0, 1, 2, 3], [8]]
    assert other[9] == [[4, 5, 6, 7]]
    for size in one:
        # The batches themselves are those of one process, each in one share.
        batches = BatchSampler(range(size), 4, drop_last=False)
        assert sorted([*one[size], *other[size]]) == list(batches)


# Statistics

NAMES = [f"u{number}" for number in range(7)]
EVERY_OTHER = [NAMES[0::2], NAMES[1::2]]


def found_in(names):
    """What an evaluation keeps of some utterances, one batch each."""
    conditions = [Condition("clean"), Condition("seen", -5)]
    scorer = UtteranceScorer(["angry", "sad"], metrics=["si_sdr_db"])
    routing_stats, rows = RoutingStats(), []
    for name in names:
        generator = torch.Generator().manual_seed(NAMES.index(name))
        logits = torch.randn(1, 2, generator=generator).log_softmax(dim=1)
        label = torch.tensor([NAMES.index(name) % 3 - 1])
        clean, noise = torch.randn(2, 1, 800, generator=generator)
        condition = [conditions[NAMES.index(name) // 4]]
        experts = torch.randint(3, (1, 6, 1), generator=generator)
        probabilities = torch.rand(1, 6, 3, generator=generator)
        routing = {"emotion": Routing(probabilities, experts)}
        rows += scorer.append(
            condition,
            [name],
            logits,
            label,
            clean + noise,
            clean,
            noise,
            routing=routing,
        )
        routing_stats.append(routing)
    return rows + scorer.flush(), routing_stats


def merged(names):
    """What rows say in the end, and the sums of what has no rows."""
    own, routing_stats = found_in(names)
    rows = gather_rows(own, NAMES)
    scores = condition_stats.TestStats(["angry", "sad"], ["si_sdr_db"], rows)
    emotion = EmotionStats(["angry", "sad"], [r for r in rows if "true" in r])
    choices = [row["experts"] for row in rows]
    shares = scores.expert_shares()
    results = results_dictionary("merit", "mini", 0, 1, scores, shares)
    cells = [part.rows for part in scores.by_condition.values()]
    groups = shares_by_group(choices, [row["noise"] for row in rows])
    total = RoutingStats()
    for sums in gather(routing_stats.sums):
        total.add(sums)
    # The mean over the utterances of each process, and over all.
    mean = mean_over_processes(sum(map(NAMES.index, names)) / 4, len(names))
    text = json.dumps([results, cells, emotion.rows, rows, groups])
    return text, total.summarize(), mean


def merged_statistics(rank):
    """What a process knows that scored every other utterance."""
    return merged(EVERY_OTHER[rank])


@needs_gloo
def test_merged_statistics_are_those_of_one_process(tmp_path):
    expected, routing, _ = merged(NAMES)
    for text, found, mean in run_processes(merged_statistics, tmp_path):
        assert text == expected
        assert found == pytest.approx(routing)
        # (0 + 2 + 4 + 6) / 4 four times, and (1 + 3 + 5) / 4 three times.
        assert mean == pytest.approx((3 * 4 + 9 / 4 * 3) / 7)


def test_utterances_scored_twice_or_unknown_are_refused():
    rows = [{"id": name} for name in ("u0", "u1", "u1")]
    with pytest.raises(ValueError, match=r"\['u1'\].*two processes"):
        gather_rows(rows, NAMES)
    with pytest.raises(ValueError, match=r"\['x'\].*not among"):
        gather_rows([{"id": "x"}], NAMES)


# Random states and timeouts


def random_numbers(rank, path):
    """What a process draws after saving, and after loading."""
    seed_apart(1986)
    state = ProcessRandomState()
    state.save(path)
    torch.distributed.barrier()
    drawn = torch.rand(3)
    state.load(path, end_of_epoch=True)
    return drawn, torch.rand(3)


@needs_gloo
def test_every_process_gets_back_its_own_random_numbers(tmp_path):
    path = tmp_path / "random_state.ckpt"
    torch.manual_seed(1986)
    (first, again), (other, other_again) = run_processes(
        random_numbers, tmp_path, path
    )
    assert torch.equal(first, again) and torch.equal(other, other_again)
    assert not torch.equal(first, other)
    # The main process draws as one alone would, and its state is enough
    # for fewer processes.
    assert torch.equal(first, torch.rand(3))
    ProcessRandomState().load(path, end_of_epoch=True)
    assert torch.equal(first, torch.rand(3))


def test_random_states_of_one_process_are_upstreams(tmp_path):
    SaveableGenerator().save(tmp_path / "upstream")
    ProcessRandomState().save(tmp_path / "own")
    drawn = torch.rand(3)
    ProcessRandomState().load(tmp_path / "upstream", end_of_epoch=True)
    assert torch.equal(torch.rand(3), drawn)
    SaveableGenerator().load(tmp_path / "own", end_of_epoch=True)
    assert torch.equal(torch.rand(3), drawn)


def wait_in_vain(rank):
    """Waits for a process that does not come, as if it had hung."""
    set_timeout(1 / 60)
    if rank == 1:
        time.sleep(3)
        return None
    with pytest.raises(RuntimeError) as caught:
        torch.distributed.all_reduce(torch.zeros(1))
    return str(caught.value)


@needs_gloo
def test_a_process_that_hangs_is_given_up(tmp_path):
    message, _ = run_processes(wait_in_vain, tmp_path)
    assert "imed out" in message or "imeout" in message
