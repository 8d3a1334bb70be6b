"""Enhancement alone on pairs of files that a corpus gives."""

import json

import numpy as np
import pytest
import soundfile
from small_run import run

RATE = 16000
OPTIONS = {
    "corpus": "VoiceBank-DEMAND",
    "variant": "se_only",
    "encoder_source": "null",
    "encoder_config": "{model_type: wavlm, feat_extract_norm: layer, "
    "do_stable_layer_norm: True, conv_dim: [32, 32], conv_kernel: [160, 16], "
    "conv_stride: [40, 8], hidden_size: 16, num_hidden_layers: 1, "
    "num_attention_heads: 2, intermediate_size: 32, "
    "num_conv_pos_embeddings: 4, num_conv_pos_embedding_groups: 2}",
    "number_of_epochs": 1,
    "grad_accumulation_factor": 1,
    "enhancement_metrics": "[ssnr_db, si_sdr_db]",
    "prepare_options": "{num_jobs: 2}",
}


@pytest.fixture
def tree(tmp_path):
    generator = np.random.default_rng(0)
    for part, speakers in (
        ("trainset_28spk_wav", ("p226", "p230")),
        ("testset_wav", ("p232",)),
    ):
        for speaker in speakers:
            for number in range(4):
                # The same SNR of 6 dB everywhere.
                clean, noise = generator.standard_normal((2, RATE))
                for kind, samples in (
                    ("clean", 0.1 * clean),
                    ("noisy", 0.1 * clean + 0.05 * noise),
                ):
                    path = tmp_path / f"{kind}_{part}"
                    path.mkdir(exist_ok=True)
                    name = f"{speaker}_{number:03d}.wav"
                    soundfile.write(path / name, samples, RATE)
    return tmp_path


def test_given_pairs_train_and_test(tree):
    folder = tree / "run"
    result = run(folder, tree, **OPTIONS)
    assert result.returncode == 0, result.stdout[-3000:]
    results = json.loads((folder / "results.json").read_text())
    found = [(c["noise"], c["snr_db"]) for c in results["conditions"]]
    assert found == [("clean", None), ("given", None)]
    clean, given = results["conditions"]
    assert given["num_utterances"] == clean["num_utterances"] == 4
    assert given["noisy"]["si_sdr_db"] == pytest.approx(6.02, abs=0.3)
    assert "| given " in (folder / "results.md").read_text()
