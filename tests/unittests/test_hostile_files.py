"""Files of strangers: nothing of them is run, and none takes the memory.

Models as plain data are in test_plain_folder.py, the authors' checkpoints in
test_official_reading.py.
"""

import ast
import json
import os
import pickle
import shutil
import struct
from pathlib import Path
from zipfile import ZIP_DEFLATED, ZipFile

import numpy as np
import pytest
import ruamel.yaml
import safetensors.torch
import soundfile
import torch
from hostile import Trap, grown_mb
from made_corpora import NOISE, make_noise, preparation, run
from official_stand_in import Sizes
from ruamel.yaml.comments import CommentedMap
from toy_model import write_experiment
from transformers import WavLMConfig, WavLMModel

from speechbrain.dataio.encoder import CategoricalEncoder
from speechbrain.utils.checkpoints import (
    torch_parameter_transfer,
    torch_recovery,
)
from speechbrain_merit.command_line import main
from speechbrain_merit.data.audio import read_mono, read_mono_blocks, resample
from speechbrain_merit.data.manifests import load_utterances, read_manifest
from speechbrain_merit.data.mixing import NoiseSource
from speechbrain_merit.data.preparation import find_audio
from speechbrain_merit.data.preparation.noise_layouts import list_recordings
from speechbrain_merit.export.official.encoder_config import (
    from_official_config,
)
from speechbrain_merit.export.official.scalar_pickle import read_mean_and_std
from speechbrain_merit.export.official.weight_files import (
    read_checkpoint,
    read_state_dict,
)
from speechbrain_merit.inference import JointEnhancementClassifier
from speechbrain_merit.lobes import SpeechEncoder
from speechbrain_merit.pretrained.folder import load_model, read_emotions
from speechbrain_merit.pretrained.safe_loading import load_safely
from speechbrain_merit.training.checkpoints import WholeCheckpointer

ROOT = Path(__file__).resolve().parents[2]
CPU = {"device": "cpu"}


@pytest.fixture
def sprung(tmp_path):
    """The file that a trap makes."""
    return tmp_path / "sprung"


# ----------------------------------------------------- what the code may call

CODE = [ROOT / "train.py"]
for place in ("speechbrain_merit", "recipes", "benchmarks"):
    CODE += sorted((ROOT / place).rglob("*.py"))
FORBIDDEN = {
    "eval",
    "exec",
    "pickle.load",
    "pickle.loads",
    "pickle.Unpickler",
    "joblib.load",
    "marshal.loads",
    "shelve.open",
    "yaml.load",
    "yaml.unsafe_load",
    "tarfile.open",
    "shutil.unpack_archive",
}


def calls(path):
    tree = ast.parse(path.read_text(encoding="utf-8"))
    # ruamel's object of that name loads no Python objects.
    ruamel = "ruamel" in path.read_text(encoding="utf-8")
    for node in ast.walk(tree):
        if isinstance(node, ast.Call):
            name = ast.unparse(node.func)
            keywords = {k.arg: ast.unparse(k.value) for k in node.keywords}
            if not (ruamel and name == "yaml.load"):
                yield name, keywords


def test_no_code_loads_what_can_hold_code():
    for path in CODE:
        for name, keywords in calls(path):
            assert name not in FORBIDDEN, path
            assert not name.endswith(".extractall"), path
            assert "allow_pickle" not in keywords, path
            assert keywords.get("trust_remote_code", "False") == "False", path
            if name == "torch.load":
                assert keywords.get("weights_only") == "True", path


# ------------------------------------------------------------ own checkpoints


@pytest.fixture(params=["zipped", "legacy", "raw"])
def trapped(request, tmp_path, sprung):
    """A checkpoint that would run something."""
    path = tmp_path / "trapped.ckpt"
    contents = {"weight": torch.zeros(1, 2), "x": Trap(sprung)}
    if request.param == "raw":
        path.write_bytes(pickle.dumps(contents))
    else:
        zipped = request.param == "zipped"
        torch.save(contents, path, _use_new_zipfile_serialization=zipped)
    return path


