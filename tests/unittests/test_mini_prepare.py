"""Tests of the embedded corpus, by measuring the files that it makes.

Authors
 * The speechbrain-merit developers 2026
"""

import importlib
import importlib.util
import os
import shutil
import sys
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
import soundfile
from scipy.signal import welch
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from speechbrain_merit.data.manifests import (
    NOISE_KEYS,
    UTTERANCE_KEYS,
    manifest_paths,
    read_manifest,
)

RECIPE_FOLDER = Path(__file__).parents[2] / "recipes" / "mini"
SAMPLE_RATE_HZ = 16000
SIZES = {"num_train": 40, "num_valid": 8, "num_test": 16}
SMALL = {"num_train": 4, "num_valid": 4, "num_test": 4, "noise_duration_s": 0.1}
SPLITS = ("train", "valid", "test")
NOISE_SPLITS = ("noise_train", "noise_valid", "noise_seen", "noise_unseen")
EMOTIONS = ("angry", "sad", "happy", "neutral")

pytestmark = pytest.mark.skipif(
    importlib.util.find_spec("espeakng_loader") is None,
    reason="the package espeakng_loader is not installed",
)


@pytest.fixture(scope="module")
def mini():
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(RECIPE_FOLDER))
        yield importlib.import_module("mini_prepare")


@pytest.fixture(scope="module")
def prepare(mini):
    def call(root, seed=7, **settings):
        settings = {**SIZES, "noise_duration_s": 2.0, **settings}
        mini.prepare_mini(
            root / "data",
            None,
            root / "save",
            SAMPLE_RATE_HZ,
            0,
            seed,
            **settings,
        )

    return call


@pytest.fixture(scope="module")
def root(prepare, tmp_path_factory):
    root = tmp_path_factory.mktemp("mini")
    prepare(root)
    return root


@pytest.fixture(scope="module")
def small_root(prepare, tmp_path_factory):
    root = tmp_path_factory.mktemp("small")
    prepare(root, **SMALL)
    return root


@pytest.fixture(scope="module")
def manifests(root):
    paths = manifest_paths(root / "save")
    return {name: read_manifest(path) for name, path in paths.items()}


def resolve(root, wav):
    wav = wav.replace("{data_root}", str(root / "data"))
    return wav.replace("{noise_root}", str(root / "data" / "noise"))


def read(root, fields):
    samples, rate_hz = soundfile.read(resolve(root, fields["wav"]))
    assert rate_hz == SAMPLE_RATE_HZ
    return samples


def level_db(samples):
    return 10 * np.log10(np.mean(samples**2))


def all_bytes(root):
    return {
        str(path.relative_to(root)): path.read_bytes()
        for path in sorted(root.rglob("*"))
        if path.is_file()
    }


def times_of_change(root):
    return {path: path.stat().st_mtime_ns for path in root.rglob("*.wav")}


def test_manifests_describe_the_files(root, manifests):
    for name, manifest in manifests.items():
        speech = name in SPLITS
        for fields in manifest.values():
            assert set(fields) == set(UTTERANCE_KEYS if speech else NOISE_KEYS)
            assert fields["wav"].startswith(
                "{data_root}/speech/" if speech else "{noise_root}/"
            )
            info = soundfile.info(resolve(root, fields["wav"]))
            assert (info.channels, info.subtype) == (1, "PCM_16")
            assert info.frames == round(fields["duration_s"] * SAMPLE_RATE_HZ)
            assert fields.get("start_s", 0.0) == 0.0


def test_classes_and_speakers_are_balanced(manifests):
    for split in SPLITS:
        entries = manifests[split].values()
        assert len(entries) == SIZES[f"num_{split}"]
        pairs = Counter((e["speaker"], e["emotion"]) for e in entries)
        assert {emotion for _, emotion in pairs} == set(EMOTIONS)
        assert len(pairs) == 4 * len({speaker for speaker, _ in pairs})
        assert len(set(pairs.values())) == 1


def test_identities_name_speaker_and_emotion(manifests):
    for split in SPLITS:
        for name, fields in manifests[split].items():
            corpus, speaker, emotion, number = name.split("_")
            assert corpus == "mini" and len(number) == 4
            assert speaker == fields["speaker"]
            assert emotion == fields["emotion"]


def test_speakers_are_disjoint(manifests):
    speakers = [
        {fields["speaker"] for fields in manifests[split].values()}
        for split in SPLITS
    ]
    assert len(set.union(*speakers)) == sum(map(len, speakers)) == 16


