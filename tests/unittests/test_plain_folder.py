"""A model's folder as plain data: the same model, and nothing of it is run."""

import json
import os
import pickle
import shutil

import pytest
import ruamel.yaml
import safetensors.torch
import soundfile
import torch
from hyperpyyaml import load_hyperpyyaml
from small_variants import VARIANTS, write_variant
from toy_model import EMOTIONS, write_experiment

from speechbrain_merit.command_line import main
from speechbrain_merit.inference import JointEnhancementClassifier, loaded_model
from speechbrain_merit.lobes import MeanPooling, SpeechEncoder
from speechbrain_merit.pretrained.encoder_settings import (
    checked_settings,
    own_settings,
)
from speechbrain_merit.pretrained.safe_loading import load_safely

CPU = {"device": "cpu"}
FILES = ("hyperparams.yaml", "model.safetensors", "label_encoder.ckpt")


def read_folder(folder):
    """Loads a folder without running anything of it."""
    return load_safely(*(folder / name for name in FILES))


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
def test_every_variant(tmp_path, name):
    model = write_variant(tmp_path, name)
    plain, labels, sample_rate_hz = read_folder(tmp_path)
    assert_same_model(plain, model, tmp_path)
    assert list(labels.lab2ind) == EMOTIONS
    assert sample_rate_hz == 16000
    assert not any(module.training for module in plain.modules())
    # Both loaders build the same.
    trusted = load_hyperpyyaml((tmp_path / FILES[0]).read_text())["model"]
    assert str(trusted) == str(plain)


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
def test_every_option(tmp_path, options):
    model = write_variant(tmp_path, "sparse_merit", **options)
    assert_same_model(read_folder(tmp_path)[0], model, tmp_path)


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
    settings = json.loads(json.dumps(own_settings(encoder.config)))
    rebuilt = SpeechEncoder(config=checked_settings(settings)).eval()
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


def test_three_files_are_all_that_is_needed(exported, tmp_path):
    (tmp_path / "three").mkdir()
    for name in FILES:
        shutil.copy(exported / name, tmp_path / "three")
    JointEnhancementClassifier.from_plain(tmp_path / "three", run_opts=CPU)
    (tmp_path / "three" / "model.safetensors").unlink()
    with pytest.raises(FileNotFoundError, match=r"lacks model.safetensors"):
        JointEnhancementClassifier.from_plain(tmp_path / "three", run_opts=CPU)


def test_the_hub_gives_these_three(exported, monkeypatch):
    asked = []

    def fetch(name, source, savedir):
        asked.append((name, source, savedir))
        return exported / name

    monkeypatch.setattr(loaded_model, "fetch", fetch)
    JointEnhancementClassifier.from_plain("who/model", "here", run_opts=CPU)
    assert asked == [(name, "who/model", "here") for name in FILES]


