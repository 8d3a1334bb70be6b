"""Reads ESC-10, the noise of this corpus: 400 short environmental recordings.

The published tree has a folder per category, `NNN - Category/*.ogg`, and
files named `fold-clip-take.ogg`; takes of one clip share a fold, so that
folds never share a source recording.

Reference: K. J. Piczak, "ESC: Dataset for Environmental Sound
Classification", ACM Multimedia 2015.

Authors
 * The speechbrain-merit developers 2026
"""

import re
from pathlib import Path
from typing import Any

import torch

from speechbrain.dataio import audio_io
from speechbrain_merit.audio import read_mono, resample
from speechbrain_merit.manifests import NOISE_SPLITS

_SPLIT_OF_FOLD = {
    "1": "train",
    "2": "train",
    "3": "train",
    "4": "valid",
    "5": "seen",
}
_FOLDER_NAME = re.compile(r"(?:\d+ - )?(?P<category>.+)")
_FILE_NAME = re.compile(r"(?P<fold>[1-5])-\d+-[A-Z]")


def read_esc10(
    noise_folder: str | Path,
    seen_noise_types: list[str],
    unseen_noise_types: list[str],
) -> tuple[dict[str, dict[str, dict[str, Any]]], dict[str, str]]:
    """Splits the recordings of ESC-10 by category and fold.

    Of the seen categories, folds 1 to 3 are for training, fold 4 for
    development and fold 5 for testing. The unseen categories are for testing
    alone, all five folds of them.

    Arguments
    ---------
    noise_folder : str or Path
        Folder that holds the category folders.
    seen_noise_types : list of str
        Categories that occur in training, in lower case, e.g. `"dog bark"`.
    unseen_noise_types : list of str
        Categories that occur in testing only.

    Returns
    -------
    dict
        For each of `NOISE_SPLITS`, the manifest's fields by identity.
    dict
        Reason by path for every recording that was skipped.

    Raises
    ------
    FileNotFoundError
        If no category folder is there.
    ValueError
        If a list is empty, names an unknown category, or shares one with the
        other list; or if two folders are the same category.

    Example
    -------
    >>> read_esc10("nowhere", ["rain"], ["dog bark"])
    Traceback (most recent call last):
    ...
    FileNotFoundError: nowhere does not exist: ...
    """
    folders = _category_folders(Path(noise_folder))
    _check_noise_types(folders, seen_noise_types, unseen_noise_types)
    entries = {split: {} for split in NOISE_SPLITS}
    skipped = {}
    for category in sorted([*seen_noise_types, *unseen_noise_types]):
        for path in audio_files(folders[category], ".ogg"):
            wav = "{noise_root}/" + f"{folders[category].name}/{path.name}"
            try:
                fold = _fold_of(path)
                _, duration_s = read_sound(path)
            except ValueError as error:
                skipped[wav] = str(error)
                continue
            unseen = category in unseen_noise_types
            split = "unseen" if unseen else _SPLIT_OF_FOLD[fold]
            name = f"{category.replace(' ', '_')}_{path.stem}"
            entries[split][name] = {
                "wav": wav,
                "duration_s": round(duration_s, 6),
                "noise_type": category,
            }
    return entries, skipped


def read_sound(
    path: str | Path, sample_rate_hz: int | None = None
) -> tuple[torch.Tensor, float]:
    """Decodes a whole file, to be sure that it is sound throughout.

    Arguments
    ---------
    path : str or Path
        Any file that soundfile reads.
    sample_rate_hz : int, optional
        Sample rate of the result; the file's own by default.

    Returns
    -------
    torch.Tensor
        Samples mixed down, `[time]`.
    float
        Duration of the file in seconds.

    Raises
    ------
    ValueError
        If the file cannot be decoded to its end, or is digital silence.

    Example
    -------
    >>> path = getfixture("tmpdir") / "tone.wav"
    >>> audio_io.save(path, torch.ones(1, 24000), 48000)
    >>> waveform, duration_s = read_sound(path, sample_rate_hz=16000)
    >>> waveform.shape, duration_s
    (torch.Size([8000]), 0.5)
    """
    try:
        header = audio_io.info(str(path))
    except RuntimeError as error:
        raise ValueError(str(error)) from error
    waveform = read_mono(str(path), header.sample_rate)
    # The decoder stops at damage in compressed audio without a word.
    if len(waveform) != header.num_frames:
        raise ValueError(
            f"{path} is damaged: {len(waveform)} of {header.num_frames} "
            "samples can be decoded."
        )
    if not waveform.any():
        raise ValueError(f"{path} is digital silence.")
    if sample_rate_hz is not None:
        waveform = resample(waveform, header.sample_rate, sample_rate_hz)
    return waveform, header.duration


