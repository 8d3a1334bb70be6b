"""Tests of rules that SpeechBrain's checks and reviews have, written anew.

Where upstream's check reads text line by line, so does the rule here: what a
parser would find is in test_yaml.py and test_docstrings.py.

Authors
 * The speechbrain-merit developers 2026
"""

import ast
import re
import sys
from pathlib import Path

import pytest
from repository import RECIPES, ROOT, VARIANTS, files, flattened, relative

MAXIMUM_BYTES = 1024 * 1024
# The one file that may be larger, as .pre-commit-config.yaml says too.
PRETRAINED = ROOT / "speechbrain_merit" / "pretrained" / "merit-base"
WEIGHTS = ".safetensors"
TEXT = (".cfg", ".csv", ".md", ".py", ".toml", ".txt", ".yaml", ".yml")
# What upstream's requirements.txt brings: a recipe need not name it.
UPSTREAM_REQUIREMENTS = {
    "huggingface_hub",
    "hyperpyyaml",
    "joblib",
    "numpy",
    "packaging",
    "requests",
    "scipy",
    "sentencepiece",
    "soundfile",
    "speechbrain",
    "torch",
    "torchaudio",
    "tqdm",
}
# Upstream's test that loads every YAML fills these in, and no other.
LOADABLE = {"data_folder", "output_folder"}


@pytest.mark.parametrize("path", VARIANTS, ids=relative)
def test_upstream_can_fill_the_placeholders_in(path: Path):
    text = flattened(path)
    keys = set(re.findall(r"^(\w+):", text, flags=re.MULTILINE))
    assert keys >= LOADABLE
    open_keys = set(
        re.findall(r"^(\w+): !PLACEHOLDER", text, flags=re.MULTILINE)
    )
    # The second stage cannot do without a first one.
    own = {"enhancer_folder"} if path.stem == "se_then_ser" else set()
    assert open_keys <= LOADABLE | own


@pytest.mark.parametrize("path", VARIANTS, ids=relative)
def test_a_yaml_has_upstreams_header(path: Path):
    box, *lines = flattened(path).splitlines()
    # What an overlay is comes before the header of what it lies over.
    while box.startswith(("# Model: ", "#     ")):
        box, *lines = lines
    assert re.fullmatch(r"# #{60,}", box)
    header = lines[: lines.index(box)]
    assert all(line.startswith("# ") for line in header)
    for title in ("Model", "Data", "Authors"):
        assert any(line.startswith(f"# {title}:") for line in header), title
    sections = re.findall(r"^# #+ (.+?) #+$", "\n".join(lines), re.MULTILINE)
    assert {"Training Parameters", "Model Parameters"} <= set(sections)


def test_the_script_has_upstreams_header():
    lines = (ROOT / "train.py").read_text(encoding="utf-8").splitlines()
    assert lines[0] == "#!/usr/bin/env python3"
    docstring = ast.get_docstring(ast.parse("\n".join(lines)))
    assert docstring.startswith("Recipe for training ")
    assert "To run this recipe, do the following:\n> python " in docstring
    assert re.search(r"\nAuthors\n( \* .+ \d{4}\n?)+$", docstring)


def third_party(path: Path, beside: set[str]) -> set[str]:
    """Packages that a script imports, wherever in it."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name.split(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.level == 0:
            found.add(node.module.split(".")[0])
    return found - set(sys.stdlib_module_names) - beside


@pytest.mark.parametrize("recipe", RECIPES, ids=relative)
def test_requirements_name_what_a_recipe_imports(recipe: Path):
    lines = (recipe / "extra_requirements.txt").read_text().splitlines()
    assert lines == sorted(lines), "Requirements are sorted."
    named = {
        re.match(r"[\w-]+", line).group().replace("-", "_") for line in lines
    }
    scripts = list(recipe.glob("*.py"))
    beside = {path.stem for path in scripts}
    for path in scripts:
        missing = third_party(path, beside) - UPSTREAM_REQUIREMENTS - named
        assert not missing, f"{relative(path)} imports {missing}."


@pytest.mark.parametrize("recipe", RECIPES, ids=relative)
def test_a_readme_has_upstreams_parts(recipe: Path):
    text = (recipe / "README.md").read_text(encoding="utf-8")
    for part in (
        "## Installing Extra Dependencies",
        "pip install -r extra_requirements.txt",
        "python train.py hparams/",
        "## Results",
        "# **About SpeechBrain**",
    ):
        assert part in text, f"{relative(recipe)}/README.md lacks {part!r}."


def test_files_are_as_pre_commit_leaves_them():
    found = []
    for path in files():
        content = path.read_bytes()
        is_weights = path.parent == PRETRAINED and path.suffix == WEIGHTS
        if len(content) > MAXIMUM_BYTES and not is_weights:
            found.append(f"{relative(path)}: larger than 1,024 kB")
        if path.suffix not in TEXT or not content:
            continue
        if b"\r" in content or not content.endswith(b"\n"):
            found.append(f"{relative(path)}: ends of lines or of the file")
        if re.search(rb"[ \t]+$", content, flags=re.MULTILINE):
            found.append(f"{relative(path)}: blanks at the end of a line")
    assert not found, "\n".join(found)
