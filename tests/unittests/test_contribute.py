"""tools/contribute.py: what it makes is what the plugin does.

Authors
 * The speechbrain-merit developers 2026
"""

import ast
import importlib.util
import json
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest
import torch
from hyperpyyaml import load_hyperpyyaml
from transformers import WhisperConfig, WhisperFeatureExtractor, WhisperModel

import speechbrain as sb
from speechbrain.dataio import audio_io
from speechbrain.dataio.batch import PaddedBatch
from speechbrain_merit.data.manifests import read_manifest
from speechbrain_merit.data.mixing import NoiseSource, plan_mixtures
from speechbrain_merit.lobes import (
    AttentiveStatisticsPooling,
    EmotionHead,
    JointModel,
    SparseMoE,
    SpectralFrontend,
    SpectralMaskHead,
    SpeechEncoder,
    WeightedSumIntegrator,
)
from speechbrain_merit.losses.task_losses import class_weights, emotion_loss
from tools import contribute
from tools.contribution import stand_ins
from tools.contribution.flattening import Flattening

RECIPE = contribute.TEMPLATES / "recipe" / contribute.RECIPE
EMOTIONS = ["angry", "sad", "happy", "neutral"]


# Modules as the tests have them, by their names in SpeechBrain.
NAMES = {
    contribute.LOBE: "made_lobe",
    "speechbrain.integrations.huggingface.": "patched_",
}


def renamed(text: str) -> str:
    """Lets a text use the tests' modules."""
    for old, new in NAMES.items():
        text = text.replace(old, new)
    return text


def module_of(name: str, text: str) -> ModuleType:
    """Runs the text of a module."""
    module = ModuleType(name)
    sys.modules[name] = module
    exec(compile(renamed(text), name, "exec"), vars(module))
    return module


@pytest.fixture(scope="module")
def patched(tmp_path_factory):
    """The installed encoder of Whisper with the patches."""
    top = tmp_path_factory.mktemp("patched")
    folder = "speechbrain/integrations/huggingface"
    installed = Path(sb.__file__).parents[1] / folder
    (top / folder).mkdir(parents=True)
    for path in installed.glob("*.py"):
        (top / folder / path.name).write_text(path.read_text("utf-8"))
    for patch in sorted((contribute.TEMPLATES / "lobe").glob("*.patch")):
        # Without a repository around it, git leaves none out.
        subprocess.run(
            ["git", "apply", str(patch)],
            cwd=top,
            check=True,
            env={"GIT_CEILING_DIRECTORIES": str(top.parent)},
        )
    for name in ("huggingface", "whisper"):
        text = (top / folder / f"{name}.py").read_text("utf-8")
        module = module_of(f"patched_{name}", text)
    yield module
    del sys.modules["patched_huggingface"], sys.modules["patched_whisper"]


@pytest.fixture(scope="module")
def whisper_folder(tmp_path_factory):
    """A tiny Whisper."""
    folder = tmp_path_factory.mktemp("whisper")
    torch.manual_seed(0)
    config = WhisperConfig(
        d_model=16,
        encoder_layers=2,
        decoder_layers=1,
        encoder_attention_heads=2,
        decoder_attention_heads=2,
        encoder_ffn_dim=32,
        decoder_ffn_dim=32,
        vocab_size=16,
        pad_token_id=0,
        bos_token_id=1,
        eos_token_id=2,
        decoder_start_token_id=1,
    )
    WhisperModel(config).save_pretrained(folder)
    WhisperFeatureExtractor().save_pretrained(folder)
    return str(folder)


@pytest.fixture
def recipe():
    """The recipe's train.py, with what it imports."""
    module_of("made_lobe", contribute.lobe())
    module_of("weighted_sum", contribute.weighted_sum())
    spec = importlib.util.spec_from_file_location(
        "recipe_train", RECIPE / "train.py"
    )
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    yield module
    del sys.modules["weighted_sum"], sys.modules["made_lobe"]


def loaded(variant: str, encoder: str, tmp_path: Path) -> dict:
    """Builds a YAML file that is made, at a small size."""
    overrides = {
        "data_folder": "",
        "noise_folder": "",
        "output_folder": str(tmp_path),
        "encoder_source": encoder,
        "encoder_save_path": encoder,
        "encoder_num_layers": 3,
        "encoder_size": 16,
        "mask_hidden_size": 16,
        "emotion_hidden_size": 16,
    }
    if variant == "sparse_merit":
        overrides |= {"expert_hidden_size": 16, "feature_size": 8}
    text = renamed(contribute.hyperparameters(variant))
    return load_hyperpyyaml(text, json.dumps(overrides))


