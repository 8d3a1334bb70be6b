"""Small trees of generated audio, laid out as corpora are distributed.

Authors
 * The speechbrain-merit developers 2026
"""

import contextlib
import importlib
import json
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile

from speechbrain_merit.data.manifests import manifest_paths, read_manifest

ROOT = Path(__file__).parents[2]
NOISE = {"kind": "split_folders"}


def write_sound(
    path: Path, duration_s: float = 0.2, rate_hz: int = 16000, channels: int = 1
) -> None:
    """Writes a tone in 16 bits, and its folders.

    Arguments
    ---------
    path : Path
        The file.
    duration_s : float
        Its duration in seconds.
    rate_hz : int
        Its sample rate.
    channels : int
        Its number of channels.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    time_s = np.arange(round(duration_s * rate_hz)) / rate_hz
    tone = 0.3 * np.sin(2 * np.pi * 220 * time_s)
    soundfile.write(path, np.stack([tone] * channels, axis=1), rate_hz)


def make_noise(folder: Path) -> Path:
    """Writes noise with the splits train, dev and test.

    Arguments
    ---------
    folder : Path
        Where to write.

    Returns
    -------
    Path
        The folder: rain is in all three, wind in test alone.
    """
    for place in ("train/rain", "dev/rain", "test/rain", "test/wind"):
        write_sound(folder / place / "a.wav", 1.0)
    return folder


@contextlib.contextmanager
def preparation(corpus: str) -> Iterator[Callable[..., None]]:
    """Imports the preparation of a corpus.

    Arguments
    ---------
    corpus : str
        Name of its recipe folder.

    Yields
    ------
    callable
        Its prepare function.
    """
    name = corpus.lower().replace("-", "_")
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(ROOT / "recipes" / corpus))
        module = importlib.import_module(f"{name}_prepare")
        yield getattr(module, f"prepare_{name}")


def run(
    prepare: Callable[..., None],
    data_folder: Path,
    fold: int = 0,
    **options: Any,
) -> dict[str, dict[str, Mapping[str, Any]]]:
    """Prepares a corpus beside its folder, as train.py does.

    Arguments
    ---------
    prepare : callable
        The prepare function.
    data_folder : Path
        The corpus; noise is in, and manifests go into, folders beside it.
    fold : int
        Which fold.
    **options
        Further arguments.

    Returns
    -------
    dict
        Every manifest by name.
    """
    prepare(
        data_folder=data_folder,
        noise_folder=data_folder.parent / "noise",
        manifest_folder=data_folder.parent / "manifests",
        sample_rate_hz=16000,
        fold=fold,
        seed=0,
        **options,
    )
    paths = manifest_paths(data_folder.parent / "manifests")
    return {name: read_manifest(path) for name, path in paths.items()}


def skipped(data_folder: Path) -> dict[str, str]:
    """Reads which files the last preparation skipped.

    Arguments
    ---------
    data_folder : Path
        The corpus.

    Returns
    -------
    dict
        Reason by path.
    """
    path = data_folder.parent / "manifests" / "skipped.json"
    return json.loads(path.read_text(encoding="utf-8"))


def speakers(manifest: Mapping[str, Mapping[str, Any]]) -> set[str]:
    """Lists who speaks in a manifest.

    Arguments
    ---------
    manifest : Mapping
        Fields by identity.

    Returns
    -------
    set of str
        The speakers.
    """
    return {fields["speaker"] for fields in manifest.values()}
