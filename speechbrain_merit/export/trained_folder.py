"""A finished experiment's model as a folder to hand on.

Authors
 * The speechbrain-merit developers 2026
"""

import json
from collections.abc import Iterator, Sequence
from pathlib import Path

import huggingface_hub

from speechbrain_merit import load
from speechbrain_merit.config import read_mapping
from speechbrain_merit.data.atomic_write import atomic_write
from speechbrain_merit.data.audio import read_mono_blocks
from speechbrain_merit.data.reading_errors import naming_file
from speechbrain_merit.inference.output_files import write_blocks
from speechbrain_merit.inference.spectrograms import BLOCK_S
from speechbrain_merit.pretrained.folder import copy_pretrained_folder

from .card import trained_model_card


def export_experiment(
    experiment: Path,
    destination: Path,
    license: str,
    half_precision: bool,
    language: Sequence[str] = (),
    samples: Sequence[Path] = (),
    repository: str | None = None,
) -> None:
    """Makes a folder with the model and its card, and puts it on the hub.

    Arguments
    ---------
    experiment : Path
        Output folder of train.py.
    destination : Path
        Folder to make.
    license : str
        The hub's identifier of the licence of the weights.
    half_precision : bool
        Whether to store the weights as float16.
    language : sequence of str
        The hub's identifiers of the languages of the training data.
    samples : sequence of Path
        Recordings for the card, to be heard before and after.
    repository : str, optional
        Where to put it on the hub, such as USER/NAME; made where needed.

    Raises
    ------
    FileNotFoundError
        If the experiment is not finished.
    OSError
        If the hub does not take it.
    ValueError
        If the destination exists, a weight exceeds half precision, or there
        are samples for a model that does not enhance.

    Example
    -------
    >>> export_experiment(Path("nowhere"), Path("to"), "mit", False)
    Traceback (most recent call last):
    ...
    FileNotFoundError: nowhere lacks pretrained/hyperparams.yaml: give the ...
    """
    for name in ("pretrained/hyperparams.yaml", "results.json"):
        if not (experiment / name).is_file():
            raise FileNotFoundError(
                f"{experiment} lacks {name}: give the output folder of a "
                "finished experiment."
            )
    if destination.exists():
        raise ValueError(
            f"{destination} exists: remove it or choose another destination."
        )
    with atomic_write(destination) as partial:
        copy_pretrained_folder(
            experiment / "pretrained", partial, half_precision
        )
        heard = _write_samples(partial, samples, repository) if samples else []
        encoder, heard = _encoder_name(experiment), list(heard)
        with naming_file(path := experiment / "results.json"):
            results = json.loads(path.read_text("utf-8"))
            card = trained_model_card(
                results, encoder, license, language, heard
            )
        (partial / "README.md").write_text(card, encoding="utf-8")
    if repository is not None:
        _push(destination, repository)


def _write_samples(
    folder: Path, samples: Sequence[Path], repository: str | None
) -> Iterator[tuple[str, str, str]]:
    """Writes what the card lets hear, and gives its places and emotions."""
    # Relative addresses of sound do not work on the hub.
    base = f"{huggingface_hub.constants.ENDPOINT}/{repository}/resolve/main/"
    base = base if repository else ""
    model = load(folder, "cpu")
    for number, sample in enumerate(samples, start=1):
        original, enhanced = (
            f"samples/{number}_{version}.flac"
            for version in ("original", "enhanced")
        )
        result = model(sample)
        rate_hz = result.sample_rate_hz
        blocks = read_mono_blocks(sample, rate_hz, BLOCK_S)
        write_blocks(folder / original, blocks, rate_hz)
        result.save(folder / enhanced)
        yield base + original, base + enhanced, str(result)


def _push(folder: Path, repository: str) -> None:
    try:
        api = huggingface_hub.HfApi()
        api.create_repo(repository, exist_ok=True)
        api.upload_folder(repo_id=repository, folder_path=folder)
    except (OSError, ValueError) as error:
        raise OSError(
            f"{folder} is whole, but not on the hub: {error} Log in by: hf "
            f"auth login; then: hf upload {repository} {folder}"
        ) from error


def _encoder_name(experiment: Path) -> str | None:
    """What the encoder was before training; None if it was random."""
    path = experiment / "hyperparams.yaml"
    if not path.is_file():
        return None
    source = read_mapping(path).get("encoder_source")
    if source is None:
        return None
    path = Path(source)
    # A folder's place says nothing to others.
    return path.name if path.is_absolute() or path.exists() else source
