"""Steps of an epoch, and batches from all over a dataset."""

import math

import pytest
import torch

from speechbrain_merit.data.batches import count_optimizer_steps, spread_batches


@pytest.mark.parametrize(
    ("utterances", "batch_size", "factor", "processes", "steps"),
    [
        (448, 16, 1, 1, 28),
        (100, 4, 8, 1, 3),  # 25 batches: the last one is left over
        (500, 32, 12, 1, 1),
        (448, 16, 1, 4, 7),
        (1, 16, 1, 1, 1),
    ],
)
def test_optimizer_steps(utterances, batch_size, factor, processes, steps):
    shared = math.ceil(utterances / processes)
    batches = math.ceil(shared / batch_size)
    assert count_optimizer_steps(1, batches, factor) == steps
    assert count_optimizer_steps(12, batches, factor) == 12 * steps


def test_no_step_at_all_is_refused():
    with pytest.raises(ValueError, match="28 batches of a process make no"):
        count_optimizer_steps(12, 28, 32)


@pytest.mark.parametrize(
    ("num_utterances", "ids"),
    [(3, ["u0", "u3", "u6"]), (0, []), (99, [f"u{i}" for i in range(10)])],
)
def test_spread_batches(num_utterances, ids):
    dataset = [{"id": f"u{i}", "x": torch.zeros(i + 1)} for i in range(10)]
    batches = spread_batches(dataset, num_utterances, batch_size=2)
    assert [name for batch in batches for name in batch.id] == ids
