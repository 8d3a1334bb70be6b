"""Data preparation of "mini", a corpus made on the spot and offline.

eSpeak NG says short sentences in twenty-six voices and four manners that differ
in rate, loudness, pitch and pitch range; arithmetic makes eight kinds of
noise. The corpus is for trying a recipe out, for teaching and for tests: its
"emotions" are four overlapping distributions of those quantities, and figures
reached on it say nothing about how people sound.

Authors
 * The speechbrain-merit developers 2026
"""

import json
import math
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from espeak import Espeak
from filelock import FileLock
from synthetic_noise import NOISES, at_level

from speechbrain.dataio import audio_io
from speechbrain.utils.logger import get_logger
from speechbrain_merit.data.audio import resample
from speechbrain_merit.data.manifests import (
    NOISE_KEYS,
    UTTERANCE_KEYS,
    UTTERANCE_SPLITS,
    manifest_paths,
    write_manifest,
)

logger = get_logger(__name__)

# To be raised whenever the same arguments give other files than before.
CORPUS_VERSION = 1
MAX_PEAK = 0.9
NOISE_LEVEL_DBFS = -20.0
NUM_BABBLE_TALKERS = 6
# Recordings of every noise type by split; none is in two splits.
RECORDINGS_PER_TYPE = {"train": 4, "valid": 1, "seen": 2, "unseen": 3}
SEEN_TYPES = ("babble", "engine", "hum", "pink", "rain", "white")
UNSEEN_TYPES = ("siren", "wind")


class Speaker(NamedTuple):
    """A voice of eSpeak NG and the split that it speaks in."""

    voice: str
    gender: str
    split: str


# Languages and variants of eSpeak NG. Each split hears women and men, and the
# test accents that training hears too.
SPEAKERS = {
    "s01": Speaker("en-us+f1", "f", "train"),
    "s02": Speaker("en-us+m1", "m", "train"),
    "s03": Speaker("en-gb-x-rp+f2", "f", "train"),
    "s04": Speaker("en-gb-x-rp+m3", "m", "train"),
    "s05": Speaker("en-us+Annie", "f", "train"),
    "s06": Speaker("en-us+m4", "m", "train"),
    "s07": Speaker("en-gb-scotland+steph", "f", "train"),
    "s08": Speaker("en-gb-scotland+m7", "m", "train"),
    "s09": Speaker("en+linda", "f", "train"),
    "s10": Speaker("en-029+Andy", "m", "train"),
    "s11": Speaker("en-us+f4", "f", "valid"),
    "s12": Speaker("en+m6", "m", "valid"),
    "s13": Speaker("en-us+f3", "f", "test"),
    "s14": Speaker("en-us+m5", "m", "test"),
    "s15": Speaker("en-gb-x-rp+f5", "f", "test"),
    "s16": Speaker("en-gb-scotland+m2", "m", "test"),
    "s17": Speaker("en-us+Andrea", "f", "train"),
    "s18": Speaker("en-us+robert", "m", "train"),
    "s19": Speaker("en-gb-x-rp+belinda", "f", "train"),
    "s20": Speaker("en-gb-x-rp+Michael", "m", "train"),
    "s21": Speaker("en-gb-scotland+anika", "f", "train"),
    "s22": Speaker("en-gb-scotland+rob", "m", "train"),
    "s23": Speaker("en+steph2", "f", "train"),
    "s24": Speaker("en+quincy", "m", "train"),
    "s25": Speaker("en-029+Alicia", "f", "train"),
    "s26": Speaker("en-us+Lee", "m", "train"),
}

SENTENCES = (
    "The train leaves from platform two.",
    "She put the letters on the table.",
    "There are nine chairs in the hall.",
    "The shop on the corner sells bread.",
    "He keeps the keys in the drawer.",
    "The bus stops here every hour.",
    "My brother works in the library.",
    "The blue folder is on the shelf.",
    "We painted the kitchen in May.",
    "The meeting is on the third floor.",
    "They moved the desk to the window.",
    "The lamp stands beside the bed.",
    "Your coat is in the other room.",
    "The river runs behind the school.",
    "I wrote the number on the card.",
    "The boxes arrived on Tuesday.",
    "Her office has two large windows.",
    "The road turns left at the bridge.",
    "You can leave the bag by the door.",
    "The class begins at half past ten.",
    "He reads the paper after lunch.",
    "The garden is next to the house.",
    "We need more paper and a pen.",
    "The ladder is against the wall.",
    "She takes the same way to work.",
    "The film lasts about two hours.",
    "There is some water in the jug.",
    "The market opens in the morning.",
    "I saw the postman at the gate.",
    "The map shows all of the streets.",
)


