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

from speechbrain_merit.data.manifests import NOISE_SPLITS
from speechbrain_merit.data.preparation import (
    audio_files,
    layout_error,
    read_sound,
)

_SPLIT_OF_FOLD = {
    "1": "train",
    "2": "train",
    "3": "train",
    "4": "valid",
    "5": "seen",
}
_FOLDER_NAME = re.compile(r"(?:\d+ - )?(?P<category>.+)")
_RECORDING_NAME = re.compile(r"(?P<fold>[1-5])-\d+-[A-Z]")


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
    match = _RECORDING_NAME.fullmatch(path.stem)
    if match is None:
        raise ValueError(f"{path} is not named fold-clip-take.ogg.")
    return match["fold"]
