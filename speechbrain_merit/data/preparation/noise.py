"""Noise manifests: which recording, or which part of one, is for what.

Authors
 * The speechbrain-merit developers 2026
"""

import math
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from speechbrain_merit.data.manifests import NOISE_SPLITS

from .durations import measure_durations
from .noise_layouts import Recording, list_recordings
from .output import manifest_path

# Of what is distributed without splits; at least one recording for each.
_SHARES = {"train": 0.7, "valid": 0.1, "seen": 0.2}

Entries = dict[str, dict[str, Any]]


def prepare_noise(
    noise_folder: str | Path,
    cache_file: str | Path,
    seed: int,
    *,
    kind: str,
    seen_noise_types: Sequence[str] | None = None,
    unseen_noise_types: Sequence[str] | None = None,
    manifests: Mapping[str, str] | None = None,
    max_stretch_s: float = 60.0,
    num_jobs: int = 8,
    decode: bool = False,
) -> tuple[dict[str, Entries], dict[str, str]]:
    """Divides a noise set into training, development and testing.

    Where the set has no splits, 70 % of the recordings of every seen kind are
    for training, 10 % for development and 20 % for testing; of a kind with
    fewer than three, every recording is divided in time. Long recordings
    become stretches, so that one of them fits into memory.

    Arguments
    ---------
    noise_folder : str or Path
        Where the recordings are.
    cache_file : str or Path
        Remembers durations, see `measure_durations`.
    seed : int
        What the division depends on.
    kind : str
        How the folder is laid out, see `list_recordings`.
    seen_noise_types : sequence of str, optional
        Kinds of noise that occur in training; by default all that are not
        unseen.
    unseen_noise_types : sequence of str, optional
        Kinds for testing alone; by default, in a set with splits, those that
        only its test part has, and in another none.
    manifests : Mapping, optional
        File by split, for the kind `manifests`.
    max_stretch_s : float
        Longer recordings are cut into equal stretches no longer than this.
    num_jobs : int
        Threads, see `measure_durations`.
    decode : bool
        Whether to decode every file, see `measure_durations`.

    Returns
    -------
    dict
        For each of `NOISE_SPLITS`, the fields `NOISE_KEYS` and `start_s` by
        identity.
    dict
        Reason by path for every recording that was skipped.

    Raises
    ------
    FileNotFoundError
        If the folder is not laid out as its kind is.
    ValueError
        If a kind of noise is unknown, or both seen and unseen.

    Example
    -------
    >>> import torch
    >>> from speechbrain.dataio import audio_io
    >>> folder = Path(getfixture("tmpdir"))
    >>> (folder / "TBUS").mkdir()
    >>> audio_io.save(folder / "TBUS" / "ch01.wav", torch.ones(1, 1600), 160)
    >>> entries, _ = prepare_noise(folder, folder / "cache", 0, kind="demand")
    >>> entries["valid"]["TBUS/ch01.wav@7.000"]["duration_s"]
    1.0
    """
    noise_folder = Path(noise_folder)
    recordings = list_recordings(noise_folder, kind, manifests)
    unseen = _unseen_types(recordings, seen_noise_types, unseen_noise_types)
    seen = {r.noise_type for r in recordings} - unseen
    if seen_noise_types is not None:
        seen &= set(seen_noise_types)
    recordings = [r for r in recordings if r.noise_type in seen | unseen]
    durations, faults = measure_durations(
        noise_folder, [r.path for r in recordings], cache_file, num_jobs, decode
    )
    faults.update(
        {p: f"{p} holds no samples." for p in durations if not durations[p]}
    )
    sound = [r for r in recordings if r.path not in faults]
    entries: dict[str, Entries] = {split: {} for split in NOISE_SPLITS}
    for recording, split, start_s, stop_s in _divide(
        sound, durations, unseen, seed
    ):
        entries[split].update(
            _stretches(recording, start_s, stop_s, max_stretch_s)
        )
    reasons = {manifest_path(p, "noise_root"): faults[p] for p in faults}
    return entries, reasons