class Delivery(NamedTuple):
    """How an utterance is said; pitches in eSpeak's units, 50 is neutral."""

    rate_wpm: float
    level_dbfs: float
    pitch: float
    pitch_range: float


# Means by emotion in the directions that acted and natural speech has them
# (Scherer, "Vocal communication of emotion", Speech Communication 40, 2003).
# The common standard deviations make the four overlap, so that logistic
# regression on the exact four numbers is right in 99 of 100 utterances.
DELIVERY_MEANS = {
    "angry": Delivery(205, -23.5, 52, 62),
    "sad": Delivery(120, -35.0, 30, 26),
    "happy": Delivery(180, -27.5, 74, 80),
    "neutral": Delivery(155, -31.0, 46, 40),
}
DELIVERY_DEVIATIONS = Delivery(16, 2.0, 8, 11)
# In standard deviations; keeps every draw within what eSpeak can render.
MAX_DEVIATION = 2.0
# Babble is said by nobody in particular.
BABBLE_EMOTION = "neutral"

Entries = dict[str, dict[str, Any]]


def prepare_mini(
    data_folder: str | Path,
    noise_folder: str | Path | None,
    manifest_folder: str | Path,
    sample_rate_hz: int,
    fold: int,
    seed: int,
    *,
    num_train: int = 480,
    num_valid: int = 64,
    num_test: int = 64,
    noise_duration_s: float = 10.0,
) -> None:
    """Makes speech and noise where they are missing, and the manifests.

    Files and manifests are a function of the arguments alone. A folder that
    is complete and was made with the same arguments is left as it is.

    Arguments
    ---------
    data_folder : str or Path
        Where the speech goes; `{data_root}` of the manifests.
    noise_folder : str or Path, optional
        Where the noise goes, `{noise_root}` of the manifests;
        `data_folder`/noise for None.
    manifest_folder : str or Path
        Where the seven manifests go.
    sample_rate_hz : int
        Sample rate of all files.
    fold : int
        0, the corpus's only division into training and test.
    seed : int
        What every draw depends on, not negative.
    num_train : int
        Utterances for training by twenty speakers, a multiple of 4.
    num_valid : int
        Utterances for validation by two others, a multiple of 4.
    num_test : int
        Utterances for testing by four others, a multiple of 4.
    noise_duration_s : float
        Length of every noise recording.

    Raises
    ------
    ValueError
        If `fold` is not 0, a number of utterances is no positive multiple
        of 4, or there is no time for noise.
    ImportError
        If files have to be made and `espeakng_loader` is missing.

    Example
    -------
    >>> root = getfixture("tmpdir")
    >>> sizes = {"num_train": 4, "num_valid": 4, "num_test": 4}
    >>> prepare_mini(
    ...     root / "data", None, root / "save", 16000, 0, 1, **sizes,
    ...     noise_duration_s=0.5,
    ... )  # fmt: skip
    >>> from speechbrain_merit.data.manifests import read_manifest
    >>> train = read_manifest(root / "save" / "train.json")
    >>> sorted(train)[0], train["mini_s01_sad_0001"]["wav"]
    ('mini_s01_angry_0000', '{data_root}/speech/s01/mini_s01_sad_0001.wav')
    """
    sizes = {"train": num_train, "valid": num_valid, "test": num_test}
    _check_arguments(fold, sizes, noise_duration_s)
    data_folder = Path(data_folder)
    noise_folder = Path(noise_folder or data_folder / "noise")
    settings = {
        "corpus_version": CORPUS_VERSION,
        "sample_rate_hz": sample_rate_hz,
        "seed": seed,
    }
    speech = _make_once(
        data_folder,
        data_folder / "mini_speech.json",
        "{data_root}",
        {**settings, **sizes},
        lambda: _make_speech(data_folder, sizes, sample_rate_hz, seed),
    )
    noise = _make_once(
        noise_folder,
        noise_folder / "mini_noise.json",
        "{noise_root}",
        {**settings, "noise_duration_s": noise_duration_s},
        lambda: _make_noise(
            noise_folder, noise_duration_s, sample_rate_hz, seed
        ),
    )
    paths = manifest_paths(manifest_folder)
    for split, entries in speech.items():
        write_manifest(paths[split], entries, UTTERANCE_KEYS)
    for split, entries in noise.items():
        write_manifest(paths[f"noise_{split}"], entries, NOISE_KEYS)


