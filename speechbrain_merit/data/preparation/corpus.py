"""From what a corpus lists to its seven manifests.

A preparation script reads the label files or file names of its corpus and
hands over candidates; what is the same for all corpora happens here.

Authors
 * The speechbrain-merit developers 2026
"""

import collections
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from speechbrain.utils.logger import get_logger
from speechbrain_merit.data.contained_paths import check_paths
from speechbrain_merit.data.manifests import NOISE_SPLITS, UTTERANCE_SPLITS

from .durations import measure_durations
from .noise import prepare_noise
from .output import manifest_path, report_skipped, write_manifests
from .utterances import Utterance, select_utterances

logger = get_logger(__name__)

SPEECH_CACHE = "durations_speech.jsonl"
NOISE_CACHE = "durations_noise.jsonl"


def prepare_corpus(
    utterances: Sequence[Utterance],
    data_folder: str | Path,
    noise_folder: str | Path | None,
    manifest_folder: str | Path,
    seed: int,
    *,
    emotions: Sequence[str] | None,
    noise: Mapping[str, Any] | None,
    other_emotions: bool = False,
    min_duration_s: float = 0.1,
    num_jobs: int = 8,
    check_audio: bool = False,
) -> None:
    """Writes the seven manifests of a corpus, and a list of skipped files.

    Only files that are used are touched, and of those only the headers; see
    `measure_durations`. Files that cannot be used are left out, named in a
    warning and listed with the reason in `skipped.json`.

    Arguments
    ---------
    utterances : sequence of Utterance
        All candidates, of all emotions.
    data_folder : str or Path
        Where the speech is, `{data_root}` of the manifests.
    noise_folder : str or Path, optional
        Where the noise is, `{noise_root}` of the manifests; None without.
    manifest_folder : str or Path
        Where to write; made where needed. Durations are remembered here.
    seed : int
        What the division of noise depends on where it has no splits.
    emotions : sequence of str, optional
        Labels to keep; None for a corpus without labels.
    noise : Mapping, optional
        How to read the noise folder: the arguments of `prepare_noise` from
        `kind` on. None for given pairs; as with the kind `none`, speech stays
        as it is.
    other_emotions : bool
        Whether training utterances of other emotions, or of none, are kept
        without a label: the enhancement alone learns from them.
    min_duration_s : float
        Shorter utterances are skipped, in seconds.
    num_jobs : int
        Threads that read headers.
    check_audio : bool
        Whether to decode every file once, which finds damage and digital
        silence before training does, and takes much longer.

    Raises
    ------
    ValueError
        If two candidates have one name, a path leads out of the data folder,
        an emotion never occurs, or nothing is left for a manifest.

    Example
    -------
    >>> import torch
    >>> from speechbrain.dataio import audio_io
    >>> from speechbrain_merit.data.manifests import read_manifest
    >>> folder = Path(getfixture("tmpdir"))
    >>> for name in ("clean.wav", "noisy.wav"):
    ...     audio_io.save(folder / name, torch.ones(1, 8000), 16000)
    >>> pairs = [
    ...     Utterance(split, "clean.wav", split, "p226", None, "noisy.wav")
    ...     for split in UTTERANCE_SPLITS
    ... ]
    >>> options = {"emotions": None, "noise": None}
    >>> prepare_corpus(pairs, folder, None, folder / "save", 0, **options)
    >>> read_manifest(folder / "save" / "test.json")["test"]["noisy_wav"]
    '{data_root}/noisy.wav'
    """
    started_s = time.monotonic()
    manifest_folder = Path(manifest_folder)
    _check_names(utterances)
    check_paths(data_folder, (u.path for u in utterances))
    check_paths(data_folder, (u.noisy_path or "" for u in utterances))
    if emotions is not None:
        utterances = select_utterances(utterances, emotions, other_emotions)
    _check_splits(utterances, emotions, data_folder)
    # First: a folder that is not there shows before hours of speech are read.
    found: dict[str, Any] = {split: {} for split in NOISE_SPLITS}
    if noise is not None and noise.get("kind") == "none":
        noise = None
    skipped_noise: dict[str, str] = {}
    if noise is not None:
        if noise_folder is None:
            raise ValueError("noise_folder is not set: give a folder of noise.")
        found, skipped_noise = prepare_noise(
            noise_folder,
            manifest_folder / NOISE_CACHE,
            seed,
            num_jobs=num_jobs,
            decode=check_audio,
            **noise,
        )
    speech, skipped = _measure_speech(
        utterances,
        data_folder,
        manifest_folder / SPEECH_CACHE,
        min_duration_s,
        num_jobs,
        check_audio,
    )
    report_skipped({**skipped, **skipped_noise}, manifest_folder)
    write_manifests(
        speech,
        found,
        manifest_folder,
        may_be_empty=_dispensable(utterances, found, noise is None),
    )
    _log_counts(speech, found, data_folder, time.monotonic() - started_s)