def test_hooks_of_checkpoints_run_nothing(trapped, sprung):
    model = torch.nn.Linear(2, 1)
    optimizer = torch.optim.AdamW(model.parameters())
    for recover in (
        lambda: torch_recovery(model, trapped, False),
        lambda: torch_recovery(optimizer, trapped, False),
        lambda: torch_parameter_transfer(model, trapped),
    ):
        with pytest.raises(pickle.UnpicklingError, match="eights.only"):
            recover()
    assert not sprung.exists()


@pytest.mark.parametrize("file", ["model.ckpt", "CKPT.yaml"])
def test_a_checkpoint_folder_runs_nothing(tmp_path, trapped, sprung, file):
    model = torch.nn.Linear(2, 1)
    checkpointer = WholeCheckpointer(tmp_path / "save", {"model": model})
    folder = checkpointer.save_checkpoint().path
    # A stranger would make sums that fit, or none.
    for path in folder.iterdir():
        if path.name not in ("model.ckpt", "CKPT.yaml"):
            path.unlink()
    shutil.copy(trapped, folder / "model.ckpt")
    if file == "CKPT.yaml":
        (folder / file).write_text(
            f"!!python/object/apply:os.system ['touch {sprung}']\n"
        )
    refusals = {
        "model.ckpt": (ValueError, "eights.only"),
        "CKPT.yaml": (ValueError, "only damaged ones"),
    }
    error, message = refusals[file]
    with pytest.raises(error, match=message):
        checkpointer.recover_if_possible()
    assert not sprung.exists()


def test_label_files_run_nothing(tmp_path, sprung):
    trap = f"__import__('os').system('touch {sprung}')"
    (tmp_path / "label_encoder.ckpt").write_text(f"{trap} => 0\n{'=' * 16}\n")
    with pytest.raises(ValueError):
        read_emotions(tmp_path / "label_encoder.ckpt")
    (tmp_path / "label_encoder.ckpt").write_bytes(pickle.dumps(Trap(sprung)))
    with pytest.raises((ValueError, SyntaxError)):
        CategoricalEncoder().load(tmp_path / "label_encoder.ckpt")
    assert not sprung.exists()


@pytest.fixture(scope="module")
def experiment(tmp_path_factory):
    """A trained toy model."""
    folder = tmp_path_factory.mktemp("experiment")
    write_experiment(folder, "utterance")
    return folder


@pytest.fixture
def folder(experiment, tmp_path):
    """A copy to do things to, and so is the next."""
    return shutil.copytree(experiment / "pretrained", tmp_path / "model")


def with_pickle(folder):
    """Gives a folder the form that it had before there was safetensors."""
    weights = safetensors.torch.load_file(folder / "model.safetensors")
    torch.save(weights, folder / "model.ckpt")
    (folder / "model.safetensors").unlink()
    path = folder / "hyperparams.yaml"
    text = path.read_text()
    ours = "speechbrain_merit.pretrained.weights.SafetensorsPretrainer"
    stock = "speechbrain.utils.parameter_transfer.Pretrainer"
    assert ours in text
    path.write_text(text.replace(ours, stock))


@pytest.mark.parametrize("is_old", [False, True])
def test_only_the_yaml_of_a_model_folder_is_trusted(folder, sprung, is_old):
    if is_old:
        with_pickle(folder)
    name = "model.ckpt" if is_old else "model.safetensors"
    # SpeechBrain reads past what is no file of labels; we do not.
    reasons = {
        "model.ckpt": (ValueError, "eights.only"),
        "model.safetensors": (ValueError, "Is it a whole safetensors file"),
        "label_encoder.ckpt": (ValueError, "4 emotions, but .* damaged"),
    }
    for file in (name, "label_encoder.ckpt"):
        good = (folder / file).read_bytes()
        torch.save({"x": Trap(sprung)}, folder / file)
        kind, message = reasons[file]
        with pytest.raises(kind, match=message):
            JointEnhancementClassifier.from_hparams(folder, run_opts=CPU)
        (folder / file).write_bytes(good)
    torch.save({"x": Trap(sprung)}, folder / name)
    with pytest.raises(reasons[name][0]):
        load_model(folder)
    assert not sprung.exists()


