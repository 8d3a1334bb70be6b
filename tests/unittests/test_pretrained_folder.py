"""The folder of a trained model: ours and stock SpeechBrain load the same."""

import pydoc
import socket

import pytest
import soundfile
import torch
from toy_model import EMOTIONS, take_all_for_speech, write_experiment

from speechbrain.inference.classifiers import EncoderClassifier
from speechbrain.inference.enhancement import WaveformEnhancement
from speechbrain_merit.command_line import main
from speechbrain_merit.config import compose
from speechbrain_merit.inference import JointEnhancementClassifier
from speechbrain_merit.inference.stock_adapters import (
    EmotionEmbedding,
    EmotionScores,
)
from speechbrain_merit.lobes import EnhanceThenClassify
from speechbrain_merit.lobes.speech_model_loading import load_speech_model
from speechbrain_merit.pretrained import MERIT_BASE
from speechbrain_merit.pretrained.borrowing import replace_encoder_source
from speechbrain_merit.pretrained.folder import (
    copy_pretrained_folder,
    find_model,
    find_pretrained_folder,
    load_model,
)

CPU = {"device": "cpu"}


@pytest.fixture(autouse=True)
def no_network(monkeypatch):
    """Lets every connection fail."""

    def refuse(*args, **kwargs):
        raise AssertionError("The network was touched.")

    monkeypatch.setattr(socket.socket, "connect", refuse)
    monkeypatch.setattr(socket, "getaddrinfo", refuse)


OURS = "speechbrain_merit.pretrained.weights.SafetensorsPretrainer"
# What folders that were written before have instead of ours.
OLD = {
    "pickle": "speechbrain.utils.parameter_transfer.Pretrainer",
    "moved": "speechbrain_merit.plain.PlainPretrainer",
}


@pytest.fixture(scope="module", params=["now", *OLD])
def folder(request, tmp_path_factory):
    experiment = tmp_path_factory.mktemp("experiment")
    model = write_experiment(experiment, "utterance")
    folder = experiment / "pretrained"
    if request.param in OLD:
        path = folder / "hyperparams.yaml"
        text = path.read_text()
        assert OURS in text
        path.write_text(text.replace(OURS, OLD[request.param]))
    if request.param == "pickle":
        torch.save(model.state_dict(), folder / "model.ckpt")
        (folder / "model.safetensors").unlink()
    return folder


@pytest.mark.parametrize(
    "name",
    [
        "audio_cache.AudioCache",
        "checkpoints.WholeCheckpointer",
        "distributed.ProcessRandomState",
        "dynamic_batching.make_batch_sampler",
        "mixing.NoiseSource",
        "mixing.TrainingMixer",
        "plain.PlainPretrainer",
        "pretrained_folder.load_model",
        "task_balancing.task_balancing",
    ],
)
def test_saved_files_name_what_has_moved(name):
    """As HyperPyYAML looks them up."""
    assert callable(pydoc.locate(f"speechbrain_merit.{name}"))
    assert pydoc.locate("speechbrain_merit.mixing.Nothing") is None


def test_a_copy_is_in_the_form_of_now(folder, noisy, tmp_path):
    copy_pretrained_folder(folder, tmp_path / "copy", half_precision=False)
    assert sorted(path.name for path in (tmp_path / "copy").iterdir()) == [
        "hyperparams.yaml",
        "label_encoder.ckpt",
        "model.safetensors",
    ]
    load = JointEnhancementClassifier
    expected = load.from_hparams(folder, run_opts=CPU).process_batch(noisy)
    for copy in (
        load.from_hparams(tmp_path / "copy", run_opts=CPU),
        load.from_plain(tmp_path / "copy", run_opts=CPU),
    ):
        found = copy.process_batch(noisy)
        assert torch.equal(found.enhanced, expected.enhanced)
        assert torch.equal(found.log_posteriors, expected.log_posteriors)


@pytest.fixture
def noisy():
    generator = torch.Generator().manual_seed(1)
    return 0.1 * torch.randn(2, 16000, generator=generator)


def test_stock_classifier_agrees_with_ours(folder, noisy):
    stock = EncoderClassifier.from_hparams(str(folder), run_opts=CPU)
    ours = JointEnhancementClassifier.from_hparams(folder, run_opts=CPU)
    lengths = torch.tensor([1.0, 0.6])
    expected = ours.classify_batch(noisy, lengths)
    found = stock.classify_batch(noisy, lengths)
    for one, other in zip(found[:3], expected[:3], strict=True):
        torch.testing.assert_close(one, other, atol=1e-5, rtol=0)
    assert found[3] == expected[3]
    embedding = stock.encode_batch(noisy, lengths)
    assert embedding.shape == (2, 1, 16)
    torch.testing.assert_close(embedding, ours.encode_batch(noisy, lengths))


def test_stock_enhancement_agrees_with_ours(folder, noisy):
    stock = WaveformEnhancement.from_hparams(str(folder), run_opts=CPU)
    ours = JointEnhancementClassifier.from_hparams(folder, run_opts=CPU)
    torch.testing.assert_close(
        stock.enhance_batch(noisy),
        ours.enhance_batch(noisy),
        atol=1e-5,
        rtol=0,
    )


