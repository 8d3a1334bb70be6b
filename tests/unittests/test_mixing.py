"""Mixing: parts that sum to the whole, no silence, no dependence on order."""

import hashlib
import multiprocessing
import random

import numpy as np
import pytest
import soundfile
import torch

from speechbrain.augment.augmenter import Augmenter
from speechbrain.augment.time_domain import AddNoise, DropChunk, SpeedPerturb
from speechbrain_merit.data.manifests import (
    NOISE_KEYS,
    UTTERANCE_KEYS,
    read_manifest,
    write_manifest,
)
from speechbrain_merit.data.mixing import (
    EvaluationMixer,
    NoiseSource,
    TrainingMixer,
    generator_for,
    mix_at_snr,
    plan_mixtures,
    seeded,
)

RATE = 16000


def rms(signal):
    return signal.square().mean().sqrt()


def write_noises(folder, recordings):
    entries = {}
    for name, samples in recordings.items():
        soundfile.write(folder / f"{name}.wav", samples, RATE, "FLOAT")
        entries[name] = {
            "wav": "{noise_root}/" + f"{name}.wav",
            "duration_s": len(samples) / RATE,
            "noise_type": name.rstrip("0123456789"),
        }
    write_manifest(folder / "noise.json", entries, NOISE_KEYS)
    return folder / "noise.json"


@pytest.fixture
def corpus(tmp_path):
    """Three utterances and two recordings, one of them mostly silent."""
    generator = np.random.default_rng(0)
    half_silent = np.zeros(3 * RATE, dtype="float32")
    half_silent[-4000:] = 0.1 * generator.standard_normal(4000)
    noises = write_noises(
        tmp_path,
        {
            "rain1": 0.1 * generator.standard_normal(2 * RATE),
            "dog1": half_silent,
        },
    )
    utterances = {}
    for number in range(3):
        name = f"u{number}"
        speech = 0.05 * generator.standard_normal(RATE + 100 * number)
        soundfile.write(tmp_path / f"{name}.wav", speech, RATE, "FLOAT")
        utterances[name] = {
            "wav": str(tmp_path / f"{name}.wav"),
            "start_s": 0.0,
            "duration_s": len(speech) / RATE,
            "emotion": "sad",
            "speaker": "s1",
        }
    write_manifest(tmp_path / "train.json", utterances, UTTERANCE_KEYS)
    return tmp_path, NoiseSource(noises, str(tmp_path), RATE), utterances


def training_mixer(source, **options):
    settings = {
        "snr_low_db": -5,
        "snr_high_db": 15,
        "clean_probability": 0.0,
        "seed": 7,
        "max_duration_s": 12,
        **options,
    }
    return TrainingMixer(source, RATE, **settings)


def mix(mixer, utterances, name):
    return mixer(name, utterances[name]["wav"], 0.0, 10.0)


@pytest.mark.parametrize("snr_db", [-5.0, 0.0, 12.5])
def test_snr_and_sum(snr_db):
    torch.manual_seed(0)
    speech, noise = 0.1 * torch.randn(RATE), 3 * torch.rand(RATE)
    mixture = mix_at_snr(speech, noise, snr_db)
    ratio = 20 * torch.log10(rms(mixture.speech) / rms(mixture.noise))
    assert ratio.item() == pytest.approx(snr_db, abs=1e-3)
    difference = mixture.noisy - mixture.noise - mixture.speech
    assert difference.abs().max() <= 1e-6


def test_speech_keeps_its_level_unless_the_mixture_would_clip():
    speech, noise = 0.1 * torch.ones(8), torch.ones(8)
    assert torch.equal(mix_at_snr(speech, noise, 0.0).speech, speech)
    mixture = mix_at_snr(0.9 * torch.ones(8), noise, 0.0)
    assert mixture.noisy.abs().max().item() == pytest.approx(1.0)
    torch.testing.assert_close(mixture.speech, mixture.noise)


