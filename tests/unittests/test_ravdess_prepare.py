"""Tests of the preparation of RAVDESS with ESC-10 as noise.

Authors
 * The speechbrain-merit developers 2026
"""

import collections
import importlib
import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch

from speechbrain_merit.data.audio import read_mono
from speechbrain_merit.data.manifests import (
    NOISE_KEYS,
    UTTERANCE_KEYS,
    manifest_paths,
    read_manifest,
)

ROOT = Path(__file__).resolve().parents[2]
RECIPE = ROOT / "recipes" / "RAVDESS"
DATA = ROOT / ".." / "shared" / "data"

# Written by hand: the actors who are tested on and developed on, by fold.
TEST_ACTORS = {
    0: {1, 2, 3, 4},
    1: {5, 6, 7, 8},
    2: {9, 10, 11, 12},
    3: {13, 14, 15, 16},
    4: {17, 18, 19, 20},
    5: {21, 22, 23, 24},
}
VALID_ACTORS = {
    0: {5, 6, 7, 8},
    1: {9, 10, 11, 12},
    2: {13, 14, 15, 16},
    3: {17, 18, 19, 20},
    4: {21, 22, 23, 24},
    5: {1, 2, 3, 4},
}
TAKEN = {"01": "neutral", "03": "happy", "04": "sad", "05": "angry"}
SEEN = ["dog bark", "rain"]
UNSEEN = ["rooster"]
CATEGORIES = ("001 - Dog bark", "002 - Rain", "Rooster")

# At 16 kHz mono and 48 kHz stereo: 0.5 s of tone between 0.4 s of silence.
TONE = (0.4, 0.9, 1.3)


@pytest.fixture(scope="module")
def prepare():
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(RECIPE))
        yield importlib.import_module("ravdess_prepare").prepare_ravdess


def burst(rate_hz, channels):
    start_s, stop_s, duration_s = TONE
    time_s = np.arange(round(duration_s * rate_hz)) / rate_hz
    tone = 0.5 * np.sin(2 * np.pi * 440 * time_s)
    tone[(time_s < start_s) | (time_s >= stop_s)] = 0.0
    return np.stack([tone] * channels, axis=1)


@pytest.fixture(scope="module")
def made_corpus(tmp_path_factory):
    root = tmp_path_factory.mktemp("made") / "corpus"
    for actor in range(1, 25):
        folder = root / "speech" / f"Actor_{actor:02d}"
        folder.mkdir(parents=True)
        rate_hz, channels = (48000, 2) if actor % 3 == 0 else (16000, 1)
        for emotion in ("01", "02", "03", "04", "05", "06"):
            name = f"03-01-{emotion}-01-01-01-{actor:02d}.wav"
            soundfile.write(folder / name, burst(rate_hz, channels), rate_hz)
    generator = np.random.default_rng(0)
    for category in CATEGORIES:
        folder = root / "noise" / category
        folder.mkdir(parents=True)
        for fold in range(1, 6):
            for take in "AB":
                soundfile.write(
                    folder / f"{fold}-{1000 + fold}-{take}.ogg",
                    0.1 * generator.standard_normal(4410),
                    44100,
                )
    return root


@pytest.fixture
def corpus(made_corpus, tmp_path):
    return Path(shutil.copytree(made_corpus, tmp_path / "corpus"))


def run(prepare, corpus, fold=0, **changes):
    arguments = {
        "data_folder": corpus / "speech",
        "noise_folder": corpus / "noise",
        "manifest_folder": corpus.parent / "manifests",
        "sample_rate_hz": 16000,
        "fold": fold,
        "seed": 0,
        "seen_noise_types": SEEN,
        "unseen_noise_types": UNSEEN,
    }
    prepare(**{**arguments, **changes})
    paths = manifest_paths(corpus.parent / "manifests")
    return {name: read_manifest(path) for name, path in paths.items()}


def speakers(manifest):
    return {int(item["speaker"][-2:]) for item in manifest.values()}


def skipped_in(corpus):
    return json.loads(
        (corpus.parent / "manifests" / "skipped.json").read_text()
    )