def draw_delivery(emotion: str, rng: np.random.Generator) -> Delivery:
    """Draws how an utterance of an emotion is said.

    Arguments
    ---------
    emotion : str
        A key of `DELIVERY_MEANS`.
    rng : np.random.Generator
        Where the randomness comes from.

    Returns
    -------
    Delivery
        Each quantity normally distributed, cut off at `MAX_DEVIATION`.

    Example
    -------
    >>> delivery = draw_delivery("sad", np.random.default_rng(1))
    >>> 84 <= delivery.rate_wpm <= 156
    True
    """
    scores = rng.standard_normal(len(DELIVERY_DEVIATIONS))
    scores = scores.clip(-MAX_DEVIATION, MAX_DEVIATION)
    values = np.array(DELIVERY_MEANS[emotion]) + scores * DELIVERY_DEVIATIONS
    return Delivery(*values.tolist())


def _check_arguments(
    fold: int, sizes: dict[str, int], noise_duration_s: float
) -> None:
    if fold != 0:
        raise ValueError(
            f"fold is {fold}, but the corpus mini has only fold 0."
        )
    for split, size in sizes.items():
        if size <= 0 or size % len(DELIVERY_MEANS):
            raise ValueError(
                f"num_{split} is {size}: give a positive multiple of "
                f"{len(DELIVERY_MEANS)}, the number of emotions."
            )
    if noise_duration_s <= 0:
        raise ValueError(
            f"noise_duration_s is {noise_duration_s}: give more than 0."
        )


def _make_once(
    folder: Path,
    stamp_path: Path,
    root: str,
    settings: dict[str, Any],
    make: Callable[[], dict[str, Entries]],
) -> dict[str, Entries]:
    """Returns what the folder's stamp says, or makes the files and stamps."""
    entries = _read_stamp(folder, stamp_path, root, settings)
    if entries is not None:
        logger.info("%s is complete: nothing to make.", folder)
        return entries
    folder.mkdir(parents=True, exist_ok=True)
    # Trainings that begin at the same time: one makes it, the others wait.
    with FileLock(folder / ".making.lock"):
        entries = _read_stamp(folder, stamp_path, root, settings)
        if entries is not None:
            return entries
        logger.info("Making the corpus mini in %s", folder)
        # First gone and last written: none is on an unfinished folder.
        stamp_path.unlink(missing_ok=True)
        entries = make()
        partial = stamp_path.with_name(stamp_path.name + ".partial")
        stamp = {"settings": settings, "entries": entries}
        text = json.dumps(stamp, indent=1) + "\n"
        partial.write_text(text, encoding="utf-8")
        os.replace(partial, stamp_path)
    return entries


def _read_stamp(
    folder: Path, stamp_path: Path, root: str, settings: dict[str, Any]
) -> dict[str, Entries] | None:
    """The entries of every split, or None where they have to be made."""
    if not stamp_path.is_file():
        return None
    try:
        stamp = json.loads(stamp_path.read_text(encoding="utf-8"))
        if stamp["settings"] != settings:
            return None
        for entries in stamp["entries"].values():
            for fields in entries.values():
                path = Path(fields["wav"].replace(root, str(folder), 1))
                if not path.is_file():
                    return None
    # Damage may be of any kind.
    except Exception as error:
        logger.warning("%s is damaged: %r", stamp_path, error)
        return None
    return stamp["entries"]


def _make_speech(
    data_folder: Path, sizes: dict[str, int], sample_rate_hz: int, seed: int
) -> dict[str, Entries]:
    made = {}
    for index, split in enumerate(UTTERANCE_SPLITS):
        # A synthesiser for each split: what it says depends on what it has
        # said before, and no split should depend on the size of another.
        with Espeak(_seed_for_espeak(seed, index)) as synthesiser:
            made[split] = {}
            for number in range(sizes[split]):
                rng = np.random.default_rng([seed, index, number])
                name, fields = _make_utterance(
                    synthesiser, data_folder, split, number, sample_rate_hz, rng
                )
                made[split][name] = fields
    return made


