"""Dynamic batching: what fits, all of it, and the same after a resumption."""

import itertools

import numpy as np
import torch

import speechbrain as sb
from speechbrain.dataio.dataset import DynamicItemDataset
from speechbrain.dataio.sampler import DistributedSamplerWrapper
from speechbrain.utils.checkpoints import Checkpointer
from speechbrain.utils.epoch_loop import EpochCounter
from speechbrain_merit.data.batches import make_batch_sampler, use_batch_sampler

MAX_DURATION_S = 12.0
OPTIONS = {
    "max_batch_duration_s": 48.0,
    "num_buckets": 10,
    "max_duration_s": MAX_DURATION_S,
    "seed": 3,
}


def make_dataset(num_utterances=203):
    """Durations as of a podcast: most of some seconds, a few cut at 12 s."""
    durations_s = np.random.default_rng(0).gamma(4.0, 1.5, num_utterances)
    data = {
        f"u{n}": {"duration_s": float(duration_s)}
        for n, duration_s in enumerate(durations_s)
    }
    return DynamicItemDataset(data, output_keys=["id"])


def duration_s(dataset, index):
    fields = dataset.data[dataset.data_ids[index]]
    return min(fields["duration_s"], MAX_DURATION_S)


def epoch_of(sampler, epoch):
    sampler.set_epoch(epoch)
    return list(sampler)


def test_every_utterance_once_in_batches_that_fit():
    dataset = make_dataset()
    sampler = make_batch_sampler(dataset, **OPTIONS)
    for epoch in (1, 2, 3):
        batches = epoch_of(sampler, epoch)
        assert len(batches) == len(sampler)
        indices = sorted(itertools.chain.from_iterable(batches))
        assert indices == list(range(len(dataset)))
        for batch in batches:
            longest_s = max(duration_s(dataset, index) for index in batch)
            assert longest_s * len(batch) <= OPTIONS["max_batch_duration_s"]


def test_there_is_less_padding_than_in_batches_of_one_size():
    dataset = make_dataset(400)

    def padding(batches):
        padded = true = 0.0
        for batch in batches:
            durations_s = [duration_s(dataset, index) for index in batch]
            padded += max(durations_s) * len(batch)
            true += sum(durations_s)
        return padded / true - 1

    sampler = make_batch_sampler(dataset, **OPTIONS)
    fixed = np.random.default_rng(0).permutation(400).reshape(100, 4)
    assert padding(epoch_of(sampler, 1)) < 0.1 < 0.3 < padding(fixed)
    assert len(sampler) < len(fixed)


def test_an_epoch_does_not_depend_on_those_before():
    dataset = make_dataset()
    first = make_batch_sampler(dataset, **OPTIONS)
    epochs = [epoch_of(first, epoch) for epoch in (1, 2, 3)]
    assert epoch_of(make_batch_sampler(dataset, **OPTIONS), 3) == epochs[2]
    other = make_batch_sampler(dataset, **{**OPTIONS, "seed": 900})
    sets = [
        {frozenset(batch) for batch in batches}
        for batches in (*epochs, epoch_of(other, 3))
    ]
    for one, two in itertools.combinations(sets, 2):
        assert len(one & two) < len(one) / 2


def test_two_processes_have_all_of_it():
    dataset = make_dataset()
    shares = [
        DistributedSamplerWrapper(
            make_batch_sampler(dataset, **OPTIONS), num_replicas=2, rank=rank
        )
        for rank in (0, 1)
    ]
    for epoch in (1, 2):
        one, two = (epoch_of(share, epoch) for share in shares)
        assert len(one) == len(two)
        indices = set(itertools.chain.from_iterable(one + two))
        assert indices == set(range(len(dataset)))


class Recorder(sb.Brain):
    """Trains nothing much, and remembers the utterances of every batch."""

    def compute_forward(self, batch, stage):
        return self.modules.linear(torch.ones(1, 1))

    def compute_objectives(self, predictions, batch, stage):
        self.seen.append(batch.id)
        return predictions.sum()

    def on_fit_batch_end(self, batch, outputs, loss, should_step):
        if len(self.seen) == self.stop_after:
            self._save_intra_epoch_ckpt()
            raise KeyboardInterrupt


def batches_of_a_training(folder, stop_after=None):
    """Trains for three epochs, from a checkpoint if there is one."""
    counter, linear = EpochCounter(3), torch.nn.Linear(1, 1)
    brain = Recorder(
        {"linear": linear},
        torch.optim.SGD,
        run_opts={"device": "cpu", "noprogressbar": True},
        checkpointer=Checkpointer(folder, {"counter": counter}),
    )
    brain.opt_class = lambda parameters: torch.optim.SGD(parameters, lr=0.0)
    brain.seen, brain.stop_after = [], stop_after
    dataset = make_dataset()
    brain.train_sampler = make_batch_sampler(dataset, **OPTIONS)
    options = use_batch_sampler(
        {"batch_size": 4, "shuffle": True}, brain.train_sampler
    )
    try:
        brain.fit(counter, dataset, train_loader_kwargs=options)
    except KeyboardInterrupt:
        pass
    return brain.seen


def test_a_resumed_training_sees_the_same_batches(tmp_path):
    straight = batches_of_a_training(tmp_path / "straight")
    per_epoch = len(make_batch_sampler(make_dataset(), **OPTIONS))
    assert len(straight) == 3 * per_epoch
    # Within the second epoch.
    before = batches_of_a_training(tmp_path / "stopped", per_epoch + 7)
    after = batches_of_a_training(tmp_path / "stopped")
    assert before + after == straight


def test_utterances_of_one_length():
    data = {f"u{n}": {"duration_s": 3.0} for n in range(9)}
    sampler = make_batch_sampler(
        DynamicItemDataset(data), **{**OPTIONS, "max_batch_duration_s": 12.0}
    )
    assert sorted(map(len, sampler)) == [1, 4, 4]