def test_ratio_is_that_of_add_noise():
    torch.manual_seed(0)
    speech = torch.randn(1, RATE)
    noise = torch.randn(1, RATE)
    add_noise = AddNoise(
        snr_low=3.0, snr_high=3.0, noise_funct=lambda _: noise.clone()
    )
    theirs = add_noise(speech, torch.ones(1))[0]
    ours = mix_at_snr(speech[0], noise[0], 3.0, peak=1e9).noisy
    torch.testing.assert_close(
        ours / rms(ours), theirs / rms(theirs), atol=1e-4, rtol=1e-4
    )


def test_silence_is_refused():
    with pytest.raises(ValueError, match="speech is silent"):
        mix_at_snr(torch.zeros(8), torch.ones(8), 0.0)
    with pytest.raises(ValueError, match="noise is silent"):
        mix_at_snr(torch.ones(8), torch.zeros(8), 0.0)


def test_crops_are_never_silent_and_reach_everywhere(corpus):
    _, source, _ = corpus
    generator = torch.Generator().manual_seed(0)
    crops = [source.draw(1600, generator) for _ in range(200)]
    assert all(rms(samples) > 1e-3 for _, samples in crops)
    assert {crop.noise_id for crop, _ in crops} == {"rain1", "dog1"}
    dogs = [c.offset for c, _ in crops if c.noise_id == "dog1"]
    assert min(dogs) > 3 * RATE - 4000 - 1600  # within the sound


def test_short_recordings_start_over(corpus):
    _, source, _ = corpus
    _, samples = source.draw(5 * RATE, torch.Generator().manual_seed(3))
    assert len(samples) == 5 * RATE
    recording = (
        2 * RATE
        if torch.equal(samples[:RATE], samples[2 * RATE : 3 * RATE])
        else 3 * RATE
    )
    assert torch.equal(samples[:RATE], samples[recording:][:RATE])


def test_nothing_but_silence_names_the_manifest(tmp_path):
    manifest = write_noises(tmp_path, {"void1": np.zeros(RATE)})
    source = NoiseSource(manifest, str(tmp_path), RATE)
    with pytest.raises(ValueError, match="noise.json were all silent"):
        source.draw(100, torch.Generator())


def test_a_mixture_depends_on_seed_epoch_and_utterance_alone(corpus):
    _, source, utterances = corpus
    mixer = training_mixer(source)
    mixer.set_epoch(1)
    first = [mix(mixer, utterances, f"u{n}").noisy for n in range(3)]
    torch.manual_seed(99)  # nor on the global generator
    again = training_mixer(source)
    again.set_epoch(1)
    for number in (2, 0, 1):
        torch.testing.assert_close(
            mix(again, utterances, f"u{number}").noisy,
            first[number],
            rtol=0,
            atol=0,
        )
    again.set_epoch(2)
    assert not torch.equal(mix(again, utterances, "u0").noisy, first[0])
    other = training_mixer(source, seed=8)
    other.set_epoch(1)
    assert not torch.equal(mix(other, utterances, "u0").noisy, first[0])


class _Mixtures(torch.utils.data.Dataset):
    def __init__(self, mixer, utterances):
        self.mixer, self.utterances = mixer, utterances

    def __len__(self):
        return 3

    def __getitem__(self, number):
        return mix(self.mixer, self.utterances, f"u{number}").noisy


@pytest.mark.parametrize("method", ["fork", "spawn"])
def test_workers_change_nothing_and_see_the_epoch(corpus, method):
    if method not in multiprocessing.get_all_start_methods():
        pytest.skip(f"{method} is not known on this system")
    _, source, utterances = corpus
    mixer = training_mixer(source)
    dataset = _Mixtures(mixer, utterances)
    loader = torch.utils.data.DataLoader(
        dataset,
        batch_size=None,
        num_workers=2,
        persistent_workers=True,
        multiprocessing_context=method,
    )
    for epoch in (1, 2):
        mixer.set_epoch(epoch)
        expected = [dataset[number] for number in range(3)]
        for ours, theirs in zip(list(loader), expected, strict=True):
            assert torch.equal(ours, theirs)


