"""Emotion scores against values worked by hand and scikit-learn.

Authors
 * The speechbrain-merit developers 2026
"""

import json

import numpy as np
import pytest
import torch
from sklearn.metrics import f1_score

from speechbrain_merit.metrics.emotion import EmotionStats

LABELS = ["angry", "sad", "happy", "neutral"]


def filled(targets, predictions, labels=LABELS):
    """Stats of the given classes; the predicted one has posterior 0.7."""
    rest = 0.3 / (len(labels) - 1)
    posteriors = torch.full((len(targets), len(labels)), rest)
    posteriors[range(len(targets)), predictions] = 0.7
    stats = EmotionStats(labels)
    ids = [f"utterance{i}" for i in range(len(targets))]
    stats.append(ids, posteriors.log(), torch.tensor(targets))
    return stats


def test_scores_by_hand():
    # Confusion [[3, 1], [2, 4]]: precision 3/5 and 4/5, recall 3/4 and 4/6,
    # so F1 = 2 * 3 / (2 * 3 + 1 + 2) = 2/3 and 8 / (8 + 2 + 1) = 8/11.
    targets = [0, 0, 0, 0, 1, 1, 1, 1, 1, 1]
    predictions = [0, 0, 0, 1, 0, 0, 1, 1, 1, 1]
    stats = filled(targets, predictions, ["angry", "sad"])
    assert stats.confusion.tolist() == [[3, 1], [2, 4]]
    summary = stats.summarize()
    assert summary == {
        "f1_macro": pytest.approx((2 / 3 + 8 / 11) / 2),
        "accuracy": pytest.approx(0.7),
        "uar": pytest.approx((3 / 4 + 4 / 6) / 2),
        "num_utterances": 10,
    }
    assert stats.summarize("uar") == summary["uar"]


def test_class_absent_from_both_does_not_count():
    targets, predictions = [0, 0, 1, 1, 3], [0, 1, 1, 1, 3]
    stats = filled(targets, predictions)
    f1_macro = stats.summarize("f1_macro")
    # F1 = 2/3, 4/5 and 1 of the three classes that occur.
    assert f1_macro == pytest.approx((2 / 3 + 4 / 5 + 1) / 3)
    assert f1_macro == pytest.approx(
        f1_score(targets, predictions, average="macro")
    )
    # Over all four labels, the absent one would count as 0.
    assert f1_macro > f1_score(
        targets, predictions, labels=range(4), average="macro", zero_division=0
    )
    assert stats.confusion[2].tolist() == [0, 0, 0, 0]


def test_class_that_is_only_predicted_counts_in_f1_but_not_in_recall():
    stats = filled([0, 0, 1, 1], [0, 2, 1, 1])
    assert stats.summarize("f1_macro") == pytest.approx((2 / 3 + 1 + 0) / 3)
    assert stats.summarize("uar") == pytest.approx((0.5 + 1) / 2)


def test_class_that_is_never_predicted_scores_zero():
    stats = filled([0, 1], [0, 0])
    assert stats.summarize("f1_macro") == pytest.approx((2 / 3 + 0) / 2)
    assert stats.summarize("uar") == pytest.approx(0.5)


def test_utterances_without_label_are_skipped():
    stats = filled([0, -1, 1, -1], [0, 0, 0, 1])
    assert stats.summarize("num_utterances") == 2
    assert stats.summarize("accuracy") == 0.5
    assert [row["id"] for row in stats.rows] == ["utterance0", "utterance2"]


def test_batches_add_up():
    targets, predictions = [0, 1, 2, 3, 3, 0], [0, 1, 1, 3, 2, 0]
    whole = filled(targets, predictions)
    parts = EmotionStats(LABELS)
    for start in (0, 2, 4):
        piece = filled(
            targets[start : start + 2], predictions[start : start + 2]
        )
        posteriors = [list(row["posteriors"].values()) for row in piece.rows]
        parts.append(
            [f"utterance{start}", f"utterance{start + 1}"],
            torch.tensor(posteriors).log(),
            torch.tensor(targets[start : start + 2]),
        )
    assert parts.summarize() == whole.summarize()
    assert (parts.confusion == whole.confusion).all()


def test_rows_hold_labels_and_posteriors():
    (row,) = filled([2], [3]).rows
    assert (row["true"], row["predicted"]) == ("happy", "neutral")
    assert list(row["posteriors"]) == LABELS
    assert row["posteriors"]["neutral"] == pytest.approx(0.7)
    assert sum(row["posteriors"].values()) == pytest.approx(1)


def test_nothing_appended_is_none():
    stats = EmotionStats(LABELS)
    expected = {
        "f1_macro": None,
        "accuracy": None,
        "uar": None,
        "num_utterances": 0,
    }
    assert stats.summarize() == expected
    assert stats.rows == []
    assert stats.confusion.tolist() == np.zeros((4, 4), int).tolist()
    assert stats.confusion.dtype.kind == "i"


def test_rows_give_the_same_statistics_again():
    stats = filled([0, 1, 2, -1], [0, 1, 3, 1])
    again = EmotionStats(LABELS, json.loads(json.dumps(stats.rows)))
    assert again.summarize() == stats.summarize()
    assert again.posteriors.tolist() == stats.posteriors.tolist()
    again.append(["new"], torch.zeros(1, 4), torch.tensor([1]))
    assert again.ids == [*stats.ids, "new"]


def test_errors_name_what_is_wrong():
    with pytest.raises(ValueError, match="distinct"):
        EmotionStats(["sad", "sad"])
    stats = filled([0], [0])
    with pytest.raises(ValueError, match=r"\(1, 3\)"):
        stats.append(["a"], torch.zeros(1, 3), torch.tensor([0]))
    with pytest.raises(ValueError, match="a has the target 4"):
        stats.append(["a"], torch.zeros(1, 4), torch.tensor([4]))
    with pytest.raises(ValueError, match="a has posteriors that are NaN"):
        stats.append(["a"], torch.full((1, 4), torch.nan), torch.tensor([0]))
    with pytest.raises(ValueError, match="utterance0 is scored twice"):
        stats.append(["utterance0"], torch.zeros(1, 4), torch.tensor([0]))