def batch_of() -> PaddedBatch:
    """Two mixtures that are silent at their ends, as trimmed speech nearly
    is: upstream's spectra have zeros beyond them, ours their reflection."""
    torch.manual_seed(1)
    items = []
    for number, length in enumerate((9600, 6400)):
        clean, noise = 0.1 * torch.randn(2, length)
        for signal in (clean, noise):
            signal[:800], signal[-800:] = 0.0, 0.0
        items.append(
            {
                "id": str(number),
                "noisy": clean + noise,
                "clean": clean,
                "emotion_index": torch.tensor([2 * number]),
            }
        )
    return PaddedBatch(items)


@pytest.mark.parametrize("variant", ["sparse_merit", "naive_mtl"])
def test_losses_of_one_batch(
    variant, recipe, patched, whisper_folder, tmp_path
):
    hparams = loaded(variant, whisper_folder, tmp_path)
    labels = ["angry", "sad", "happy", "happy", "neutral"]
    weights = class_weights(labels, EMOTIONS)
    hparams["class_weights"] = torch.tensor(weights)
    hparams["label_encoder"].update_from_iterable(EMOTIONS)
    brain = recipe.JointBrain(
        modules=hparams["modules"],
        opt_class=hparams["opt_class"],
        hparams=hparams,
        run_opts={"device": "cpu"},
    )
    encoder = SpeechEncoder(whisper_folder, freeze="all", standardize=True)
    batch = batch_of()
    encoder.fit_standardization([batch.noisy])
    statistics = encoder.standardization
    normalizer = hparams["normalizer"]
    normalizer.glob_mean = statistics.mean.flatten()
    normalizer.glob_std = statistics.std.flatten()
    if variant == "sparse_merit":
        integrator = SparseMoE(3, 16, hidden_size=16, output_size=8)
    else:
        integrator = WeightedSumIntegrator(3, 16)
    size = integrator.output_size
    model = JointModel(
        encoder,
        integrator,
        SpectralFrontend(),
        SpectralMaskHead(size, hidden_size=16),
        EmotionHead(AttentiveStatisticsPooling(size), 4, hidden_size=16),
    ).eval()
    for name in ("integrator", "enhancement_head", "emotion_head"):
        state = hparams[name].state_dict()
        getattr(model, name).load_state_dict(state)

    brain.on_stage_start(sb.Stage.VALID)
    brain.modules.eval()
    with torch.no_grad():
        found = brain.compute_forward(batch, sb.Stage.VALID)
        loss = brain.compute_objectives(found, batch, sb.Stage.VALID)
        output = model(*batch.noisy)
        target = model.target_log1p(*batch.clean, output)
        losses = {
            **output.integration.auxiliary_losses,
            "enhance": sb.nnet.losses.l1_loss(
                output.enhanced_log1p, target, output.spectrum.lengths
            ),
            "emotion": emotion_loss(
                output.logits,
                batch.emotion_index.data.squeeze(1),
                torch.tensor(weights),
            ),
        }
    torch.testing.assert_close(
        found["logits"], output.logits, atol=1e-4, rtol=1e-3
    )
    expected = sum(
        hparams["loss_weights"][name] * value for name, value in losses.items()
    )
    torch.testing.assert_close(loss, expected, atol=1e-3, rtol=1e-3)


def test_encoder_with_patches_is_the_plugins(patched, whisper_folder):
    upstream = patched.Whisper(
        whisper_folder,
        whisper_folder,
        encoder_only=True,
        freeze=True,
        output_all_hiddens=True,
        norm_last_hidden=False,
    ).eval()
    batch = batch_of()
    states = upstream(batch.noisy.data, wav_lens=batch.noisy.lengths)
    ours = SpeechEncoder(whisper_folder, freeze="all")(*batch.noisy)
    for row, count in enumerate(ours.counts.tolist()):
        torch.testing.assert_close(
            states[:, row, :count],
            ours.hidden_states[:, row, :count],
            atol=1e-4,
            rtol=1e-3,
        )