@pytest.mark.parametrize("fold", range(6))
def test_speakers_of_every_fold(prepare, made_corpus, fold):
    made = run(prepare, made_corpus, fold)
    assert speakers(made["test"]) == TEST_ACTORS[fold]
    assert speakers(made["valid"]) == VALID_ACTORS[fold]
    others = TEST_ACTORS[fold] | VALID_ACTORS[fold]
    assert speakers(made["train"]) == set(range(1, 25)) - others
    for name, per_class in (("train", 16), ("valid", 4), ("test", 4)):
        emotions = [item["emotion"] for item in made[name].values()]
        assert collections.Counter(emotions) == dict.fromkeys(
            TAKEN.values(), per_class
        )
        men = sum(actor % 2 for actor in speakers(made[name]))
        assert 2 * men == len(speakers(made[name]))


def test_other_emotions_train_without_a_label(prepare, made_corpus):
    plain = run(prepare, made_corpus)
    made = run(prepare, made_corpus, other_emotions=True)
    assert made["valid"] == plain["valid"] and made["test"] == plain["test"]
    added = {k: v for k, v in made["train"].items() if k not in plain["train"]}
    # Calm and fearful speech of 16 actors.
    assert len(added) == 2 * 16
    assert {identity.split("-")[2] for identity in added} == {"02", "06"}
    assert {item["emotion"] for item in added.values()} == {None}
    assert speakers(added) == speakers(plain["train"])


def test_fields_of_utterances(prepare, made_corpus):
    made = run(prepare, made_corpus)
    for name in ("train", "valid", "test"):
        for identity, item in made[name].items():
            emotion, actor = identity.split("-")[2], identity.split("-")[-1]
            assert item == {
                "wav": f"{{data_root}}/Actor_{actor}/{identity}.wav",
                "start_s": 0.0,
                "duration_s": 1.3,
                "emotion": TAKEN[emotion],
                "speaker": f"Actor_{actor}",
            }
            assert set(item) == set(UTTERANCE_KEYS)
    assert skipped_in(made_corpus) == {}


def test_noise_splits(prepare, made_corpus):
    made = run(prepare, made_corpus)
    folds = {
        "noise_train": {"1", "2", "3"},
        "noise_valid": {"4"},
        "noise_seen": {"5"},
        "noise_unseen": {"1", "2", "3", "4", "5"},
    }
    recordings = []
    for name, expected in folds.items():
        files = [item["wav"] for item in made[name].values()]
        assert {Path(wav).name[0] for wav in files} == expected
        types = {item["noise_type"] for item in made[name].values()}
        assert types == set(UNSEEN if name == "noise_unseen" else SEEN)
        recordings += files
    assert len(recordings) == len(set(recordings)) == 3 * 10
    item = made["noise_train"]["dog_bark_1-1001-A"]
    assert item == {
        "wav": "{noise_root}/001 - Dog bark/1-1001-A.ogg",
        "duration_s": 0.1,
        "noise_type": "dog bark",
    }
    assert set(item) == set(NOISE_KEYS)


def test_trimming_cuts_to_the_burst(prepare, made_corpus):
    made = run(prepare, made_corpus, trim_db=35.0, trim_margin_s=0.05)
    for item in [*made["train"].values(), *made["test"].values()]:
        # Frames add 10 ms on either side; the filter that brings 48 kHz down
        # to 16 kHz rings for one hop more at most.
        assert item["start_s"] == pytest.approx(TONE[0] - 0.06, abs=0.0101)
        stop_s = item["start_s"] + item["duration_s"]
        assert stop_s == pytest.approx(TONE[1] + 0.06, abs=0.0101)
        path = item["wav"].replace("{data_root}", str(made_corpus / "speech"))
        read = read_mono(path, 16000, item["start_s"], item["duration_s"])
        assert len(read) == round(16000 * item["duration_s"])


def test_same_bytes_whatever_the_global_seed(prepare, made_corpus):
    written = []
    for seed in (1, 2):
        torch.manual_seed(seed)
        np.random.seed(seed)
        run(prepare, made_corpus, seed=seed, trim_db=35.0)
        paths = manifest_paths(made_corpus.parent / "manifests").values()
        written.append([path.read_bytes() for path in paths])
    assert written[0] == written[1]