def test_share_of_clean_and_range_of_snr(corpus):
    _, source, utterances = corpus
    mixer = training_mixer(
        source, clean_probability=0.3, snr_low_db=2.0, snr_high_db=4.0
    )
    ratios = []
    for epoch in range(300):
        mixer.set_epoch(epoch)
        mixture = mix(mixer, utterances, "u1")
        if mixture.noise.abs().max() == 0:
            assert torch.equal(mixture.noisy, mixture.speech)
        else:
            ratio = rms(mixture.speech) / rms(mixture.noise)
            ratios.append(20 * torch.log10(ratio).item())
    assert 180 < len(ratios) < 240  # four deviations around 210
    assert 2.0 <= min(ratios) < 2.3 and 3.7 < max(ratios) <= 4.0 + 1e-3


def test_augmentation_is_seeded_and_respects_the_target(corpus):
    _, source, utterances = corpus
    options = {"min_augmentations": 1, "max_augmentations": 1}
    speed = SpeedPerturb(orig_freq=RATE, speeds=[90, 110])
    drop = DropChunk(drop_length_low=500, drop_length_high=900)
    mixer = training_mixer(
        source,
        speech_augmentation=Augmenter(augmentations=[speed], **options),
        mixture_augmentation=Augmenter(augmentations=[drop], **options),
    )
    mixer.set_epoch(5)
    state = torch.random.get_rng_state()
    mixture = mix(mixer, utterances, "u0")
    assert torch.equal(torch.random.get_rng_state(), state)
    assert len(mixture.speech) != RATE  # the target follows the speed
    assert len(mixture.noisy) == len(mixture.speech)
    # Where chunks are dropped, the target stays whole.
    dropped = mixture.noisy == 0
    assert dropped.any() and (mixture.speech[dropped] != 0).all()
    torch.rand(3)
    assert torch.equal(mix(mixer, utterances, "u0").noisy, mixture.noisy)


def test_evaluation_plan_is_fixed_and_makes_what_it_says(corpus):
    folder, source, utterances = corpus
    path = folder / "mixtures.json"
    sources = {"seen": source, "unseen": source}
    arguments = (folder / "train.json", sources, [-5, 10], 3, 12.0)
    plan_mixtures(path, *arguments)
    plan = read_manifest(path)
    assert len(plan) == 3 * (1 + 2 * 2)
    mixer = EvaluationMixer(sources, RATE)
    for name, fields in plan.items():
        mixture = mixer(
            name,
            fields["wav"],
            fields["start_s"],
            fields["duration_s"],
            fields["condition"],
            fields["noise"],
            fields["noise_offset"],
            fields["snr_db"],
        )
        if fields["condition"] == "clean":
            assert mixture.noise.abs().max() == 0
            continue
        ratio = 20 * torch.log10(rms(mixture.speech) / rms(mixture.noise))
        assert ratio.item() == pytest.approx(fields["snr_db"], abs=1e-2)
        recording, _ = soundfile.read(folder / f"{fields['noise']}.wav")
        offset = fields["noise_offset"]
        crop = torch.from_numpy(np.resize(recording, 10 * RATE)).float()
        crop = crop[offset : offset + len(mixture.noise)]
        torch.testing.assert_close(
            mixture.noise / rms(mixture.noise), crop / rms(crop)
        )
    plan_mixtures(folder / "again.json", *arguments)
    assert read_manifest(folder / "again.json") == plan


def test_a_bad_file_names_the_utterance(corpus):
    folder, source, _ = corpus
    (folder / "broken.wav").write_bytes(b"no audio")
    mixer = training_mixer(source)
    with pytest.raises(ValueError, match=r"Utterance u9: .*broken.wav"):
        mixer("u9", str(folder / "broken.wav"), 0.0, 1.0)


