"""A test that was interrupted goes on, and ends as if it had not been."""

import json
import logging
import os

import pytest
import torch
from torch.utils.data import BatchSampler

from speechbrain_merit.lobes import Routing
from speechbrain_merit.metrics import (
    Condition,
    UtteranceScorer,
    condition_stats,
    results_dictionary,
)
from speechbrain_merit.metrics.routing import shares_by_group
from speechbrain_merit.training.distributed import gather_rows
from speechbrain_merit.training.evaluation_progress import (
    EvaluationProgress,
    RemainingBatches,
    identify,
)

LABELS = ["angry", "sad"]
METRICS = ["ssnr_db", "si_sdr_db"]
CONDITIONS = [Condition("clean"), Condition("seen", -5)]
NAMES = [f"u{number}" for number in range(12)]


def make_batch(number):
    generator = torch.Generator().manual_seed(number)

    def draw(*shape):
        return torch.rand(*shape, generator=generator)

    clean = draw(2, 8000) - 0.5
    noise = draw(2, 8000) - 0.5
    probabilities = draw(2, 5, 3).softmax(dim=-1)
    experts = probabilities.argmax(dim=-1, keepdim=True)
    experts[1, 4] = -1
    return {
        "conditions": CONDITIONS,
        "ids": NAMES[2 * number : 2 * number + 2],
        "log_posteriors": draw(2, 2).log_softmax(dim=1),
        # One utterance without a label.
        "targets": torch.tensor([number % 2, -1 if number == 3 else 0]),
        # Silence, which has no score.
        "clean": clean * (number != 2),
        "noisy": clean + noise,
        "enhanced": clean + 0.3 * noise,
        "routing": {"emotion": Routing(probabilities, experts)},
    }


def score(progress, numbers):
    """Scores batches, and keeps what is finished; the rest is in a queue."""
    scorer = UtteranceScorer(LABELS, metrics=METRICS)
    for number in numbers:
        progress.append(scorer.append(**make_batch(number)))
    return scorer


def all_that_is_written(progress):
    """What all files of a test are made of; text, for NaN equals nothing."""
    rows = gather_rows(progress.rows.values(), NAMES)
    scores = condition_stats.TestStats(LABELS, METRICS, rows)
    choices = [row["experts"] for row in rows]
    shares = scores.expert_shares()
    by_noise = shares_by_group(choices, [row["noise"] for row in rows])
    results = results_dictionary("merit", "mini", 0, 1, scores, shares)
    return {
        "results": repr(results),
        "utterances": [
            repr((condition, part.rows, part.emotion.confusion.tolist()))
            for condition, part in scores.by_condition.items()
        ],
        "groups": by_noise,
    }


@pytest.fixture(scope="module")
def straight(tmp_path_factory):
    """What a test in one go finds."""
    path = tmp_path_factory.mktemp("straight") / "progress.jsonl"
    progress = EvaluationProgress(path)
    progress.open("the same")
    progress.append(score(progress, range(6)).flush())
    return all_that_is_written(progress)


@pytest.mark.parametrize("half_a_row", [False, True])
@pytest.mark.parametrize("interrupted_after", [0, 1, 4, 6])
def test_it_finds_what_a_test_in_one_go_finds(
    tmp_path, straight, interrupted_after, half_a_row
):
    path = tmp_path / "progress" / "test_progress_0.jsonl"
    progress = EvaluationProgress(path)
    progress.open("the same")
    # Killed with utterances in the queue: eight are scored together.
    score(progress, range(interrupted_after))
    assert len(progress.rows) == 2 * interrupted_after // 8 * 8
    if half_a_row:
        path.write_bytes(path.read_bytes()[:-40])

    progress = EvaluationProgress(path)
    progress.open("the same")
    batches = BatchSampler(range(12), 2, drop_last=False)
    left = RemainingBatches(batches, NAMES, progress)
    remaining = [first // 2 for first, _ in left]
    assert len(left) == len(remaining)
    if interrupted_after == 4:
        # A row is missing, but its batch is done as a whole.
        assert remaining == ([3, 4, 5] if half_a_row else [4, 5])
    progress.append(score(progress, remaining).flush())
    assert all_that_is_written(progress) == straight
    progress.remove()
    assert not list(path.parent.iterdir())


def test_what_is_in_the_file_is_what_is_known(tmp_path):
    path = tmp_path / "progress.jsonl"
    progress = EvaluationProgress(path)
    progress.open("this")
    progress.append(score(progress, range(5)).flush())
    again = EvaluationProgress(path)
    again.open("this")
    assert repr(again.rows) == repr(progress.rows)
    before = path.read_bytes()
    again.append(progress.rows.values())
    assert path.read_bytes() == before


def test_another_test_starts_from_zero(tmp_path):
    path = tmp_path / "progress.jsonl"
    progress = EvaluationProgress(path)
    progress.open("this")
    progress.append([{"id": "a"}])
    other = EvaluationProgress(path)
    other.open("that")
    assert other.rows == {}
    progress.open("this")
    assert progress.rows == {}


@pytest.mark.parametrize("line", [0, 1, 2, 3])
@pytest.mark.parametrize("position", [0, 12, -1])
def test_nothing_after_a_damaged_line_is_used(tmp_path, line, position, caplog):
    path = tmp_path / "progress.jsonl"
    progress = EvaluationProgress(path)
    progress.open("this")
    rows = [{"id": name, "stoi": 0.25} for name in "abc"]
    progress.append(rows)
    lines = [bytearray(x) for x in path.read_bytes().splitlines(keepends=True)]
    lines[line][position] ^= 1
    path.write_bytes(b"".join(lines))
    with caplog.at_level(logging.WARNING):
        progress.open("this")
    assert "cut at a damaged line" in caplog.text
    assert list(progress.rows.values()) == rows[: max(line - 1, 0)]
    progress.append(rows)
    progress.open("this")
    assert list(progress.rows.values()) == rows
    path.write_bytes(b"")
    progress.open("this")
    assert progress.rows == {}


def test_numbers_are_kept_to_the_last_bit(tmp_path):
    values = torch.rand(100, dtype=torch.float64).tolist()
    values += [0.1, 5e-324, float("inf"), float("nan")]
    path = tmp_path / "progress.jsonl"
    progress = EvaluationProgress(path)
    progress.open("this")
    progress.append([{"id": "a", "values": values}])
    progress.open("this")
    assert repr(progress.rows["a"]["values"]) == repr(values)
    assert json.loads(path.read_text().splitlines()[1][9:])["id"] == "a"


def test_what_changes_results_changes_the_identity():
    def identity(value=0.0, dtype=torch.float32, plan="a", size=2):
        weights = {"a": torch.full((3,), value, dtype=dtype)}
        return identify(weights, {"m": plan}, batches=[list(range(size))])

    changed = [
        identity(),
        identity(value=1.0),
        identity(dtype=torch.bfloat16),
        identity(plan="b"),
        identity(size=3),
    ]
    assert len(set(changed)) == len(changed)
    assert identity() == identity()


def test_files_of_another_size_or_time_make_another_test(tmp_path):
    path = tmp_path / "a.wav"
    found = []
    for content, time_s in (("a", 1), ("ab", 1), ("ab", 2), (None, 0)):
        path.unlink(missing_ok=True)
        if content is not None:
            path.write_text(content)
            os.utime(path, (time_s, time_s))
        files = [str(path), str(path)]
        found += [identify({}, batches=[], files=files)]
        assert identify({}, batches=[], files=files[:1]) == found[-1]
    assert len(set(found)) == len(found)
