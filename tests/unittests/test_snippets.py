"""Every block of code of README.md and docs, run from top to bottom of a page.

What trains is not trained here: its command line is checked as train.py does
before any work. Of what is installed or downloaded, it is checked that there is
such a thing.
"""

import configparser
import contextlib
import functools
import json
import re
import shlex
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import soundfile
from test_command_line import RESULTS, Hub
from toy_model import write_experiment

from speechbrain_merit.command_line import listen, main, report, sweep
from speechbrain_merit.config import (
    check_hyperparameters,
    compose,
    parse_arguments,
)

ROOT = Path(__file__).parents[2]
PAGES = [
    ROOT / "README.md",
    ROOT / "CONTRIBUTING.md",
    ROOT / "recipes" / "README.md",
    *sorted((ROOT / "docs").rglob("*.md")),
]
BLOCK = re.compile(r"^```(\w+)\n(.*?)^```$", re.DOTALL | re.MULTILINE)
EXPERIMENT = "results/mini/sparse_merit/fold0_seed1986"
# What needs a network, a daemon or a shell, and nothing of this project.
FOREIGN = (
    "docker",
    "export",
    "git clone",
    "hf auth login",
    "hf upload",
    "pre-commit install",
    "python3 -m venv",
    ".",
    "uv venv",
)


def blocks(page: Path) -> list[tuple[str, str]]:
    text = page.read_text(encoding="utf-8")
    found = [(m[1], m[2]) for m in BLOCK.finditer(text)]
    return [b for b in found if b[0] in ("bash", "python", "yaml")]


def commands(text: str) -> Iterator[list[str]]:
    """Splits a block into commands; a line that ends with \\ goes on."""
    joined = re.sub(r"^#.*$|\s#\s.*$", "", text, flags=re.MULTILINE)
    # A quoted text may have lines, too.
    parts, rest = [], ""
    for line in joined.replace("\\\n", " ").splitlines():
        rest = f"{rest}\n{line}" if rest else line
        with contextlib.suppress(ValueError):
            parts.append(shlex.split(rest))
            rest = ""
    for part in filter(None, parts):
        while "&&" in part:
            place = part.index("&&")
            yield part[:place]
            part = part[place + 1 :]
        yield part


@pytest.fixture(scope="module")
def toy(tmp_path_factory):
    """A finished experiment of a model of random weights."""
    folder = tmp_path_factory.mktemp("toy") / "experiment"
    write_experiment(folder)
    (folder / "results.json").write_text(json.dumps(RESULTS))
    return folder


@pytest.fixture
def project(toy, tmp_path, monkeypatch):
    """A folder with all that the pages speak of."""
    for name in ("hparams", "recipes"):
        (tmp_path / name).mkdir()
        for path in (ROOT / name).iterdir():
            (tmp_path / name / path.name).symlink_to(path)
    for name in ("benchmarks", "tools", "tests", "speechbrain_merit"):
        (tmp_path / name).symlink_to(ROOT / name)
    examples = ROOT / "docs" / "how_to" / "examples"
    (tmp_path / "recipes" / "MyCorpus").symlink_to(examples / "MyCorpus")
    for name in (EXPERIMENT, "MODEL", "my-name/my-model", "merit"):
        shutil.copytree(toy, tmp_path / name)
    generator = np.random.default_rng(0)
    for name in (
        "noisy.wav",
        "street.wav",
        "recordings/a.wav",
        "data/mini/speech/s13/mini_s13_angry_0000.wav",
        "data/mini/noise/wind/wind_unseen_00.wav",
    ):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        soundfile.write(path, 0.1 * generator.normal(size=16000), 16000)
    monkeypatch.chdir(tmp_path)
    # Which corpora are added to.
    monkeypatch.setattr("sys.path", [str(examples), *sys.path])
    monkeypatch.setattr("huggingface_hub.HfApi", Hub)
    for command in (listen, report, sweep):
        # Only whether there are such options.
        stub = functools.wraps(command.run)(lambda **options: 0)
        monkeypatch.setattr(command, "run", stub)
    return tmp_path


def run_command(words: list[str]) -> None:
    """Runs a command of a page, or checks it where that would take long."""
    while "=" in words[0]:
        words = words[1:]
        if not words:
            return
    line = " ".join(words)
    if words[0] == "speechbrain-merit":
        if words[1] == "export":
            shutil.rmtree("my-model", ignore_errors=True)
        if "--workers" in words:
            # Only whether there are such options: one too many stops it.
            assert main([*words[1:], "--batch_size", "0"]) == 1, line
        elif words[1] != "import-official":
            assert main(words[1:]) == 0, line
    elif "train.py" in words:
        arguments = words[words.index("train.py") + 1 :]
        if "..." in arguments:
            arguments.remove("...")
            arguments += ["--data_folder", "data", "--noise_folder", "noise"]
        variant, options, overrides = parse_arguments(arguments)
        check_hyperparameters(compose(variant, overrides, "."), options)
    elif "pip install" in line:
        config = configparser.ConfigParser()
        config.read(ROOT / "setup.cfg")
        extras = re.findall(r"\.\[([\w,]+)\]", line)
        for extra in ",".join(extras).split(",") if extras else ():
            assert extra in config["options.extras_require"], line
    elif words[0] in ("python", "pytest"):
        for word in words[1:]:
            path = Path(word.replace("$T", "tests/unittests"))
            assert path.suffix != ".py" or path.is_file(), line
    else:
        assert line.startswith(FOREIGN), line


@pytest.mark.parametrize(
    "page",
    [page for page in PAGES if blocks(page)],
    ids=lambda page: page.relative_to(ROOT).as_posix(),
)
def test_the_code_of_a_page_runs(page, project, toy):
    pytest.importorskip("onnxruntime")
    heard = np.zeros((3, 8000), dtype="float32")
    names = {"MODEL": str(toy), "folder": str(toy), "blocks": list(heard)}
    names["play"] = [].append
    for language, text in blocks(page):
        if language == "python":
            exec(compile(text, str(page), "exec"), names)
        elif language == "bash":
            for words in commands(text):
                run_command(words)
        else:
            # The examples of this page are variants.
            name = re.search(r"^system: (\w+)", text, re.MULTILINE)
            variant = project / "hparams" / f"{name[1]}.yaml"
            variant.write_text(text)
            compose(variant)