def test_noise_is_added_at_the_level_of_the_target(
    recipe, patched, whisper_folder, tmp_path
):
    hparams = loaded("naive_mtl", whisper_folder, tmp_path)
    audio_io.save(str(tmp_path / "n.wav"), 0.1 * torch.randn(1, 66150), 44100)
    noises = dict.fromkeys(
        ("train", "valid", "seen", "unseen"),
        {"n": {"wav": "{noise_root}/n.wav", "duration_s": 1.5}},
    )
    speech = dict.fromkeys(("train", "valid", "test"), {"a": {}})
    stand_ins.write_manifests(speech, noises, tmp_path / "manifests")
    hparams["noise_adder"].replacements = {"noise_folder": str(tmp_path)}
    hparams["clean_probability"] = 0.0
    brain = recipe.JointBrain(hparams=hparams, run_opts={"device": "cpu"})
    clean, lens = 0.01 * torch.randn(3, 16000), torch.tensor([1.0, 1.0, 0.5])
    clean[2, 8000:] = 0.0
    torch.manual_seed(3)
    noisy, target = brain.add_noise(clean, lens)
    torch.manual_seed(3)
    snrs_db = -7.5 + 20 * torch.rand(2, 3, 1)[0, :, 0]
    assert torch.equal(target, clean)
    assert not noisy[2, 8000:].any()
    power = [x.square().mean(dim=1) for x in (target, noisy - target)]
    ratios_db = 10 * torch.log10(power[0] / power[1])
    torch.testing.assert_close(ratios_db, snrs_db, atol=0.2, rtol=0)


def test_mixtures_are_those_of_the_plugin(tmp_path):
    torch.manual_seed(0)
    folder, noise_folder = tmp_path / "manifests", tmp_path / "noise"
    noise_folder.mkdir()
    recordings = {}
    for number in range(6):
        noise = 0.1 * torch.randn(1, 22050 + 8820 * number)
        # Many recordings of ESC-10 end in silence.
        noise[:, 20000:] *= number % 2
        path = noise_folder / f"n{number}.wav"
        audio_io.save(str(path), noise, 44100)
        recordings[f"n{number}"] = {
            "wav": "{noise_root}/" + path.name,
            "duration_s": noise.shape[1] / 44100,
            "noise_type": "rain",
        }
    utterance = {"wav": "{data_root}/a.wav", "start_s": 0.0, "speaker": "s"}
    speech = {
        f"u{number}": {**utterance, "duration_s": 0.4, "emotion": "sad"}
        for number in range(4)
    }
    stand_ins.write_manifests(
        dict.fromkeys(("train", "valid", "test"), speech),
        dict.fromkeys(("train", "valid", "seen", "unseen"), recordings),
        folder,
    )
    stand_ins.plan_mixtures(folder, noise_folder, 16000, [5], [-5, 0], 7)
    source = NoiseSource(folder / "noise_seen.json", str(noise_folder), 16000)
    plan_mixtures(
        tmp_path / "plan.json",
        folder / "test.json",
        {"seen": source, "unseen": source},
        [-5, 0],
        7,
        12.0,
    )
    ours = read_manifest(tmp_path / "plan.json")
    theirs = read_manifest(folder / "mixtures_test.json")
    assert list(ours) == list(theirs)
    for name, fields in ours.items():
        wav = None
        if fields["noise"] is not None:
            wav = recordings[fields["noise"]]["wav"]
        found = theirs[name]
        assert found["noise"] == wav
        assert found["noise_start"] == fields["noise_offset"]
        assert found["snr_db"] == fields["snr_db"]


@pytest.mark.parametrize("variant", ["sparse_merit", "naive_mtl"])
def test_yaml_has_what_is_run(variant):
    text = contribute.hyperparameters(variant)
    assert "speechbrain_merit." not in text and "base:" not in text
    assert ": true" not in text and ": false" not in text
    plugin = contribute.compose(
        contribute.ROOT / "hparams" / f"{variant}.yaml",
        "corpus: RAVDESS",
        contribute.ROOT,
    ).tree
    values = contribute.compose(RECIPE / "hparams" / f"{variant}.yaml").tree
    empty = {key for key, value in values.items() if value is None}
    assert {"lr", "loss_weights", "label_smoothing", "emotions"} <= empty
    speeds = values["speed_perturb"]["speeds"]
    assert speeds == plugin["speed_perturb"]["speeds"]


SOURCE = '''
import math
from dataclasses import dataclass

LIMIT = 3


# Where it comes from.
@dataclass
class Point:
    """A point."""

    x: float
    names: dict[str, int]

    def norm(self, scale: float = 1.0) -> float:
        """Its length."""
        total: float = 0.0
        for value, _ in zip([self.x], [1], strict=True):
            total += value * scale
        return math.sqrt(total)

    def unused(self) -> None:
        """Nothing."""


def inside(x: float) -> bool:
    """Whether it is."""
    return Point(x, {}).norm() < LIMIT


def alone() -> None:
    """Not needed."""
'''