def audio_files(folder: Path, suffix: str) -> list[Path]:
    """Lists the audio files of a folder in a reproducible order.

    Hidden files, such as the `._*` that some archives add, are left out.

    Arguments
    ---------
    folder : Path
        Where to look; folders below it are not searched.
    suffix : str
        With the dot, in lower case; files may have it in upper case.

    Returns
    -------
    list of Path
        The files, sorted by name.

    Example
    -------
    >>> folder = Path(getfixture("tmpdir"))
    >>> for name in ("b.wav", "a.wav", "._a.wav", "readme.txt"):
    ...     (folder / name).touch()
    >>> [path.name for path in audio_files(folder, ".wav")]
    ['a.wav', 'b.wav']
    """
    return sorted(
        path
        for path in folder.iterdir()
        if path.suffix.lower() == suffix and not path.name.startswith(".")
    )


def layout_error(
    folder: Path, pattern: str, looked_for: str
) -> FileNotFoundError:
    """Makes the error for a folder that is not laid out as expected.

    Arguments
    ---------
    folder : Path
        The folder that was given.
    pattern : str
        Glob pattern that the right folder would match.
    looked_for : str
        The same in words.

    Returns
    -------
    FileNotFoundError
        Says what was looked for, what is there, and which folder one level
        below has what was looked for, if any.

    Example
    -------
    >>> folder = Path(getfixture("tmpdir"))
    >>> (folder / "speech" / "Actor_01").mkdir(parents=True)
    >>> str(layout_error(folder, "Actor_*", "Actor folders")).split(": ")[1]
    'found speech. Did you mean ...speech?'
    """
    if not folder.is_dir():
        return FileNotFoundError(
            f"{folder} does not exist: give a folder with {looked_for}."
        )
    names = sorted(path.name for path in folder.iterdir())
    more = f" and {len(names) - 5} more" if len(names) > 5 else ""
    found = ", ".join(names[:5]) + more if names else "nothing"
    message = f"{folder} has no {looked_for}: found {found}."
    for nested in sorted(folder.iterdir()):
        if nested.is_dir() and any(nested.glob(pattern)):
            return FileNotFoundError(f"{message} Did you mean {nested}?")
    return FileNotFoundError(message)


def _category_folders(noise_folder: Path) -> dict[str, Path]:
    looked_for = 'category folders, such as "001 - Dog bark", of .ogg files'
    if not noise_folder.is_dir():
        raise layout_error(noise_folder, "*/*.ogg", looked_for)
    folders = {}
    for folder in sorted(noise_folder.iterdir()):
        if not folder.is_dir() or not audio_files(folder, ".ogg"):
            continue
        category = _FOLDER_NAME.fullmatch(folder.name)["category"].lower()
        if category in folders:
            raise ValueError(
                f"{folder} and {folders[category]} are both the category "
                f"{category!r}: keep one of them."
            )
        folders[category] = folder
    if not folders:
        raise layout_error(noise_folder, "*/*.ogg", looked_for)
    return folders


def _check_noise_types(
    folders: dict[str, Path], seen: list[str], unseen: list[str]
) -> None:
    known = ", ".join(map(repr, sorted(folders)))
    for argument, categories in (
        ("seen_noise_types", seen),
        ("unseen_noise_types", unseen),
    ):
        if not categories:
            raise ValueError(f"{argument} names no category; known: {known}.")
        unknown = [name for name in categories if name not in folders]
        if unknown:
            raise ValueError(
                f"{argument} names {unknown}, which the noise folder does "
                f"not have; known: {known}."
            )
    both = sorted(set(seen) & set(unseen))
    if both:
        raise ValueError(
            f"{both} is in seen_noise_types and in unseen_noise_types: a "
            "category is one or the other."
        )


def _fold_of(path: Path) -> str:
    match = _FILE_NAME.fullmatch(path.stem)
    if match is None:
        raise ValueError(f"{path} is not named fold-clip-take.ogg.")
    return match["fold"]
