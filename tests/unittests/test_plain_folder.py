"""A model as plain data: the same model, and nothing else in it is run."""

import functools
import json
import os
import pickle
import shutil

import pytest
import safetensors.torch
import soundfile
import torch
from small_variants import VARIANTS, make_variant
from toy_model import EMOTIONS, write_experiment

import speechbrain_merit.inference.joint as joint
from speechbrain_merit.command_line import main
from speechbrain_merit.inference import JointEnhancementClassifier
from speechbrain_merit.lobes import (
    EnhanceThenClassify,
    JointModel,
    MeanPooling,
    SpeechEncoder,
)
from speechbrain_merit.pretrained.plain import (
    read_plain_folder,
    write_plain_folder,
)
from speechbrain_merit.pretrained.plain.description import build, describe

CPU = {"device": "cpu"}


@pytest.fixture
def make(monkeypatch):
    """Makes a small model of any variant."""
    return functools.partial(make_variant, monkeypatch)


def outputs(model):
    generator = torch.Generator().manual_seed(1)
    noisy = 0.1 * torch.randn(2, 8000, generator=generator)
    with torch.no_grad():
        output = model(noisy, torch.tensor([1.0, 0.7]))
    return [
        found
        for found in (output.logits, output.enhanced_log1p)
        if found is not None
    ]


def assert_same_model(found, expected, folder):
    for one, other in zip(outputs(found), outputs(expected), strict=True):
        torch.testing.assert_close(one, other, atol=1e-6, rtol=1e-6)
    weights = expected.state_dict()
    assert found.state_dict().keys() == weights.keys()
    for name, tensor in found.state_dict().items():
        assert torch.equal(tensor, weights[name]), name
    for path in folder.iterdir():
        assert not path.name.endswith(".partial")


@pytest.mark.parametrize("name", VARIANTS)
def test_every_variant(make, tmp_path, name):
    model = make(name)
    write_plain_folder(tmp_path, model, EMOTIONS, 16000)
    plain = read_plain_folder(tmp_path)
    assert_same_model(plain.model, model, tmp_path)
    assert plain.emotions == EMOTIONS
    assert plain.sample_rate_hz == 16000
    assert not any(module.training for module in plain.model.modules())
    # All that a description says is plain, and comes back from the model.
    assert (
        describe(plain.model)
        == json.loads((tmp_path / "model.json").read_text())["model"]
    )


@pytest.mark.parametrize(
    "options",
    [
        {"top_k": 2, "router_learning": "probability"},
        {"pooling_kind": "mean", "standardize_hidden_states": True},
        {
            "normalization_mode": "corpus",
            "normalization_mean": 0.01,
            "normalization_std": 0.2,
        },
    ],
)
def test_every_option(make, tmp_path, options):
    model = make("sparse_merit", **options)
    write_plain_folder(tmp_path, model, EMOTIONS, 16000)
    plain = read_plain_folder(tmp_path)
    assert_same_model(plain.model, model, tmp_path)


CONVOLUTIONS = {
    "hidden_size": 16,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "intermediate_size": 24,
    "hidden_act": "relu",
    "conv_dim": [8, 8],
    "conv_kernel": [400, 1],
    "conv_stride": [320, 1],
    "num_conv_pos_embeddings": 4,
    "num_conv_pos_embedding_groups": 2,
    "layer_norm_eps": 1e-3,
}
ENCODERS = {
    "wavlm": {"num_buckets": 32, "max_bucket_distance": 80},
    "wav2vec2": {"adapter_attn_dim": 4, "do_stable_layer_norm": True},
    "hubert": {"feat_proj_layer_norm": False, "conv_pos_batch_norm": True},
}


@pytest.mark.parametrize("norm", ["group", "layer"])
@pytest.mark.parametrize("model_type", ENCODERS)
def test_every_encoder(model_type, norm):
    config = {
        "model_type": model_type,
        "feat_extract_norm": norm,
        "mask_time_prob": 0.0 if norm == "group" else 0.1,
        **CONVOLUTIONS,
        **ENCODERS[model_type],
    }
    check_encoder(SpeechEncoder(config=config).eval())