EXPECTED = '''"""Points.
"""
from dataclasses import dataclass
import math

LIMIT = 3


@dataclass
class Point:
    """A point."""

    x: float
    names: dict

    def norm(self, scale=1.0):
        """Its length."""
        total = 0.0
        for value, _ in zip([self.x], [1]):
            total += value * scale
        return math.sqrt(total)


def inside(x):
    """Whether it is."""
    return Point(x, {}).norm() < LIMIT
'''


def flattening(tmp_path: Path, **options) -> Flattening:
    """Looks for modules in a folder."""
    (tmp_path / "ours").mkdir(exist_ok=True)
    (tmp_path / "ours" / "__init__.py").write_text("from .points import inside")
    (tmp_path / "ours" / "points.py").write_text(SOURCE)
    return Flattening([tmp_path], **options)


def test_flattening_takes_what_is_needed(tmp_path):
    flat = flattening(tmp_path, dropped=["Point.unused"])
    flat.add("ours", "inside")
    text = flat.text("Points.")
    assert "# Where it comes from.\n@dataclass\n" in text
    # Without what Python 3.8 has not, and in the order of need.
    assert ast.unparse(ast.parse(text)) == ast.unparse(ast.parse(EXPECTED))


def test_flattening_refuses_two_of_one_name(tmp_path):
    flat = flattening(tmp_path)
    (tmp_path / "other.py").write_text(
        "LIMIT = 4\n\ndef f():\n    return LIMIT"
    )
    flat.add("ours.points", "inside")
    with pytest.raises(ValueError, match="other has another LIMIT"):
        flat.add("other", "f")


def test_flattening_takes_stand_ins(tmp_path):
    (tmp_path / "stand_ins.py").write_text("LIMIT = 5\n")
    flat = flattening(tmp_path, stand_ins="stand_ins")
    flat.add("ours.points", "inside")
    assert "LIMIT = 5" in flat.text("") and "LIMIT = 3" not in flat.text("")


@pytest.fixture
def checkout(tmp_path):
    """What the tool needs of a checkout of SpeechBrain, with git."""
    top = tmp_path / "speechbrain"
    folder = "speechbrain/integrations/huggingface"
    installed = Path(sb.__file__).parents[1] / folder
    (top / folder).mkdir(parents=True)
    (top / "pyproject.toml").write_text("[tool.ruff]\nline-length = 80\n")
    (top / "speechbrain" / "core.py").write_text('"""Core."""\n')
    for path in installed.glob("*.py"):
        (top / folder / path.name).write_text(path.read_text("utf-8"))
    git = ["git", "-c", "user.name=a", "-c", "user.email=a@b"]
    for command in (["init", "-q"], ["add", "."], ["commit", "-q", "-m", "a"]):
        subprocess.run([*git, *command], cwd=top, check=True)
    for key, value in (("name", "a"), ("email", "a@b")):
        subprocess.run([*git, "config", f"user.{key}", value], cwd=top)
    return top


def test_three_branches(checkout, capsys):
    contribute.main([str(checkout)])
    said = capsys.readouterr().out
    lobe = checkout / (contribute.LOBE.replace(".", "/") + ".py")
    assert lobe.read_text("utf-8").count("\n") < 900
    assert (checkout / contribute.RECIPE / "ravdess_prepare.py").is_symlink()
    script = checkout / contribute.RECIPE / "train.py"
    assert script.read_text("utf-8").count("\n") <= 500
    for branch in contribute.BRANCHES:
        name = f"sparse-merit-{branch}"
        assert name in said
        log = contribute.run(checkout, "git", "log", "--format=%s", name)
        assert log.count("\n") > 1
    # A maintainer finds nothing of the plugin in what is offered.
    files = contribute.run(checkout, "git", "ls-files").split()
    for place in files:
        if not (checkout / place).is_symlink():
            text = (checkout / place).read_text("utf-8")
            assert "speechbrain_merit" not in text, place


def test_nothing_is_overwritten(checkout):
    place = checkout / (contribute.LOBE.replace(".", "/") + ".py")
    place.parent.mkdir(parents=True)
    place.write_text('"""Mine."""\n')
    contribute.run(checkout, "git", "add", ".")
    contribute.run(checkout, "git", "commit", "-q", "-m", "b")
    with pytest.raises(SystemExit):
        contribute.main([str(checkout)])
    assert place.read_text("utf-8") == '"""Mine."""\n'


@pytest.mark.parametrize("fault", ["no checkout", "changes"])
def test_faults_are_named(fault, checkout, capsys):
    if fault == "changes":
        (checkout / "new.txt").write_text("a")
    else:
        (checkout / "speechbrain" / "core.py").unlink()
    with pytest.raises(SystemExit):
        contribute.main([str(checkout)])
    assert fault in capsys.readouterr().err
