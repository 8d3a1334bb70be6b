"""Two processes with half of every batch train as one with the whole."""

from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from hyperpyyaml import load_hyperpyyaml
from process_group import NUM_PROCESSES, needs_gloo, run_processes
from small_variants import VARIANTS, make_variant

from speechbrain.dataio.batch import PaddedBatch
from speechbrain.dataio.dataset import DynamicItemDataset
from speechbrain_merit.config import compose
from speechbrain_merit.lobes.joint_model import EMOTION, ENHANCE
from speechbrain_merit.losses.task_losses import NO_LABEL
from train import DualTaskBrain

ROOT = Path(__file__).parents[2]
# That one process has frames for, and the other never.
LONELY_EXPERT = 2
OPTIONS = """
data_folder: none
encoder_config:
    model_type: wavlm
    feat_extract_norm: layer
    do_stable_layer_norm: True
    conv_dim: [16, 16]
    conv_kernel: [160, 16]
    conv_stride: [40, 8]
    num_feat_extract_layers: 2
    hidden_size: 16
    num_hidden_layers: 2
    num_attention_heads: 2
    intermediate_size: 24
    num_conv_pos_embeddings: 8
    num_conv_pos_embedding_groups: 2
    hidden_dropout: 0.0
    attention_dropout: 0.0
    activation_dropout: 0.0
    feat_proj_dropout: 0.0
expert_hidden_size: 24
feature_size: 16
emotion_hidden_size: 16
mask_hidden_size: 8
emotion_dropout: 0.0
expert_dropout: 0.0
label_smoothing: 0.1
lr: 0.001
lr_encoder: 0.0002
loss_weights: {enhance: 5.0, load_balance: 0.5, router_kl: 0.3, router_z: 0.1}
"""
# Optimizer steps, in two epochs, and options.
KINDS = {
    "fixed": (20, {}),
    "uncertainty": (4, {"grad_accumulation_factor": 2}),
    "pcgrad": (4, {"grad_accumulation_factor": 2}),
    "mgda": (4, {}),
    # The first stage of the paper, then the second.
    "frozen": (4, {"number_of_frozen_epochs": 1}),
}


def utterances(step):
    """Four of different lengths; every second one is of another kind."""
    generator = torch.Generator().manual_seed(step)
    made = []
    for number in range(4):
        low, high = (1500, 2500) if number % 2 else (2500, 5000)
        length = int(torch.randint(low, high, (), generator=generator))
        # High and low tones, which a gate can tell apart frame by frame.
        pitch = 1.1 if number % 2 else 0.2
        speech = torch.sin(pitch * torch.arange(length))
        noise = 0.1 * torch.randn(length, generator=generator)
        # In some steps one process has no label at all, in some both.
        label = (step + number) % 4
        if step % 5 == 0 and (number % 2 or step == 10):
            label = NO_LABEL
        made.append(
            {
                "id": f"{step}_{number}",
                "noisy": 0.2 * (speech + noise),
                "clean": 0.2 * speech,
                "emotion_index": torch.tensor([label]),
            }
        )
    return made


class Recorder(DualTaskBrain):
    """Remembers what the experts of this process alone were used for."""

    own_shares = ()

    def merge_statistics(self, stage, stage_loss):
        self.own_shares += (self.routing_stats.shares(),)
        return super().merge_statistics(stage, stage_loss)


def make_brain(kind, folder):
    """The Brain of train.py, ready to train."""
    num_steps, options = KINDS[kind]
    path = ROOT / "hparams" / "sparse_merit.yaml"
    given = {**options, "output_folder": folder, "number_of_epochs": 2}
    if kind != "frozen":
        given["task_balancing_kind"] = kind
    lines = [f"{key}: {value}" for key, value in given.items()]
    composed = compose(path, OPTIONS + "\n".join(lines), ROOT)
    with torch.random.fork_rng():
        hparams = load_hyperpyyaml(composed.text)
    hparams["mixer"] = SimpleNamespace(set_epoch=lambda epoch: None)
    brain = Recorder(
        modules=hparams["modules"],
        opt_class=hparams["opt_class"],
        hparams=hparams,
        run_opts={"device": "cpu", "distributed_backend": "gloo"},
        checkpointer=hparams["checkpointer"],
        datasets={"train": DynamicItemDataset({"u": {"emotion": "angry"}})},
    )
    brain.class_weights = torch.tensor([0.5, 1.0, 2.0, 1.5])
    factor = brain.grad_accumulation_factor
    brain.batches_per_epoch = num_steps // 2 * factor
    split_the_kinds(brain.model, num_steps * factor)
    return brain


