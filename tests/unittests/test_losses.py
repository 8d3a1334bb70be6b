"""Losses by hand, and without targets."""

import math

import pytest
import torch

from speechbrain_merit.losses.task_losses import (
    NO_LABEL,
    class_weights,
    emotion_loss,
    weighted_sum,
)


def test_class_weights_of_the_paper():
    labels = ["a"] * 6 + ["b"] * 3 + ["c"] + [None] * 5
    weights = class_weights(labels, ["a", "b", "c", "d"])
    assert weights == [10 / 24, 10 / 12, 10 / 4, 0.0]
    with pytest.raises(ValueError, match="'x'"):
        class_weights(["x"], ["a"])


def test_emotion_loss_by_hand():
    logits = torch.log(torch.tensor([[0.7, 0.3], [0.2, 0.8], [0.5, 0.5]]))
    targets = torch.tensor([0, 0, NO_LABEL])
    plain = -(math.log(0.7) + math.log(0.2)) / 2
    assert emotion_loss(logits, targets).item() == pytest.approx(plain)
    weights = torch.tensor([3.0, 1.0])
    targets = torch.tensor([0, 1, NO_LABEL])
    weighted = -(3 * math.log(0.7) + math.log(0.8)) / 4
    loss = emotion_loss(logits, targets, weights)
    assert loss.item() == pytest.approx(weighted)


def test_no_labels_no_loss_and_no_gradient():
    logits = torch.randn(2, 4, requires_grad=True)
    loss = emotion_loss(logits, torch.tensor([NO_LABEL, NO_LABEL]))
    loss.backward()
    assert loss.item() == 0
    assert torch.equal(logits.grad, torch.zeros(2, 4))


def test_a_loss_without_weight_is_refused():
    with pytest.raises(ValueError, match="'router_y'"):
        weighted_sum({"router_y": torch.ones(())}, {"router_z": 1.0})
