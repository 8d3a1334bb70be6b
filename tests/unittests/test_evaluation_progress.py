"""A test that was interrupted goes on, and ends as if it had not been."""

import logging

import pytest
import torch

from speechbrain_merit.lobes import Routing
from speechbrain_merit.metrics import Condition, TestStats, results_dictionary
from speechbrain_merit.metrics.routing import RoutingStats
from speechbrain_merit.metrics.routing_report import RoutingReport
from speechbrain_merit.training.evaluation_progress import (
    EvaluationProgress,
    identify,
    remaining_options,
)

LABELS = ["angry", "sad"]
METRICS = ["ssnr_db", "si_sdr_db"]
CONDITIONS = [Condition("clean"), Condition("seen", -5)]


class Output:
    """As much of a model's output as the report of the routing reads."""

    def __init__(self, batch):
        class Spectrum:
            counts = [5, 4]
            log1p = batch["log1p"]

        self.spectrum = Spectrum
        self.integration = self
        self.routing = batch["routing"]


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
        "ids": [f"u{2 * number}", f"u{2 * number + 1}"],
        "log_posteriors": draw(2, 2).log_softmax(dim=1),
        # One utterance without a label.
        "targets": torch.tensor([number % 2, -1 if number == 3 else 0]),
        # Silence, which has no score.
        "clean": clean * (number != 2),
        "noisy": clean + noise,
        "enhanced": clean + 0.3 * noise,
        "log1p": draw(2, 5, 9),
        "routing": {"emotion": Routing(probabilities, experts)},
    }


def make_statistics():
    return {
        "routing": RoutingStats(),
        "scores": TestStats(LABELS, metrics=METRICS),
        "report": RoutingReport(CONDITIONS, LABELS),
    }


def append(statistics, batch):
    targets = batch["targets"].tolist()
    statistics["routing"].append(batch["routing"])
    kept = ("log_posteriors", "targets", "enhanced", "clean", "noisy")
    statistics["scores"].append(
        CONDITIONS, batch["ids"], **{key: batch[key] for key in kept}
    )
    statistics["report"].append(
        Output(batch),
        batch["ids"],
        CONDITIONS,
        [None if target == -1 else target for target in targets],
    )


def all_that_is_written(statistics):
    """What all files of a test are made of; text, for NaN equals nothing."""
    scores, report = statistics["scores"], statistics["report"]
    shares = statistics["routing"].shares()
    results = results_dictionary("merit", "mini", 0, 1, scores, shares)
    return {
        "results": repr(results),
        "gates": repr(statistics["routing"].summarize()),
        "utterances": [
            repr((condition, part.rows(), part.emotion.confusion.tolist()))
            for condition, part in scores.by_condition.items()
        ],
        "groups": {n: g.shares() for n, g in report.groups.items()},
        "timelines": {
            condition: (name, log1p.tolist(), experts["emotion"].tolist())
            for condition, (name, log1p, experts) in report.timelines.items()
        },
    }


@pytest.mark.parametrize("interrupted_after", [0, 1, 4, 6])
def test_it_finds_what_a_test_in_one_go_finds(tmp_path, interrupted_after):
    straight = make_statistics()
    for number in range(6):
        append(straight, make_batch(number))

    path = tmp_path / "progress" / "test_progress_0.ckpt"
    progress, statistics = EvaluationProgress(path, 0, 1), make_statistics()
    assert not progress.open("the same")
    progress.facts["temperature"] = 1.5
    progress.write({})
    for number in range(interrupted_after):
        append(statistics, make_batch(number))
        progress.count_batch(statistics)

    progress, statistics = EvaluationProgress(path, 0, 1), make_statistics()
    assert progress.open("the same")
    assert progress.facts == {"temperature": 1.5}
    progress.restore(statistics)
    options = remaining_options(range(12), {"batch_size": 2}, progress)
    for first, _ in options["batch_sampler"]:
        append(statistics, make_batch(first // 2))
    assert all_that_is_written(statistics) == all_that_is_written(straight)
    progress.remove()
    assert not list(path.parent.iterdir())


def test_another_test_starts_from_zero(tmp_path):
    path = tmp_path / "progress.ckpt"
    progress = EvaluationProgress(path, 0, 1)
    progress.open("this")
    progress.count_batch({})
    other = EvaluationProgress(path, 0, 1)
    assert not other.open("that")
    assert other.num_batches == 0


@pytest.mark.parametrize("position", [0, 40, -1])
def test_a_damaged_file_is_not_used(tmp_path, position, caplog):
    path = tmp_path / "progress.ckpt"
    progress = EvaluationProgress(path, 0, 1)
    progress.open("this")
    progress.count_batch({})
    content = bytearray(path.read_bytes())
    content[position] ^= 1
    path.write_bytes(content)
    with caplog.at_level(logging.WARNING):
        assert not EvaluationProgress(path, 0, 1).open("this")
    assert "is damaged" in caplog.text
    path.write_bytes(b"")
    assert not EvaluationProgress(path, 0, 1).open("this")


def test_it_is_written_when_it_is_time(tmp_path):
    by_number = EvaluationProgress(tmp_path / "number", 0, 3)
    never = EvaluationProgress(tmp_path / "never", 0, 0)
    by_time = EvaluationProgress(tmp_path / "time", 1e-9, 0)
    for progress in (by_number, never, by_time):
        progress.open("this")
        progress.count_batch({})
    assert not never.path.exists() and by_time.path.exists()
    by_number.count_batch({})
    assert not by_number.path.exists()
    by_number.count_batch({})
    assert by_number.path.exists()


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