def _check_names(utterances: Sequence[Utterance]) -> None:
    counts = collections.Counter(u.name for u in utterances)
    repeated = [name for name, count in counts.items() if count > 1]
    if repeated:
        raise ValueError(
            f"{len(repeated)} utterances occur more than once, such as "
            f"{repeated[0]}: mend the corpus's label file."
        )


def _check_splits(
    utterances: Sequence[Utterance],
    emotions: Sequence[str] | None,
    data_folder: str | Path,
) -> None:
    left = {utterance.split for utterance in utterances}
    empty = [split for split in UTTERANCE_SPLITS if split not in left]
    if empty:
        wanted = "" if emotions is None else f" with one of {list(emotions)}"
        raise ValueError(
            f"{data_folder} lists no utterance{wanted} for {', '.join(empty)}: "
            "complete the corpus, or test on a part that has labels."
        )


def _measure_speech(
    utterances: Sequence[Utterance],
    data_folder: str | Path,
    cache_file: Path,
    min_duration_s: float,
    num_jobs: int,
    check_audio: bool,
) -> tuple[dict[str, dict[str, dict[str, Any]]], dict[str, str]]:
    """Fields by split and name, and the reasons for what is not there."""
    paths = [u.path for u in utterances]
    paths += [u.noisy_path for u in utterances if u.noisy_path is not None]
    durations, faults = measure_durations(
        data_folder, paths, cache_file, num_jobs, check_audio
    )
    for path, duration_s in durations.items():
        if duration_s < min_duration_s:
            faults[path] = (
                f"{path} has {duration_s:g} s, less than min_duration_s."
            )
    has_pairs = any(u.noisy_path is not None for u in utterances)
    speech: dict[str, Any] = {split: {} for split in UTTERANCE_SPLITS}
    for utterance in utterances:
        if faults.keys().isdisjoint({utterance.path, utterance.noisy_path}):
            speech[utterance.split][utterance.name] = _fields(
                utterance, durations[utterance.path], has_pairs
            )
    return speech, {manifest_path(p, "data_root"): faults[p] for p in faults}


def _fields(
    utterance: Utterance, duration_s: float, has_pairs: bool
) -> dict[str, Any]:
    fields = {
        "wav": manifest_path(utterance.path, "data_root"),
        "start_s": 0.0,
        "duration_s": duration_s,
        "emotion": utterance.emotion,
        "speaker": utterance.speaker,
        **utterance.fields,
    }
    if has_pairs:
        fields["noisy_wav"] = utterance.noisy_path and manifest_path(
            utterance.noisy_path, "data_root"
        )
    return fields


def _dispensable(
    utterances: Sequence[Utterance], noise: Mapping[str, Any], without: bool
) -> list[str]:
    """Noise manifests that may be empty."""
    if without or all(u.noisy_path is not None for u in utterances):
        return [f"noise_{split}" for split in NOISE_SPLITS]
    # One condition is enough for testing.
    if noise["seen"]:
        return ["noise_unseen"]
    return ["noise_seen"] if noise["unseen"] else []


def _log_counts(
    speech: Mapping[str, Mapping[str, Mapping[str, Any]]],
    noise: Mapping[str, Mapping[str, Any]],
    data_folder: str | Path,
    elapsed_s: float,
) -> None:
    lines = [f"{data_folder} prepared in {elapsed_s:.1f} s."]
    for split, entries in speech.items():
        labels = collections.Counter(
            fields["emotion"] or "no label" for fields in entries.values()
        )
        counts = ", ".join(f"{n} {name}" for name, n in labels.most_common())
        lines.append(f"{split}: {len(entries)} utterances ({counts})")
    lines += [
        f"noise {split}: {len(entries)} recordings or stretches"
        for split, entries in noise.items()
    ]
    logger.info("\n".join(lines))
