"""Overlays, corpora and command lines become one HyperPyYAML."""

from pathlib import Path

import pytest
import ruamel.yaml
from hyperpyyaml import load_hyperpyyaml

from speechbrain_merit.config import compose

ROOT = Path(__file__).parents[2]
COMPLETE = """# The whole of it

seed: 1
size: 4 # of one
# Of both
weights:
    one: 1.0 # the first
    two: 2.0
    three: 3.0
counter: !new:collections.Counter
    one: !ref <size>
    two: !ref <weights[two]>

last: !ref <counter>
"""


@pytest.fixture
def write(tmp_path):
    """Writes files of hyperparameters, one of them complete."""

    def write(name, text):
        path = tmp_path / f"{name}.yaml"
        path.write_text(text, encoding="utf-8")
        return path

    write("complete", COMPLETE)
    return write


def overlay(write, text, name="overlay", base="complete"):
    return write(name, f"base: {base}.yaml\n{text}")


def loaded(path, overrides=""):
    return load_hyperpyyaml(compose(path, overrides).text)


def test_an_overlay_says_what_differs(write):
    path = overlay(write, "drop: [weights.three]\nsize: 5\nweights: {one: 0.5}")
    found = loaded(path, "weights: {two: 7}")
    assert found["weights"] == {"one": 0.5, "two": 7}
    assert found["counter"] == {"one": 5, "two": 7}
    assert found["seed"] == 1


def test_a_tagged_node_replaces_and_an_untagged_mapping_merges(write):
    merged = overlay(write, "counter: {one: 9}", "merged")
    assert loaded(merged)["counter"] == {"one": 9, "two": 2.0}
    replaced = overlay(write, "counter: !new:builtins.dict {a: 1}", "replaced")
    assert loaded(replaced)["counter"] == {"a": 1}
    given = loaded(merged, "counter: !new:builtins.dict {b: 1}")
    assert given["counter"] == {"b": 1}


def test_a_value_replaces_a_mapping(write):
    assert loaded(overlay(write, "last: 3\ncounter: null"))["counter"] is None


def test_an_overlay_of_an_overlay(write):
    overlay(write, "size: 5\nweights: {one: 8.0}", "middle")
    path = overlay(write, "drop: [weights.one]\nseed: 2", base="middle")
    found = loaded(path)
    assert (found["seed"], found["size"]) == (2, 5)
    assert found["weights"] == {"two": 2.0, "three": 3.0}


def test_a_new_key_stands_before_the_next_one_that_is_known(write):
    text = "more: !ref <size>\ncounter: {three: !ref <more>}\nend: 1\n"
    keys = list(compose(overlay(write, text)).tree)
    assert keys == ["seed", "size", "weights", "more", "counter", "last", "end"]


def test_what_is_composed_stands_alone_and_keeps_comments(write, tmp_path):
    path = overlay(write, "# Half\nsize: 2 # now\n", base="complete")
    path.write_text("# Half of it\n" + path.read_text())
    composed = compose(path, "seed: 3")
    lines = composed.text.splitlines()
    assert lines[:2] == ["# Half of it", "# The whole of it"]
    # A comment belongs to the key, whatever its value.
    assert "size: 2 # of one" in lines and "# Of both" in lines
    assert "    one: 1.0 # the first" in lines
    composed.write(tmp_path / "written.yaml")
    text = (tmp_path / "written.yaml").read_text()
    assert f"# in {path}\n" in text and "# on the command line\n" in text
    assert ruamel.yaml.YAML(typ="safe").load(text.split("counter:")[0]) == {
        "seed": 3,
        "size": 2,
        "weights": {"one": 1.0, "two": 2.0, "three": 3.0},
    }
    assert load_hyperpyyaml(text) == load_hyperpyyaml(composed.text)


def test_where_a_key_is_set(write):
    overlay(write, "weights: {one: 8.0, two: 9.0}", "middle")
    path = overlay(write, "weights: {two: 1.0}\nlast: 1", base="middle")
    composed = compose(path, "weights: {three: 3.5}")
    origins = {
        "seed": f"in {path.with_name('complete.yaml')}",
        "weights.one": f"in {path.with_name('middle.yaml')}",
        "weights.two": f"in {path}",
        "weights.three": "on the command line",
        "counter.one": f"in {path.with_name('complete.yaml')}",
        "last": f"in {path}",
    }
    assert {key: composed.origin(key) for key in origins} == origins


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("base: none.yaml", "overlay.yaml: the base none.yaml does not exist"),
        ("base: other.yaml", "other.yaml: the base overlay.yaml has this"),
        ("base: overlay.yaml", "the base overlay.yaml has this file as base"),
        ("base: complete.yaml\ndrop: [sise]", "overlay.yaml drops sise.*size?"),
        ("base: complete.yaml\ndrop: [weights.four]", "drops weights.four"),
        ("base: complete.yaml\ndrop: [size.one]", "drops size.one"),
        ("base: complete.yaml\ndrop: size", "drop is 'size'; it must be a"),
        ("seed: 1\ndrop: [seed]", "must be a list of keys of a base"),
        (
            "base: complete.yaml\nseed: {a: 1}",
            "seed is .* no mapping.*in .*overlay.yaml",
        ),
        ("base: complete.yaml\nsise: [1", "overlay.yaml cannot be read"),
        ("# Nothing yet", "overlay.yaml is empty"),
        ("base: complete.yaml\nweights.one: 2", "'weights.one' is no key"),
        ("base: complete.yaml\n1: 2", "overlay.yaml: 1 is no key"),
        ("base: complete.yaml\n? [a]\n: 2", "'a'.* is no key"),
    ],
)
def test_overlays_that_cannot_be(write, text, message):
    write("other", "base: overlay.yaml")
    path = write("overlay", text)
    with pytest.raises((ValueError, FileNotFoundError), match=message):
        compose(path)


@pytest.mark.parametrize("name", ["sparse_merit", "se_then_ser"])
def test_a_file_of_a_training_is_a_variant_with_its_corpus(name, tmp_path):
    given = (
        "lr: 0.02\nnumber_of_epochs: 1\nexpert_hidden_size: 16\n"
        "emotion_dropout: 0\nencoder_config: {model_type: wavlm, "
        "conv_dim: [16, 16]}\ndata_folder: data\n"
    )
    if name == "se_then_ser":
        given = "data_folder: data\nenhancer_folder: trained\n"
    written = tmp_path / "hyperparams.yaml"
    first = compose(ROOT / "hparams" / f"{name}.yaml", given, ROOT)
    first.write(written)
    again = compose(written, "seed: 3", ROOT)
    assert again.text == again.text
    values = ruamel.yaml.YAML().load(again.resolve())
    expected = ruamel.yaml.YAML().load(first.resolve())
    assert values["seed"] == 3
    for key in ("lr", "batch_size", "number_of_epochs", "emotion_hidden_size"):
        assert values[key] == expected[key]
    with pytest.raises(ValueError, match="is of a training on mini: for ano"):
        compose(written, "corpus: RAVDESS", ROOT)
