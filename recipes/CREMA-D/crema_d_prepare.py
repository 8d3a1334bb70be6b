"""Prepares CREMA-D, twelve sentences acted by 91 actors.

The distributed tree is `AudioWAV/1001_DFA_ANG_XX.wav`; file names are
`actor_sentence_emotion_level.wav`. `VideoDemographics.csv` has the actors'
sex, `processedResults/summaryTable.csv` what listeners heard.

Reference: H. Cao et al., "CREMA-D: Crowd-sourced Emotional Multimodal Actors
Dataset", IEEE Trans. Affective Computing 5(4), 2014.

Authors
 * The speechbrain-merit developers 2026
"""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from speechbrain.utils.logger import get_logger
from speechbrain_merit.data.preparation import (
    Utterance,
    audio_files,
    cyclic_split,
    layout_error,
    prepare_corpus,
    read_table,
)

logger = get_logger(__name__)

NUM_FOLDS = 5
FIRST_ACTOR = 1001
EMOTIONS = {
    "ANG": "angry",
    "DIS": "disgusted",
    "FEA": "fearful",
    "HAP": "happy",
    "NEU": "neutral",
    "SAD": "sad",
}
LABELS = ("intended", "heard")
# The level of one file is X instead of XX.
_FILE_NAME = re.compile(r"(?P<actor>1\d{3})_[A-Z]{3}_(?P<emotion>[A-Z]{3})_\w+")


def prepare_crema_d(
    data_folder: str | Path,
    noise_folder: str | Path,
    manifest_folder: str | Path,
    sample_rate_hz: int,
    fold: int,
    seed: int,
    *,
    labels: str = "intended",
    **options: Any,
) -> None:
    """Writes the seven manifests of one fold, and a list of skipped files.

    Every fifth actor is tested in a fold, see `cyclic_split`: fold 0 tests
    actors 1001, 1006 and so on, and develops on 1002, 1007 and so on.

    Arguments
    ---------
    data_folder : str or Path
        Folder that holds `AudioWAV`.
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
    labels : str
        `intended`: what the actor was asked for; `heard`: what most listeners
        heard in the voice alone, nothing for a tie.
    **options
        `emotions`, `noise` and more, see
        `speechbrain_merit.data.preparation.prepare_corpus`.

    Raises
    ------
    FileNotFoundError
        If the folder is not laid out as distributed.
    ValueError
        If the fold or kind of labels does not exist, or nothing is left for a
        manifest.

    Example
    -------
    >>> prepare_crema_d("nowhere", "noise", "save", 16000, 0, 0)
    Traceback (most recent call last):
    ...
    FileNotFoundError: nowhere does not exist: give a folder with AudioWAV.
    """
    if labels not in LABELS:
        raise ValueError(f"labels is {labels!r}: use one of {LABELS}.")
    data_folder = Path(data_folder)
    if not (data_folder / "AudioWAV").is_dir():
        raise layout_error(data_folder, "AudioWAV", "AudioWAV")
    heard = _heard(data_folder) if labels == "heard" else None
    genders = _genders(data_folder)
    utterances = []
    for path in audio_files(data_folder / "AudioWAV", ".wav"):
        match = _FILE_NAME.fullmatch(path.stem)
        if match is None:
            logger.warning(f"{path} is not named as CREMA-D's files; left out.")
            continue
        actor = match["actor"]
        code = match["emotion"] if heard is None else heard.get(path.stem)
        utterances.append(
            Utterance(
                name=path.stem,
                path=f"AudioWAV/{path.name}",
                split=cyclic_split(int(actor) - FIRST_ACTOR, fold, NUM_FOLDS),
                speaker=actor,
                emotion=EMOTIONS.get(code),
                fields={"gender": genders.get(actor)},
            )
        )
    prepare_corpus(
        utterances, data_folder, noise_folder, manifest_folder, seed, **options
    )


def _genders(data_folder: Path) -> Mapping[str | None, str | None]:
    path = data_folder / "VideoDemographics.csv"
    if not path.is_file():
        logger.warning(f"{path} is missing; going on without genders.")
        return {}
    rows = read_table(path, ["ActorID", "Sex"])
    return {row["ActorID"]: (row["Sex"] or "").lower() or None for row in rows}


def _heard(data_folder: Path) -> Mapping[str | None, str | None]:
    """Code of the emotion that most heard, by name; None for a tie."""
    path = data_folder / "processedResults" / "summaryTable.csv"
    if not path.is_file():
        raise FileNotFoundError(
            f"{path} is missing, which holds the labels 'heard': complete the "
            "corpus, or take the labels 'intended'."
        )
    initials = {code[0]: code for code in EMOTIONS}
    rows = read_table(path, ["FileName", "VoiceVote"])
    return {row["FileName"]: initials.get(row["VoiceVote"]) for row in rows}
