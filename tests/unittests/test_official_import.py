"""Published checkpoints run here as the published system does."""

import json
import pickle
import shutil
from pathlib import Path

import numpy as np
import pytest
import ruamel.yaml
import torch
from hostile import grown_mb
from official_stand_in import (
    FILES,
    Sizes,
    StandIn,
    make_stand_in,
    make_waveform,
    write_stand_in,
)

from speechbrain.inference.classifiers import EncoderClassifier
from speechbrain.inference.enhancement import WaveformEnhancement
from speechbrain_merit.command_line import main
from speechbrain_merit.export.official import import_official
from speechbrain_merit.inference import JointEnhancementClassifier
from speechbrain_merit.pretrained.folder import load_model

CPU = {"device": "cpu"}
SHARED = Path(__file__).parents[3] / "shared" / "reference" / "official"


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    """The published files of a small stand-in."""
    return write_stand_in(make_stand_in(), tmp_path_factory.mktemp("files"))


@pytest.fixture
def copied(files, tmp_path):
    """The same, to be changed."""
    return Path(shutil.copytree(files, tmp_path / "copied"))


def run(folder, waveform):
    """All that our inference and the model under it say."""
    loaded = JointEnhancementClassifier.from_hparams(folder, run_opts=CPU)
    result = loaded.process_batch(waveform)
    with torch.no_grad():
        output = loaded.mods.model(waveform.unsqueeze(0))
    return result, output


def assert_near(found, expected):
    """Equal to 1e-4 of the largest value."""
    scale = expected.abs().max().item()
    torch.testing.assert_close(
        found.double(), expected, atol=1e-4 * scale, rtol=0
    )


@pytest.mark.parametrize("num_samples", [400, 500, 8000, 16077])
@pytest.mark.parametrize(
    ("weight_norm", "dense", "num_experts"),
    [("new", False, 3), ("old", False, 5), ("new", True, 3), ("old", True, 2)],
)
def test_it_computes_what_the_published_system_does(
    tmp_path, num_samples, weight_norm, dense, num_experts
):
    sizes = Sizes(num_experts=num_experts)
    official = make_stand_in(sizes, weight_norm, dense)
    write_stand_in(official, tmp_path / "files")
    import_official(
        tmp_path / "files",
        tmp_path / "model",
        gate="dense" if dense else "sparse",
    )
    waveform = make_waveform(num_samples)
    expected = official(waveform)
    result, output = run(tmp_path / "model", waveform)
    assert_near(output.logits[0], expected["logits"])
    assert_near(result.log_posteriors[0], expected["logits"].log_softmax(dim=0))
    assert_near(result.enhanced[0], expected["enhanced"])
    assert_near(output.enhanced_log1p[0], expected["log1p"])
    for task, features, scores in zip(
        ("enhance", "emotion"),
        expected["features"],
        expected["scores"],
        strict=True,
    ):
        assert_near(output.integration.features[task][0], features)
        chosen = output.integration.routing[task].experts[0, :, 0]
        assert torch.equal(chosen, scores.argmax(dim=1))
        if num_samples > 8000:
            assert len(chosen.unique()) > 1


def test_nothing_depends_on_the_batch(files, tmp_path):
    import_official(files, tmp_path / "model")
    loaded = JointEnhancementClassifier.from_hparams(
        tmp_path / "model", run_opts=CPU
    )
    short, long = make_waveform(7003), make_waveform(16000, seed=1)
    # What is not zero as padding either.
    batch = torch.stack([torch.nn.functional.pad(short, (0, 8997), value=0.2)])
    batch = torch.cat([batch, long.unsqueeze(0)])
    together = loaded.process_batch(batch, torch.tensor([7003 / 16000, 1.0]))
    for row, waveform in enumerate([short, long]):
        expected = make_stand_in()(waveform)
        assert_near(
            together.log_posteriors[row],
            expected["logits"].log_softmax(dim=0),
        )
        enhanced = together.enhanced[row]
        assert_near(enhanced[: len(waveform)], expected["enhanced"])
        assert not enhanced[len(waveform) :].any()


def test_stock_speechbrain_loads_the_folder(files, tmp_path):
    import_official(files, tmp_path / "model")
    waveform = make_waveform(8000)
    expected = make_stand_in()(waveform)
    classifier = EncoderClassifier.from_hparams(
        str(tmp_path / "model"), run_opts=CPU
    )
    posteriors, _, _, labels = classifier.classify_batch(waveform[None])
    assert_near(posteriors[0], expected["logits"].log_softmax(dim=0))
    names = ["angry", "sad", "happy", "neutral"]
    assert labels == [names[expected["logits"].argmax()]]
    enhancer = WaveformEnhancement.from_hparams(
        str(tmp_path / "model"), run_opts=CPU
    )
    assert_near(enhancer.enhance_batch(waveform[None])[0], expected["enhanced"])


