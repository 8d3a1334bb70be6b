"""The documentation: the site, the examples of its pages, the notebook."""

import json
import pkgutil
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from hyperpyyaml import load_hyperpyyaml

import speechbrain_merit
from speechbrain.dataio import audio_io
from speechbrain_merit.config import compose
from speechbrain_merit.data.manifests import manifest_paths, read_manifest
from speechbrain_merit.lobes import JointModel

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"
EXAMPLES = DOCS / "how_to" / "examples"
NEEDS_SPHINX = "the site is built by packages of pip install '.[docs]'"
# What the notebook trains in seconds.
SHORT = {
    "NUM_TRAIN": 16,
    "NUM_TEST": 4,
    "NUM_EPOCHS": 1,
}


def build(source: Path, target: Path) -> None:
    """Builds a site as the project's command does; a warning is an error."""
    pytest.importorskip("sphinx", reason=NEEDS_SPHINX)
    pytest.importorskip("myst_nb", reason=NEEDS_SPHINX)
    pytest.importorskip("furo", reason=NEEDS_SPHINX)
    result = subprocess.run(
        [sys.executable, "-m", "sphinx", "-W", "-n", "-q", source, target],
        text=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        check=False,
    )
    assert result.returncode == 0, result.stdout[-3000:]


@pytest.fixture
def source(tmp_path):
    """The site's sources, without what an earlier build left there."""
    ignore = shutil.ignore_patterns("api")
    return Path(shutil.copytree(DOCS, tmp_path / "docs", ignore=ignore))


@pytest.mark.long
def test_the_site_has_every_module(source, tmp_path):
    build(source, tmp_path / "site")
    modules = [
        module.name
        for module in pkgutil.walk_packages(
            speechbrain_merit.__path__, "speechbrain_merit."
        )
        if "._" not in module.name
    ]
    assert "speechbrain_merit.lobes.sparse_moe" in modules
    for name in modules:
        assert (tmp_path / "site" / "api" / f"{name}.html").is_file(), name
    for page in source.rglob("*.md"):
        built = (tmp_path / "site" / page.relative_to(source)).with_suffix(
            ".html"
        )
        text = built.read_text(encoding="utf-8")
        # The pages show the same where there is no network.
        assert not re.search(r'(<script[^>]* src|<img[^>]* src)="http', text)


def test_the_example_of_a_corpus(tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(str(EXAMPLES / "MyCorpus"))
    text = (
        EXAMPLES / "MyCorpus" / "joint_enhance_emotion" / "corpus.yml"
    ).read_text(encoding="utf-8")
    settings = load_hyperpyyaml(text)
    # Four speakers for the four folds, and the emotions of the page.
    for speaker in ("ada", "ben", "cem", "dov"):
        for emotion in settings["emotions"]:
            write_tone(tmp_path / "speech" / speaker / f"{emotion}_01.wav")
    for kind in ("rain", "engine", "siren", "wind"):
        for number in range(10):
            write_tone(tmp_path / "noise" / kind / f"{number}.wav")
    settings["prepare_corpus"](
        data_folder=tmp_path / "speech",
        noise_folder=tmp_path / "noise",
        manifest_folder=tmp_path / "manifests",
        sample_rate_hz=16000,
        fold=0,
        seed=0,
        **settings["prepare_options"],
    )
    paths = manifest_paths(tmp_path / "manifests")
    speakers = {
        split: {f["speaker"] for f in read_manifest(paths[split]).values()}
        for split in ("train", "valid", "test")
    }
    assert speakers == {
        "test": {"ada"},
        "valid": {"ben"},
        "train": {"cem", "dov"},
    }
    unseen = read_manifest(paths["noise_unseen"]).values()
    assert {fields["noise_type"] for fields in unseen} == {"siren", "wind"}


def write_tone(path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    time_s = torch.arange(8000) / 16000
    audio_io.save(path, torch.sin(1000 * time_s)[None], 16000)


def test_the_example_of_an_integrator(monkeypatch, tmp_path):
    monkeypatch.syspath_prepend(str(EXAMPLES))
    page = (DOCS / "how_to" / "new_variant.md").read_text(encoding="utf-8")
    overlay = re.search(
        r"```yaml\n([^`]*last_layer\.LastLayer.*?)```", page, re.S
    )[1]
    variant = tmp_path / "last_layer.yaml"
    folder = ROOT / "hparams"
    variant.write_text(overlay.replace("base: ", f"base: {folder}/"))
    small = {
        "data_folder": "data",
        "encoder_source": None,
        "encoder_config": {
            "model_type": "wavlm",
            "hidden_size": 16,
            "num_hidden_layers": 1,
            "num_attention_heads": 2,
            "intermediate_size": 16,
            "conv_dim": [4] * 7,
            "num_conv_pos_embeddings": 4,
            "num_conv_pos_embedding_groups": 2,
        },
        "feature_size": 8,
        "mask_hidden_size": 4,
        "emotion_hidden_size": 4,
    }
    composed = compose(variant, json.dumps(small))
    with torch.random.fork_rng():
        model = load_hyperpyyaml(composed.text)["model"].eval()
    assert isinstance(model, JointModel)
    waveforms = torch.rand(2, 8000, generator=torch.Generator().manual_seed(0))
    waveforms[1, 4000:] = 0
    with torch.no_grad():
        both = model(waveforms, torch.tensor([1.0, 0.5])).logits
        alone = model(waveforms[1:, :4000]).logits
    torch.testing.assert_close(both[1:], alone, rtol=1e-4, atol=1e-5)


def run_notebook(folder: Path, **parameters: object) -> None:
    """Runs the notebook; values replace those of the cell of parameters."""
    nbformat = pytest.importorskip("nbformat", reason=NEEDS_SPHINX)
    nbclient = pytest.importorskip("nbclient", reason=NEEDS_SPHINX)
    pytest.importorskip("ipykernel", reason=NEEDS_SPHINX)
    notebook = nbformat.read(DOCS / "notebook.ipynb", as_version=4)
    cells = [
        c for c in notebook.cells if "parameters" in c.metadata.get("tags", [])
    ]
    assert len(cells) == 1
    for name, value in {"FOLDER": str(folder), **parameters}.items():
        cells[0].source, count = re.subn(
            rf"^{name} = .*$",
            lambda _, line=f"{name} = {value!r}": line,
            cells[0].source,
            flags=re.MULTILINE,
        )
        assert count == 1, name
    # From where a reader starts it, who may be offline.
    client = nbclient.NotebookClient(
        notebook, timeout=600, resources={"metadata": {"path": str(DOCS)}}
    )
    client.execute()


@pytest.mark.long
def test_the_notebook_runs_from_top_to_bottom(tmp_path):
    run_notebook(tmp_path)


@pytest.mark.long
def test_the_notebook_runs_in_its_short_form(tmp_path):
    run_notebook(tmp_path, **SHORT)


def test_the_notebook_is_stored_with_its_outputs():
    nbformat = pytest.importorskip("nbformat", reason=NEEDS_SPHINX)
    notebook = nbformat.read(DOCS / "notebook.ipynb", as_version=4)
    cells = [cell for cell in notebook.cells if cell.cell_type == "code"]
    # In order, from one run.
    counts = [cell.execution_count for cell in cells]
    assert counts == list(range(1, len(cells) + 1))
    outputs = [output for cell in cells for output in cell.outputs]
    kinds = {kind for o in outputs for kind in o.get("data", {})}
    assert {"image/png", "text/html", "text/markdown"} <= kinds
    assert not [o for o in outputs if o.output_type == "error"]
    assert str(Path.home()) not in str(outputs)
