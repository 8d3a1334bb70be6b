"""Prepares VoiceBank-DEMAND, read speech in noise beside itself without.

The distributed tree is `clean_trainset_28spk_wav/p226_001.wav` and
`noisy_trainset_28spk_wav/p226_001.wav`, likewise for 56 speakers, and
`clean_testset_wav` and `noisy_testset_wav` with two more speakers. The noise
is the corpus's own, so none is mixed here. Nothing has an emotion.

Reference: C. Valentini-Botinhao et al., "Investigating RNN-based speech
enhancement methods for noise-robust Text-to-Speech", SSW 2016.

Authors
 * The speechbrain-merit developers 2026
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from speechbrain.utils.logger import get_logger
from speechbrain_merit.data.preparation import (
    Utterance,
    audio_files,
    layout_error,
    prepare_corpus,
)

logger = get_logger(__name__)

NUM_SPEAKERS = (28, 56)


def prepare_voicebank_demand(
    data_folder: str | Path,
    noise_folder: str | Path | None,
    manifest_folder: str | Path,
    sample_rate_hz: int,
    fold: int,
    seed: int,
    *,
    num_speakers: int = 28,
    valid_speakers: Sequence[str] = ("p226", "p287"),
    **options: Any,
) -> None:
    """Writes the seven manifests, and a list of skipped files.

    The manifests of noise are empty: an utterance has `noisy_wav`.

    Arguments
    ---------
    data_folder : str or Path
        Folder that holds the four folders of recordings.
    noise_folder : str or Path, optional
        Not used.
    manifest_folder : str or Path
        Where to write; made where needed.
    sample_rate_hz : int
        Not used: audio is resampled when it is read.
    fold : int
        0, the corpus's only division into training and test.
    seed : int
        Not used: nothing is drawn.
    num_speakers : int
        Which training set: of 28 speakers, as all published figures have it,
        or of 56.
    valid_speakers : sequence of str
        Speakers of the training set who are kept for development; SpeechBrain
        keeps the same two.
    **options
        See `speechbrain_merit.data.preparation.prepare_corpus`.

    Raises
    ------
    FileNotFoundError
        If the folder is not laid out as distributed.
    ValueError
        If the fold or training set does not exist, or nothing is left for a
        manifest.

    Example
    -------
    >>> prepare_voicebank_demand("nowhere", None, "save", 16000, 0, 0)
    Traceback (most recent call last):
    ...
    FileNotFoundError: nowhere does not exist: give a folder with clean_...
    """
    if fold != 0:
        raise ValueError(
            f"fold is {fold}, but VoiceBank-DEMAND has only fold 0."
        )
    if num_speakers not in NUM_SPEAKERS:
        raise ValueError(
            f"num_speakers is {num_speakers}: use one of {NUM_SPEAKERS}."
        )
    data_folder = Path(data_folder)
    utterances = []
    for part in (f"trainset_{num_speakers}spk_wav", "testset_wav"):
        for name in _pairs(data_folder, f"clean_{part}", f"noisy_{part}"):
            speaker = name.split("_")[0]
            split = "test" if part.startswith("test") else "train"
            if split == "train" and speaker in valid_speakers:
                split = "valid"
            utterances.append(
                Utterance(
                    name=Path(name).stem,
                    path=f"clean_{part}/{name}",
                    split=split,
                    speaker=speaker,
                    noisy_path=f"noisy_{part}/{name}",
                )
            )
    prepare_corpus(
        utterances,
        data_folder,
        None,
        manifest_folder,
        seed,
        emotions=None,
        noise=None,
        **options,
    )


def _pairs(data_folder: Path, clean: str, noisy: str) -> list[str]:
    """Names of the files that both folders have."""
    names = []
    for folder in (clean, noisy):
        if not (data_folder / folder).is_dir():
            raise layout_error(data_folder, folder, folder)
        files = audio_files(data_folder / folder, ".wav")
        names.append({path.name for path in files})
    alone = sorted(names[0] ^ names[1])
    if alone:
        logger.warning(
            f"{len(alone)} files, such as {alone[0]}, are only in one of "
            f"{clean} and {noisy}; going on without."
        )
    return sorted(names[0] & names[1])