@torch.no_grad()
def split_the_kinds(model, num_batches):
    """Lets the gates send low tones, and no others, to one of the experts."""
    kinds = [[], []]
    for step in range(num_batches):
        for number, utterance in enumerate(utterances(step)):
            encoded = model.encoder(utterance["noisy"].unsqueeze(0))
            frames = model.integrator._join_layers(encoded.hidden_states, None)
            kinds[number % 2].append(frames)
    low, high = (torch.cat(frames).double() for frames in kinds)
    # The best linear separation, by least squares.
    inputs = torch.cat([low, high])
    target = torch.cat([torch.ones(len(low)), -torch.ones(len(high))])
    inputs = inputs - inputs.mean(dim=0)
    ridge = 1e-3 * len(inputs) * torch.eye(inputs.shape[1]).double()
    direction = torch.linalg.solve(
        inputs.T @ inputs + ridge, inputs.T @ target.double()
    )
    least, most = (high @ direction).max(), (low @ direction).max()
    for gate in model.integrator.gates.values():
        scale = 20 / (most - least)
        gate.fc.weight[LONELY_EXPERT] = scale * direction
        # A third of the way, far above the other experts' scores.
        gate.fc.bias[LONELY_EXPERT] = -scale * least - 7


def train(rank, kind, folder):
    """Trains on a share of all batches; gives weights and expert use."""
    num_processes = 1 if rank is None else NUM_PROCESSES
    brain = make_brain(kind, folder)
    brain._wrap_distributed()
    brain.init_optimizers()
    initial = {n: p.clone() for n, p in brain.model.state_dict().items()}
    num_batches = KINDS[kind][0] * brain.grad_accumulation_factor
    batches = [
        PaddedBatch(utterances(step)[rank or 0 :: num_processes])
        for step in range(num_batches)
    ]
    half = num_batches // 2
    losses = []
    for epoch, part in enumerate((batches[:half], batches[half:]), start=1):
        brain._fit_train(part, epoch, enable=False)
        losses += brain.train_losses
    return {
        "initial": initial,
        "weights": dict(brain.model.state_dict()),
        "balancing": dict(brain.balancing.state_dict()),
        "losses": losses,
        "shares": brain.own_shares,
    }


@needs_gloo
@pytest.mark.parametrize("kind", list(KINDS))
def test_two_processes_train_as_one(tmp_path, kind):
    expected = train(None, kind, tmp_path / "one")
    found = run_processes(train, tmp_path, kind, tmp_path / "two")
    for rank, result in enumerate(found):
        for name, value in expected["weights"].items():
            torch.testing.assert_close(
                result["weights"][name], value, rtol=0, atol=1e-5, msg=name
            )
        for name, value in expected["balancing"].items():
            if isinstance(value, torch.Tensor):
                torch.testing.assert_close(result["balancing"][name], value)
        for losses, own in zip(
            expected["losses"], result["losses"], strict=True
        ):
            assert own == pytest.approx(losses, rel=1e-4, abs=1e-5)
        # Both processes use all experts, but one of them never that one.
        for shares in result["shares"]:
            for task in ("enhance", "emotion"):
                assert (shares[task][LONELY_EXPERT] > 0) == (rank == 0)
    moved = [
        (value - expected["initial"][name]).abs().max()
        for name, value in expected["weights"].items()
    ]
    assert max(moved) > 1e-3


@pytest.mark.parametrize("name", VARIANTS)
def test_every_trained_parameter_has_a_gradient(monkeypatch, name):
    # Else the processes would wait for it, without find_unused_parameters.
    model = make_variant(monkeypatch, name).train()
    noisy = torch.randn(2, 4000, generator=torch.Generator().manual_seed(0))
    output = model(noisy, torch.tensor([1.0, 0.5]))
    losses = dict(output.integration.auxiliary_losses)
    if EMOTION in model.tasks:
        losses[EMOTION] = output.logits.square().sum()
    if ENHANCE in model.tasks:
        losses[ENHANCE] = output.enhanced_log1p.square().sum()
    sum(losses.values()).backward()
    without = [
        name
        for name, parameter in model.named_parameters()
        if parameter.requires_grad and parameter.grad is None
    ]
    assert without == []
