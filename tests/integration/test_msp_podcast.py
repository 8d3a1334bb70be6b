"""The recipe of the paper's corpus: a made tree through both stages."""

import json
import shutil

import numpy as np
import pytest
import soundfile
import torch
from small_run import run

from speechbrain_merit.data.manifests import read_manifest

RATE = 16000
FOUR = "ASHN"
# Of each class; surprise, other and no agreement are left out.
SETS = {"Train": 2, "Development": 1, "Test1": 1, "Test2": 1}
# WavLM-Large but for the number of layers.
LARGE = {
    "model_type": "wavlm",
    "hidden_size": 1024,
    "num_hidden_layers": 2,
    "num_attention_heads": 16,
    "intermediate_size": 4096,
    "feat_extract_norm": "layer",
    "do_stable_layer_norm": True,
    "conv_bias": False,
}
OPTIONS = {
    "corpus": "MSP-Podcast",
    "encoder_source": "null",
    "encoder_config": json.dumps(LARGE),
    "number_of_frozen_epochs": 1,
    "batch_size": 4,
    "grad_accumulation_factor": 1,
    "num_averaged_checkpoints": 2,
    "mask_hidden_size": 256,
    "enhancement_metrics": "[ssnr_db]",
    # The pool at full size would take 1.2 GB with its optimizer.
    "expert_hidden_size": 64,
    "prepare_options": "{num_jobs: 2}",
}


@pytest.fixture
def tree(tmp_path):
    """Seven classes in four parts, and noise with its own three."""
    generator = np.random.default_rng(0)
    rows = ["FileName,EmoClass,EmoAct,EmoVal,EmoDom,SpkrID,Gender,Split_Set"]
    for part, repeats in SETS.items():
        for letter in (FOUR + "UOX") * repeats:
            name = f"MSP-PODCAST_{len(rows):04d}_0001.wav"
            write(tmp_path / "msp" / "Audios" / name, generator)
            speaker = "Unknown" if letter == "S" else "12"
            rows.append(f"{name},{letter},4,3,,{speaker},Male,{part}")
    rows.append(f"MSP-PODCAST_9999_0001.wav,A,4,3,5,12,Male,{'Train'}")
    (tmp_path / "msp" / "Labels").mkdir()
    table = tmp_path / "msp" / "Labels" / "labels_consensus.csv"
    table.write_text("\n".join(rows))
    for place in ("train/fan", "dev/fan", "test/fan", "test/horn"):
        write(tmp_path / "noise" / place / "a.wav", generator)
    return tmp_path


def write(path, generator):
    path.parent.mkdir(parents=True, exist_ok=True)
    soundfile.write(path, 0.1 * generator.standard_normal(RATE // 2), RATE)


def test_both_stages_at_the_width_of_the_paper(tree):
    folder = tree / "run"
    result = run(folder, tree / "msp", noise_folder=tree / "noise", **OPTIONS)
    assert result.returncode == 0, result.stdout[-3000:]
    # The last row's file is not there.
    assert "1 files were skipped" in result.stdout
    for name, count in (("train", 8), ("valid", 4), ("test", 4)):
        entries = read_manifest(folder / "manifests" / f"{name}.json")
        assert len(entries) == count
    first, second = (
        torch.load(path / "model.ckpt")
        for path in sorted((folder / "save").glob("CKPT*"))
    )
    moved = {
        name for name in first if not torch.equal(first[name], second[name])
    }
    encoder = {name for name in moved if name.startswith("encoder.")}
    assert encoder and moved - encoder
    assert not any("feature_extractor" in name for name in encoder)
    results = json.loads((folder / "results.json").read_text())
    found = [(c["noise"], c["snr_db"]) for c in results["conditions"]]
    assert found == [("clean", None), ("seen", -5), ("unseen", -5)]
    assert {c["num_utterances"] for c in results["conditions"]} == {4}
    # Hundreds of megabytes.
    shutil.rmtree(folder)
