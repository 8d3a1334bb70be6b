"""Prepares MSP-Podcast, natural emotional speech from podcasts.

The distributed tree is `Audios/MSP-PODCAST_0001_0008.wav` (`Audio` in some
releases) and `Labels/labels_consensus.csv`. Releases 1.7 to 1.12 differ in
columns, names and splits: what is there is read, what is missing is named.

Reference: R. Lotfian, C. Busso, "Building Naturalistic Emotionally Balanced
Speech Corpus by Retrieving Emotional Speech From Existing Podcast
Recordings", IEEE Trans. Affective Computing 10(4), 2019.

Authors
 * The speechbrain-merit developers 2026
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from speechbrain.utils.logger import get_logger
from speechbrain_merit.data.preparation import (
    Utterance,
    layout_error,
    number_or_none,
    prepare_corpus,
    read_table,
)

logger = get_logger(__name__)

# Other (O) and no agreement (X) are no emotion.
EMOTIONS = {
    "A": "angry",
    "S": "sad",
    "H": "happy",
    "U": "surprised",
    "F": "fearful",
    "D": "disgusted",
    "C": "contemptuous",
    "N": "neutral",
}
TEST_SETS = ("Test1", "Test2", "Test3")
_SPLITS = {"Train": "train", "Development": "valid", "Validation": "valid"}
_AUDIO_FOLDERS = ("Audios", "Audio")
# The second spelling is that of some early releases.
_LABEL_FILES = (
    "Labels/labels_consensus.csv",
    "Labels/labels_concensus.csv",
    "labels_consensus.csv",
)
_REQUIRED = ("FileName", "EmoClass", "Split_Set")
_ATTRIBUTES = {
    "EmoAct": "activation",
    "EmoVal": "valence",
    "EmoDom": "dominance",
}
_UNKNOWN = "unknown"


def prepare_msp_podcast(
    data_folder: str | Path,
    noise_folder: str | Path,
    manifest_folder: str | Path,
    sample_rate_hz: int,
    fold: int,
    seed: int,
    *,
    test_set: str = "Test1",
    **options: Any,
) -> None:
    """Writes the seven manifests, and a list of skipped files.

    The manifests keep what the corpus says beside the class: `activation`,
    `valence` and `dominance` from 1 to 7, and `gender`; None where it does
    not say.

    Arguments
    ---------
    data_folder : str or Path
        Folder that holds `Audios` (or `Audio`) and `Labels`.
    noise_folder : str or Path
        Folder of the noise.
    manifest_folder : str or Path
        Where to write; made where needed.
    sample_rate_hz : int
        Not used: audio is resampled when it is read.
    fold : int
        0, the corpus's only division into training and development.
    seed : int
        What the division of noise depends on where it has no splits.
    test_set : str
        One of `TEST_SETS`.
    **options
        `emotions`, `noise` and more, see
        `speechbrain_merit.data.preparation.prepare_corpus`.

    Raises
    ------
    FileNotFoundError
        If the folders are not laid out as distributed.
    ValueError
        If a needed column is missing, or the fold or test set does not exist,
        or nothing is left for a manifest.

    Example
    -------
    >>> prepare_msp_podcast(
    ...     "nowhere", "noise", "save", 16000, 0, 0, emotions=["sad"]
    ... )
    Traceback (most recent call last):
    ...
    FileNotFoundError: nowhere does not exist: give a folder with Labels/...
    """
    if fold != 0:
        raise ValueError(f"fold is {fold}, but MSP-Podcast has only fold 0.")
    if test_set not in TEST_SETS:
        raise ValueError(f"test_set is {test_set!r}: use one of {TEST_SETS}.")
    data_folder = Path(data_folder)
    labels = _first(data_folder, _LABEL_FILES)
    audio = _first(data_folder, _AUDIO_FOLDERS)
    rows = read_table(labels, _REQUIRED, (*_ATTRIBUTES, "SpkrID", "Gender"))
    splits = {**_SPLITS, test_set: "test"}
    _check_splits(rows, splits, labels)
    utterances = [
        _utterance(row, audio.name, splits[row["Split_Set"]])
        for row in rows
        if row["FileName"] and row["Split_Set"] in splits
    ]
    prepare_corpus(
        utterances, data_folder, noise_folder, manifest_folder, seed, **options
    )


def _first(data_folder: Path, names: tuple[str, ...]) -> Path:
    for name in names:
        if (data_folder / name).exists():
            return data_folder / name
    raise layout_error(data_folder, names[0], " or ".join(names))


def _check_splits(
    rows: list[dict[str, str | None]],
    splits: Mapping[str, str],
    labels: Path,
) -> None:
    present = {row["Split_Set"] for row in rows}
    missing = {"train", "valid", "test"} - {
        splits[name] for name in present if name in splits
    }
    if missing:
        raise ValueError(
            f"{labels} has no {', '.join(sorted(missing))} part: its Split_Set "
            f"are {sorted(map(str, present))}."
        )
    unknown = sorted(map(str, present - {*_SPLITS, *TEST_SETS}))
    if unknown:
        logger.warning(f"{labels}: the Split_Set {unknown} are not used.")


def _utterance(
    row: Mapping[str, str | None], audio_folder: str, split: str
) -> Utterance:
    stem = row["FileName"].removesuffix(".wav")
    gender = (row["Gender"] or _UNKNOWN).lower()
    return Utterance(
        name=stem,
        path=f"{audio_folder}/{stem}.wav",
        split=split,
        speaker=_speaker(row["SpkrID"]),
        emotion=EMOTIONS.get(row["EmoClass"]),
        fields={
            **{
                name: number_or_none(row[column])
                for column, name in _ATTRIBUTES.items()
            },
            "gender": None if gender == _UNKNOWN else gender,
        },
    )


def _speaker(text: str | None) -> str:
    if text is None or text.lower() == _UNKNOWN:
        return _UNKNOWN
    return text