def test_the_command_makes_a_whole_folder(files, tmp_path, monkeypatch):
    # As the hub has them: in a folder of their own, beside others.
    source = tmp_path / "hub" / "author" / "model"
    shutil.copytree(files, source / "deep" / "er")
    (source / "README.md").write_text("not theirs")
    asked = []

    def download(repository, allow_patterns):
        asked.append((repository, set(allow_patterns)))
        return str(source)

    monkeypatch.setattr("huggingface_hub.snapshot_download", download)
    folder = tmp_path / "models" / "merit"
    command = ["import-official", "author/model", str(folder)]
    assert main([*command, "--license", "mit", "--gate", "dense"]) == 0
    ((repository, patterns),) = asked
    assert repository == "author/model"
    assert {"final_ssl.pt", "*/train_norm_stat.pkl"} < patterns
    assert sorted(path.name for path in folder.iterdir()) == [
        "README.md",
        "hyperparams.yaml",
        "label_encoder.ckpt",
        "model.safetensors",
    ]
    card = (folder / "README.md").read_text()
    _, head, text = card.split("---\n", maxsplit=2)
    head = ruamel.yaml.YAML(typ="safe").load(head)
    assert head["license"] == "mit"
    assert "Dense MERIT, imported from author/model" in text
    assert str(tmp_path) not in card + (folder / "hyperparams.yaml").read_text()
    # Nothing else is needed from now on.
    shutil.rmtree(tmp_path / "hub")
    moved = folder.rename(tmp_path / "moved")
    result, _ = run(moved, make_waveform(4000))
    expected = make_stand_in(dense=True)(make_waveform(4000))
    assert_near(result.enhanced[0], expected["enhanced"])
    assert main(["import-official", "author/model", str(moved)]) == 1


def test_bits_survive_that_arithmetic_would_lose(copied, tmp_path):
    bias = torch.tensor([-0.0, 1e-45, 3e38, 0.1])

    def edit(weights):
        weights["out.0.bias"] = bias

    change(copied / "final_ser.pt", edit)
    import_official(copied, tmp_path / "to")
    found = load_model(tmp_path / "to").emotion_head.output.bias
    assert torch.equal(found.view(torch.int32), bias.view(torch.int32))


def test_other_classes_have_to_be_named(tmp_path, caplog):
    official = make_stand_in(Sizes(num_classes=3))
    write_stand_in(official, tmp_path / "files")
    command = ["import-official", str(tmp_path / "files"), str(tmp_path / "to")]
    assert main(command) == 1
    assert "scores 3 emotions" in caplog.text
    assert not (tmp_path / "to").exists()
    assert main([*command, "--emotions", "calm", "sad", "sad"]) == 1
    assert main([*command, "--emotions", "calm", "sad", "angry"]) == 0
    result, _ = run(tmp_path / "to", make_waveform(4000))
    assert result.emotions == ["calm", "sad", "angry"]


def test_without_network_it_says_what_to_do(tmp_path, monkeypatch, caplog):
    def fail(*args, **kwargs):
        raise ConnectionError("no route to host")

    monkeypatch.setattr("huggingface_hub.snapshot_download", fail)
    assert main(["import-official", "author/model", str(tmp_path / "to")]) == 1
    for part in (
        "'author/model' is no folder here",
        "Without network",
        "route",
    ):
        assert part in caplog.text


def test_missing_and_doubled_files_are_named(copied, tmp_path):
    (copied / "final_ser.pt").unlink()
    (copied / "train_norm_stat.pkl").unlink()
    with pytest.raises(
        FileNotFoundError, match="lacks final_ser.pt, train_norm_stat.pkl"
    ):
        import_official(copied, tmp_path / "to")
    for place in ("a", "b"):
        (copied / place).mkdir()
        (copied / place / "final_ser.pt").touch()
    with pytest.raises(
        ValueError, match="final_ser.pt is there more than once"
    ):
        import_official(copied, tmp_path / "to")


def change(path, edit):
    """Edits the weights in a file."""
    contents = torch.load(path, weights_only=True)
    edit(contents["model"])
    torch.save(contents, path)


def test_all_wrong_tensors_are_in_one_error(copied, tmp_path):
    def encoder(weights):
        weights["encoder.layers.1.self_attn.relative_attention_bias.weight"] = (
            torch.zeros(20, 2)
        )
        del weights["encoder.layers.1.fc1.bias"]

    def mixture(weights):
        weights["experts.1.fc1.bias"] = torch.zeros(11)
        weights["experts.0.fc2.weight"] = torch.zeros(12, 10, 1)
        weights["experts.3.fc2.bias"] = torch.zeros(12)
        del weights["gates.0.fc.weight"]

    def enhancement(weights):
        weights["layer_norm.2.bias"] = torch.zeros(16, dtype=torch.int64)
        weights["lstm_enc.2.weight"] = torch.zeros(257, 6)

    change(copied / "final_ssl.pt", encoder)
    change(copied / "final_mmoe.pt", mixture)
    change(copied / "final_se.pt", enhancement)
    with pytest.raises(ValueError) as error:
        import_official(copied, tmp_path / "to")
    assert set(str(error.value).splitlines()[1:]) == {
        "final_ssl.pt: encoder.layers.1.fc1.bias is missing",
        "final_ssl.pt: encoder.layers.1.self_attn.relative_attention_bias."
        "weight is unknown",
        "final_mmoe.pt: experts.1.fc1.bias is [11], not [10]",
        "final_mmoe.pt: experts.0.fc2.weight is [12, 10, 1], not [12, 10]",
        "final_mmoe.pt: experts.3.fc2.bias is unknown",
        "final_mmoe.pt: gates.0.fc.weight is missing",
        "final_se.pt: layer_norm.2.bias is torch.int64, not of floating point",
        "final_se.pt: lstm_enc.2.weight is [257, 6], not [201, 6]",
    }
    assert not (tmp_path / "to").exists()


