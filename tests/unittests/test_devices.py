"""Devices as PyTorch's users name them; what is not there is refused."""

from types import SimpleNamespace

import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_iter
from toy_model import write_experiment

from speechbrain.utils.run_opts import RunOptions
from speechbrain_merit.command_line import main
from speechbrain_merit.inference import JointEnhancementClassifier
from speechbrain_merit.inference.devices import device_name, with_device_name


@pytest.fixture
def any_device(monkeypatch):
    """Lets PyTorch take any device, the second GPU being the current one."""

    def empty(size, device):
        found = torch.device(device)
        index = 1 if found.index is None else found.index
        return SimpleNamespace(device=torch.device(found.type, index))

    monkeypatch.setattr(torch, "empty", empty)


@pytest.fixture
def only_cpu(monkeypatch):
    """Lets PyTorch have nothing but a CPU."""
    empty = torch.empty

    def refuse(*size, device=None, **options):
        if device is not None and torch.device(device).type != "cpu":
            raise RuntimeError("Found no NVIDIA driver on your system.")
        return empty(*size, device=device, **options)

    monkeypatch.setattr(torch, "empty", refuse)


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ("cpu", "cpu"),
        ("cpu:0", "cpu"),
        ("cuda", "cuda:1"),
        ("cuda:0", "cuda:0"),
        ("mps", "mps"),
        ("mps:0", "mps"),
        ("xpu:1", "xpu:1"),
    ],
)
def test_names(any_device, given, expected):
    assert device_name(given) == expected
    assert device_name(torch.device(given)) == expected


@pytest.mark.parametrize("given", ["cuda", "cuda:0", "mps", "gpu", "", 1.5])
def test_what_is_not_there_is_refused(only_cpu, given):
    with pytest.raises(ValueError, match=f"no device '{given}' here: use e.g."):
        device_name(given)


def test_options_of_every_form(any_device):
    device = torch.device("cuda:1")
    given = {"device": device, "precision": "bf16"}
    assert with_device_name(given) == {**given, "device": "cuda:1"}
    assert given["device"] is device
    options = with_device_name(RunOptions.from_dictionary(given))
    assert (options.device, options.precision) == ("cuda:1", "bf16")
    assert options.overridden_args == {"device", "precision"}
    for nothing in (None, {}, {"device": None}, RunOptions()):
        assert with_device_name(nothing) == nothing


@pytest.mark.parametrize("device", ["cpu", "cpu:0", torch.device("cpu")])
def test_a_model_is_loaded_there(tmp_path, device):
    write_experiment(tmp_path)
    for run_opts in (
        {"device": device},
        RunOptions.from_dictionary({"device": device}),
    ):
        model = JointEnhancementClassifier.from_hparams(
            tmp_path, run_opts=run_opts
        )
        assert model.device == "cpu"
        assert model.classify_batch(torch.zeros(1, 800))[0].device.type == "cpu"


def test_the_command_refuses_in_words(only_cpu, tmp_path, caplog):
    write_experiment(tmp_path / "model")
    command = ["process", "a.wav", "--model", str(tmp_path / "model")]
    assert main([*command, "--device", "cuda:3"]) == 1
    assert "There is no device 'cuda:3' here" in caplog.text


class NoDoubles(TorchDispatchMode):
    """Refuses signals in float64, which MPS does not have.

    Lengths may be in float64: they are moved to the CPU for it, which nothing
    tells here.
    """

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        result = func(*args, **(kwargs or {}))
        for tensor in tree_iter((args, result)):
            if isinstance(tensor, torch.Tensor) and tensor.ndim > 1:
                assert tensor.dtype != torch.float64, func
        return result


def test_no_signal_becomes_float64(tmp_path):
    model = write_experiment(tmp_path, "utterance")
    with NoDoubles(), torch.no_grad():
        lengths = torch.tensor([1.0, 0.5])
        output = model(torch.rand(2, 8000), lengths)
        model.enhanced_waveform(output, lengths)