def test_safe_refuses_a_folder_without_plain_weights(folder, sprung):
    (folder / "hyperparams.yaml").write_text(
        f"trap: !apply:os.system ['touch {sprung}']\n"
    )
    (folder / "model.safetensors").unlink()
    torch.save({"x": Trap(sprung)}, folder / "model.ckpt")
    with pytest.raises(FileNotFoundError, match=r"lacks model\.safetensors"):
        JointEnhancementClassifier.from_plain(folder, run_opts=CPU)
    soundfile.write(folder / "a.wav", np.zeros(8000), 16000)
    command = ["process", str(folder / "a.wav"), "--model", str(folder)]
    assert main([*command, "--safe"]) == 1
    assert not sprung.exists()


# ----------------------------------------------------------- plain, but large


def read_folder(folder):
    """Loads a folder without running anything of it."""
    names = ("hyperparams.yaml", "model.safetensors", "label_encoder.ckpt")
    return load_safely(*(folder / name for name in names))


TRILLION = 10**12
LARGE = [
    # Each of these asks for a trillion parameters, or more.
    ("integrator.hidden_size", TRILLION),
    ("integrator.hidden_size", 999_999),
    ("integrator.num_layers", TRILLION),
    ("integrator.num_layers", 4096),
    ("encoder.config.intermediate_size", 10**6),
    ("encoder.config.num_hidden_layers", TRILLION),
    ("encoder.config.num_hidden_layers", 4096),
    ("encoder.config.num_hidden_layers", 50),
    ("encoder.config.num_buckets", TRILLION),
    ("encoder.config.conv_dim", [10**6] * 7),
    ("encoder.config.conv_dim", [8] * 5000),
    ("encoder.config.conv_dim", [8] * 10**5),
    ("integrator.num_experts", TRILLION),
    ("integrator.num_experts", 4096),
    ("integrator.num_experts", 200),
    ("emotion_head.hidden_size", 10**400),
    # Sizes that no tensor vouches for.
    ("frontend", "!new:speechbrain_merit.lobes.SpectralFrontend [10000000000]"),
    ("frontend", "!new:speechbrain_merit.lobes.SpectralFrontend [1000000]"),
    ("enhancement_head.frame_ratio", 10**9),
]


@pytest.mark.parametrize(("place", "value"), LARGE)
def test_what_is_too_large_is_refused_unbuilt(folder, place, value):
    yaml = ruamel.yaml.YAML()
    description = yaml.load((folder / "hyperparams.yaml").read_text())
    *path, name = place.split(".")
    found = description["model"]
    for key in path:
        found = found[key]
    found[name] = "TO_BE_REPLACED"
    yaml.dump(description, folder / "hyperparams.yaml")
    text = (folder / "hyperparams.yaml").read_text()
    text = text.replace("TO_BE_REPLACED", str(value))
    (folder / "hyperparams.yaml").write_text(text)

    def read():
        with pytest.raises(ValueError, match="model"):
            read_folder(folder)

    assert grown_mb(read) < 300


LAUGHS = [
    "a0: &a0 [x]\n"
    + "".join(f"a{n}: &a{n} [{f'*a{n - 1}, ' * 9}]\n" for n in range(1, 30))
    + "model: *a29\n",
    "m0: &m0 {x: 1}\n"
    + "".join(
        f"m{n}: &m{n} {{<<: [{f'*m{n - 1}, ' * 9}]}}\n" for n in range(1, 9)
    )
    + "model: *m8\n",
    "model: &a !new:speechbrain_merit.lobes.EnhanceThenClassify [*a, *a]\n",
    "model: "
    + "!new:speechbrain_merit.lobes.EmotionHead [" * 3000
    + "]" * 3000,
    f"sample_rate_hz: {'9' * 100_000}\nmodel: 1\n",
]


@pytest.mark.parametrize("text", LAUGHS, ids=range(len(LAUGHS)))
def test_a_small_description_stays_small(folder, text):
    (folder / "hyperparams.yaml").write_text(text)

    def read():
        with pytest.raises(ValueError, match="It describes no model") as error:
            read_folder(folder)
        assert len(str(error.value)) < 2000

    assert grown_mb(read) < 300


def header(entries, data=b""):
    text = json.dumps(entries).encode()
    return struct.pack("<Q", len(text)) + text + data


