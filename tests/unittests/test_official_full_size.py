"""The published system at full size, against what its code computes.

Needs the reference beside the repository, 8 GB of disk and 8 GB of memory:
`pytest -m long tests/unittests/test_official_full_size.py`.
"""

import importlib.util
import json
import tempfile
from pathlib import Path

import numpy as np
import pytest
import torch

from speechbrain_merit.export.official import import_official
from speechbrain_merit.inference import JointEnhancementClassifier

REFERENCE = Path(__file__).parents[3] / "shared" / "reference" / "official"
# Of the largest value; the published code's own rounding is near 1e-5.
TOLERANCE = 1e-4

pytestmark = [
    pytest.mark.long,
    pytest.mark.skipif(
        not REFERENCE.is_dir(), reason=f"{REFERENCE} is not there"
    ),
]


@pytest.fixture(scope="module")
def standin():
    """The reference's own generator of weights and waveforms."""
    spec = importlib.util.spec_from_file_location(
        "official_weights", REFERENCE / "weights.py"
    )
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def folder(standin):
    """The published files and the imported model; gone after the tests."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        standin.write_checkpoints(str(folder / "files"))
        import_official(folder / "files", folder / "model")
        yield folder


@pytest.fixture(scope="module")
def model(folder):
    """The imported model as our users load it."""
    return JointEnhancementClassifier.from_hparams(
        folder / "model",
        run_opts={"device": "cpu"},
        savedir=str(folder / "saved"),
    )


@pytest.fixture(scope="module")
def expected():
    """What the published code computes for waveform A."""
    with np.load(REFERENCE / "reference_A.npz") as arrays:
        return {name.removeprefix("A_"): arrays[name] for name in arrays}


@pytest.fixture(scope="module")
def output(model, expected):
    """What the imported model computes for it."""
    with torch.no_grad():
        return model.mods.model(torch.from_numpy(expected["wav"])[None])


def assert_near(found, reference):
    """Equal to so much of the largest value."""
    scale = np.abs(reference).max()
    np.testing.assert_allclose(
        np.asarray(found), reference, atol=TOLERANCE * scale, rtol=0
    )


def test_the_same_logits(output, expected):
    assert_near(output.logits[0], expected["emotion_logits"])


@pytest.mark.parametrize(
    ("task", "name"), [("enhance", "se"), ("emotion", "ser")]
)
def test_the_same_experts_and_features(output, expected, task, name):
    chosen = output.integration.routing[task].experts[0, :, 0].numpy()
    clear = expected[f"margin_{name}"] > 1e-4
    assert len(chosen) == expected["frames"]
    assert (chosen == expected[f"expert_{name}"])[clear].all()
    features = output.integration.features[task][0].mean(dim=0)
    assert_near(features, expected[f"feat_{name}_mean"])


def test_the_same_enhanced_speech(model, output, expected):
    spectrum = output.enhanced_log1p[0]
    assert len(spectrum) == expected["stft_frames"]
    assert_near(spectrum.mean(), expected["pred_log1p_mean"])
    assert_near(spectrum.mean(dim=0), expected["pred_log1p_bin_mean"])
    normalised = model.mods.model.frontend.synthesize(
        output.enhanced_log1p, output.spectrum
    )
    assert_near(normalised[0], expected["enhanced_norm"])
    result = model.process_batch(torch.from_numpy(expected["wav"]))
    assert_near(result.enhanced[0], expected["enhanced"])


def test_the_same_in_a_padded_batch(model, standin, expected):
    short, long = expected["wav"], standin.make_wave("B")
    batch = torch.zeros(2, len(long))
    batch[0, : len(short)] = torch.from_numpy(short)
    batch[1] = torch.from_numpy(long)
    lengths = torch.tensor([len(short) / len(long), 1.0])
    together = model.process_batch(batch, lengths)
    logits = torch.from_numpy(expected["emotion_logits"])
    assert_near(together.log_posteriors[0], logits.log_softmax(0).numpy())
    assert_near(together.enhanced[0, : len(short)], expected["enhanced"])
    alone = model.process_batch(batch[1])
    assert_near(together.log_posteriors[1], alone.log_posteriors[0].numpy())
    assert_near(together.enhanced[1], alone.enhanced[0].numpy())


def test_every_tensor_arrives(folder, model):
    """But for what BSSE-SE sums the states with, and nothing here does."""
    shapes = json.loads((REFERENCE / "shapes.json").read_text())
    kept = {
        value.numpy().tobytes() for value in model.mods.state_dict().values()
    }
    for file, entries in shapes.items():
        given = torch.load(
            folder / "files" / file, mmap=True, weights_only=True
        )
        for name, _ in entries:
            unused = name == "weights" or name.startswith("layer_norm.")
            arrived = given["model"][name].numpy().tobytes() in kept
            assert arrived != (file == "final_se.pt" and unused), name
