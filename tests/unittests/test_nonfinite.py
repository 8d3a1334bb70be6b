"""Steps that are not finite are left out; both precisions agree."""

import contextlib
import math
from types import SimpleNamespace

import pytest
import torch
from torch.utils.data import DataLoader
from toy_model import write_experiment

from speechbrain.dataio.dataloader import SaveableDataLoader
from speechbrain.utils.epoch_loop import EpochCounter
from speechbrain_merit.losses import TaskBalancing
from speechbrain_merit.losses.task_losses import emotion_loss
from speechbrain_merit.training.checkpoints import WholeCheckpointer
from speechbrain_merit.training.faults import drop_nonfinite_gradients
from train import DualTaskBrain

LR = 0.1


class TinyBrain(DualTaskBrain):
    """train.py's way of stepping, with a weight for a model."""

    def __init__(self, **options):
        super(DualTaskBrain, self).__init__(**options)

    def compute_forward(self, batch, stage):
        return self.modules.model(batch.x)

    def compute_objectives(self, predictions, batch, stage):
        # The root's derivative at zero is infinite, its value is not.
        return predictions.sqrt().mean() if batch.root else predictions.mean()

    def naming_utterances(self, batch):
        return contextlib.nullcontext()

    def init_optimizers(self):
        self.optimizers_dict = {
            "model": torch.optim.SGD(self.modules.parameters(), LR)
        }
        self.lr_schedules = {"model": lambda optimizer: None}

    def on_fit_start(self):
        super(DualTaskBrain, self).on_fit_start()

    def on_stage_start(self, stage, epoch=None):
        pass

    def on_stage_end(self, stage, stage_loss, epoch=None):
        pass


class Batches(list):
    """Gives what it holds, and raises what is an error."""

    def __getitem__(self, index):
        item = super().__getitem__(index)
        if isinstance(item, Exception):
            raise item
        return item


def batch(name, value, root=False):
    return SimpleNamespace(
        id=[name], x=torch.full((1, 1), float(value)), root=root
    )


def train(folder, batches, loader=DataLoader, **options):
    """Trains a weight of 1 for an epoch; gives the brain."""
    model = torch.nn.Linear(1, 1, bias=False)
    torch.nn.init.ones_(model.weight)
    balancing = TaskBalancing(["emotion"], {"emotion": 1.0})
    brain = TinyBrain(
        modules={"model": model, "task_balancing": balancing},
        hparams={"output_folder": str(folder)},
        run_opts={"device": "cpu", "noprogressbar": True, **options},
        checkpointer=WholeCheckpointer(folder / "save", {"model": model}),
    )
    brain.data = loader(
        Batches(batches), batch_size=None, shuffle=False, num_workers=0
    )
    brain.weight = model.weight
    return brain


def fit(brain):
    brain.fit(EpochCounter(1), brain.data)
    return brain.weight.item()


@pytest.mark.parametrize("value", [math.nan, math.inf])
def test_a_loss_that_is_not_finite_takes_no_step(tmp_path, caplog, value):
    batches = [batch("a", 1), batch("bad", value), batch("c", 3)]
    # The derivative of a loss by the weight is the input.
    assert fit(train(tmp_path, batches)) == pytest.approx(1 - LR * (1 + 3))
    assert "for the utterances bad: this step is left out, 1 of" in caplog.text
    assert f"The loss is {value} for the utterances bad" in caplog.text


def test_a_gradient_that_is_not_finite_takes_no_step(tmp_path, caplog):
    batches = [batch("a", 1), batch("bad", 0, root=True), batch("c", 3)]
    assert fit(train(tmp_path, batches)) == pytest.approx(1 - LR * (1 + 3))
    assert "Gradients are not finite for the utterances bad" in caplog.text
    assert caplog.text.count("this step is left out") == 1


def test_of_accumulated_batches_all_are_left_out_and_named(tmp_path, caplog):
    batches = [batch("a", 1), batch("b", 0, root=True), batch("c", 3)]
    batches += [batch("d", 2), batch("e", 4)]
    weight = fit(train(tmp_path, batches, grad_accumulation_factor=2))
    # Upstream steps after batches 2 and 4, with means over two.
    assert weight == pytest.approx(1 - LR * (3 + 2) / 2)
    assert "for the utterances a, b:" in caplog.text


