"""Noise, rooms and channels against what can be computed of them."""

import functools
import io
from pathlib import Path

import numpy as np
import pytest
import ruamel.yaml
import torch
from hyperpyyaml import load_hyperpyyaml
from scipy.signal import welch

from speechbrain.augment.augmenter import Augmenter
from speechbrain.augment.codec import CodecAugment
from speechbrain.dataio import audio_io
from speechbrain_merit.config import compose
from speechbrain_merit.config.reading import references
from speechbrain_merit.data.manifests import UTTERANCE_KEYS, write_manifest
from speechbrain_merit.data.mixing import TrainingMixer, generator_for, seeded
from speechbrain_merit.data.mixing.generated_noise import (
    GeneratedNoise,
    bursts,
    coloured,
    hum,
    tones,
)
from speechbrain_merit.data.mixing.random_channel import (
    RandomClipping,
    RandomFilter,
)
from speechbrain_merit.data.mixing.simulated_rooms import (
    put_in_room,
    room_response,
)

ROOT = Path(__file__).parents[2]
RATE = 16000
TIME_S = np.arange(4 * RATE) / RATE


def test_coloured_noise_has_its_slope():
    for slope_db in (-9.0, -3.0, 0.0, 3.0):
        noise = coloured(TIME_S, np.random.default_rng(1), slope_db)
        hz, power = welch(noise, RATE, nperseg=2048)
        octaves = np.log2(hz[20:900] + 20)
        found = np.polyfit(octaves, 10 * np.log10(power[20:900]), 1)[0]
        assert found == pytest.approx(slope_db, abs=0.3)


def test_hum_is_at_multiples_of_the_mains():
    for seed in range(5):
        noise = hum(TIME_S, np.random.default_rng(seed))
        power = np.abs(np.fft.rfft(noise * np.hanning(len(noise)))) ** 2
        hz = np.fft.rfftfreq(len(noise), 1 / RATE)
        base_hz = min((50, 60), key=lambda f: -power[abs(hz - f) < 1].sum())
        near = np.abs(hz - base_hz * np.round(hz / base_hz)) < 0.006 * hz + 1
        assert power[near].sum() > 0.99 * power.sum()
        assert power[hz > 12.5 * base_hz].sum() < 1e-3 * power.sum()


def test_tones_are_few_frequencies():
    for seed in range(5):
        noise = tones(TIME_S, np.random.default_rng(seed))
        power = np.sort(
            np.abs(np.fft.rfft(noise * np.hanning(len(noise)))) ** 2
        )
        # Six seconds' worth of bins hold what is switched slowly.
        assert power[-600:].sum() > 0.95 * power.sum()


def test_bursts_are_loud_now_and_then():
    crests = []
    for seed in range(8):
        noise = bursts(TIME_S, np.random.default_rng(seed))
        assert np.isfinite(noise).all() and noise.any()
        frames = np.square(noise).reshape(-1, 160).mean(1)
        crests.append(frames.max() / frames.mean())
    # A stationary noise has about 1.3.
    assert np.median(crests) > 5


@pytest.fixture
def speech(tmp_path):
    """A manifest of two voices: 200 and 300 Hz."""
    entries = {}
    for pitch_hz in (200, 300):
        tone = 0.1 * np.sin(2 * np.pi * pitch_hz * TIME_S[:RATE])
        path = tmp_path / f"{pitch_hz}.wav"
        audio_io.save(path, torch.tensor(tone).float()[None], RATE)
        fields = (str(path), 0.0, 1.0, "sad", "s1")
        entries[str(pitch_hz)] = dict(zip(UTTERANCE_KEYS, fields, strict=True))
    write_manifest(tmp_path / "train.json", entries, UTTERANCE_KEYS)
    return tmp_path


