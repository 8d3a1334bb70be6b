"""Every variant on the embedded corpus: it runs, and it can learn a batch."""

import json
import math
from pathlib import Path

import pytest
import torch
from hyperpyyaml import load_hyperpyyaml
from small_run import ROOT, run

from speechbrain_merit.config import compose
from speechbrain_merit.lobes.joint_model import EMOTION, ENHANCE
from speechbrain_merit.losses.task_losses import emotion_loss
from speechbrain_merit.pretrained.weights import read_weights

VARIANTS = sorted(path.stem for path in (ROOT / "hparams").glob("*.yaml"))
# merit_base has an encoder of its own; the lines of tests/recipes train it.
OTHERS = {"se_then_ser", "merit_base"}
PLAIN = [name for name in VARIANTS if name not in OTHERS]
# Of every task and both, beside sparse_merit in test_train.py.
SHORT = ("merit_plus", "se_only", "ser_only")
TASKS = {"ser_only": {"ser"}, "se_only": {"se"}}
WITHOUT_GATES = ("naive_mtl", "task_specific_mtl", "ser_only", "se_only")
# Dropout would keep a batch from being learned.
OVERFIT = """
mask_hidden_size: 64
mask_dropout: 0.0
feature_dropout: 0.0
expert_dropout: 0.0
emotion_dropout: 0.0
"""


@pytest.fixture(scope="module")
def trained(tmp_path_factory, data):
    """Runs a variant for an epoch, once; gives its folder."""
    folders = {}

    def train(name, **options):
        if name not in folders:
            folder = tmp_path_factory.mktemp(name)
            result = run(
                folder, data, variant=name, number_of_epochs=1, **options
            )
            assert result.returncode == 0, result.stdout[-3000:]
            folders[name] = folder
        return folders[name]

    return train


def check_results(folder: Path, name: str) -> None:
    results = json.loads((folder / "results.json").read_text())
    assert results["system"] == name
    for condition in results["conditions"]:
        for task in TASKS.get(name, {"ser", "se"}):
            scores = condition[task].values()
            if condition["noise"] != "clean":
                assert all(math.isfinite(score) for score in scores)
    assert bool(results["routing"]) == (
        name not in (*WITHOUT_GATES, "se_then_ser")
    )


@pytest.mark.parametrize(
    "name",
    [
        pytest.param(name, marks=() if name in SHORT else pytest.mark.long)
        for name in PLAIN
    ],
)
def test_a_variant_trains_and_tests(trained, name):
    check_results(trained(name), name)


def test_every_metric_of_the_yaml_is_computed(tmp_path, data):
    """In the small trainings of other tests, those that take long are not."""
    metrics = ["pesq_wb", "stoi", "ssnr_db", "si_sdr_db"]
    options = {"enhancement_metrics": f"[{', '.join(metrics)}]"}
    result = run(tmp_path, data, number_of_epochs=1, **options)
    assert result.returncode == 0, result.stdout[-3000:]
    results = json.loads((tmp_path / "results.json").read_text())
    for condition in results["conditions"]:
        assert list(condition["se"]) == list(condition["noisy"]) == metrics


def test_a_classifier_is_trained_on_enhanced_speech(trained):
    enhancer = trained("se_only") / "pretrained"
    folder = trained("se_then_ser", enhancer_folder=enhancer)
    check_results(folder, "se_then_ser")
    # The enhancer is a part of what is saved, unchanged.
    saved = read_weights(folder / "pretrained")
    for key, value in read_weights(enhancer).items():
        assert torch.equal(saved[f"enhancer.{key}"], value), key
    text = (folder / "pretrained" / "hyperparams.yaml").read_text()
    assert str(enhancer) not in text
    alone = load_hyperpyyaml(text)["model"]
    alone.load_state_dict(saved)


@pytest.mark.parametrize("name", PLAIN)
def test_a_variant_can_learn_one_batch(name):
    variant = ROOT / "hparams" / f"{name}.yaml"
    known = compose(variant).tree
    options = [
        line for line in OVERFIT.split("\n") if line.split(":")[0] in known
    ]
    composed = compose(variant, "\n".join(options), ROOT)
    model = load_hyperpyyaml(composed.text)["model"]
    torch.manual_seed(0)
    time = torch.arange(4800) / 16000
    pitches = torch.tensor([150.0, 220.0, 300.0, 420.0])
    clean = 0.3 * torch.sin(2 * torch.pi * pitches[:, None] * time)
    noisy = clean + 0.1 * torch.randn(4, 4800)
    labels, lengths = torch.arange(4), torch.tensor([1.0, 0.6, 0.8, 0.9])
    optimizer = torch.optim.Adam(model.parameters(), lr=3e-3)
    history = []
    for _ in range(50):
        output = model(noisy, lengths)
        losses = {}
        if EMOTION in model.tasks:
            losses[EMOTION] = emotion_loss(output.logits, labels)
        if ENHANCE in model.tasks:
            target = model.target_log1p(clean, lengths, output)
            losses[ENHANCE] = (output.enhanced_log1p - target).abs().mean()
        optimizer.zero_grad()
        sum(losses.values()).backward()
        optimizer.step()
        history.append({task: loss.item() for task, loss in losses.items()})
    assert history[-1].get(EMOTION, 0.0) < 0.05
    if ENHANCE in model.tasks:
        assert history[-1][ENHANCE] < 0.5 * history[0][ENHANCE]
