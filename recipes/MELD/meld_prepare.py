"""Prepares MELD, dialogues of the television series Friends.

The distributed tree is `train_sent_emo.csv`, `dev_sent_emo.csv` and
`test_sent_emo.csv` with the labels, and the videos `dia0_utt0.mp4` in
`train_splits`, `dev_splits_complete` and `output_repeated_splits_test`, all of
them at the top or in `train`, `dev` and `test`. Sound is read from WAV files;
where there are none yet, ffmpeg takes it out of the videos.

Reference: S. Poria et al., "MELD: A Multimodal Multi-Party Dataset for
Emotion Recognition in Conversations", ACL 2019.

Authors
 * The speechbrain-merit developers 2026
"""

import functools
import re
import shutil
import subprocess
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from speechbrain.utils.logger import get_logger
from speechbrain.utils.parallel import parallel_map
from speechbrain_merit.data.preparation import (
    Utterance,
    layout_error,
    prepare_corpus,
    read_table,
    select_utterances,
)

logger = get_logger(__name__)

# Folder of the archive, labels and videos, by split.
PARTS = {
    "train": ("train", "train_sent_emo.csv", "train_splits"),
    "valid": ("dev", "dev_sent_emo.csv", "dev_splits_complete"),
    "test": ("test", "test_sent_emo.csv", "output_repeated_splits_test"),
}
EMOTIONS = {
    "anger": "angry",
    "disgust": "disgusted",
    "fear": "fearful",
    "joy": "happy",
    "neutral": "neutral",
    "sadness": "sad",
    "surprise": "surprised",
}
_COLUMNS = ("Dialogue_ID", "Utterance_ID", "Speaker", "Emotion")


def prepare_meld(
    data_folder: str | Path,
    noise_folder: str | Path,
    manifest_folder: str | Path,
    sample_rate_hz: int,
    fold: int,
    seed: int,
    *,
    emotions: Sequence[str],
    other_emotions: bool = False,
    wav_folder: str | Path | None = None,
    num_jobs: int = 8,
    **options: Any,
) -> None:
    """Writes the seven manifests, and a list of skipped files.

    Arguments
    ---------
    data_folder : str or Path
        Folder that holds the label files and the folders of videos.
    noise_folder : str or Path
        Folder of the noise.
    manifest_folder : str or Path
        Where to write; made where needed.
    sample_rate_hz : int
        Rate of the sound that is taken out of videos.
    fold : int
        0, the corpus's only division.
    seed : int
        What the division of noise depends on where it has no splits.
    emotions : sequence of str
        Labels to keep.
    other_emotions : bool
        Whether training utterances of other emotions train without a label.
    wav_folder : str or Path, optional
        Where the sound is or goes, as `train/dia0_utt0.wav`; beside the videos
        by default.
    num_jobs : int
        Threads that read headers, and programs that take out sound.
    **options
        `noise` and more, see
        `speechbrain_merit.data.preparation.prepare_corpus`.

    Raises
    ------
    FileNotFoundError
        If the folder is not laid out as distributed, or there are videos
        without sound and no ffmpeg.
    ValueError
        If the fold does not exist, an utterance has no number, or nothing is
        left for a manifest.

    Example
    -------
    >>> prepare_meld("nowhere", "noise", "save", 16000, 0, 0, emotions=["sad"])
    Traceback (most recent call last):
    ...
    FileNotFoundError: nowhere does not exist: give a folder with train_sent_...
    """
    if fold != 0:
        raise ValueError(f"fold is {fold}, but MELD has only fold 0.")
    data_folder = Path(data_folder)
    utterances, videos = [], {}
    for split, (part, table, place) in PARTS.items():
        rows = read_table(_find(data_folder, part, table), _COLUMNS)
        folder = _find(data_folder, part, place)
        sounds = folder if wav_folder is None else Path(wav_folder) / part
        for row in rows:
            stem = _stem(row, table)
            path = _manifest_path(sounds / f"{stem}.wav", data_folder)
            videos[path] = folder / f"{stem}.mp4"
            utterances.append(
                Utterance(
                    name=f"{part}_{stem}",
                    path=path,
                    split=split,
                    speaker=row["Speaker"] or "unknown",
                    emotion=EMOTIONS.get(row["Emotion"]),
                )
            )
    utterances = select_utterances(utterances, emotions, other_emotions)
    _extract_missing(
        {data_folder / u.path: videos[u.path] for u in utterances},
        sample_rate_hz,
        num_jobs,
    )
    prepare_corpus(
        utterances,
        data_folder,
        noise_folder,
        manifest_folder,
        seed,
        emotions=emotions,
        other_emotions=other_emotions,
        num_jobs=num_jobs,
        **options,
    )


def _find(data_folder: Path, part: str, name: str) -> Path:
    for place in (data_folder / name, data_folder / part / name):
        if place.exists():
            return place
    raise layout_error(data_folder, name, f"{name} or {part}/{name}")


def _stem(row: Mapping[str, str | None], table: str) -> str:
    """Name of an utterance's files, which are written too."""
    numbers = [row["Dialogue_ID"] or "", row["Utterance_ID"] or ""]
    if not all(re.fullmatch("[0-9]+", number) for number in numbers):
        raise ValueError(
            f"{table} has a row with the Dialogue_ID and Utterance_ID "
            f"{numbers}: both must be numbers."
        )
    return "dia{}_utt{}".format(*numbers)


def _manifest_path(sound: Path, data_folder: Path) -> str:
    if sound.is_relative_to(data_folder):
        return sound.relative_to(data_folder).as_posix()
    return sound.absolute().as_posix()


def _extract_missing(
    videos: Mapping[Path, Path], sample_rate_hz: int, num_jobs: int
) -> None:
    """Takes the sound out of the videos that have none beside them yet."""
    jobs = [
        (video, sound)
        for sound, video in videos.items()
        if not sound.exists() and video.exists()
    ]
    if not jobs:
        return
    if shutil.which("ffmpeg") is None:
        raise FileNotFoundError(
            f"{len(jobs)} utterances, such as {jobs[0][1]}, are there as video "
            "only, and ffmpeg, which takes the sound out, is not installed: "
            "install it, or make the WAV files elsewhere."
        )
    logger.info(f"Taking the sound out of {len(jobs)} videos.")
    for folder in {sound.parent for _, sound in jobs}:
        folder.mkdir(parents=True, exist_ok=True)
    extract = functools.partial(_extract, sample_rate_hz)
    with ThreadPoolExecutor(num_jobs) as executor:
        outcomes = parallel_map(
            extract, jobs, chunk_size=1, executor=executor, progress_bar=False
        )
        for fault in filter(None, outcomes):
            logger.warning(fault)


def _extract(sample_rate_hz: int, job: tuple[Path, Path]) -> str | None:
    """Runs ffmpeg; gives what it complained of if it made nothing."""
    video, sound = job
    partial = sound.with_suffix(".partial.wav")
    command = ["ffmpeg", "-nostdin", "-v", "error", "-y", "-i", str(video)]
    command += ["-vn", "-ac", "1", "-ar", str(sample_rate_hz), str(partial)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode == 0 and partial.exists():
        partial.replace(sound)
        return None
    partial.unlink(missing_ok=True)
    return f"{video} gives no sound: {done.stderr.strip()}"
