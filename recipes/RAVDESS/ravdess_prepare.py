"""Prepares RAVDESS, emotional speech by 24 actors, with ESC-10 as the noise.

The published tree is `Actor_01/*.wav` to `Actor_24/*.wav`; file names are
`modality-channel-emotion-intensity-statement-repetition-actor.wav`. Speech
alone is taken, of four emotions: 672 utterances; the other four may train the
enhancement.

Reference: S. R. Livingstone, F. A. Russo, "The Ryerson Audio-Visual Database
of Emotional Speech and Song (RAVDESS)", PLoS ONE 13(5), 2018.

Authors
 * The speechbrain-merit developers 2026
"""

import re
import time
from pathlib import Path
from typing import Any

from esc10_prepare import read_esc10
from trimming import speech_bounds

from speechbrain.utils.logger import get_logger
from speechbrain_merit.data.manifests import UTTERANCE_SPLITS
from speechbrain_merit.data.preparation import (
    audio_files,
    cyclic_split,
    layout_error,
    read_sound,
    report_skipped,
    write_manifests,
)

logger = get_logger(__name__)

FOLDS = 6
ACTORS = range(1, 25)
_ACTORS_PER_FOLD = len(ACTORS) // FOLDS
_EMOTIONS = {"01": "neutral", "03": "happy", "04": "sad", "05": "angry"}
_AUDIO_ONLY = "03"
_SPEECH = "01"
_NAMED_MISSING = 10
_FILE_NAME = re.compile(r"\d\d(-\d\d){6}")


def prepare_ravdess(
    data_folder: str | Path,
    noise_folder: str | Path,
    manifest_folder: str | Path,
    sample_rate_hz: int,
    fold: int,
    seed: int,
    *,
    trim_db: float | None = None,
    trim_margin_s: float = 0.1,
    other_emotions: bool = False,
    seen_noise_types: list[str],
    unseen_noise_types: list[str],
) -> None:
    """Writes the seven manifests of one fold, and a list of skipped files.

    Files that cannot be used are left out, named in one warning and listed
    with the reason in `skipped.json` beside the manifests.

    Arguments
    ---------
    data_folder : str or Path
        Folder that holds `Actor_01` to `Actor_24`.
    noise_folder : str or Path
        Folder that holds the category folders of ESC-10.
    manifest_folder : str or Path
        Where to write; made where needed.
    sample_rate_hz : int
        Rate at which the model will hear the speech; levels for trimming are
        measured at this rate.
    fold : int
        0 to 5: see `split_of_actor`.
    seed : int
        Not used, because the splits are fixed; every corpus takes it.
    trim_db : float, optional
        Cut silence at both ends: what is this many decibels below the loudest
        20 ms of the utterance; not cut by default.
    trim_margin_s : float
        Silence kept at both ends where it is cut, in seconds.
    other_emotions : bool
        Whether the training actors' calm, fearful, disgusted and surprised
        speech trains too, without a label: the enhancement alone learns from
        it.
    seen_noise_types : list of str
        Categories of noise that occur in training, e.g. `"dog bark"`.
    unseen_noise_types : list of str
        Categories of noise that occur in testing only.

    Raises
    ------
    FileNotFoundError
        If the folders are not laid out as published, or all actors of a
        split are missing.
    ValueError
        If the fold or a category does not exist, or a manifest would be
        empty.

    Example
    -------
    >>> prepare_ravdess(
    ...     "nowhere",
    ...     "nowhere",
    ...     "save",
    ...     sample_rate_hz=16000,
    ...     fold=0,
    ...     seed=0,
    ...     seen_noise_types=["rain"],
    ...     unseen_noise_types=["dog bark"],
    ... )
    Traceback (most recent call last):
    ...
    FileNotFoundError: nowhere does not exist: ...
    """
    started_s = time.monotonic()
    # Before anything is read: is there such a fold?
    split_of_actor(ACTORS[0], fold)
    found, skipped = _find_speech(Path(data_folder))
    files = [path for path in found if _emotion_of(path) is not None]
    _check_actors(files, fold, data_folder)
    _warn_of_missing(files, data_folder)
    if other_emotions:
        files += [p for p in found if _trains_unlabelled(p, fold)]
    noise, skipped_noise = read_esc10(
        noise_folder, seen_noise_types, unseen_noise_types
    )
    skipped.update(skipped_noise)
    speech = {split: {} for split in UTTERANCE_SPLITS}
    for path in files:
        try:
            waveform, duration_s = read_sound(path, sample_rate_hz)
        except ValueError as error:
            skipped[_manifest_path(path)] = str(error)
            continue
        start_s, stop_s = 0.0, duration_s
        if trim_db is not None:
            start_s, stop_s = speech_bounds(
                waveform, sample_rate_hz, trim_db, trim_margin_s
            )
        # Resampling may have added a fraction of a sample at the end.
        stop_s = min(stop_s, duration_s)
        split = split_of_actor(_actor_of(path), fold)
        speech[split][path.stem] = _utterance(path, start_s, stop_s)
    report_skipped(skipped, manifest_folder)
    write_manifests(speech, noise, manifest_folder)
    logger.info(
        f"Fold {fold} of {data_folder} prepared in {manifest_folder}, "
        f"{time.monotonic() - started_s:.1f} s."
    )


