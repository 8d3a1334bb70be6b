"""Prepares EmoDB, ten German sentences acted by ten actors.

The distributed tree is `wav/03a01Fa.wav`; file names are two digits for the
actor, three characters for the sentence, the initial of the emotion's German
name, and a letter for the version: 535 files.

Reference: F. Burkhardt et al., "A Database of German Emotional Speech",
Interspeech 2005.

Authors
 * The speechbrain-merit developers 2026
"""

import re
from pathlib import Path
from typing import Any

from speechbrain.utils.logger import get_logger
from speechbrain_merit.data.preparation import (
    Utterance,
    audio_files,
    cyclic_split,
    layout_error,
    prepare_corpus,
)

logger = get_logger(__name__)

# A woman and a man are tested in every fold.
WOMEN = ("08", "09", "13", "14", "16")
MEN = ("03", "10", "11", "12", "15")
EMOTIONS = {
    "W": "angry",  # Wut, also called Ärger
    "L": "bored",  # Langeweile
    "E": "disgusted",  # Ekel
    "A": "fearful",  # Angst
    "F": "happy",  # Freude
    "T": "sad",  # Trauer
    "N": "neutral",
}
_FILE_NAME = re.compile(r"(?P<actor>\d\d)[ab]\d\d(?P<emotion>[WLEAFTN])[a-z]?")


def prepare_emodb(
    data_folder: str | Path,
    noise_folder: str | Path,
    manifest_folder: str | Path,
    sample_rate_hz: int,
    fold: int,
    seed: int,
    **options: Any,
) -> None:
    """Writes the seven manifests of one fold, and a list of skipped files.

    Fold k tests the k-th of `WOMEN` and of `MEN`, see `cyclic_split`.

    Arguments
    ---------
    data_folder : str or Path
        Folder that holds `wav`.
    noise_folder : str or Path
        Folder of the noise.
    manifest_folder : str or Path
        Where to write; made where needed.
    sample_rate_hz : int
        Not used: audio is resampled when it is read.
    fold : int
        0 to 4.
    seed : int
        What the division of noise depends on where it has no splits.
    **options
        `emotions`, `noise` and more, see
        `speechbrain_merit.data.preparation.prepare_corpus`.

    Raises
    ------
    FileNotFoundError
        If the folder is not laid out as distributed.
    ValueError
        If the fold does not exist, or nothing is left for a manifest.

    Example
    -------
    >>> prepare_emodb("nowhere", "noise", "save", 16000, 0, 0)
    Traceback (most recent call last):
    ...
    FileNotFoundError: nowhere does not exist: give a folder with wav.
    """
    data_folder = Path(data_folder)
    if not (data_folder / "wav").is_dir():
        raise layout_error(data_folder, "wav", "wav")
    utterances = []
    for path in audio_files(data_folder / "wav", ".wav"):
        match = _FILE_NAME.fullmatch(path.stem)
        if match is None or match["actor"] not in (*WOMEN, *MEN):
            logger.warning(f"{path} is not named as EmoDB's files; left out.")
            continue
        gender, group = "female", WOMEN
        if match["actor"] in MEN:
            gender, group = "male", MEN
        index = group.index(match["actor"])
        utterances.append(
            Utterance(
                name=path.stem,
                path=f"wav/{path.name}",
                split=cyclic_split(index, fold, len(WOMEN)),
                speaker=match["actor"],
                emotion=EMOTIONS[match["emotion"]],
                fields={"gender": gender},
            )
        )
    prepare_corpus(
        utterances, data_folder, noise_folder, manifest_folder, seed, **options
    )