def _unseen_types(
    recordings: Iterable[Recording],
    seen: Sequence[str] | None,
    unseen: Sequence[str] | None,
) -> set[str]:
    known = {r.noise_type for r in recordings}
    for argument, types in (
        ("seen_noise_types", seen),
        ("unseen_noise_types", unseen),
    ):
        unknown = sorted(set(types or ()) - known)
        if unknown:
            raise ValueError(
                f"{argument} names {unknown}, which the noise folder does "
                f"not have; known: {', '.join(map(repr, sorted(known)))}."
            )
    both = sorted(set(seen or ()) & set(unseen or ()))
    if both:
        raise ValueError(
            f"{both} is in seen_noise_types and in unseen_noise_types: a kind "
            "of noise is one or the other."
        )
    if unseen is not None:
        return set(unseen)
    heard = {
        r.noise_type for r in recordings if r.split not in ("test", "unseen")
    }
    return known - heard - set(seen or ())


def _divide(
    recordings: Sequence[Recording],
    durations: Mapping[str, float],
    unseen: set[str],
    seed: int,
) -> Iterable[tuple[Recording, str, float, float]]:
    """Gives every part of a recording that has a use: split, start, stop."""
    by_type: dict[str, list[Recording]] = {}
    for recording in recordings:
        if recording.split is None and recording.noise_type not in unseen:
            by_type.setdefault(recording.noise_type, []).append(recording)
            continue
        split = _split_of(recording, recording.noise_type in unseen)
        if split is not None:
            yield recording, split, 0.0, durations[recording.path]
    for noise_type, members in sorted(by_type.items()):
        sources = sorted({recording.source for recording in members})
        if len(sources) < len(_SHARES):
            for recording in members:
                yield from _parts_in_time(recording, durations[recording.path])
            continue
        split_of = _draw_splits(sources, (seed, *noise_type.encode()))
        for recording in members:
            split = split_of[recording.source]
            yield recording, split, 0.0, durations[recording.path]


def _split_of(recording: Recording, unseen: bool) -> str | None:
    """The split that a recording has by itself; None for no use."""
    if recording.split in (None, "test", "unseen"):
        if unseen or recording.split == "unseen":
            return "unseen"
        return "seen"
    # An unseen kind must not be heard in training.
    return None if unseen else recording.split


def _draw_splits(
    sources: Sequence[str], seed: tuple[int, ...]
) -> dict[str, str]:
    order = np.random.default_rng(seed).permutation(len(sources))
    counts = {
        split: max(round(share * len(sources)), 1)
        for split, share in _SHARES.items()
        if split != "train"
    }
    splits = [split for split, count in counts.items() for _ in range(count)]
    splits += ["train"] * (len(sources) - len(splits))
    return {sources[i]: split for i, split in zip(order, splits, strict=True)}


def _parts_in_time(
    recording: Recording, duration_s: float
) -> Iterable[tuple[Recording, str, float, float]]:
    start = 0.0
    for split, share in _SHARES.items():
        stop = start + share
        yield recording, split, start * duration_s, stop * duration_s
        start = stop


def _stretches(
    recording: Recording, start_s: float, stop_s: float, longest_s: float
) -> Entries:
    """Entries of equal stretches between two times of a recording."""
    # Rounded, so that what is exactly as long as allowed stays whole.
    count = max(math.ceil(round((stop_s - start_s) / longest_s, 6)), 1)
    length_s = (stop_s - start_s) / count
    entries = {}
    for index in range(count):
        begin_s = round(start_s + index * length_s, 6)
        whole = count == 1 and begin_s == 0.0
        identity = recording.path
        if not whole:
            identity += f"@{begin_s:.3f}"
        entries[identity] = {
            "wav": manifest_path(recording.path, "noise_root"),
            "start_s": begin_s,
            "duration_s": round(length_s, 6),
            "noise_type": recording.noise_type,
        }
    return entries