# Pairs that are given


@pytest.fixture
def pair(tmp_path):
    """Clean and noisy speech of one second, and empty noise manifests."""
    generator = np.random.default_rng(3)
    speech = 0.1 * generator.standard_normal(RATE)
    noise = 0.05 * generator.standard_normal(RATE)
    files = {"clean": speech, "noisy": speech + noise}
    for name, samples in files.items():
        soundfile.write(tmp_path / f"{name}.wav", samples, RATE, "FLOAT")
    write_manifest(tmp_path / "empty.json", {}, NOISE_KEYS, may_be_empty=True)
    source = NoiseSource(tmp_path / "empty.json", "nowhere", RATE)
    paths = [str(tmp_path / f"{name}.wav") for name in files]
    return source, *paths, torch.tensor(noise).float()


def test_a_given_pair_is_taken_as_it_is(pair):
    source, clean, noisy, noise = pair
    mixer = training_mixer(source, max_duration_s=0.75)
    mixture = mixer("a", clean, 0.25, 0.75, noisy)
    assert len(mixture.noisy) == 12000
    torch.testing.assert_close(mixture.noise, noise[4000:], atol=1e-6, rtol=0)
    difference = mixture.noisy - mixture.noise - mixture.speech
    assert difference.abs().max() < 1e-6
    alone = training_mixer(source, clean_probability=1.0)
    mixture = alone("a", clean, 0.0, 1.0, noisy)
    assert torch.equal(mixture.noisy, mixture.speech)
    with pytest.raises(ValueError, match="Utterance a: .* has no recordings"):
        mixer("a", clean, 0.0, 1.0)


def test_augmentation_keeps_a_given_pair_aligned(pair):
    source, clean, noisy, noise = pair
    speed = Augmenter(
        augmentations=[SpeedPerturb(RATE, [80])],
        min_augmentations=1,
        max_augmentations=1,
    )
    mixer = training_mixer(source, speech_augmentation=speed)
    mixture = mixer("a", clean, 0.0, 1.0, noisy)
    assert len(mixture.noisy) == RATE / 0.8
    expected = SpeedPerturb(RATE, [80])(noise.unsqueeze(0)).squeeze(0)
    torch.testing.assert_close(mixture.noise, expected, atol=1e-5, rtol=0)


def test_pairs_of_two_lengths_are_refused(pair, tmp_path):
    source, clean, _, _ = pair
    longer = str(tmp_path / "longer.wav")
    soundfile.write(longer, np.ones(RATE + 1), RATE)
    with pytest.raises(ValueError, match="16000 samples and .*longer.* 16001"):
        training_mixer(source)("a", clean, 0.0, 2.0, longer)


def test_a_plan_tests_given_pairs(pair, tmp_path):
    source, clean, noisy, noise = pair
    fields = {"wav": clean, "start_s": 0.0, "duration_s": 1.0}
    fields.update(emotion=None, speaker="p232", noisy_wav=noisy, accent="x")
    keys = (*UTTERANCE_KEYS, "noisy_wav", "accent")
    write_manifest(tmp_path / "test.json", {"a": fields}, keys)
    plan_mixtures(
        tmp_path / "plan.json",
        tmp_path / "test.json",
        {"seen": source},
        [-5],
        1,
        12.0,
    )
    plan = read_manifest(tmp_path / "plan.json")
    assert list(plan) == ["a_clean", "a_given"]
    assert plan["a_given"]["accent"] == "x"
    given = plan["a_given"]
    assert (given["condition"], given["snr_db"]) == ("given", None)
    mixture = EvaluationMixer({}, RATE)(
        "a_given", clean, 0.0, 1.0, "given", None, None, None, noisy
    )
    torch.testing.assert_close(mixture.noise, noise, atol=1e-6, rtol=0)