def test_a_gate_of_many_experts_takes_no_memory(copied, tmp_path):
    def edit(weights):
        for name in [n for n in weights if n.startswith("gates")]:
            weights[name] = torch.zeros(10**5, *weights[name].shape[1:])

    change(copied / "final_mmoe.pt", edit)

    def read():
        with pytest.raises(ValueError, match="more parts than the file"):
            import_official(copied, tmp_path / "to")

    assert grown_mb(read) < 300


def test_a_missing_expert_is_named(copied, tmp_path):
    def edit(weights):
        for leaf in ("fc1.weight", "fc1.bias", "fc2.weight", "fc2.bias"):
            del weights[f"experts.1.{leaf}"]

    change(copied / "final_mmoe.pt", edit)
    with pytest.raises(ValueError) as error:
        import_official(copied, tmp_path / "to")
    assert len(str(error.value).splitlines()) == 1 + 4
    assert str(error.value).count("experts.1.") == 4


def test_weight_norm_of_both_spellings_is_one_too_many(copied, tmp_path):
    def edit(weights):
        name = "encoder.pos_conv.0.parametrizations.weight.original0"
        weights["encoder.pos_conv.0.weight_g"] = weights[name]

    change(copied / "final_ssl.pt", edit)
    with pytest.raises(ValueError) as error:
        import_official(copied, tmp_path / "to")
    assert "weight_v is missing" in str(error.value)
    assert "original0 is unknown" in str(error.value)


@pytest.mark.parametrize(
    ("key", "value", "message"),
    [
        ("extractor_mode", "default", "extractor_mode 'default'"),
        ("layer_norm_first", False, "layer_norm_first False"),
        ("conv_feature_layers", "__import__('os')", "no sum of lists"),
        ("conv_feature_layers", "[(1, 1, 1)]" + " * 99" * 9, "1 to 100"),
        ("conv_feature_layers", "[(8, 10)]", "three whole numbers"),
        ("conv_pos", None, "lacks conv_pos"),
    ],
)
def test_other_encoders_are_refused(copied, tmp_path, key, value, message):
    path = copied / "WavLM-Large.pt"
    contents = torch.load(path, weights_only=True)
    contents["cfg"][key] = value
    if value is None:
        del contents["cfg"][key]
    torch.save(contents, path)
    with pytest.raises(ValueError, match=message):
        import_official(copied, tmp_path / "to")


def test_the_gate_is_one_of_two(files, tmp_path):
    with pytest.raises(ValueError, match="gate 'top2'"):
        import_official(files, tmp_path / "to", gate="top2")


def test_half_precision_and_old_pickles_do(copied, tmp_path):
    contents = torch.load(copied / "final_ser.pt", weights_only=True)
    contents["model"] = {k: v.half() for k, v in contents["model"].items()}
    torch.save(contents, copied / "final_ser.pt")
    # As NumPy 1 names it.
    pickled = pickle.dumps((np.float64(0.25), np.float32(2.0)), protocol=2)
    pickled = pickled.replace(b"numpy._core", b"numpy.core")
    assert b"numpy.core.multiarray" in pickled
    # Protocol 2 writes bytes as a call of codecs, so that it is not read.
    (copied / "train_norm_stat.pkl").write_bytes(pickled)
    with pytest.raises(ValueError, match="_codecs"):
        import_official(copied, tmp_path / "to")
    pickled = pickle.dumps((np.float64(0.25), np.float32(2.0)), protocol=3)
    pickled = pickled.replace(b"numpy._core", b"numpy.core")
    (copied / "train_norm_stat.pkl").write_bytes(pickled)
    import_official(copied, tmp_path / "to")
    result, output = run(tmp_path / "to", make_waveform(4000))
    assert output.statistics.mean.item() == 0.25
    assert output.logits.isfinite().all()


@pytest.mark.skipif(not SHARED.is_dir(), reason="needs the reference's list")
def test_the_stand_in_has_the_published_names():
    published = json.loads((SHARED / "shapes.json").read_text())
    sizes = Sizes(
        num_layers=24,
        width=1024,
        inner=4096,
        heads=16,
        channels=512,
        conv_pos=128,
        conv_pos_groups=16,
        num_buckets=320,
        num_experts=3,
        expert_hidden=4096,
        features=1024,
        mask_hidden=256,
        emotion_hidden=1024,
    )
    with torch.device("meta"):
        model = StandIn(sizes)
    for part, file in FILES.items():
        found = getattr(model, part).state_dict()
        assert [[n, list(v.shape)] for n, v in found.items()] == published[file]
