"""Tests that every recipe folder is complete, here and copied elsewhere.

Authors
 * The speechbrain-merit developers 2026
"""

import ast
import os
import shutil
from pathlib import Path

import pytest
import ruamel.yaml
from repository import RECIPES, ROOT, relative

from speechbrain_merit.config.corpora import find_corpora


def preparation(recipe: Path) -> str:
    """File name of a corpus's preparation script."""
    corpus = recipe.parent.name.lower().replace("-", "_")
    return f"{corpus}_prepare.py"


@pytest.fixture
def copy(recipe: Path, tmp_path: Path) -> Path:
    """A recipe folder with its links followed, without the repository."""
    target = tmp_path / recipe.parent.name / recipe.name
    return Path(shutil.copytree(recipe, target, symlinks=False))


def imported_names(path: Path) -> set[str]:
    """Top-level names of the modules that a script imports."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name.split(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.level == 0:
            found.add(node.module.split(".")[0])
    return found


def test_every_corpus_has_a_recipe():
    corpora = {
        folder
        for folder in (ROOT / "recipes").iterdir()
        if folder.is_dir() and not folder.name.startswith(("_", "."))
    }
    assert corpora and {recipe.parent for recipe in RECIPES} == corpora


@pytest.mark.parametrize("recipe", RECIPES, ids=relative)
@pytest.mark.parametrize(
    "name", ["README.md", "extra_requirements.txt", "corpus.yml"]
)
def test_own_files_exist(recipe: Path, name: str):
    path = recipe / name
    assert path.is_file(), f"{relative(path)} is missing."
    assert not path.is_symlink(), f"{relative(path)} belongs to one corpus."


@pytest.mark.parametrize("recipe", RECIPES, ids=relative)
def test_shared_files_are_relative_links(recipe: Path):
    links = {path.name for path in recipe.iterdir() if path.is_symlink()}
    missing = {"train.py", "hparams", preparation(recipe)} - links
    assert not missing, f"{relative(recipe)} lacks links to {sorted(missing)}."
    for name in links:
        path = recipe / name
        target = os.readlink(path)
        assert not os.path.isabs(target), f"{relative(path)}: absolute link."
        assert path.exists(), f"{relative(path)} -> {target} leads nowhere."
        assert path.resolve().is_relative_to(ROOT), (
            f"{relative(path)} -> {target} leaves the repository."
        )
    assert (recipe / "train.py").resolve() == ROOT / "train.py"
    assert (recipe / "hparams").resolve() == ROOT / "hparams"


@pytest.mark.parametrize("recipe", RECIPES, ids=relative)
def test_copy_is_found_alone(recipe: Path, copy: Path):
    assert find_corpora(copy) == {recipe.parent.name: copy}


@pytest.mark.parametrize("recipe", RECIPES, ids=relative)
def test_copy_has_what_it_imports(recipe: Path, copy: Path):
    """Scripts beside the preparation script must be linked as well."""
    needed = set()
    for script in copy.glob("*.py"):
        needed |= imported_names(script)
    beside = {path.stem for path in recipe.parent.glob("*.py")}
    missing = (needed & beside) - {path.stem for path in copy.glob("*.py")}
    assert not missing, f"{relative(recipe)} lacks links to {sorted(missing)}."


@pytest.mark.parametrize("recipe", RECIPES, ids=relative)
def test_copy_prepares_its_corpus(recipe: Path, copy: Path):
    """`corpus.yml` names a function of the preparation script."""
    text = (copy / "corpus.yml").read_text(encoding="utf-8")
    root = ruamel.yaml.YAML(typ="safe", pure=True).compose(text)
    (node,) = [v for k, v in root.value if k.value == "prepare_corpus"]
    module, function = str(node.tag).removeprefix("!name:").split(".")
    assert f"{module}.py" == preparation(recipe)
    tree = ast.parse((copy / f"{module}.py").read_text(encoding="utf-8"))
    defined = {n.name for n in tree.body if isinstance(n, ast.FunctionDef)}
    assert function in defined, f"{module}.py defines no {function}."