def test_only_the_stretch_of_a_recording_is_heard(tmp_path):
    ramp = np.linspace(0.0, 0.9, 2 * RATE)
    soundfile.write(tmp_path / "ramp.wav", ramp, RATE, "FLOAT")
    fields = {"wav": "{noise_root}/ramp.wav", "duration_s": 0.5}
    fields.update(noise_type="ramp", start_s=1.0)
    write_manifest(
        tmp_path / "noise.json", {"r": fields}, (*NOISE_KEYS, "start_s")
    )
    source = NoiseSource(tmp_path / "noise.json", str(tmp_path), RATE)
    generator = torch.Generator().manual_seed(0)
    crops = [source.draw(1000, generator)[1] for _ in range(20)]
    assert min(crop.min() for crop in crops) >= ramp[RATE] - 1e-6
    assert max(crop.max() for crop in crops) <= ramp[RATE + RATE // 2]


# What mutation testing found to be untested, see docs/testing.md.


def test_one_snr_is_a_range_too(corpus):
    _, source, utterances = corpus
    mixer = training_mixer(source, snr_low_db=3.0, snr_high_db=3.0)
    mixture = mix(mixer, utterances, "u0")
    ratio = 20 * torch.log10(rms(mixture.speech) / rms(mixture.noise))
    assert ratio.item() == pytest.approx(3.0, abs=1e-3)


def test_draws_stay_the_same_between_versions():
    """A seed is the first 63 bits of a hash; old runs can be repeated."""
    digest = hashlib.blake2b(b"mix\x1f7\x1f2\x1fu1", digest_size=8).digest()
    seed = int.from_bytes(digest, "little") >> 1
    before = torch.random.get_rng_state()
    assert generator_for("mix", 7, 2, "u1").initial_seed() == seed
    assert torch.equal(torch.random.get_rng_state(), before)
    with seeded("mix", 7, 2, "u1"):
        assert torch.initial_seed() == seed
        drawn = random.random()
    assert drawn == random.Random(seed).random()


def test_seeding_restores_what_was_there():
    random.seed(3)
    torch.manual_seed(3)
    before = random.getstate(), torch.random.get_rng_state()
    with pytest.raises(KeyError), seeded(1):
        torch.rand(2), random.random()
        raise KeyError
    assert random.getstate() == before[0]
    assert torch.equal(torch.random.get_rng_state(), before[1])


@pytest.mark.parametrize("sign", [1, -1])
def test_a_peak_is_one_of_either_sign(sign):
    speech = sign * torch.tensor([0.9, 0.1])
    mixture = mix_at_snr(speech, speech.clone(), 0.0)
    torch.testing.assert_close(mixture.noisy, sign * torch.tensor([1.0, 1 / 9]))


def test_the_whole_utterance_is_mixed(corpus):
    _, source, utterances = corpus
    mixture = mix(training_mixer(source), utterances, "u2")
    samples, _ = soundfile.read(utterances["u2"]["wav"], dtype="float32")
    assert len(samples) == RATE + 200
    torch.testing.assert_close(mixture.speech, torch.from_numpy(samples))
    assert mixture.noisy.shape == mixture.noise.shape == mixture.speech.shape


def test_signals_of_two_lengths_are_refused():
    with pytest.raises(ValueError, match="8 samples cannot .* noise of 9"):
        mix_at_snr(torch.ones(8), torch.ones(9), 0.0)


def test_so_many_mixtures_come_again_in_turn(tmp_path, corpus):
    _, source, utterances = corpus
    endless, pool = (
        training_mixer(source),
        training_mixer(source, num_mixtures=2),
    )
    drawn = {}
    for epoch in range(5):
        for mixer in (endless, pool):
            mixer.set_epoch(epoch)
            drawn[mixer, epoch] = mix(mixer, utterances, "u0").noisy
    for epoch, same in enumerate((2, 1, 2, 1, 2)):
        assert torch.equal(drawn[pool, epoch], drawn[endless, same])
    assert not torch.equal(drawn[pool, 1], drawn[pool, 2])
