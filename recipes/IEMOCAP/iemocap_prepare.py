"""Prepares IEMOCAP, dialogues of ten actors in five sessions.

The distributed tree is `Session1/dialog/EmoEvaluation/Ses01F_impro01.txt`,
which has the labels of the turns of a dialogue, and
`Session1/sentences/wav/Ses01F_impro01/Ses01F_impro01_F000.wav`.

Reference: C. Busso et al., "IEMOCAP: Interactive emotional dyadic motion
capture database", Language Resources and Evaluation 42, 2008.

Authors
 * The speechbrain-merit developers 2026
"""

import re
from pathlib import Path
from typing import Any

from speechbrain_merit.data.preparation import (
    Utterance,
    cyclic_split,
    layout_error,
    number_or_none,
    prepare_corpus,
)

NUM_SESSIONS = 5
EXCITED = "excited"
# Other (oth) and no agreement (xxx) are no emotion.
EMOTIONS = {
    "ang": "angry",
    "dis": "disgusted",
    "exc": EXCITED,
    "fea": "fearful",
    "fru": "frustrated",
    "hap": "happy",
    "neu": "neutral",
    "sad": "sad",
    "sur": "surprised",
}
GENDERS = {"F": "female", "M": "male"}
# [6.2901 - 8.2357]	Ses01F_impro01_F000	neu	[2.5000, 2.5000, 2.5000]
_TURN = re.compile(
    r"\[\S+ - \S+\]\t(?P<name>(?P<dialogue>\S+)_(?P<gender>[FM])\w+)\t"
    r"(?P<label>\w+)\t\[(?P<attributes>[^\]]*)\]"
)
_ATTRIBUTES = ("valence", "activation", "dominance")


def prepare_iemocap(
    data_folder: str | Path,
    noise_folder: str | Path,
    manifest_folder: str | Path,
    sample_rate_hz: int,
    fold: int,
    seed: int,
    *,
    merge_excited: bool = True,
    **options: Any,
) -> None:
    """Writes the seven manifests of one fold, and a list of skipped files.

    Fold k tests session k + 1 and develops on the next one, see
    `cyclic_split`: no speaker is in two splits. The manifests keep
    `activation`, `valence` and `dominance` from 1 to 5, and `gender`.

    Arguments
    ---------
    data_folder : str or Path
        Folder that holds `Session1` to `Session5`.
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
    merge_excited : bool
        Whether excited speech counts as happy, as is usual with four
        classes.
    **options
        `emotions`, `noise` and more, see
        `speechbrain_merit.data.preparation.prepare_corpus`.

    Raises
    ------
    FileNotFoundError
        If a session is not there as distributed.
    ValueError
        If the fold does not exist, or nothing is left for a manifest.

    Example
    -------
    >>> prepare_iemocap("nowhere", "noise", "save", 16000, 0, 0)
    Traceback (most recent call last):
    ...
    FileNotFoundError: nowhere does not exist: give a folder with Session1/...
    """
    data_folder = Path(data_folder)
    utterances = []
    for index in range(NUM_SESSIONS):
        split = cyclic_split(index, fold, NUM_SESSIONS)
        inside = f"Session{index + 1}/dialog/EmoEvaluation"
        files = sorted((data_folder / inside).glob("Ses*.txt"))
        if not files:
            raise layout_error(
                data_folder, inside, f"{inside} with files such as Ses01*.txt"
            )
        for file in files:
            utterances += _turns(file, index + 1, split, merge_excited)
    prepare_corpus(
        utterances, data_folder, noise_folder, manifest_folder, seed, **options
    )


def _turns(
    file: Path, session: int, split: str, merge_excited: bool
) -> list[Utterance]:
    # Below every turn are its single judgements, some with other bytes.
    text = file.read_text(encoding="utf-8", errors="replace")
    utterances = []
    for match in _TURN.finditer(text):
        emotion = EMOTIONS.get(match["label"])
        if merge_excited and emotion == EXCITED:
            emotion = "happy"
        values = map(number_or_none, match["attributes"].split(","))
        utterances.append(
            Utterance(
                name=match["name"],
                path=f"Session{session}/sentences/wav/{match['dialogue']}/"
                f"{match['name']}.wav",
                split=split,
                # The letter in the dialogue's name is who wore the markers.
                speaker=f"Ses{session:02d}{match['gender']}",
                emotion=emotion,
                fields={
                    **dict(zip(_ATTRIBUTES, values, strict=True)),
                    "gender": GENDERS[match["gender"]],
                },
            )
        )
    return utterances
