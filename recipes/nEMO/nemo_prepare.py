"""Prepares nEMO, 90 Polish sentences acted by nine actors.

The distributed tree is `samples/EB0_anger_1.wav`; file names are
`speaker_emotion_sentence.wav`: 4,481 files at 24 kHz. `noises_prepare.py` reads
the noise that goes with it here.

Reference: I. Christop, "nEMO: Dataset of Emotional Speech in Polish",
LREC-COLING 2024.

Authors
 * The speechbrain-merit developers 2026
"""

import re
from pathlib import Path
from typing import Any

from noises_prepare import list_noises

from speechbrain.utils.logger import get_logger
from speechbrain_merit.data.preparation import (
    Utterance,
    audio_files,
    cyclic_split,
    layout_error,
    prepare_corpus,
)

logger = get_logger(__name__)

# The first group is held out for good: merit-base was not trained on it.
GROUPS = (("KD0", "WR0"), ("EB0", "KS0"), ("IC0", "MP0", "SM0"), ("MK0", "TP0"))
WOMEN = ("EB0", "IC0", "KD0", "MK0")
EMOTIONS = {
    "anger": "angry",
    "fear": "fearful",
    "happiness": "happy",
    "neutral": "neutral",
    "sadness": "sad",
    "surprised": "surprised",
}
_FILE_NAME = re.compile(r"(?P<speaker>[A-Z]{2}0)_(?P<emotion>[a-z]+)_\d+")


def prepare_nemo(
    data_folder: str | Path,
    noise_folder: str | Path,
    manifest_folder: str | Path,
    sample_rate_hz: int,
    fold: int,
    seed: int,
    *,
    noise: dict[str, Any],
    **options: Any,
) -> None:
    """Writes the seven manifests of one fold, and a list of skipped files.

    Fold k tests the k-th of `GROUPS`, women and men in each, see
    `cyclic_split`.

    Arguments
    ---------
    data_folder : str or Path
        Folder that holds `samples`.
    noise_folder : str or Path
        Folder of the noise.
    manifest_folder : str or Path
        Where to write; made where needed.
    sample_rate_hz : int
        Not used: audio is resampled when it is read.
    fold : int
        0 to 3.
    seed : int
        What the division of noise depends on where it has no splits.
    noise : dict
        As for `prepare_corpus`; with the kind `noises`, the folder is that of
        `noises_prepare.py`.
    **options
        `emotions` and more, see
        `speechbrain_merit.data.preparation.prepare_corpus`.

    Raises
    ------
    FileNotFoundError
        If the folder is not laid out as distributed.
    ValueError
        If the fold does not exist, or nothing is left for a manifest.

    Example
    -------
    >>> noise = {"kind": "noises"}
    >>> prepare_nemo("nowhere", "noise", "save", 16000, 0, 0, noise=noise)
    Traceback (most recent call last):
    ...
    FileNotFoundError: nowhere does not exist: give a folder with samples.
    """
    data_folder = Path(data_folder)
    if not (data_folder / "samples").is_dir():
        raise layout_error(data_folder, "samples", "samples")
    groups = {name: k for k, group in enumerate(GROUPS) for name in group}
    utterances = []
    for path in audio_files(data_folder / "samples", ".wav"):
        match = _FILE_NAME.fullmatch(path.stem)
        known = match and match["speaker"] in groups
        if not known or match["emotion"] not in EMOTIONS:
            logger.warning(f"{path} is not named as nEMO's files; left out.")
            continue
        speaker = match["speaker"]
        utterances.append(
            Utterance(
                name=path.stem,
                path=f"samples/{path.name}",
                split=cyclic_split(groups[speaker], fold, len(GROUPS)),
                speaker=speaker,
                emotion=EMOTIONS[match["emotion"]],
                fields={"gender": "female" if speaker in WOMEN else "male"},
            )
        )
    if noise["kind"] == "noises":
        files = list_noises(noise_folder, manifest_folder)
        noise = {**noise, "kind": "manifests", "manifests": files}
    prepare_corpus(
        utterances,
        data_folder,
        noise_folder,
        manifest_folder,
        seed,
        noise=noise,
        **options,
    )
