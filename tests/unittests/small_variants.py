"""Small models of every variant, with random weights.

Authors
 * The speechbrain-merit developers 2026
"""

from pathlib import Path
from typing import Any

import torch
from hyperpyyaml import load_hyperpyyaml

from speechbrain.dataio.encoder import CategoricalEncoder
from speechbrain_merit.config import compose
from speechbrain_merit.pretrained import folder as pretrained_folder
from speechbrain_merit.pretrained.folder import write_pretrained_folder

ROOT = Path(__file__).parents[2]
VARIANTS = sorted(path.stem for path in (ROOT / "hparams").glob("*.yaml"))
_SMALL = {
    "mask_hidden_size": 8,
    "expert_hidden_size": 8,
    "feature_size": 8,
    "emotion_hidden_size": 8,
    "enhancer_folder": "trained",
}
# What a variant needs that has an encoder of its own, which nobody is to fetch.
OWN = {
    "merit_base": {
        "encoder_source": "null",
        "freeze_encoder": "none",
        "standardize_hidden_states": "False",
        "integrator": "{layers: [1, 2]}",
        "pooling": "{input_size: 128}",
    }
}


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
    text = _variant(name, options)
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return load_hyperpyyaml(text)["model"].eval()


def write_variant(folder: Path, name: str, **options: Any) -> Any:
    """Writes a small model of random weights as training writes one.

    Arguments
    ---------
    folder : Path
        Where; the enhancer of a cascade lies in it, too.
    name : str
        Of a file in hparams.
    **options : Any
        As for `make_variant`.

    Returns
    -------
    torch.nn.Module
        In evaluation mode.
    """
    if name == "se_then_ser":
        write_variant(folder / "enhancer", "se_only")
        options["enhancer_folder"] = str(folder / "enhancer")
    text = _variant(name, options)
    with torch.random.fork_rng():
        torch.manual_seed(0)
        hparams = load_hyperpyyaml(text)
    labels = CategoricalEncoder()
    labels.update_from_iterable(hparams["emotions"])
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "hyperparams.yaml").write_text(text, encoding="utf-8")
    model = hparams["model"].eval()
    write_pretrained_folder(folder, folder / "hyperparams.yaml", model, labels)
    return model


def _variant(name: str, options: dict[str, Any]) -> str:
    """A variant, small."""
    path = ROOT / "hparams" / f"{name}.yaml"
    keys = compose(path).tree
    given = {**_SMALL, **OWN.get(name, {}), **options}
    known = [f"{key}: {given[key]}" for key in given if key in keys]
    return compose(path, "\n".join(known), ROOT).text