def test_babble_is_of_the_training_speakers(speech):
    noise = GeneratedNoise(None, {"babble": 1}, RATE, speech / "train.json", "")
    samples = noise.draw(3 * RATE, generator_for("babble"))[1].numpy()
    power = np.abs(np.fft.rfft(samples * np.hanning(len(samples)))) ** 2
    hz = np.fft.rfftfreq(len(samples), 1 / RATE)
    near = (np.abs(hz - 200) < 5) | (np.abs(hz - 300) < 5)
    assert power[near].sum() > 0.99 * power.sum()


def test_kinds_are_drawn_by_their_weights(speech):
    class Recorded:
        def draw(self, num_samples, generator):
            return None, torch.zeros(num_samples)

    noise = GeneratedNoise(
        Recorded(), {"recorded": 1, "hum": 3}, RATE, speech / "train.json", ""
    )
    found = [
        bool(noise.draw(64, generator_for(k))[1].any()) for k in range(400)
    ]
    assert sum(found) == pytest.approx(300, abs=4 * 75**0.5)
    with pytest.raises(ValueError, match=r"\['humm'\].*'hum'"):
        GeneratedNoise(None, {"humm": 1}, RATE, "", "")


def test_rooms_decay_as_asked():
    acoustics = pytest.importorskip("pyroomacoustics")
    for t60_s in (0.3, 0.5, 0.8):
        found = [
            acoustics.experimental.measure_rt60(
                room_response(RATE, (1, k), t60_s).numpy(), RATE, decay_db=20
            )
            for k in range(3)
        ]
        # Sabine's formula holds for diffuse sound.
        assert np.median(found) == pytest.approx(t60_s, rel=0.25)


def test_what_is_wanted_of_a_room_comes_early():
    pytest.importorskip("pyroomacoustics")
    click = torch.zeros(RATE)
    click[100] = 1.0
    heard, wanted = put_in_room(click, generator_for("room", 1), RATE, 1.0, 1)
    assert heard[:100].abs().max() < 1e-4
    assert heard[100] == pytest.approx(1.0, abs=1e-4)
    torch.testing.assert_close(heard[:900], wanted[:900], atol=1e-4, rtol=0)
    assert wanted[900:].abs().max() < 1e-4 < heard[900:].abs().max()


def levels_db(channel, waveforms, low_hz, high_hz):
    """How much a channel changes a band."""
    spectra = torch.fft.rfft(torch.stack([waveforms, channel(waveforms)]))
    hz = torch.fft.rfftfreq(waveforms.shape[1], 1 / RATE)
    band = spectra[..., (hz >= low_hz) & (hz < high_hz)].abs().square().sum(-1)
    return 10 * torch.log10(band[1] / band[0])


def test_a_line_passes_its_band():
    line = RandomFilter(RATE, low_cut_hz=(300, 300), high_cut_hz=(3400, 3400))
    noise = torch.randn(2, RATE, generator=torch.Generator().manual_seed(1))
    assert levels_db(line, noise, 500, 3000).abs().max() < 0.1
    for band in ((0, 150), (4000, 8000)):
        assert levels_db(line, noise, *band).max() < -15


def test_an_equalizer_does_the_same_to_all_without_delay():
    equalizer = RandomFilter(RATE, deviation_db=5.0)
    click = torch.zeros(2, RATE)
    click[0, 5000], click[1, 6000] = 1.0, 1.0
    with seeded("equalizer"):
        found = equalizer(click)
    assert found.argmax(1).tolist() == [5000, 6000]
    torch.testing.assert_close(found[0, 4000:8000], found[1, 5000:9000])
    curves = torch.stack(
        [torch.fft.rfft(equalizer(click))[0].abs() for _ in range(50)]
    )
    # As far from 0 dB as asked, between the drawn points a little less.
    assert 3 < (20 * curves.log10()).std() < 5.5