def split_of_actor(actor: int, fold: int) -> str:
    """Tells the split of an actor.

    Fold k tests on the actors 4k + 1 to 4k + 4 and develops on those that
    fold k + 1 tests on (fold 0 after fold 5); the other 16 are for training.
    Odd actors are men and even ones women, so every split has as many of
    each.

    Arguments
    ---------
    actor : int
        1 to 24.
    fold : int
        0 to 5.

    Returns
    -------
    str
        One of `UTTERANCE_SPLITS`.

    Raises
    ------
    ValueError
        If the fold is not one of the six.

    Example
    -------
    >>> [split_of_actor(actor, fold=5) for actor in (24, 1, 5)]
    ['test', 'valid', 'train']
    """
    return cyclic_split((actor - 1) // _ACTORS_PER_FOLD, fold, FOLDS)


def _find_speech(data_folder: Path) -> tuple[list[Path], dict[str, str]]:
    folders = sorted(
        path for path in data_folder.glob("Actor_*") if path.is_dir()
    )
    if not folders:
        raise layout_error(data_folder, "Actor_*", "folders Actor_01, ...")
    files, skipped = [], {}
    for folder in folders:
        for path in audio_files(folder, ".wav"):
            fault = _name_fault(path)
            if fault is not None:
                skipped[_manifest_path(path)] = fault
            elif _is_speech(path):
                files.append(path)
    return files, skipped


def _name_fault(path: Path) -> str | None:
    if not _FILE_NAME.fullmatch(path.stem) or _actor_of(path) not in ACTORS:
        return (
            f"{path} is not named modality-channel-emotion-intensity-"
            "statement-repetition-actor.wav in two digits each."
        )
    # A file in a wrong folder may be a copy, and its speaker is in doubt.
    if path.parent.name != _folder_name(_actor_of(path)):
        return f"{path} belongs in {_folder_name(_actor_of(path))}."
    return None


def _is_speech(path: Path) -> bool:
    modality, channel = path.stem.split("-")[:2]
    return modality == _AUDIO_ONLY and channel == _SPEECH


def _emotion_of(path: Path) -> str | None:
    return _EMOTIONS.get(path.stem.split("-")[2])


def _trains_unlabelled(path: Path, fold: int) -> bool:
    split = split_of_actor(_actor_of(path), fold)
    return _emotion_of(path) is None and split == "train"


def _actor_of(path: Path) -> int:
    return int(path.stem.split("-")[-1])


def _folder_name(actor: int) -> str:
    return f"Actor_{actor:02d}"


def _manifest_path(path: Path) -> str:
    return "{data_root}/" + f"{path.parent.name}/{path.name}"


def _check_actors(
    files: list[Path], fold: int, data_folder: str | Path
) -> None:
    present = {_actor_of(path) for path in files}
    missing = [actor for actor in ACTORS if actor not in present]
    if not missing:
        return
    names = ", ".join(map(_folder_name, missing))
    message = f"{data_folder} has no speech of the four emotions by {names}"
    left = {split_of_actor(actor, fold) for actor in present}
    for split in UTTERANCE_SPLITS:
        if split not in left:
            raise FileNotFoundError(
                f"{message}: nothing is left for the {split} split of fold "
                f"{fold}. Complete the corpus."
            )
    logger.warning(f"{message}; going on without.")


def _warn_of_missing(files: list[Path], data_folder: str | Path) -> None:
    """Names the published files that are not there, of actors that are."""
    present = {path.stem for path in files}
    missing = [
        stem
        for actor in sorted({_actor_of(path) for path in files})
        for stem in _published(actor)
        if stem not in present
    ]
    if missing:
        named = ", ".join(missing[:_NAMED_MISSING])
        more = ", ..." if len(missing) > _NAMED_MISSING else ""
        logger.warning(
            f"{data_folder} lacks {len(missing)} published files of the four "
            f"emotions: {named}{more}; going on without."
        )


def _published(actor: int) -> list[str]:
    # Two statements, two repetitions; neutral speech in one intensity only.
    return [
        f"03-01-{emotion}-{intensity}-{statement}-{repetition}-{actor:02d}"
        for emotion in sorted(_EMOTIONS)
        for intensity in ("01", "02")[: 1 if emotion == "01" else 2]
        for statement in ("01", "02")
        for repetition in ("01", "02")
    ]


def _utterance(path: Path, start_s: float, stop_s: float) -> dict[str, Any]:
    return {
        "wav": _manifest_path(path),
        "start_s": round(start_s, 6),
        "duration_s": round(stop_s - start_s, 6),
        "emotion": _emotion_of(path),
        "speaker": path.parent.name,
    }