def test_noise_splits(root, manifests):
    recordings = [
        read(root, fields).tobytes()
        for split in NOISE_SPLITS
        for fields in manifests[split].values()
    ]
    assert len(set(recordings)) == len(recordings)
    types = {
        split: {fields["noise_type"] for fields in manifests[split].values()}
        for split in NOISE_SPLITS
    }
    assert types["noise_train"] == types["noise_valid"] == types["noise_seen"]
    assert len(types["noise_train"]) == 6
    assert len(types["noise_unseen"]) == 2
    assert not types["noise_unseen"] & types["noise_train"]


def test_files_are_finite_audible_and_not_clipped(root, manifests):
    for name, manifest in manifests.items():
        for fields in manifest.values():
            samples = read(root, fields)
            assert np.isfinite(samples).all()
            assert np.abs(samples).max() < 0.95
            assert -42.0 < level_db(samples) < -17.0
            if name not in SPLITS:
                # No digital silence that a random cut could hit.
                frames = samples[: len(samples) // 800 * 800].reshape(-1, 800)
                assert (frames.std(axis=1) > 1e-4).all(), fields["wav"]


def test_emotions_differ_in_loudness_and_rate(root, manifests):
    levels, durations = ({e: [] for e in EMOTIONS} for _ in range(2))
    for fields in manifests["train"].values():
        levels[fields["emotion"]].append(level_db(read(root, fields)))
        durations[fields["emotion"]].append(fields["duration_s"])
    level = {e: np.mean(v) for e, v in levels.items()}
    duration = {e: np.mean(v) for e, v in durations.items()}
    assert level["angry"] > level["happy"] > level["sad"] + 3
    assert level["neutral"] > level["sad"]
    assert duration["sad"] > duration["neutral"] > duration["angry"]
    # The four overlap: no threshold on one quantity tells two of them apart.
    assert max(levels["neutral"]) > min(levels["happy"])
    assert max(levels["sad"]) > min(levels["neutral"])
    assert max(durations["neutral"]) > min(durations["sad"])


def fundamental_hz(samples):
    """Median over loud frames of the autocorrelation's highest peak."""
    found = []
    for start in range(0, len(samples) - 640, 640):
        frame = samples[start : start + 640]
        if frame.std() > 0.5 * samples.std():
            correlation = np.correlate(frame, frame, "full")[639:]
            lags = slice(SAMPLE_RATE_HZ // 450, SAMPLE_RATE_HZ // 60)
            lag = lags.start + correlation[lags].argmax()
            found.append(SAMPLE_RATE_HZ / lag)
    return np.median(found)


def test_pitch_tells_women_from_men_and_happy_from_sad(mini, root, manifests):
    pitch_hz = {}
    for fields in manifests["train"].values():
        pitch_hz.setdefault((fields["speaker"], fields["emotion"]), []).append(
            fundamental_hz(read(root, fields))
        )
    for name in {speaker for speaker, _ in pitch_hz}:
        neutral_hz = np.mean(pitch_hz[name, "neutral"])
        assert (neutral_hz > 145) == (mini.SPEAKERS[name].gender == "f"), name
    higher = [
        np.mean(pitch_hz[name, "happy"]) > np.mean(pitch_hz[name, "sad"])
        for name in {speaker for speaker, _ in pitch_hz}
    ]
    assert np.mean(higher) >= 0.9


def test_drawn_deliveries_overlap(mini):
    def draw(rng):
        labels = list(EMOTIONS) * 500
        return [mini.draw_delivery(e, rng) for e in labels], labels

    classifier = make_pipeline(StandardScaler(), LogisticRegression())
    classifier.fit(*draw(np.random.default_rng(1)))
    assert 0.9 < classifier.score(*draw(np.random.default_rng(2))) < 0.998


@pytest.mark.parametrize(
    "noise_type, db_per_decade", [("white", 0.0), ("pink", -10.0)]
)
def test_spectral_slope(root, manifests, noise_type, db_per_decade):
    for fields in manifests["noise_train"].values():
        if fields["noise_type"] == noise_type:
            hz, power = welch(read(root, fields), SAMPLE_RATE_HZ, nperseg=1024)
            band = (hz > 100) & (hz < 6000)
            slope, _ = np.polyfit(
                np.log10(hz[band]), 10 * np.log10(power[band]), 1
            )
            assert slope == pytest.approx(db_per_decade, abs=1.0)


def test_hum_is_a_harmonic_series_of_the_mains(root, manifests):
    for fields in manifests["noise_train"].values():
        if fields["noise_type"] == "hum":
            # Two seconds resolve 0.5 Hz.
            power = np.abs(np.fft.rfft(read(root, fields))) ** 2
            hz = np.fft.rfftfreq(2 * SAMPLE_RATE_HZ, 1 / SAMPLE_RATE_HZ)
            shares = []
            for mains_hz in (50.0, 60.0):
                order = np.round(hz / mains_hz)
                near = np.abs(hz - order * mains_hz) <= 0.004 * hz + 1.0
                shares.append(power[near & (hz < 400)].sum())
            assert max(shares) > 0.7 * power.sum()


def test_low_noises_are_low_and_the_siren_is_a_tone(root, manifests):
    tones = []
    for split in ("noise_train", "noise_unseen"):
        for fields in manifests[split].values():
            hz, power = welch(read(root, fields), SAMPLE_RATE_HZ, nperseg=512)
            low = power[hz < 1000].sum() / power.sum()
            if fields["noise_type"] in ("wind", "engine"):
                assert low > 0.7
            if fields["noise_type"] in ("white", "rain"):
                assert low < 0.35
            if fields["noise_type"] == "siren":
                tones.append(power.max() / np.median(power))
    assert min(tones) > 100


def test_same_arguments_give_the_same_bytes(prepare, root, tmp_path):
    prepare(tmp_path)
    assert all_bytes(tmp_path) == all_bytes(root)


def test_test_split_does_not_depend_on_the_training_split(root, small_root):
    shared = Path("data") / "speech" / "s13"
    assert all_bytes(small_root / shared) == all_bytes(root / shared)


def test_makes_only_what_is_missing(prepare, small_root, tmp_path):
    # A copy: what is complete stays so when it is moved.
    root = tmp_path / "moved"
    shutil.copytree(small_root, root)
    made, times = all_bytes(root), times_of_change(root)
    train = root / "save" / "train.json"
    train.unlink()
    prepare(root, **SMALL)
    assert train.exists() and times_of_change(root) == times

    (root / "data/speech/s01/mini_s01_sad_0001.wav").unlink()
    prepare(root, **SMALL)
    assert all_bytes(root) == made
    left = {p for p, t in times_of_change(root).items() if times[p] == t}
    assert {path.parent.parent.name for path in left} == {"noise"}


def test_makes_all_again_for_another_seed(prepare, small_root, tmp_path):
    root = tmp_path / "moved"
    shutil.copytree(small_root, root)
    prepare(root, seed=8, **SMALL)
    made, remade = all_bytes(small_root), all_bytes(root)
    assert remade.keys() == made.keys()
    wavs = [name for name in made if name.endswith(".wav")]
    assert all(remade[name] != made[name] for name in wavs)


@pytest.mark.parametrize(
    "changed, message",
    [
        ({"fold": 1}, "fold is 1"),
        ({"num_valid": 6}, "num_valid is 6"),
        ({"num_test": 0}, "num_test is 0"),
        ({"noise_duration_s": 0.0}, "noise_duration_s is 0.0"),
    ],
)
def test_bad_arguments_are_named(mini, tmp_path, changed, message):
    arguments = {"sample_rate_hz": SAMPLE_RATE_HZ, "fold": 0, "seed": 1}
    with pytest.raises(ValueError, match=message):
        mini.prepare_mini(tmp_path, None, tmp_path, **{**arguments, **changed})
    assert not list(tmp_path.iterdir())


def test_missing_library_is_named(mini, monkeypatch):
    monkeypatch.setitem(sys.modules, "espeakng_loader", None)
    with pytest.raises(ImportError, match="pip install espeakng-loader"):
        mini.Espeak(seed=1)


def test_unknown_voice_is_named_and_the_next_request_works(mini):
    with mini.Espeak(seed=1) as synthesiser:
        for voice in ("en-us+nobody", "xx"):
            with pytest.raises(ValueError, match="no voice"):
                synthesiser.say("Hello.", voice, 160, 50, 50)
        assert len(synthesiser.say("Hello.", "en-us", 160, 50, 50)) > 4000


def test_synthesiser_starts_anew_in_every_with_block(mini):
    def say_two():
        with mini.Espeak(seed=3) as synthesiser:
            return [
                synthesiser.say("Good morning.", voice, 160, 50, 50).tobytes()
                for voice in ("en-us+f5", "en-us+f2")
            ]

    assert say_two() == say_two()


def test_library_in_a_folder_with_a_long_path(mini, monkeypatch, tmp_path):
    package = importlib.util.find_spec("espeakng_loader")
    long_folder = tmp_path / ("x" * 100) / ("y" * 100)
    long_folder.mkdir(parents=True)
    (long_folder / "espeakng_loader").symlink_to(
        os.path.dirname(package.origin)
    )
    monkeypatch.setenv("PYTHONPATH", str(long_folder))
    with mini.Espeak(seed=1) as synthesiser:
        assert len(synthesiser.say("Hello.", "en-us", 160, 50, 50)) > 4000
