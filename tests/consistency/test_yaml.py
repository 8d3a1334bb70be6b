"""Tests that hyperparameters, corpora and train.py name the same keys.

Authors
 * The speechbrain-merit developers 2026
"""

import ast
import dataclasses
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
import ruamel.yaml
from repository import RECIPES, ROOT, VARIANTS, flattened, relative

from speechbrain.utils.run_opts import RunOptions

TRAIN = (ROOT / "train.py").read_text(encoding="utf-8")
RUN_OPTIONS = {field.name for field in dataclasses.fields(RunOptions)}
CORPUS_FILES = [
    folder / "corpus.yml"
    for folder in RECIPES
    if (folder / "corpus.yml").is_file()
]


def top_level(text: str) -> dict[str, ruamel.yaml.Node]:
    """Nodes of a YAML by key, in order; tags are kept, nothing is built."""
    root = ruamel.yaml.YAML(typ="safe", pure=True).compose(text)
    return {key.value: value for key, value in root.value} if root else {}


def nodes(node: ruamel.yaml.Node) -> Iterator[ruamel.yaml.Node]:
    """A node and all that lie in it, at any depth and in order."""
    yield node
    if isinstance(node, ruamel.yaml.SequenceNode):
        for item in node.value:
            yield from nodes(item)
    elif isinstance(node, ruamel.yaml.MappingNode):
        for _, item in node.value:
            yield from nodes(item)


def tag(node: ruamel.yaml.Node) -> str:
    """Such as `!new:torch.nn.Linear`."""
    return str(node.tag)


def referenced(text: str) -> set[str]:
    """Top-level keys that some other key's value refers to."""
    return {
        name
        for key, value in top_level(text).items()
        for node in nodes(value)
        if tag(node) in ("!ref", "!copy")
        for name in re.findall(r"<\s*(\w+)", node.value)
        if name != key
    }


def is_hparams(node: ast.expr) -> bool:
    """Whether an expression is `hparams` or `<anything>.hparams`."""
    name = node.id if isinstance(node, ast.Name) else None
    return (node.attr if isinstance(node, ast.Attribute) else name) == "hparams"


def script_keys(source: str, context: type[ast.expr_context]) -> set[str]:
    """Keys of `hparams` that a script loads or stores."""
    found = set()
    for node in ast.walk(ast.parse(source)):
        if not isinstance(getattr(node, "ctx", None), context):
            continue
        if isinstance(node, ast.Subscript) and is_hparams(node.value):
            found.add(ast.literal_eval(node.slice))
        # Methods of the dictionary count as keys too, and so are refused:
        # `get` would be a default outside the YAML.
        elif isinstance(node, ast.Attribute) and is_hparams(node.value):
            found.add(node.attr)
    return found


def unused_keys(text: str, read: set[str]) -> list[str]:
    """Keys of a variant that nothing reads."""
    used = read | referenced(text) | RUN_OPTIONS
    return [
        key
        for key in top_level(text)
        if key not in used and not key.startswith("__")
    ]


def read_by_train() -> set[str]:
    """Keys that train.py needs from the YAML."""
    return script_keys(TRAIN, ast.Load) - script_keys(TRAIN, ast.Store)


@pytest.mark.parametrize("path", VARIANTS, ids=relative)
def test_every_key_is_used(path: Path):
    unused = unused_keys(flattened(path), read_by_train())
    assert not unused, (
        f"{relative(path)}: neither train.py nor the rest of the file uses "
        f"{', '.join(unused)}."
    )


@pytest.mark.parametrize("path", VARIANTS, ids=relative)
def test_every_key_that_train_reads_exists(path: Path):
    missing = read_by_train() - set(top_level(flattened(path)))
    assert not missing, f"{relative(path)} lacks {', '.join(sorted(missing))}."


@pytest.mark.parametrize("corpus", CORPUS_FILES, ids=relative)
def test_every_key_of_a_corpus_exists(corpus: Path):
    known = {
        key for variant in VARIANTS for key in top_level(flattened(variant))
    }
    keys = top_level(corpus.read_text(encoding="utf-8"))
    unknown = [key for key in keys if key not in known]
    assert not unknown, (
        f"{relative(corpus)} overrides {', '.join(unknown)}, which no variant "
        "has."
    )


@pytest.mark.parametrize("path", VARIANTS, ids=relative)
def test_seeding_comes_before_anything_is_built(path: Path):
    values = top_level(flattened(path))
    assert next(iter(values)) == "seed", f"{relative(path)}: seed comes first."
    built = [
        tag(node)
        for value in values.values()
        for node in nodes(value)
        if tag(node).startswith(("!new:", "!apply:"))
    ]
    assert built[0] == "!apply:speechbrain.utils.seed_everything", (
        f"{relative(path)}: {built[0]} comes before seed_everything."
    )


def test_there_are_variants_and_corpora():
    assert ROOT / "hparams" / "sparse_merit.yaml" in VARIANTS
    assert CORPUS_FILES


def test_keys_are_matched_exactly():
    source = 'hparams["crop_train"]\nself.hparams.rate\nhparams["mixer"] = 1'
    assert script_keys(source, ast.Load) == {"crop_train", "rate"}
    assert script_keys(source, ast.Store) == {"mixer"}
    text = (
        "crop: 1\ncrop_train: 2\nrate: 3\nsize: 4\nsize_of: 5\n"
        "net: !new:Net\n    deep: [{width: !ref <size> + <bins.low>}]\n"
        "self: !ref <self>\nbins: {low: 1}\ndevice: cpu\n__set_seed: 6\n"
    )
    unused = unused_keys(text, script_keys(source, ast.Load))
    assert unused == ["crop", "size_of", "net", "self"]