def test_songs_videos_and_hidden_files_are_ignored(prepare, corpus):
    folder = corpus / "speech" / "Actor_07"
    sound = folder / "03-01-05-01-01-01-07.wav"
    for name in (
        "03-02-05-01-01-01-07.wav",  # song
        "01-01-05-01-01-01-07.wav",  # sound of a video
        "._03-01-05-01-01-01-07.wav",  # left by an archiver
        "notes.txt",
    ):
        shutil.copy(sound, folder / name)
    made = run(prepare, corpus)
    assert len(made["valid"]) == 16
    assert skipped_in(corpus) == {}


def test_bad_files_are_skipped_and_reported(prepare, corpus, caplog):
    actor = corpus / "speech" / "Actor_01"
    garbage = actor / "03-01-01-01-01-01-01.wav"
    garbage.write_bytes(b"no sound at all")
    truncated = actor / "03-01-03-01-01-01-01.wav"
    truncated.write_bytes(truncated.read_bytes()[:44])
    silent = actor / "03-01-04-01-01-01-01.wav"
    soundfile.write(silent, np.zeros(16000), 16000)
    misnamed = actor / "take2.wav"
    misplaced = actor / "03-01-05-01-01-01-02.wav"
    for path in (misnamed, misplaced):
        shutil.copy(actor / "03-01-05-01-01-01-01.wav", path)
    rain = corpus / "noise" / "002 - Rain"
    still = rain / "1-1001-A.ogg"
    soundfile.write(still, np.zeros(4410), 44100)
    broken = rain / "2-1002-A.ogg"
    broken.write_bytes(broken.read_bytes()[:60])
    foldless = rain / "thunder.ogg"
    shutil.copy(rain / "3-1003-A.ogg", foldless)

    made = run(prepare, corpus)

    expected = {
        garbage: "Error opening",
        truncated: "no samples",
        silent: "digital silence",
        misnamed: "is not named",
        misplaced: "belongs in Actor_02",
        still: "digital silence",
        broken: "Error opening",
        foldless: "fold-clip-take",
    }
    skipped = skipped_in(corpus)
    warnings = [
        record.getMessage()
        for record in caplog.records
        if record.levelname == "WARNING"
    ]
    # The tree is far from complete, which is said first.
    assert "lacks" in warnings.pop(0)
    assert len(warnings) == 1 and "8 files were skipped" in warnings[0]
    assert len(skipped) == len(expected)
    for path, reason in expected.items():
        root = "{noise_root}" if path.suffix == ".ogg" else "{data_root}"
        key = f"{root}/{path.parent.name}/{path.name}"
        assert str(path) in skipped[key] and reason in skipped[key]
        assert str(path) in warnings[0]
    assert len(made["test"]) == 16 - 3
    assert "rain_1-1001-A" not in made["noise_train"]
    assert "rain_1-1001-B" in made["noise_train"]


def test_damaged_compressed_audio_is_noticed(prepare, corpus):
    path = corpus / "noise" / "002 - Rain" / "1-1001-A.ogg"
    noise = 0.1 * np.random.default_rng(0).standard_normal(220500)
    soundfile.write(path, noise, 44100)
    sound = bytearray(path.read_bytes())
    middle = len(sound) // 2
    sound[middle : middle + 3000] = bytes(3000)
    path.write_bytes(sound)
    run(prepare, corpus)
    assert "is damaged" in next(iter(skipped_in(corpus).values()))


def test_missing_actor_is_named(prepare, corpus, caplog):
    shutil.rmtree(corpus / "speech" / "Actor_10")
    made = run(prepare, corpus)
    assert 10 not in speakers(made["train"])
    assert "Actor_10; going on without" in caplog.text


def test_missing_split_is_an_error(prepare, corpus):
    for actor in (5, 6, 7, 8):
        shutil.rmtree(corpus / "speech" / f"Actor_{actor:02d}")
    message = "by Actor_05, Actor_06, Actor_07, Actor_08: .* valid split of f"
    with pytest.raises(FileNotFoundError, match=message):
        run(prepare, corpus)


def test_nothing_usable_in_a_split_is_an_error(prepare, corpus):
    for actor in TEST_ACTORS[0]:
        for path in (corpus / "speech" / f"Actor_{actor:02d}").iterdir():
            path.write_bytes(b"")
    for path in (corpus / "noise").glob("*/4-*.ogg"):
        path.write_bytes(b"")
    with pytest.raises(
        ValueError, match="left for test, noise_valid: .*skipped.json"
    ):
        run(prepare, corpus)
    assert len(skipped_in(corpus)) == 16 + 6
    assert not (corpus.parent / "manifests" / "train.json").exists()