def _make_utterance(
    synthesiser: Espeak,
    data_folder: Path,
    split: str,
    number: int,
    sample_rate_hz: int,
    rng: np.random.Generator,
) -> tuple[str, dict[str, Any]]:
    speakers = _speakers_of(split)
    emotions = list(DELIVERY_MEANS)
    # All emotions of a speaker, then the next speaker: balanced in both.
    emotion = emotions[number % len(emotions)]
    speaker = speakers[number // len(emotions) % len(speakers)]
    samples = _say(
        synthesiser, speaker, draw_delivery(emotion, rng), sample_rate_hz, rng
    )
    name = f"mini_{speaker}_{emotion}_{number:04d}"
    place = f"speech/{speaker}/{name}.wav"
    _write_wav(data_folder / place, samples, sample_rate_hz)
    return name, {
        "wav": f"{{data_root}}/{place}",
        "start_s": 0.0,
        "duration_s": len(samples) / sample_rate_hz,
        "emotion": emotion,
        "speaker": speaker,
    }


def _say(
    synthesiser: Espeak,
    speaker: str,
    delivery: Delivery,
    sample_rate_hz: int,
    rng: np.random.Generator,
) -> np.ndarray:
    """A sentence drawn at random, at the delivery's level."""
    samples = synthesiser.say(
        SENTENCES[rng.integers(len(SENTENCES))],
        SPEAKERS[speaker].voice,
        round(delivery.rate_wpm),
        round(delivery.pitch),
        round(delivery.pitch_range),
    )
    # The library's volume means another loudness for every voice (by up to
    # 9 dB), so the level is set here. Full scale of int16 is 2**15.
    waveform = torch.from_numpy(np.asarray(samples) / 2.0**15).float()
    waveform = resample(waveform, synthesiser.sample_rate_hz, sample_rate_hz)
    return at_level(waveform.numpy(), delivery.level_dbfs, MAX_PEAK)


def _make_noise(
    noise_folder: Path, duration_s: float, sample_rate_hz: int, seed: int
) -> dict[str, Entries]:
    num_samples = math.ceil(duration_s * sample_rate_hz)
    made = {}
    with Espeak(_seed_for_espeak(seed, len(UTTERANCE_SPLITS))) as synthesiser:
        for split, noise_type, name in _noise_recordings():
            # The name is in the seed, so that no two recordings are alike.
            rng = np.random.default_rng([seed, *name.encode()])
            if noise_type == "babble":
                samples = _babble(synthesiser, num_samples, sample_rate_hz, rng)
            else:
                samples = NOISES[noise_type](rng, num_samples, sample_rate_hz)
            samples = at_level(samples, NOISE_LEVEL_DBFS, MAX_PEAK)
            place = f"{noise_type}/{name}.wav"
            _write_wav(noise_folder / place, samples, sample_rate_hz)
            made.setdefault(split, {})[name] = {
                "wav": f"{{noise_root}}/{place}",
                "duration_s": num_samples / sample_rate_hz,
                "noise_type": noise_type,
            }
    return made


def _noise_recordings() -> list[tuple[str, str, str]]:
    """Split, type and name of every recording."""
    return [
        (split, noise_type, f"{noise_type}_{split}_{number:02d}")
        for split, num_recordings in RECORDINGS_PER_TYPE.items()
        for noise_type in (UNSEEN_TYPES if split == "unseen" else SEEN_TYPES)
        for number in range(num_recordings)
    ]


def _babble(
    synthesiser: Espeak,
    num_samples: int,
    sample_rate_hz: int,
    rng: np.random.Generator,
) -> np.ndarray:
    """Training speakers who all talk at the same time, without a pause."""
    total = np.zeros(num_samples)
    talkers = rng.choice(
        _speakers_of("train"), NUM_BABBLE_TALKERS, replace=False
    )
    for talker in talkers:
        # Everybody is in the middle of a sentence at the start.
        position = -int(rng.integers(sample_rate_hz))
        while position < num_samples:
            delivery = draw_delivery(BABBLE_EMOTION, rng)
            said = _say(synthesiser, talker, delivery, sample_rate_hz, rng)
            part = said[max(0, -position) : num_samples - position]
            start = max(0, position)
            total[start : start + len(part)] += part
            position += len(said)
    return total


def _speakers_of(split: str) -> list[str]:
    return [
        name for name, speaker in SPEAKERS.items() if speaker.split == split
    ]


def _seed_for_espeak(seed: int, index: int) -> int:
    return int(np.random.default_rng([seed, index]).integers(2**31))


def _write_wav(path: Path, samples: np.ndarray, sample_rate_hz: int) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    audio_io.save(str(path), samples, sample_rate_hz, subtype="PCM_16")