class Touch:
    """Makes a file when it is unpickled."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return os.system, (f"touch {self.path}",)


@pytest.fixture
def traps(exported, tmp_path):
    """Puts what would run something wherever it does not keep from loading."""
    sprung = tmp_path / "sprung"
    with (exported / "hyperparams.yaml").open("a") as file:
        file.write(f"trap: !apply:os.system ['touch {sprung}']\n")
        file.write(
            f"more: !!python/object/apply:os.system ['touch {sprung}']\n"
        )
    (exported / "model.ckpt").write_bytes(pickle.dumps(Touch(sprung)))
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
    main([part for part in command if part != "--safe"])
    assert traps.exists()


@pytest.mark.parametrize("name", FILES)
def test_a_pickle_by_another_name_is_refused(exported, traps, name):
    shutil.copy(exported / "model.ckpt", exported / name)
    with pytest.raises(ValueError, match=f"{name} cannot be read"):
        JointEnhancementClassifier.from_plain(exported, run_opts=CPU)
    torch.save({"weights": Touch(traps)}, exported / name)
    with pytest.raises(ValueError, match=f"{name} cannot be read"):
        JointEnhancementClassifier.from_plain(exported, run_opts=CPU)
    assert not traps.exists()


TRAPS = [
    "!apply:os.system ['touch {}']",
    "!new:os.system ['touch {}']",
    "!name:os.system ['touch {}']",
    "!module:os",
    "!!python/object/apply:os.system ['touch {}']",
    "!applyref:os.system ['touch {}']",
    "!apply:speechbrain_merit.lobes.speech_encoder.load_speech_model [who/x]",
    "!apply:getattr [whatever, __class__]",
    "!apply:getattr [!new:speechbrain_merit.lobes.MeanPooling [8], forward]",
]


@pytest.mark.parametrize("trap", TRAPS)
@pytest.mark.parametrize("place", ["encoder", "frontend", None])
def test_no_part_of_a_model_is_a_trap(exported, tmp_path, trap, place):
    sprung = tmp_path / "sprung"
    path = exported / "hyperparams.yaml"
    yaml = ruamel.yaml.YAML()
    trap = yaml.load(trap.format(sprung))
    found = yaml.load(path.read_text())
    if place is None:
        found["model"] = trap
    else:
        found["model"][place] = trap
    yaml.dump(found, path)
    with pytest.raises(ValueError, match=r"hyperparams\.yaml cannot be read"):
        read_folder(exported)
    assert not sprung.exists()


# ----------------------------------------------------------------- strictness


def change(exported, *keys, **values):
    """Changes the mapping that lies under keys of hyperparams.yaml."""
    path = exported / "hyperparams.yaml"
    yaml = ruamel.yaml.YAML()
    found = yaml.load(path.read_text())
    place = found
    for key in keys:
        place = place[key]
    for key, value in values.items():
        if value is KeyError:
            del place[key]
        elif str(value).startswith("!"):
            place[key] = yaml.load(value)
        else:
            place[key] = value
    yaml.dump(found, path)


FRONTEND = "!new:speechbrain_merit.lobes.SpectralFrontend"
MODEL = "!new:speechbrain_merit.lobes.MeanPooling [8]"
CHANGES = [
    ([], {"sample_rate_hz": "16000"}, "sample_rate_hz"),
    ([], {"sample_rate_hz": -1}, "sample_rate_hz"),
    ([], {"model": KeyError}, "model"),
    ([], {"model": "os.system"}, "the model is a str"),
    ([], {"model": MODEL}, "the model is a MeanPooling"),
    ([], {"model": "!new:os.system"}, "names 'os.system'"),
    ([], {"model": "!new:../lobes/JointModel"}, r"\.\./lobes"),
    ([], {"model": "!new:speechbrain_merit.lobes.JointOutput"}, "JointOutput"),
    (["model"], {"encoder": None}, "does not fit.*encoder"),
    (["model"], {"frontend": KeyError}, "frontend"),
    (["model"], {"weights": "../../weights"}, "weights"),
    (["model"], {"encoder": MODEL}, "cannot be built|not fit"),
    (["model", "encoder"], {"source": "who/model"}, "source"),
    (["model", "encoder"], {"standardize": [[[0]]]}, "standardize"),
    (["model", "encoder"], {"standardize": True}, "standardization"),
    (["model"], {"frontend": FRONTEND + " {n_fft: 400.5}"}, "n_fft|Frontend"),
    (["model"], {"frontend": FRONTEND + " {n_fft: -400}"}, "n_fft"),
    (["model", "integrator"], {"top_k": 7}, "top_k is 7"),
    (["model", "integrator"], {"tasks": ["../x"]}, "SparseMoE"),
    (["model", "integrator"], {"make_expert": "!name:print"}, "print"),
    (["model", "integrator"], {"router_noise": float("nan")}, "router_noise"),
]
CONFIG_CHANGES = [
    ({"model_type": "../../x"}, "model_type"),
    ({"auto_map": {"AutoModel": "code.Model"}}, "auto_map"),
    ({"attn_implementation": "who/kernel"}, "attn_implementation"),
    ({"_name_or_path": "who/model"}, "_name_or_path"),
    ({"hidden_act": "os.system"}, "cannot be built"),
    ({"model_type": KeyError}, "model_type"),
    ({"conv_dim": "8"}, "conv_dim"),
]


@pytest.mark.parametrize(("keys", "values", "message"), CHANGES)
def test_what_is_no_description_is_refused(exported, keys, values, message):
    change(exported, *keys, **values)
    with pytest.raises(ValueError, match=message) as error:
        read_folder(exported)
    assert str(exported) in str(error.value)


@pytest.mark.parametrize(("values", "message"), CONFIG_CHANGES)
def test_a_configuration_names_nothing_else(exported, values, message):
    change(exported, "model", "encoder", "config", **values)
    with pytest.raises(ValueError, match=message):
        read_folder(exported)


LABELS = [
    (["../../etc", "b", "c", "d"], r"\.\./\.\./etc"),
    (["<script>", "b", "c", "d"], "are no names"),
    (["a", "a", "b", "c"], "distinct"),
    (["a"], "scores 4 emotions, but .*'a'"),
    ([], "are not distinct"),
    ([("a", 1), 2, None, 3.5], "are no names"),
]


@pytest.mark.parametrize(("emotions", "message"), LABELS)
def test_what_is_no_name_is_refused(exported, emotions, message):
    lines = [f"{name!r} => {n}\n" for n, name in enumerate(emotions)]
    path = exported / "label_encoder.ckpt"
    ending = f"{'=' * 16}\n'starting_index' => 0\n"
    path.write_text("".join(lines) + ending)
    with pytest.raises(ValueError, match=message) as error:
        JointEnhancementClassifier.from_plain(exported, run_opts=CPU)
    assert path.name in str(error.value)


@pytest.mark.parametrize(
    "text",
    ["", "[" * 100000, "model: .nan", "!new:os.system", "[]", "a: {", "\0"],
)
def test_what_is_no_yaml_is_refused(exported, text):
    (exported / "hyperparams.yaml").write_text(text)
    with pytest.raises(ValueError, match=r"hyperparams\.yaml cannot be read"):
        read_folder(exported)


def test_one_error_names_every_tensor_at_fault(exported):
    path = exported / "model.safetensors"
    weights = safetensors.torch.load_file(path)
    names = list(weights)
    # One that is left over is a fault by itself.
    safetensors.torch.save_file({**weights, "more": torch.zeros(1)}, path)
    with pytest.raises(ValueError, match=r"Not of the model: \['more'\]"):
        read_folder(exported)
    del weights[names[0]], weights[names[-1]]
    weights["more"] = torch.zeros(1)
    weights[names[1]] = torch.zeros(7)
    weights[names[2]] = weights[names[2]].int()
    safetensors.torch.save_file(weights, path)
    with pytest.raises(ValueError) as error:
        read_folder(exported)
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
    for name, tensor in read_folder(exported)[0].state_dict().items():
        assert tensor.dtype == weights[name].dtype
        torch.testing.assert_close(tensor, weights[name], atol=1e-3, rtol=1e-3)


def test_the_global_seed_is_left_alone(exported):
    torch.manual_seed(3)
    expected = torch.rand(1)
    torch.manual_seed(3)
    read_folder(exported)
    assert torch.equal(torch.rand(1), expected)


class OwnPooling(MeanPooling):
    """A class that only its author has."""


def test_a_model_of_ones_own_loads_where_it_is_trusted(exported):
    pooling = f"!new:{__name__}.OwnPooling {{input_size: 12}}"
    change(exported, "model", "emotion_head", pooling=pooling)
    path = exported / "model.safetensors"
    weights = safetensors.torch.load_file(path)
    # Half as wide, without the deviation.
    name = "emotion_head.hidden.1.weight"
    weights[name] = weights[name][:, :12].clone()
    safetensors.torch.save_file(
        {k: v for k, v in weights.items() if "pooling" not in k}, path
    )
    trusted = JointEnhancementClassifier.from_hparams(exported, run_opts=CPU)
    pooling = trusted.mods.model.emotion_head.pooling
    assert type(pooling).__name__ == "OwnPooling"
    with pytest.raises(ValueError, match=r"names '.*OwnPooling': only parts"):
        read_folder(exported)