BEYOND = {"dtype": "F32", "shape": [10**6, 10**6]}
HEADERS = [
    # More than the file has, a product beyond 64 bits, one byte for all.
    header({"a": {**BEYOND, "data_offsets": [0, 4 * TRILLION]}}),
    header({"a": {**BEYOND, "shape": [2**62] * 3, "data_offsets": [0, 4]}}),
    header({"a": {**BEYOND, "data_offsets": [0, 4]}}, b"0000"),
    header(
        {
            "a": {"dtype": "F32", "shape": [1], "data_offsets": [0, 4]},
            "b": {"dtype": "F32", "shape": [1], "data_offsets": [0, 4]},
        },
        b"0000",
    ),
    struct.pack("<Q", 2**63) + b"{}",
    struct.pack("<Q", 100_000_000),
    header("[" * 100_000),
    b"",
]


@pytest.mark.parametrize("contents", HEADERS, ids=range(len(HEADERS)))
def test_headers_that_lie_are_refused(folder, contents):
    (folder / "model.safetensors").write_bytes(contents)

    def read():
        with pytest.raises(ValueError, match="Is it a whole safetensors file"):
            read_folder(folder)

    assert grown_mb(read) < 300


def test_tensors_of_no_values_fit_nothing(folder):
    weights = safetensors.torch.load_file(folder / "model.safetensors")
    name = next(iter(weights))
    weights[name] = torch.zeros(0, 10**9)
    safetensors.torch.save_file(weights, folder / "model.safetensors")
    with pytest.raises(ValueError, match=f"{name}.*1000000000"):
        read_folder(folder)


@pytest.mark.parametrize("name", ["hyperparams.yaml", "label_encoder.ckpt"])
def test_a_description_of_megabytes_is_not_read(folder, name):
    with (folder / name).open("a") as file:
        file.write("\n" * 10**6)
    with pytest.raises(ValueError, match=f"{name} is no description"):
        read_folder(folder)


@pytest.mark.parametrize("name", ["hyperparams.yaml", "label_encoder.ckpt"])
def test_only_files_are_read(folder, name):
    """Not a pipe, which would never end."""
    (folder / name).unlink()
    os.mkfifo(folder / name)
    with pytest.raises(FileNotFoundError, match=f"lacks {name}"):
        read_folder(folder)


# ---------------------------------------------------------- published weights


def laughs(depth):
    value = 1.5
    for _ in range(depth):
        value = (value, value)
    return pickle.dumps(value)


@pytest.mark.parametrize(
    "contents",
    [
        # Python's own memo would grow to the number: 64 GB of it.
        b"\x80\x03K\x01r\xff\xff\xff\x7f.",
        b"\x80\x03I1\np2147483647\n.",
        pickle.dumps((1.0, 10**30000)),
        laughs(60),
    ],
    ids=["memo", "text memo", "long", "laughs"],
)
def test_small_pickles_stay_small(tmp_path, contents):
    path = tmp_path / "statistics.pkl"
    path.write_bytes(contents)

    def read():
        with pytest.raises(ValueError, match="statistics.pkl") as error:
            read_mean_and_std(path)
        assert len(str(error.value)) < 1000

    assert grown_mb(read) < 100


HOLLOW = {
    "strides of zero": torch.zeros(1).expand(10**6, 10**6),
    "overlapping": torch.zeros(1000).as_strided((900, 100), (1, 1)),
    "sparse": torch.sparse_coo_tensor(size=(10**6, 10**6)),
    "empty": torch.zeros(10**9, 0),
    "without storage": torch.zeros(10**6, 10**6, device="meta"),
}


@pytest.mark.parametrize("kind", HOLLOW)
def test_tensors_larger_than_their_file_are_refused(tmp_path, kind):
    path = tmp_path / "final_mmoe.pt"
    torch.save({"model": {"a": HOLLOW[kind]}}, path)
    with pytest.raises(ValueError, match=r"final_mmoe\.pt"):
        read_state_dict(path)


def of_any_size(function, *arguments):
    """What pickles as a call that makes so much."""
    return type("X", (), {"__reduce__": lambda self: (function, arguments)})()


@pytest.mark.parametrize("zipped", [True, False])
@pytest.mark.parametrize(
    "value",
    [
        of_any_size(bytearray, 10**9),
        of_any_size(torch.FloatTensor, 10**9),
        of_any_size(torch.Tensor, 10**9),
    ],
    ids=["bytearray", "FloatTensor", "Tensor"],
)
def test_no_pickle_makes_what_is_not_in_it(tmp_path, value, zipped):
    path = tmp_path / "final_mmoe.pt"
    torch.save({"x": value}, path, _use_new_zipfile_serialization=zipped)
    assert path.stat().st_size < 2000

    def read():
        with pytest.raises(ValueError, match=r"final_mmoe\.pt.*it asks for"):
            read_checkpoint(path)

    assert grown_mb(read) < 100