def test_the_run_stops_after_the_patience_and_names_them(tmp_path):
    batches = [batch(f"u{number}", math.nan) for number in range(5)]
    brain = train(tmp_path, batches, nonfinite_patience=2)
    with pytest.raises(ValueError, match="for the utterances u2; 3 steps"):
        fit(brain)
    assert brain.weight.item() == 1.0


def test_what_was_trained_is_kept_when_a_file_ends_it(tmp_path):
    batches = [batch("a", 1), batch("b", 2), ValueError("Utterance c: broken")]
    brain = train(tmp_path, batches, SaveableDataLoader)
    with pytest.raises(ValueError, match="Utterance c: broken"):
        fit(brain)
    (found,) = (tmp_path / "save").glob("CKPT*")
    kept = torch.load(found / "model.ckpt")["weight"].item()
    assert kept == brain.weight.item() == pytest.approx(1 - LR * (1 + 2))


def test_between_two_steps_nothing_is_saved(tmp_path):
    """Gradients are not in a checkpoint."""
    batches = [batch("a", 1), ValueError("Utterance b: broken")]
    brain = train(tmp_path, batches, grad_accumulation_factor=2)
    with pytest.raises(ValueError, match="Utterance b"):
        fit(brain)
    assert not list((tmp_path / "save").glob("CKPT*"))


def test_gradients_that_are_finite_stay():
    weights = [torch.nn.Parameter(torch.ones(2)) for _ in range(2)]
    assert not drop_nonfinite_gradients(weights)
    weights[0].grad = torch.tensor([3.0, 4.0])
    assert not drop_nonfinite_gradients(weights)
    assert weights[0].grad.tolist() == [3.0, 4.0]


# Precision. bfloat16 has 8 bits of mantissa: a relative error of 0.4 % in
# every product. What is asked for is five times that at the losses.
LOSS_TOLERANCE = 0.02
OUTPUT_TOLERANCE = 0.05


def step(model, precision, noisy, clean, lengths):
    """Losses and outputs before and after a step of gradient descent."""
    optimizer = torch.optim.SGD(model.parameters(), lr=0.01)
    found = []
    for _ in range(2):
        with torch.autocast("cpu", torch.bfloat16, enabled=precision == "bf16"):
            output = model(noisy, lengths)
            target = model.target_log1p(clean, lengths, output)
            enhance = (output.enhanced_log1p - target).abs().mean()
            emotion = emotion_loss(output.logits, torch.tensor([0, 1, 2]))
        found.append((enhance, emotion, output))
        optimizer.zero_grad()
        (enhance + emotion).backward()
        optimizer.step()
    return found


def test_both_precisions_agree_before_and_after_a_step(tmp_path):
    generator = torch.Generator().manual_seed(0)
    clean = 0.1 * torch.randn(3, 8000, generator=generator)
    noisy = clean + 0.05 * torch.randn(3, 8000, generator=generator)
    lengths = torch.tensor([1.0, 0.7, 0.5])
    results = {
        precision: step(
            write_experiment(tmp_path / precision, "utterance"),
            precision,
            noisy,
            clean,
            lengths,
        )
        for precision in ("fp32", "bf16")
    }
    for full, half in zip(results["fp32"], results["bf16"], strict=True):
        for loss, other in zip(full[:2], half[:2], strict=True):
            assert other.isfinite()
            assert other.item() == pytest.approx(
                loss.item(), rel=LOSS_TOLERANCE
            )
        torch.testing.assert_close(
            half[2].logits.float().softmax(dim=1),
            full[2].logits.softmax(dim=1),
            atol=OUTPUT_TOLERANCE,
            rtol=0,
        )
        difference = half[2].enhanced_log1p.float() - full[2].enhanced_log1p
        scale = full[2].enhanced_log1p.abs().mean()
        assert difference.abs().mean() < OUTPUT_TOLERANCE * scale
    # The step itself has done something.
    assert results["fp32"][0][1] != results["fp32"][1][1]