def test_clipping_and_codecs_keep_level_and_place():
    speech = torch.from_numpy(0.3 * np.sin(600 * np.pi * TIME_S)).float()[None]
    clipped = RandomClipping(0.25, 0.25)(speech)
    assert clipped.max() == pytest.approx(0.075, rel=1e-3)
    inside = speech.abs() < 0.07
    assert torch.equal(clipped[inside], speech[inside])
    # SpeechBrain's, of which an unknown delay would spoil the target.
    noise = torch.from_numpy(coloured(TIME_S, np.random.default_rng(1), -3.0))
    noise = 0.1 * noise.float()[None] / noise.std()
    codec = CodecAugment(RATE)
    for encoding in codec.available_format_encoders:
        coded = codec.apply_codec(noise, *encoding)
        spectra = torch.fft.rfft(torch.cat([noise, coded]), 2 * len(TIME_S))
        likeness = torch.fft.irfft(spectra[0].conj() * spectra[1])
        assert likeness.argmax() == 0, encoding
        assert likeness[0] / noise.square().sum() == pytest.approx(1, abs=0.3)


@pytest.mark.parametrize("clean_probability", [0.0, 1.0])
def test_a_mixture_depends_on_seed_epoch_and_utterance(
    speech, clean_probability
):
    pytest.importorskip("pyroomacoustics")
    line = RandomFilter(RATE, high_cut_hz=(2000, 2000))

    def mix(channel=None, seed=1):
        mixer = TrainingMixer(
            noises=None,
            sample_rate_hz=RATE,
            snr_low_db=0.0,
            snr_high_db=0.0,
            clean_probability=clean_probability,
            seed=seed,
            max_duration_s=12.0,
            generated_noise=functools.partial(
                GeneratedNoise,
                weights={"hum": 1, "coloured": 1},
                sample_rate_hz=RATE,
                manifest=speech / "train.json",
                data_folder="",
            ),
            rooms=functools.partial(
                put_in_room, sample_rate_hz=RATE, probability=1.0, seed=1
            ),
            channel_augmentation=channel and Augmenter(augmentations=[channel]),
        )
        return mixer("a", str(speech / "200.wav"), 0.0, 1.0)

    first, again, other = mix(), mix(), mix(seed=2)
    assert torch.equal(first.noisy, again.noisy)
    assert torch.equal(first.speech, again.speech)
    assert not torch.equal(first.noisy, other.noisy)
    # Late reflections are noise to be taken away.
    assert not torch.equal(first.noisy - first.noise, first.speech)
    band = mix(line)
    # But for the cut at the ends.
    torch.testing.assert_close(
        band.speech[800:-800], first.speech[800:-800], atol=1e-2, rtol=0
    )
    both = torch.stack([first.noisy, band.noisy]) * torch.hann_window(RATE)
    high = torch.fft.rfft(both)[:, 3000:]
    if not clean_probability:
        assert high[1].abs().max() < 0.01 * high[0].abs().max()


def test_every_part_of_merit_base_has_its_turn(monkeypatch):
    """An Augmenter that does not shuffle takes the first of its parts."""
    text = compose(
        ROOT / "hparams" / "merit_base.yaml", "data_folder: here", ROOT
    ).text
    # Of the whole, what augments alone.
    wanted = ("speech_augmentation", "mixture_augmentation")
    tree = ruamel.yaml.YAML().load(text)
    keys = {name for key in wanted for _, name in references(key, tree[key])}
    keys |= {*wanted, "sample_rate_hz"}
    stream = io.StringIO()
    ruamel.yaml.YAML().dump(
        {k: v for k, v in tree.items() if k in keys}, stream
    )
    hparams = load_hyperpyyaml(stream.getvalue())
    speech = torch.rand(1, 8000) - 0.5
    for key in wanted:
        augmenter, used = hparams[key], set()
        for name, part in augmenter.augmentations.items():
            monkeypatch.setattr(
                part, "forward", lambda x, name=name: used.add(name) or x
            )
        for number in range(120):
            with seeded(number):
                augmenter(speech, torch.ones(1))
        assert used == {*augmenter.augmentations}
