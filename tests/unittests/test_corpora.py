"""Corpora add to variants, and the command line wins over both."""

import shlex
import sys
from pathlib import Path

import pytest
from hyperpyyaml import load_hyperpyyaml

from speechbrain_merit.config import compose, parse_arguments
from speechbrain_merit.config.corpora import find_corpora

VARIANT = """
corpus: none
size: 1
options: {}
rate: 16000
half: !apply:operator.floordiv [!ref <rate>, 2]
"""


def write_variant(folder, name, text):
    (folder / "hparams").mkdir(exist_ok=True)
    (folder / "hparams" / f"{name}.yaml").write_text(text)


@pytest.fixture
def project(tmp_path, monkeypatch):
    monkeypatch.setattr(sys, "path", list(sys.path))
    for name, text in (
        ("mini", "size: 2\n"),
        ("Other", "size: 3\nrate: 8000\noptions:\n    a: 1\n    b: 2\n"),
    ):
        folder = tmp_path / "recipes" / name / "joint_enhance_emotion"
        folder.mkdir(parents=True)
        (folder / "corpus.yml").write_text(text)
    write_variant(tmp_path, "variant", VARIANT)
    other = tmp_path / "recipes" / "Other"
    (other / "other_prepare.py").write_text("X = 5\n")
    # What becomes of a link on Windows.
    (other / "joint_enhance_emotion" / "other_prepare.py").write_text(
        "../other_prepare.py"
    )
    return tmp_path


def load(folder, overrides):
    variant = folder / "hparams" / "variant.yaml"
    return load_hyperpyyaml(compose(variant, overrides, folder).text)


def test_mini_is_the_default(project):
    assert load(project, "")["size"] == 2


def test_command_line_wins_over_corpus_over_variant(project):
    hparams = load(project, "corpus: Other\noptions: {b: 7}")
    assert hparams["size"] == 3
    assert hparams["options"] == {"a": 1, "b": 7}
    assert hparams["corpus"] == "Other"
    # References see the overridden value.
    assert hparams["half"] == 4000
    assert load(project, "corpus: Other\nsize: 9")["size"] == 9


def test_the_preparation_can_be_imported(project):
    load(project, "corpus: Other")
    import other_prepare

    assert other_prepare.X == 5


def test_a_recipe_folder_stands_alone(project):
    folder = project / "recipes" / "Other" / "joint_enhance_emotion"
    assert list(find_corpora(folder)) == ["Other"]
    write_variant(folder, "variant", VARIANT)
    assert load(folder, "")["size"] == 3


def test_an_unknown_corpus_lists_the_known_ones(project):
    with pytest.raises(ValueError, match="Other, mini.* Did you mean Other"):
        load(project, "corpus: Othr")


def test_a_key_that_the_variant_lacks_is_refused(project):
    with pytest.raises(ValueError, match="sise is no key of variant.yaml"):
        load(project, "sise: 3")


def test_what_a_corpus_sets_for_other_variants_is_left_out(project):
    corpus = project / "recipes" / "mini" / "joint_enhance_emotion"
    (corpus / "corpus.yml").write_text("size: 2\nexpert_size: 64\n")
    with pytest.raises(
        ValueError, match="expert_size is no key of variant.yaml.*corpus.yml"
    ):
        load(project, "")
    write_variant(project, "experts", VARIANT + "expert_size: 8\n")
    hparams = load(project, "")
    assert hparams["size"] == 2
    assert "expert_size" not in hparams


@pytest.mark.parametrize("corpus", ["CREMA-D", "EmoDB", "IEMOCAP", "MELD"])
def test_the_paper_s_size_is_beside_that_for_a_laptop(corpus, monkeypatch):
    monkeypatch.setattr(sys, "path", list(sys.path))
    root = Path(__file__).parents[2]
    page = (root / "recipes" / "README.md").read_text(encoding="utf-8")
    command = page.split("## Size")[1].split("```bash\n")[1].split("```")[0]
    python, script, *arguments = shlex.split(command.replace("\\\n", " "))
    assert (python, script) == ("python", "train.py")
    arguments.remove("...")
    arguments[arguments.index("EmoDB")] = corpus
    variant, options, overrides = parse_arguments(arguments)
    composed = compose(root / variant, overrides, root)
    plain = compose(root / variant).tree
    small = compose(root / variant, f"corpus: {corpus}", root)
    assert small.tree["encoder_source"].startswith("openai/whisper-tiny")
    keys = {
        key.partition(".")[0]
        for key, place in small.origins.items()
        if place.endswith("corpus.yml")
    }
    assert "expert_hidden_size" in keys
    for key in keys - {"prepare_corpus", "prepare_options"}:
        # One is SpeechBrain's own option.
        set_to = getattr(options, key, composed.tree[key])
        assert set_to == plain[key], key