def test_whisper_without_its_decoder():
    config = {
        "model_type": "whisper",
        "d_model": 16,
        "encoder_layers": 2,
        "encoder_attention_heads": 2,
        "encoder_ffn_dim": 24,
        "num_mel_bins": 20,
        "max_source_positions": 100,
        "activation_function": "relu",
        "vocab_size": 60,
        "decoder_layers": 1,
        "decoder_attention_heads": 2,
        "pad_token_id": 0,
    }
    check_encoder(SpeechEncoder(config=config).eval())


def check_encoder(encoder):
    description = json.loads(json.dumps(describe(encoder)))
    rebuilt = build(description, ["SpeechEncoder"]).eval()
    rebuilt.load_state_dict(encoder.state_dict())
    generator = torch.Generator().manual_seed(0)
    waveform = torch.randn(2, 6400, generator=generator)
    with torch.no_grad():
        torch.testing.assert_close(
            rebuilt(waveform).hidden_states, encoder(waveform).hidden_states
        )


# ------------------------------------------------------ interface and command


@pytest.fixture(scope="module")
def experiment(tmp_path_factory):
    """A toy experiment, and in `exported` what is made of it for others."""
    folder = tmp_path_factory.mktemp("experiment")
    write_experiment(folder, "utterance")
    results = {"system": "s", "corpus": "c", "fold": 0, "seed": 1}
    results.update(conditions=[], routing=None)
    (folder / "results.json").write_text(json.dumps(results))
    assert main(["export", str(folder), str(folder / "exported")]) == 0
    return folder


@pytest.fixture
def exported(experiment, tmp_path):
    """A copy to do things to."""
    return shutil.copytree(experiment / "exported", tmp_path / "exported")


def test_the_interface_is_the_same(exported):
    ours = JointEnhancementClassifier.from_hparams(exported, run_opts=CPU)
    plain = JointEnhancementClassifier.from_plain(exported, run_opts=CPU)
    noisy = torch.linspace(-1, 1, 8000)
    expected, found = ours.process_batch(noisy), plain.process_batch(noisy)
    torch.testing.assert_close(found.enhanced, expected.enhanced)
    torch.testing.assert_close(found.log_posteriors, expected.log_posteriors)
    assert found.labels == expected.labels and plain.emotions == EMOTIONS
    torch.testing.assert_close(
        plain.encode_batch(noisy[None]), ours.encode_batch(noisy[None])
    )


def test_two_files_are_all_that_is_needed(exported, tmp_path):
    for name in ("model.json", "model.safetensors"):
        (tmp_path / "two").mkdir(exist_ok=True)
        shutil.copy(exported / name, tmp_path / "two")
    JointEnhancementClassifier.from_plain(tmp_path / "two", run_opts=CPU)
    (tmp_path / "two" / "model.safetensors").unlink()
    with pytest.raises(FileNotFoundError, match=r"lacks model.safetensors"):
        JointEnhancementClassifier.from_plain(tmp_path / "two", run_opts=CPU)


def test_the_hub_gives_these_two(exported, monkeypatch):
    asked = []

    def fetch(name, source, savedir):
        asked.append((name, source, savedir))
        return exported / name

    monkeypatch.setattr(joint, "fetch", fetch)
    JointEnhancementClassifier.from_plain("who/model", "here", run_opts=CPU)
    assert asked == [
        ("model.json", "who/model", "here"),
        ("model.safetensors", "who/model", "here"),
    ]