def test_files_too(folder, noisy, tmp_path, monkeypatch):
    # Stock SpeechBrain takes the folder of the file for a place to fetch from.
    monkeypatch.chdir(tmp_path)
    path = str(tmp_path / "noisy.wav")
    soundfile.write(path, noisy.T.numpy(), 16000)
    ours = JointEnhancementClassifier.from_hparams(folder, run_opts=CPU)
    take_all_for_speech(ours)
    result = ours.process_file(path)
    classifier = EncoderClassifier.from_hparams(str(folder), run_opts=CPU)
    posteriors, _, _, labels = classifier.classify_file(path)
    torch.testing.assert_close(
        posteriors, result.log_posteriors, atol=1e-5, rtol=0
    )
    assert labels == result.labels
    enhancer = WaveformEnhancement.from_hparams(str(folder), run_opts=CPU)
    torch.testing.assert_close(
        enhancer.enhance_file(path), result.enhanced[0], atol=1e-5, rtol=0
    )


def test_adapters_hold_no_weights_of_their_own(folder):
    ours = JointEnhancementClassifier.from_hparams(folder, run_opts=CPU)
    alone = sum(p.numel() for p in ours.mods.model.parameters())
    # Parameters that modules share are listed once.
    assert sum(p.numel() for p in ours.mods.parameters()) == alone


def test_every_weight_is_the_trained_one(tmp_path):
    expected = write_experiment(tmp_path).state_dict()
    ours = JointEnhancementClassifier.from_hparams(tmp_path, run_opts=CPU)
    for loaded in (ours.mods.model, load_model(tmp_path / "pretrained")):
        found = loaded.state_dict()
        assert found.keys() == expected.keys()
        for name, value in expected.items():
            assert torch.equal(found[name], value), name
    assert ours.emotions == EMOTIONS


@pytest.mark.parametrize(
    ("task", "stock", "other"),
    [
        ("emotion", EncoderClassifier, WaveformEnhancement),
        ("enhance", WaveformEnhancement, EncoderClassifier),
    ],
)
def test_models_of_one_task(tmp_path, noisy, task, stock, other):
    write_experiment(tmp_path, tasks=[task])
    folder = str(tmp_path / "pretrained")
    loaded = stock.from_hparams(folder, run_opts=CPU)
    ours = JointEnhancementClassifier.from_hparams(folder, run_opts=CPU)
    result = ours.process_batch(noisy)
    if task == "emotion":
        found, expected = loaded(noisy)[0], result.log_posteriors
    else:
        found, expected = loaded(noisy), result.enhanced
    torch.testing.assert_close(found, expected, atol=1e-5, rtol=0)
    assert set(other.MODULES_NEEDED) - set(ours.mods)


def test_an_experiment_stands_for_its_model(folder):
    assert find_pretrained_folder(folder.parent) == str(folder)
    assert find_pretrained_folder(folder) == str(folder)


@pytest.mark.parametrize("name", ["merit-base", "merit-mini"])
def test_names_of_what_is_shipped_are_looked_up_here(
    name, monkeypatch, tmp_path
):
    monkeypatch.chdir(tmp_path)
    assert find_model(name) == str(MERIT_BASE)


@pytest.mark.parametrize(
    ("name", "hint"),
    [
        ("results/mini/sparse_merti", "Did you mean sparse_merit?"),
        ("results/mni", "Did you mean mini?"),
        ("merit-bsae", "Did you mean merit-base?"),
        *(
            (name, "")
            for name in ("./x", "../x/y", "~/x", "/no/where", "a b/c")
        ),
    ],
)
def test_a_folder_that_is_not_there_needs_no_network(
    name, hint, monkeypatch, tmp_path
):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "results" / "mini" / "sparse_merit").mkdir(parents=True)
    (tmp_path / "variant.yaml").write_text(f"pretrained_folder: {name}")
    composed = compose(tmp_path / "variant.yaml")
    for load in (
        JointEnhancementClassifier.from_hparams,
        JointEnhancementClassifier.from_plain,
        lambda name: main(["demo", "--model", name]) and find_model(name),
    ):
        with pytest.raises(FileNotFoundError) as error:
            load(name)
        assert str(error.value).startswith(
            f"There is no folder {name}.{hint and ' '}{hint}"
        )
    with pytest.raises(FileNotFoundError, match="There is no folder"):
        load_speech_model(name, None, "save")
    with pytest.raises(FileNotFoundError, match=f"{name} holds no hyperparams"):
        replace_encoder_source(composed)


def test_names_of_the_hub_are_told_by_their_form(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    assert find_model("who/merit-1.0_x") == "who/merit-1.0_x"
    assert find_model("https://x.org/m") == "https://x.org/m"
    (tmp_path / "who" / "here").mkdir(parents=True)
    assert find_model("who/here") == "who/here"
    with pytest.raises(FileNotFoundError):
        find_model("who/merit-1.0_x")


def test_a_cascade_has_embeddings_too(tmp_path, noisy):
    enhancer = write_experiment(tmp_path / "first", tasks=["enhance"])
    classifier = write_experiment(tmp_path / "second", tasks=["emotion"])
    cascade = EnhanceThenClassify(enhancer, classifier).eval()
    with torch.no_grad():
        scores = EmotionScores(cascade)(EmotionEmbedding(cascade)(noisy))
        expected = cascade(noisy).logits.log_softmax(dim=1)
    torch.testing.assert_close(scores.squeeze(1), expected)
