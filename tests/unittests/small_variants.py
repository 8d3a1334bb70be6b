"""Small models of every variant, with random weights.

Authors
 * The speechbrain-merit developers 2026
"""

from pathlib import Path
from typing import Any

import torch
from hyperpyyaml import load_hyperpyyaml

from speechbrain_merit.config import compose
from speechbrain_merit.pretrained import folder as pretrained_folder

ROOT = Path(__file__).parents[2]
VARIANTS = sorted(path.stem for path in (ROOT / "hparams").glob("*.yaml"))
_SMALL = """
mask_hidden_size: 8
expert_hidden_size: 8
feature_size: 8
emotion_hidden_size: 8
enhancer_folder: trained
"""


def make_variant(monkeypatch: Any, name: str, **options: Any) -> Any:
    """Makes a small model; a random enhancer stands for a trained one.

    Arguments
    ---------
    monkeypatch : pytest.MonkeyPatch
        Of the test.
    name : str
        Of a file in hparams.
    **options : Any
        For keys of that file, as far as it has them.

    Returns
    -------
    torch.nn.Module
        In evaluation mode.
    """
    monkeypatch.setattr(
        pretrained_folder,
        "load_model",
        lambda folder: make_variant(monkeypatch, "se_only"),
    )
    path = ROOT / "hparams" / f"{name}.yaml"
    keys = compose(path).tree
    given = "\n".join(f"{key}: {value}" for key, value in options.items())
    known = [
        line
        for line in (_SMALL + given).splitlines()
        if line.split(":")[0] in keys
    ]
    composed = compose(path, "\n".join(known), ROOT)
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return load_hyperpyyaml(composed.text)["model"].eval()