def test_a_compressed_checkpoint_is_refused(tmp_path):
    torch.save({"model": {"a": torch.zeros(2)}}, tmp_path / "x.pt")
    with (
        ZipFile(tmp_path / "x.pt") as given,
        ZipFile(tmp_path / "y.pt", "w", ZIP_DEFLATED) as made,
    ):
        for info in given.infolist():
            made.writestr(info.filename, given.read(info))
        made.writestr("x/data/1", bytes(10**7))
    with pytest.raises(ValueError, match="y.pt cannot be read.*compressed"):
        read_checkpoint(tmp_path / "y.pt")


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("encoder_layers", 10**9),
        ("encoder_layers", 101),
        ("encoder_layers", "24"),
        ("encoder_embed_dim", 10**12),
        ("conv_pos_groups", 0),
        ("conv_bias", 0),
        ("conv_feature_layers", "[(1, 1, 1)] * 10000000000"),
        ("conv_feature_layers", "[(1, 1, 1)] * -1"),
        ("conv_feature_layers", f"[({10**9}, 1, 1)]"),
        ("conv_feature_layers", "(" * 10**5),
        ("conv_feature_layers", "[(1, 1, 1)] * 100 + [(1, 1, 1)] * 100"),
    ],
)
def test_a_published_configuration_is_bounded(key, value):
    official = Sizes(width=768).config()
    assert from_official_config(official).hidden_size == 768

    def read():
        with pytest.raises(ValueError, match=key) as error:
            from_official_config({**official, key: value})
        assert len(str(error.value)) < 1000

    assert grown_mb(read) < 100


# ------------------------------------------------------------ encoder folders


@pytest.fixture
def encoder(tmp_path, monkeypatch):
    """A folder with a toy encoder as Hugging Face has it."""
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    config = WavLMConfig(
        hidden_size=16,
        num_hidden_layers=1,
        num_attention_heads=2,
        intermediate_size=24,
        conv_dim=[8, 8],
        conv_kernel=[400, 1],
        conv_stride=[320, 1],
        num_conv_pos_embeddings=4,
        num_conv_pos_embedding_groups=2,
    )
    WavLMModel(config).save_pretrained(tmp_path / "encoder")
    return tmp_path / "encoder"


def load_encoder(encoder):
    return SpeechEncoder(str(encoder), save_path=str(encoder.parent / "save"))


@pytest.mark.parametrize("zipped", [True, False])
def test_an_encoder_as_pickle_runs_nothing(encoder, sprung, zipped):
    weights = safetensors.torch.load_file(encoder / "model.safetensors")
    (encoder / "model.safetensors").unlink()
    path = encoder / "pytorch_model.bin"
    torch.save(weights, path, _use_new_zipfile_serialization=zipped)
    # Such folders are common, and tensors are all that is read of them.
    if zipped:
        load_encoder(encoder)
    contents = {**weights, "x": Trap(sprung)}
    torch.save(contents, path, _use_new_zipfile_serialization=zipped)
    with pytest.raises(OSError, match="cannot be loaded"):
        load_encoder(encoder)
    assert not sprung.exists()


def test_an_encoder_brings_no_code(encoder, sprung):
    (encoder / "code.py").write_text(f"open({str(sprung)!r}, 'w')\n")
    path = encoder / "config.json"
    config = json.loads(path.read_text())
    own = {"auto_map": {"AutoConfig": "code.C", "AutoModel": "code.M"}}
    path.write_text(json.dumps({**config, **own}))
    load_encoder(encoder)
    path.write_text(json.dumps({**config, **own, "model_type": "own"}))
    with pytest.raises(OSError, match="cannot be loaded"):
        load_encoder(encoder)
    for key in ("attn_implementation", "_attn_implementation"):
        path.write_text(json.dumps({**config, key: "who/kernel"}))
        with pytest.raises(OSError, match=f"{key} 'who/kernel'"):
            load_encoder(encoder)
    assert not sprung.exists()


# -------------------------------------------------------------------- corpora

