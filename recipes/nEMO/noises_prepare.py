"""Reads Noises, 100 short sounds that are no speech, and three of NoiseX-92.

The public repository speechdnn/Noises has `Nonspeech/n1.wav` to `n100.wav`, of
at most 20 kHz, and `NoiseX-92/*.wav`; its headerless files are not used. It is
offered for research.

Authors
 * The speechbrain-merit developers 2026
"""

from pathlib import Path

from speechbrain_merit.data.manifests import NOISE_KEYS, write_manifest
from speechbrain_merit.data.preparation import audio_files, layout_error


def split_of_sound(number: int) -> str:
    """Tells the split of a sound.

    Every fifth one is held out for good, n5, n10, ... n100: merit-base was not
    trained on them. The ones before them are for development.

    Arguments
    ---------
    number : int
        1 to 100.

    Returns
    -------
    str
        One of `NOISE_SPLITS`.

    Example
    -------
    >>> [split_of_sound(number) for number in (3, 4, 5)]
    ['train', 'valid', 'seen']
    """
    return {0: "seen", 4: "valid"}.get(number % 5, "train")


def list_noises(
    noise_folder: str | Path, manifest_folder: str | Path
) -> dict[str, str]:
    """Lists the recordings in a manifest for every split.

    Arguments
    ---------
    noise_folder : str or Path
        Folder that holds `Nonspeech`, and maybe `NoiseX-92`, for training.
    manifest_folder : str or Path
        Where to write; made where needed.

    Returns
    -------
    dict
        File by split, for noise of the kind `manifests`.

    Raises
    ------
    FileNotFoundError
        If the folder is not laid out so.

    Example
    -------
    >>> list_noises("nowhere", "save")
    Traceback (most recent call last):
    ...
    FileNotFoundError: nowhere does not exist: give a folder with Nonspeech.
    """
    noise_folder, files = Path(noise_folder), {}
    found = {split: {} for split in ("train", "valid", "seen")}
    if not (noise_folder / "Nonspeech").is_dir():
        raise layout_error(noise_folder, "Nonspeech", "Nonspeech")
    for folder in ("Nonspeech", "NoiseX-92"):
        place = noise_folder / folder
        for path in audio_files(place, ".wav") if place.is_dir() else ():
            split, number = "train", path.stem.removeprefix("n")
            if folder == "Nonspeech" and number.isdigit():
                split = split_of_sound(int(number))
            found[split][f"{folder}_{path.stem}"] = {
                "wav": f"{{noise_root}}/{folder}/{path.name}",
                # It is measured later.
                "duration_s": 0.0,
                "noise_type": folder.lower(),
            }
    for split, entries in found.items():
        files[split] = f"{manifest_folder}/noises_{split}.json"
        write_manifest(files[split], entries, NOISE_KEYS)
    return files