class Touch:
    """Makes a file when it is unpickled."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return os.system, (f"touch {self.path}",)


@pytest.fixture
def traps(exported, tmp_path):
    """Makes every other file of the folder one that would run something."""
    sprung = tmp_path / "sprung"
    (exported / "hyperparams.yaml").write_text(
        f"trap: !apply:os.system ['touch {sprung}']\n"
    )
    for name in ("model.ckpt", "label_encoder.ckpt"):
        (exported / name).write_bytes(pickle.dumps(Touch(sprung)))
    for name in ("json.py", "speechbrain_merit.py", "__init__.py"):
        (exported / name).write_text(f"open({str(sprung)!r}, 'w')")
    return sprung


def test_nothing_of_the_folder_is_run(exported, traps, tmp_path, monkeypatch):
    monkeypatch.chdir(exported)
    model = JointEnhancementClassifier.from_plain(exported, run_opts=CPU)
    samples = 0.1 * torch.sin(torch.arange(8000) / 10)
    assert model.process_batch(samples).labels[0] in EMOTIONS
    path = tmp_path / "noisy.wav"
    soundfile.write(path, samples.numpy(), 16000)
    command = ["process", str(path), "--model", str(exported), "--safe"]
    assert main([*command, "--device", "cpu"]) == 0
    assert not traps.exists()
    # The traps are good ones.
    pickle.loads((exported / "model.ckpt").read_bytes())
    assert traps.exists()
    traps.unlink()
    with pytest.raises(KeyError):
        main([part for part in command if part != "--safe"])
    assert traps.exists()


@pytest.mark.parametrize("name", ["model.json", "model.safetensors"])
def test_a_pickle_by_another_name_is_refused(exported, traps, name):
    shutil.copy(exported / "model.ckpt", exported / name)
    with pytest.raises(ValueError, match=f"{name} is no"):
        JointEnhancementClassifier.from_plain(exported, run_opts=CPU)
    torch.save({"weights": Touch(traps)}, exported / name)
    with pytest.raises(ValueError, match=f"{name} is no"):
        JointEnhancementClassifier.from_plain(exported, run_opts=CPU)
    assert not traps.exists()


# ----------------------------------------------------------------- strictness


def change(exported, *keys, **values):
    """Changes the mapping that lies under keys of model.json."""
    path = exported / "model.json"
    plain = json.loads(path.read_text())
    place = plain
    for key in keys:
        place = place[key]
    for key, value in values.items():
        if value is KeyError:
            del place[key]
        else:
            place[key] = value
    path.write_text(json.dumps(plain))


CHANGES = [
    ([], {"format": "speechbrain-merit 2"}, "format"),
    ([], {"emotions": ["../../etc", "b", "c", "d"]}, r"\.\./\.\./etc"),
    ([], {"emotions": ["<script>", "b", "c", "d"]}, "emotions"),
    ([], {"emotions": ["a", "a", "b", "c"]}, "not distinct"),
    ([], {"emotions": ["a"]}, "1 emotions for 4 classes"),
    ([], {"sample_rate_hz": "16000"}, "sample_rate_hz"),
    ([], {"weights": "../../weights"}, "weights"),
    (["model"], {"class": "os.system"}, "os.system"),
    (["model"], {"class": "../lobes/JointModel"}, r"\.\./lobes"),
    (["model"], {"class": ["JointModel"]}, "class"),
    (["model"], {"encoder": None}, r"model\.encoder"),
    (["model"], {"frontend": KeyError}, "frontend"),
    (["model", "encoder"], {"class": "MeanPooling"}, r"model\.encoder"),
    (["model", "encoder"], {"source": "who/model"}, "source"),
    (["model", "encoder"], {"standardize": 0}, "standardize"),
    (["model", "frontend"], {"n_fft": 400.5}, "n_fft"),
    (["model", "frontend"], {"n_fft": -400}, "n_fft"),
    (["model", "integrator"], {"top_k": 7}, "top_k is 7"),
    (["model", "integrator"], {"tasks": ["../x"]}, "tasks"),
    (["model", "integrator", "make_expert"], {"class": "print"}, "print"),
]
CONFIG_CHANGES = [
    ({"model_type": "../../x"}, "model_type"),
    ({"auto_map": {"AutoModel": "code.Model"}}, "auto_map"),
    ({"attn_implementation": "who/kernel"}, "attn_implementation"),
    ({"_name_or_path": "who/model"}, "_name_or_path"),
    ({"hidden_act": "os.system"}, "cannot be built"),
    ({"hidden_act": KeyError}, "hidden_act"),
    ({"conv_dim": "8"}, "conv_dim"),
]


@pytest.mark.parametrize(("keys", "values", "message"), CHANGES)
def test_what_is_no_description_is_refused(exported, keys, values, message):
    change(exported, *keys, **values)
    with pytest.raises(ValueError, match=message) as error:
        read_plain_folder(exported)
    assert str(exported / "model.json") in str(error.value)


@pytest.mark.parametrize(("values", "message"), CONFIG_CHANGES)
def test_a_configuration_names_nothing_else(exported, values, message):
    change(exported, "model", "encoder", "config", **values)
    with pytest.raises(ValueError, match=message):
        read_plain_folder(exported)


@pytest.mark.parametrize(
    "text", ["", "[" * 100000, '{"format": NaN}', "!new:os.system", "[]"]
)
def test_what_is_no_json_is_refused(exported, text):
    (exported / "model.json").write_text(text)
    with pytest.raises(ValueError, match=r"model\.json"):
        read_plain_folder(exported)


def test_one_error_names_every_tensor_at_fault(exported):
    path = exported / "model.safetensors"
    weights = safetensors.torch.load_file(path)
    names = list(weights)
    # One that is left over is a fault by itself.
    safetensors.torch.save_file({**weights, "more": torch.zeros(1)}, path)
    with pytest.raises(ValueError, match=r"Not of the model: \['more'\]"):
        read_plain_folder(exported)
    del weights[names[0]], weights[names[-1]]
    weights["more"] = torch.zeros(1)
    weights[names[1]] = torch.zeros(7)
    weights[names[2]] = weights[names[2]].int()
    safetensors.torch.save_file(weights, path)
    with pytest.raises(ValueError) as error:
        read_plain_folder(exported)
    for name in (*names[:3], names[-1], "more", str(path)):
        assert name in str(error.value)


def test_weights_may_be_stored_in_half_precision(exported):
    path = exported / "model.safetensors"
    weights = safetensors.torch.load_file(path)
    safetensors.torch.save_file(
        {
            name: tensor.half() if tensor.is_floating_point() else tensor
            for name, tensor in weights.items()
        },
        path,
    )
    for name, tensor in read_plain_folder(exported).model.state_dict().items():
        assert tensor.dtype == weights[name].dtype
        torch.testing.assert_close(tensor, weights[name], atol=1e-3, rtol=1e-3)


def test_the_global_seed_is_left_alone(exported):
    torch.manual_seed(3)
    expected = torch.rand(1)
    torch.manual_seed(3)
    read_plain_folder(exported)
    assert torch.equal(torch.rand(1), expected)


class OwnPooling(MeanPooling):
    """A class that only its author has."""


def test_a_model_of_ones_own_is_exported_without(
    experiment, tmp_path, caplog, monkeypatch
):
    def own(folder, run_opts):
        found = from_hparams(folder, run_opts=run_opts)
        found.mods.model.emotion_head.pooling = OwnPooling(12)
        return found

    from_hparams = JointEnhancementClassifier.from_hparams
    monkeypatch.setattr(JointEnhancementClassifier, "from_hparams", own)
    arguments = ["export", str(experiment), str(tmp_path / "again")]
    assert main(arguments) == 0
    assert "OwnPooling has no plain description" in caplog.text
    assert not (tmp_path / "again" / "model.json").exists()
    assert (tmp_path / "again" / "model.ckpt").exists()


def test_a_cascade_is_described_as_two(make, tmp_path):
    model = make("se_then_ser")
    assert isinstance(model, EnhanceThenClassify)
    description = describe(model)
    assert isinstance(build(description["enhancer"]), JointModel)
    assert description["enhancer"]["emotion_head"] is None
    assert description["classifier"]["enhancement_head"] is None