def test_wrong_data_folder(prepare, corpus):
    with pytest.raises(FileNotFoundError, match="nowhere does not exist"):
        run(prepare, corpus, data_folder=corpus / "nowhere")
    with pytest.raises(
        FileNotFoundError,
        match=r"has no folders Actor_01, ...: found noise, speech. "
        r"Did you mean .*/speech\?",
    ):
        run(prepare, corpus, data_folder=corpus)
    wrong = corpus / "noise" / "002 - Rain"
    with pytest.raises(
        FileNotFoundError,
        match="found 1-1001-A.ogg, .*, 3-1003-A.ogg and 5 more.$",
    ):
        run(prepare, corpus, data_folder=wrong)


def test_wrong_noise_folder(prepare, corpus):
    with pytest.raises(FileNotFoundError, match="nowhere does not exist"):
        run(prepare, corpus, noise_folder=corpus / "nowhere")
    with pytest.raises(FileNotFoundError, match=r"Did you mean .*/noise\?"):
        run(prepare, corpus, noise_folder=corpus)
    (corpus / "empty").mkdir()
    with pytest.raises(
        FileNotFoundError, match="empty has no .*: found nothing"
    ):
        run(prepare, corpus, noise_folder=corpus / "empty")
    shutil.copytree(corpus / "noise" / "Rooster", corpus / "noise" / "rain")
    with pytest.raises(ValueError, match="both the category 'rain'"):
        run(prepare, corpus)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"fold": 6}, "fold must be 0 to 5, not 6"),
        ({"fold": -1}, "fold must be 0 to 5, not -1"),
        (
            {"seen_noise_types": ["rain", "wind"]},
            r"seen_noise_types names \['wind'\].*'dog bark', 'rain', 'roos",
        ),
        (
            {"unseen_noise_types": ["Rooster"]},
            r"unseen_noise_types names \['Rooster'\].*known: 'dog bark'",
        ),
        ({"seen_noise_types": []}, "seen_noise_types names no category"),
        ({"unseen_noise_types": ["rain"]}, r"\['rain'\] is in seen_noise_t"),
        ({"trim_db": -35.0}, "threshold_db must be positive"),
    ],
)
def test_unusable_settings(prepare, made_corpus, changes, message):
    with pytest.raises(ValueError, match=message):
        run(prepare, made_corpus, **changes)


@pytest.mark.skipif(
    not (DATA / "ravdess").is_dir() or not (DATA / "esc10").is_dir(),
    reason="needs RAVDESS and ESC-10 in ../shared/data",
)
def test_published_corpora(prepare, tmp_path):
    seen = ["dog bark", "rain", "sea waves", "baby cry", "clock tick"]
    unseen = ["person sneeze", "helicopter", "chainsaw", "rooster"]
    unseen += ["fire crackling"]
    made = run(
        prepare,
        tmp_path / "corpus",
        data_folder=DATA / "ravdess",
        noise_folder=DATA / "esc10",
        trim_db=35.0,
        seen_noise_types=seen,
        unseen_noise_types=unseen,
    )
    counts = {name: len(manifest) for name, manifest in made.items()}
    # Each category has eight recordings in each of the five folds.
    assert counts == {
        "train": 448,
        "valid": 112,
        "test": 112,
        "noise_train": 120,
        "noise_valid": 40,
        "noise_seen": 40,
        "noise_unseen": 200,
    }
    speech = [*made["train"].values(), *made["valid"].values()]
    speech += made["test"].values()
    assert collections.Counter(item["emotion"] for item in speech) == {
        "neutral": 96,
        "happy": 192,
        "sad": 192,
        "angry": 192,
    }
    noises = [item for name in made for item in made[name].values()]
    types = [item["noise_type"] for item in noises if "noise_type" in item]
    assert collections.Counter(types) == dict.fromkeys(seen + unseen, 40)
    # Spoken, the two sentences of the corpus take more than a second; the
    # recordings are 41 minutes long, half of it silence.
    durations_s = [item["duration_s"] for item in speech]
    assert min(durations_s) > 1.0
    assert 20 < sum(durations_s) / 60 < 28
    assert skipped_in(tmp_path / "corpus") == {}