OUTSIDE = [
    "{data_root}/../a.wav",
    "../a.wav",
    "{data_root}/b/../../a.wav",
    "{data_root}//../../a.wav",
    "{data_root}../../a.wav",
]


@pytest.mark.parametrize("wav", OUTSIDE)
@pytest.mark.parametrize("key", ["wav", "noisy_wav"])
def test_a_manifest_stays_in_its_folder(tmp_path, key, wav):
    fields = {"wav": "{data_root}/a.wav", "start_s": 0.0, "duration_s": 1.0}
    fields.update(emotion="sad", speaker="s1")
    path = tmp_path / "train.json"
    path.write_text(json.dumps({"a": {**fields, key: wav}}))
    for read in (read_manifest, lambda p: load_utterances(p, "data")):
        with pytest.raises(ValueError, match=r"train\.json names .*a\.wav"):
            read(path)
    with pytest.raises(ValueError, match="outside the folder"):
        NoiseSource(path, str(tmp_path), 16000)
    # The user's own folder may be anywhere, and so may an absolute path.
    for good in ("{data_root}/b/../a.wav", "/data/a.wav"):
        path.write_text(json.dumps({"a": {**fields, key: good}}))
        assert load_utterances(path, "../up")["a"][key].endswith("/a.wav")


def test_a_label_table_stays_in_its_corpus(tmp_path):
    corpus = tmp_path / "corpus"
    (corpus / "Labels").mkdir(parents=True)
    (corpus / "Audios").mkdir()
    soundfile.write(tmp_path / "private.wav", np.ones(8000), 16000)
    rows = ["FileName,EmoClass,Split_Set"]
    for split in ("Train", "Development", "Test1"):
        soundfile.write(
            corpus / "Audios" / f"{split}.wav", np.ones(8000), 16000
        )
        rows.append(f"{split}.wav,A,{split}")
    rows.append("../../private.wav,A,Train")
    (corpus / "Labels" / "labels_consensus.csv").write_text("\n".join(rows))
    make_noise(tmp_path / "noise")
    with preparation("MSP-Podcast") as prepare:
        with pytest.raises(
            ValueError, match=r"private\.wav', which is outside"
        ):
            run(prepare, corpus, emotions=["angry"], noise=NOISE)


@pytest.mark.parametrize("number", ["0/../../x", "../x", "", "-i"])
def test_names_of_files_to_write_are_numbers(tmp_path, number):
    """MELD's preparation writes what its videos sound like."""
    corpus = tmp_path / "corpus"
    for part, place in (
        ("train", "train_splits"),
        ("dev", "dev_splits_complete"),
        ("test", "output_repeated_splits_test"),
    ):
        (corpus / place).mkdir(parents=True)
        (corpus / f"{part}_sent_emo.csv").write_text(
            f"Dialogue_ID,Utterance_ID,Speaker,Emotion\n{number},0,Ross,joy\n"
        )
    make_noise(tmp_path / "noise")
    with preparation("MELD") as prepare:
        with pytest.raises(ValueError, match="both must be numbers"):
            run(prepare, corpus, emotions=["happy"], noise=NOISE)


def test_a_noise_list_stays_in_its_folder(tmp_path):
    path = tmp_path / "noise.csv"
    for wav in (
        "{noise_root}/../a.wav",
        "$noise_root/b/../../a.wav",
        "{noise_root}//../../a.wav",
    ):
        path.write_text(f"ID,wav\n1,{wav}\n")
        with pytest.raises(ValueError, match=r"noise\.csv names .*a\.wav"):
            list_recordings(tmp_path, "manifests", {"train": str(path)})
    path.write_text("ID,wav\n1,/noise/a.wav\n")
    (found,) = list_recordings(tmp_path, "manifests", {"train": str(path)})
    assert found.path == "/noise/a.wav"


def test_links_are_followed_but_not_in_circles(tmp_path):
    """Corpora lie on several disks; archives may hold links as well."""
    other = tmp_path / "other disk"
    corpus = tmp_path / "corpus"
    for place in (other, corpus / "a" / "b"):
        place.mkdir(parents=True)
        (place / "x.wav").touch()
    (corpus / "linked").symlink_to(other)
    for number in range(4):
        (corpus / f"here{number}").symlink_to(".")
        (corpus / "a" / "b" / f"up{number}").symlink_to(corpus)
        (other / f"back{number}").symlink_to(corpus / "a")
    assert len(find_audio(corpus)) == 2


