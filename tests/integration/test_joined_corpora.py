"""A training on several corpora, one of them left out."""

import json

import numpy as np
import pytest
import soundfile
from small_run import run

OPTIONS = {
    "corpus": "EmoDB,nEMO",
    "sampling_weights": "{EmoDB: 2, angry: 1, sad: 1}",
    "encoder_source": "null",
    "encoder_config": "{model_type: wavlm, feat_extract_norm: layer, "
    "do_stable_layer_norm: True, conv_dim: [32, 32], conv_kernel: [160, 16], "
    "conv_stride: [40, 8], hidden_size: 16, num_hidden_layers: 1, "
    "num_attention_heads: 2, intermediate_size: 32, "
    "num_conv_pos_embeddings: 4, num_conv_pos_embedding_groups: 2}",
    "freeze_encoder": "none",
    "emotions": "[angry, sad]",
    "number_of_epochs": 1,
    "batch_size": 4,
    "grad_accumulation_factor": 1,
    "enhancement_metrics": "[si_sdr_db]",
    "prepare_options": "{left_out: [nEMO], nEMO: {noise: {kind: type_folders}}, "
    "EmoDB: {noise: {kind: type_folders}}}",
    "test_snrs_db": "[0]",
}


@pytest.fixture
def tree(tmp_path):
    generator = np.random.default_rng(0)
    emodb = [f"EmoDB/wav/{a}a01{e}a" for a in range(8, 17) for e in "WT"]
    emodb = [
        name.replace("/8a", "/08a").replace("/9a", "/09a") for name in emodb
    ]
    emodb += [f"EmoDB/wav/03a01{e}a" for e in "WT"]
    nemo = [
        f"nEMO/samples/{speaker}_{emotion}_1"
        for speaker in ("KD0", "EB0", "IC0")
        for emotion in ("anger", "sadness")
    ]
    noises = [f"noise/rain/{number}" for number in range(3)]
    for name in (*emodb, *nemo, *noises):
        path = tmp_path / f"{name}.wav"
        path.parent.mkdir(parents=True, exist_ok=True)
        soundfile.write(path, 0.1 * generator.standard_normal(8000), 16000)
    return tmp_path


def test_results_are_there_for_each_and_together(tree):
    data = f"EmoDB:{tree / 'EmoDB'},nEMO:{tree / 'nEMO'}"
    folder, noise = tree / "run", tree / "noise"
    result = run(folder, data, noise_folder=noise, **OPTIONS)
    assert result.returncode == 0, result.stdout[-3000:]
    counts = {}
    for corpus, place in (
        ("EmoDB,nEMO", "."),
        ("EmoDB", "EmoDB"),
        ("nEMO",) * 2,
    ):
        results = json.loads((folder / place / "results.json").read_text())
        assert results["corpus"] == corpus
        counts[corpus] = [c["num_utterances"] for c in results["conditions"]]
        assert results["conditions"][0]["ser"] is not None
    assert counts == {"EmoDB,nEMO": [6, 6], "EmoDB": [4, 4], "nEMO": [2, 2]}
    manifests = folder / "manifests"
    train = json.loads((manifests / "train.json").read_text())
    assert {fields["corpus"] for fields in train.values()} == {"EmoDB"}