# ---------------------------------------------------------------- audio files


def with_rate(path, rate_hz):
    """A WAV file of a tenth of a second at 16 kHz that claims another rate."""
    soundfile.write(path, 0.1 * np.ones(1600), 16000)
    contents = bytearray(path.read_bytes())
    contents[24:28] = struct.pack("<I", rate_hz)
    path.write_bytes(contents)
    return str(path)


@pytest.mark.parametrize("rate_hz", [1, 7, 999, 16001, 2**31 - 1])
def test_a_rate_that_takes_all_memory_is_refused(tmp_path, rate_hz):
    path = with_rate(tmp_path / "a.wav", rate_hz)

    def read():
        with pytest.raises(ValueError, match=r"a\.wav cannot be read"):
            read_mono(path, 16000)
        with pytest.raises(ValueError, match=r"a\.wav cannot be read"):
            list(read_mono_blocks(path, 16000, 1.0))
        with pytest.raises(ValueError, match="Hz"):
            resample(torch.zeros(10), rate_hz, 16000)

    assert grown_mb(read) < 100


@pytest.mark.parametrize("rate_hz", [8000, 11025, 22050, 44100, 96000, 192000])
def test_usual_rates_are_read(tmp_path, rate_hz):
    path = with_rate(tmp_path / "a.wav", rate_hz)
    expected = -(-1600 * 16000 // rate_hz)
    assert len(read_mono(path, 16000)) == expected
    assert sum(map(len, read_mono_blocks(path, 16000, 1.0))) == expected


# ----------------------------------------------------------- what a model costs


@pytest.mark.parametrize(
    ("place", "values", "frames"),
    [
        ("model.encoder.config", {"conv_stride": [1] * 7}, 16000),
        ("model.encoder.config", {"conv_stride": [5, 2, 2, 1, 1, 1, 1]}, 800),
        ("", {"sample_rate_hz": 10**6}, 3125),
        ("model.frontend", {"n_fft": 4096, "hop_length": 1}, 16000),
    ],
)
def test_what_a_second_costs_is_bounded(folder, place, values, frames):
    yaml = ruamel.yaml.YAML()
    path = folder / "hyperparams.yaml"
    found = description = yaml.load(path.read_text())
    for key in filter(None, place.split(".")):
        found = found[key]
    if not hasattr(found, "update"):
        # A tag without arguments.
        tag = found.tag.value
        description["model"]["frontend"] = found = CommentedMap()
        found.yaml_set_ctag(ruamel.yaml.Tag(suffix=tag))
    found.update(values)
    yaml.dump(description, path)
    with pytest.raises(ValueError, match=f"yaml.* {frames} frames a second"):
        read_folder(folder)


def spoil(folder, part):
    """Puts what is no number into the weights of a part."""
    weights = safetensors.torch.load_file(folder / "model.safetensors")
    for name in weights:
        if part in name:
            weights[name].fill_(float("nan"))
    safetensors.torch.save_file(weights, folder / "model.safetensors")


@pytest.mark.parametrize("safe", [[], ["--safe"]])
def test_weights_that_are_no_numbers_give_no_file(
    folder, tmp_path, safe, caplog
):
    spoil(folder, "enhancement_head")
    wav, out = tmp_path / "a.wav", tmp_path / "out"
    soundfile.write(wav, np.sin(np.arange(8000)), 16000)
    given = ["process", str(wav), "--model", str(folder), "--out", str(out)]
    assert main([*given, *safe]) == 1
    assert "not finite: its weights are damaged" in caplog.text
    assert not list(out.glob("*.wav"))
    model = JointEnhancementClassifier.from_hparams(folder, run_opts=CPU)
    with pytest.raises(ValueError, match="not finite"):
        model.stream().push(torch.rand(80000))


@pytest.mark.parametrize("method", ["process_batch", "encode_batch"])
def test_weights_that_are_no_numbers_name_no_emotion(folder, method):
    spoil(folder, "emotion_head")
    model = JointEnhancementClassifier.from_hparams(folder, run_opts=CPU)
    with pytest.raises(ValueError, match="not finite"):
        getattr(model, method)(torch.rand(8000))
