"""What must hold for every input, tried on made-up ones.

`pytest -m long` tries twenty times as many, and other ones in each run.
"""

import json
import math

import numpy as np
import pytest
import soundfile
import torch
from fuzzing import fuzz, hypothesis, in_both_forms
from whole_signals import cross_fade, split_into_chunks

from speechbrain_merit.data.audio import (
    read_mono,
    read_mono_blocks,
    resample_blocks,
)
from speechbrain_merit.data.manifests import (
    NOISE_KEYS,
    UTTERANCE_KEYS,
    load_utterances,
    read_manifest,
    write_manifest,
)
from speechbrain_merit.data.mixing import NoiseSource, TrainingMixer, mix_at_snr
from speechbrain_merit.data.preparation import read_sound
from speechbrain_merit.lobes import (
    AttentiveStatisticsPooling,
    MeanPooling,
    SparseMoE,
    SpectralFrontend,
    WaveformNormalization,
)
from speechbrain_merit.lobes.bidirectional_lstm import BidirectionalLSTM
from speechbrain_merit.lobes.lengths import absolute_lengths, step_mask
from speechbrain_merit.metrics.routing import RoutingStats

from hypothesis import strategies as st  # isort: skip

RATE = 16000
SEEDS = st.integers(0, 2**31)


def noise(seed, *shape):
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


# --------------------------------------------------------------------- mixing


@in_both_forms
def test_mixtures_have_their_snr_and_their_parts(times):
    @fuzz(
        times,
        200,
        seed=SEEDS,
        num_samples=st.integers(1, 3000),
        levels_db=st.tuples(st.floats(-120, 40), st.floats(-120, 40)),
        snr_db=st.floats(-30, 60),
        peak=st.floats(0.01, 10),
    )
    def holds(seed, num_samples, levels_db, snr_db, peak):
        speech, other = noise(seed, 2, num_samples)
        speech, other = (
            signal * 10 ** (level_db / 20)
            for signal, level_db in zip((speech, other), levels_db, strict=True)
        )
        mixture = mix_at_snr(speech, other, snr_db, peak)
        parts = mixture.noisy, mixture.speech, mixture.noise
        assert all(part.shape == (num_samples,) for part in parts)
        assert all(part.isfinite().all() for part in parts)
        assert torch.equal(mixture.noisy, mixture.speech + mixture.noise)
        powers = [part.double().square().mean().item() for part in parts[1:]]
        ratio_db = 10 * math.log10(powers[0] / powers[1])
        assert ratio_db == pytest.approx(snr_db, abs=1e-3)
        # Large parts that cancel leave the rounding of their size.
        rounding = 1e-6 * max(part.abs().max().item() for part in parts)
        assert mixture.noisy.abs().max() <= peak * (1 + 1e-5) + rounding
        # Neither part is bent, and a mixture below the peak is not scaled.
        gain = (mixture.speech.double() / speech).median()
        torch.testing.assert_close(
            mixture.speech.double(), gain * speech.double(), rtol=1e-5, atol=0
        )
        assert gain <= 1 + 1e-6
        loudest = mixture.noisy.abs().max() + rounding
        assert gain > 1 - 1e-6 or loudest > 0.99 * peak


@pytest.fixture(scope="module")
def corpus(tmp_path_factory):
    """Speech and noise in a folder, and the noise's manifest."""
    folder = tmp_path_factory.mktemp("corpus")
    entries = {}
    for number in range(3):
        name = f"noise{number}"
        samples = 0.1 * noise(number, 3000 * (number + 1)).numpy()
        soundfile.write(folder / f"{name}.wav", samples, RATE)
        entries[name] = {"wav": "{noise_root}/" + f"{name}.wav"}
        entries[name].update(duration_s=len(samples) / RATE, noise_type="x")
    write_manifest(folder / "noise.json", entries, NOISE_KEYS)
    soundfile.write(folder / "speech.wav", 0.1 * noise(9, 4000).numpy(), RATE)
    return folder


@in_both_forms
def test_a_mixture_is_a_function_of_seed_epoch_and_utterance(times, corpus):
    source = NoiseSource(corpus / "noise.json", str(corpus), RATE)

    def mix(seed, epoch, name):
        mixer = TrainingMixer(source, RATE, -5, 15, 0.0, seed, 12.0)
        mixer.set_epoch(epoch)
        return mixer(name, str(corpus / "speech.wav"), 0.0, 0.25).noisy

    @fuzz(
        times,
        40,
        purpose=st.tuples(SEEDS, st.integers(0, 10**6), st.text()),
        other=st.tuples(SEEDS, st.integers(0, 10**6), st.text()),
        disturbance=SEEDS,
    )
    def holds(purpose, other, disturbance):
        first = mix(*purpose)
        torch.manual_seed(disturbance)
        for place in range(3):
            changed = [*purpose[:place], other[place], *purpose[place + 1 :]]
            same = tuple(changed) == purpose
            assert torch.equal(mix(*changed), first) == same
        assert torch.equal(mix(*purpose), first)
        assert torch.initial_seed() == disturbance


# ---------------------------------------------------------- lengths and masks

COUNTS = st.lists(st.integers(1, 4000), min_size=1, max_size=5)


@in_both_forms
def test_lengths_and_counts_are_the_same_thing(times):
    @fuzz(
        times,
        200,
        counts=st.lists(st.integers(1, 2**21), min_size=1, max_size=8),
        margin=st.integers(0, 1000),
        kind=st.sampled_from([torch.float32, torch.float64]),
    )
    def holds(counts, margin, kind):
        steps = max(counts) + margin
        lengths = (torch.tensor(counts).double() / steps).to(kind)
        found = absolute_lengths(lengths, len(counts), steps)
        assert found.tolist() == counts
        if steps <= 4000:
            expected = [[i < count for i in range(steps)] for count in counts]
            assert step_mask(found, steps).tolist() == expected


def padded(seed, counts, *channels):
    """Random steps for every count, followed by garbage, and alone."""
    alone = [noise(seed + i, n, *channels) for i, n in enumerate(counts)]
    batch = torch.full((len(counts), max(counts), *channels), 1e4)
    for row, steps in zip(batch, alone, strict=True):
        row[: len(steps)] = steps
    lengths = torch.tensor(counts).double() / max(counts)
    return batch, lengths, alone


@in_both_forms
@pytest.mark.parametrize("pooling", [AttentiveStatisticsPooling, MeanPooling])
def test_pooling_does_not_see_the_batch(times, pooling):
    torch.manual_seed(0)
    pool = pooling(6).eval()

    @fuzz(times, 30, seed=SEEDS, counts=COUNTS)
    def holds(seed, counts):
        batch, lengths, alone = padded(seed, [n % 50 + 1 for n in counts], 6)
        for row, steps in zip(pool(batch, lengths), alone, strict=True):
            torch.testing.assert_close(row, pool(steps.unsqueeze(0))[0])


@in_both_forms
def test_the_lstm_does_not_see_the_batch(times):
    torch.manual_seed(0)
    lstm = BidirectionalLSTM(6, 5, 2)

    @fuzz(times, 20, seed=SEEDS, counts=COUNTS)
    def holds(seed, counts):
        counts = [n % 50 + 1 for n in counts]
        batch, lengths, alone = padded(seed, counts, 6)
        batch[batch > 1e3] = 0.0
        found = lstm(batch, torch.tensor(counts))
        for row, steps in zip(found, alone, strict=True):
            expected = lstm(steps.unsqueeze(0), torch.tensor([len(steps)]))[0]
            torch.testing.assert_close(row[: len(steps)], expected)


@in_both_forms
@pytest.mark.parametrize("mode", ["none", "utterance"])
def test_normalization_does_not_see_the_batch(times, mode):
    normalization = WaveformNormalization(mode)

    @fuzz(times, 30, seed=SEEDS, counts=COUNTS)
    def holds(seed, counts):
        batch, lengths, alone = padded(seed, counts)
        found, _ = normalization(batch, lengths)
        for row, steps in zip(found, alone, strict=True):
            expected, _ = normalization(steps.unsqueeze(0))
            torch.testing.assert_close(
                row[: len(steps)], expected[0], atol=1e-5, rtol=1e-4
            )


# -------------------------------------------------------------------- spectra


@in_both_forms
def test_the_spectrum_gives_the_signal_back(times):
    @fuzz(
        times,
        60,
        seed=SEEDS,
        counts=COUNTS,
        n_fft=st.integers(2, 512),
        share=st.floats(0, 1),
        level_db=st.floats(-60, 20),
    )
    def holds(seed, counts, n_fft, share, level_db):
        frontend = SpectralFrontend(n_fft, max(round(share * n_fft / 2), 1))
        # Beyond some frames, each is like the others.
        counts = [n % (20 * frontend.hop_length) + 1 for n in counts]
        batch, lengths, alone = padded(seed, counts)
        level = 10 ** (level_db / 20)
        spectrum = frontend.analyze(batch * level, lengths)
        restored = frontend.synthesize(spectrum.log1p, spectrum)
        assert restored.shape == batch.shape
        for row, frames, steps in zip(
            restored, spectrum.log1p, alone, strict=True
        ):
            count = len(steps)
            assert (row[count:] == 0).all()
            torch.testing.assert_close(
                row[:count], steps * level, atol=2e-5 * max(level, 1), rtol=1e-3
            )
            own = frontend.analyze(steps.unsqueeze(0) * level)
            assert own.counts.item() == 1 + count // frontend.hop_length
            torch.testing.assert_close(
                frames[: own.log1p.shape[1]], own.log1p[0]
            )


# --------------------------------------------------------------------- routing


def plain_routing(moe, states, task):
    """All experts on all frames of one utterance, in a plain loop."""
    frames = torch.cat(
        [norm(s) for norm, s in zip(moe.layer_norms, states, strict=True)], -1
    )
    gate = moe.gates[task].fc
    logits = frames.float() @ gate.weight.float().t() + gate.bias.float()
    probabilities = logits.softmax(-1)
    outputs = []
    for frame, row in zip(frames, probabilities, strict=True):
        order = row.argsort(descending=True, stable=True)[: moe.top_k]
        weights = row[order]
        if moe.router_learning != "probability":
            weights = weights / weights.sum()
        made = [moe.experts[i](frame.unsqueeze(0))[0] for i in order]
        outputs.append(
            sum(w * x.float() for w, x in zip(weights, made, strict=True))
        )
    return torch.stack(outputs), probabilities


LEARNING = ["straight_through", "probability", "frozen"]
# How far a result may be off: bfloat16 has eight bits.
DTYPES = {torch.float64: 1e-4, torch.float32: 1e-4, torch.bfloat16: 0.1}


@in_both_forms
def test_routing(times):
    @fuzz(
        times,
        80,
        seed=SEEDS,
        counts=st.lists(st.integers(1, 12), min_size=1, max_size=5),
        num_layers=st.integers(1, 4),
        experts=st.integers(1, 6).flatmap(
            lambda n: st.tuples(st.just(n), st.integers(1, n))
        ),
        learning=st.sampled_from(LEARNING),
        dtype=st.sampled_from(list(DTYPES)),
        training=st.booleans(),
        order=st.randoms(use_true_random=False),
    )
    def holds(
        seed, counts, num_layers, experts, learning, dtype, training, order
    ):
        num_experts, top_k = experts
        with torch.random.fork_rng():
            torch.manual_seed(seed)
            moe = SparseMoE(
                num_layers,
                6,
                hidden_size=10,
                output_size=5,
                num_experts=num_experts,
                top_k=top_k,
                router_learning=learning,
            ).to(dtype)
        moe.train(training)
        batch, lengths, alone = padded(seed, counts, num_layers, 6)
        batch = batch.movedim(2, 0).to(dtype)
        with torch.no_grad():
            result = moe(batch, lengths)
            rows = list(range(len(counts)))
            order.shuffle(rows)
            permuted = moe(batch[:, rows], lengths[rows])
        stats = RoutingStats()
        stats.append(result.routing)
        for shares in stats.shares().values():
            assert sum(shares) == pytest.approx(1)
        for task, features in result.features.items():
            routing = result.routing[task]
            assert features.dtype == dtype
            check_true_frames(moe, task, alone, features, routing, dtype)
            check_padding(counts, features, routing, top_k)
            for name in ("probabilities", "experts"):
                found = getattr(permuted.routing[task], name)
                torch.testing.assert_close(found, getattr(routing, name)[rows])
            torch.testing.assert_close(
                permuted.features[task],
                features[rows],
                atol=DTYPES[dtype],
                rtol=0.05 if dtype is torch.bfloat16 else 1e-4,
            )
        for name, loss in result.auxiliary_losses.items():
            assert loss.isfinite(), name
            torch.testing.assert_close(loss, permuted.auxiliary_losses[name])


def check_true_frames(moe, task, alone, features, routing, dtype):
    for row, steps in enumerate(alone):
        count = len(steps)
        states = steps.movedim(1, 0).to(dtype)
        with torch.no_grad():
            expected, probabilities = plain_routing(moe, states, task)
        found = routing.probabilities[row, :count]
        assert found.dtype == torch.float32
        torch.testing.assert_close(
            found.sum(-1), torch.ones(count), atol=1e-5, rtol=0
        )
        torch.testing.assert_close(
            found, probabilities, atol=DTYPES[dtype], rtol=0
        )
        # Rounding may swap experts that are as good as each other.
        top = probabilities.sort(descending=True).values
        margins = (
            top[:, : moe.top_k]
            - torch.nn.functional.pad(top, (0, 1))[:, 1 : moe.top_k + 1]
        )
        clear = margins.min(dim=1).values > 1e-5
        chosen = routing.experts[row, :count]
        best = probabilities.argsort(descending=True)[:, : moe.top_k]
        assert torch.equal(chosen[clear], best[clear])
        assert all(len(set(frame)) == moe.top_k for frame in chosen.tolist())
        torch.testing.assert_close(
            features[row, :count][clear].float(),
            expected[clear].float(),
            atol=DTYPES[dtype],
            rtol=0.05 if dtype is torch.bfloat16 else 1e-4,
        )


def check_padding(counts, features, routing, top_k):
    for row, count in enumerate(counts):
        assert (routing.experts[row, count:] == -1).all()
        assert (routing.experts[row, :count] >= 0).all()
        assert (routing.probabilities[row, count:] == 0).all()
        assert (features[row, count:] == 0).all()
    assert routing.counts().sum() == top_k * sum(counts)
    assert len(routing.counts()) == routing.probabilities.shape[2]


# -------------------------------------------------------------------- chunking


@in_both_forms
def test_chunks_of_any_size_join_to_the_signal(times):
    @fuzz(
        times,
        150,
        num_samples=st.integers(0, 3000),
        block_size=st.integers(1, 1000),
        grid=st.integers(1, 50),
        parts=st.integers(1, 20),
        share=st.floats(0, 0.5),
    )
    def holds(num_samples, block_size, grid, parts, share):
        chunk_size = grid * parts
        overlap = grid * int(parts * share)
        signal = torch.arange(num_samples) + 1.0
        blocks = signal.split(block_size) if num_samples else []
        chunks = list(split_into_chunks(blocks, chunk_size, overlap, grid))
        for chunk in chunks:
            assert chunk.start % grid == 0
            assert torch.equal(chunk.samples, signal[chunk.start : chunk.end])
            assert len(chunk.samples) >= min(chunk_size, num_samples)
            assert len(chunk.samples) < chunk_size + grid
        joined = torch.cat([*cross_fade(chunks, overlap), torch.zeros(0)])
        assert joined.shape == signal.shape
        torch.testing.assert_close(joined, signal)


@in_both_forms
def test_resampled_blocks_have_the_length_of_the_whole(times):
    @fuzz(
        times,
        60,
        num_samples=st.integers(1, 5000),
        block_size=st.integers(1, 2000),
        rates=st.tuples(*[st.sampled_from([8000, 11025, 16000, 44100])] * 2),
    )
    def holds(num_samples, block_size, rates):
        blocks = torch.ones(num_samples).split(block_size)
        found = torch.cat(list(resample_blocks(blocks, *rates)))
        assert len(found) == -(-num_samples * rates[1] // rates[0])
        assert found.isfinite().all()


# ------------------------------------------------------------------- manifests

TEXTS = st.text(st.characters(exclude_categories=["Cs"]))
LEAVES = TEXTS | st.none() | st.booleans() | st.integers() | st.floats(-9, 9)


@in_both_forms
def test_manifests_come_back_as_they_were(times, tmp_path):
    path = tmp_path / "train.json"

    @fuzz(
        times,
        100,
        items=st.dictionaries(
            TEXTS,
            st.fixed_dictionaries(
                {**dict.fromkeys(UTTERANCE_KEYS, LEAVES), "wav": st.just("a")}
            ),
            min_size=1,
        ),
    )
    def holds(items):
        write_manifest(path, items, UTTERANCE_KEYS)
        assert read_manifest(path) == items
        assert json.loads(path.read_text(encoding="utf-8")) == items
        assert not list(tmp_path.glob("*.partial"))


@in_both_forms
def test_paths_come_back_below_the_data_folder(times, tmp_path):
    path = tmp_path / "train.json"
    names = st.text(
        st.characters(exclude_categories=["Cs"], exclude_characters="/\0"),
        min_size=1,
    ).filter(lambda name: name not in (".", ".."))

    @fuzz(times, 100, parts=st.lists(names, min_size=1, max_size=3))
    def holds(parts):
        wav = "/".join(parts)
        fields = {**dict.fromkeys(UTTERANCE_KEYS), "start_s": 0.0}
        fields.update(wav="{data_root}/" + wav, duration_s=1.0, speaker="a")
        write_manifest(path, {"a": fields}, UTTERANCE_KEYS)
        found = load_utterances(path, "folder")["a"]["wav"]
        hypothesis.assume("{data_root}" not in wav)
        assert found == f"folder/{wav}"


# ----------------------------------------------------------------- audio files

FORMATS = {
    "pcm16.wav": ("WAV", "PCM_16"),
    "pcm24.wav": ("WAV", "PCM_24"),
    "float.wav": ("WAV", "FLOAT"),
    "a.flac": ("FLAC", "PCM_16"),
    "a.ogg": ("OGG", "VORBIS"),
    "opus.ogg": ("OGG", "OPUS"),
    "a.mp3": ("MP3", "MPEG_LAYER_III"),
}
# Headers are where a byte matters most.
PLACES = st.integers(0, 63) | st.integers(0, 511) | st.floats(0, 1)
EDITS = st.lists(
    st.tuples(
        st.sampled_from(["set", "insert", "delete", "repeat", "cut"]),
        PLACES,
        st.binary(min_size=1, max_size=8),
    ),
    min_size=1,
    max_size=6,
)


def edited(contents, edits):
    for kind, place, data in edits:
        size = len(contents)
        at = int(place * size) if isinstance(place, float) else place
        before, after = contents[:at], contents[at:]
        contents = {
            "set": before + data + after[len(data) :],
            "insert": before + data + after,
            "delete": before + after[len(data) :],
            "repeat": before + after + after,
            "cut": before or after,
        }[kind]
    return contents


@pytest.fixture(scope="module")
def sounds(tmp_path_factory):
    """A quarter of a second, two channels, in every format there is."""
    folder = tmp_path_factory.mktemp("sounds")
    samples = 0.1 * noise(0, 4000, 2).numpy()
    for name, (kind, subtype) in FORMATS.items():
        soundfile.write(folder / name, samples, RATE, subtype, format=kind)
    return {name: (folder / name).read_bytes() for name in FORMATS}


@in_both_forms
@pytest.mark.parametrize("name", FORMATS)
def test_a_damaged_file_is_read_or_named(times, sounds, tmp_path, name):
    path = tmp_path / name
    ways = [
        lambda: read_mono(str(path), RATE),
        lambda: read_mono(str(path), RATE, 0.1, 0.1),
        lambda: read_sound(path)[0],
        lambda: torch.cat(list(read_mono_blocks(str(path), RATE, 0.07))),
    ]

    @fuzz(times, 40, edits=EDITS)
    def holds(edits):
        path.write_bytes(edited(sounds[name], edits))
        for way in ways:
            try:
                samples = way()
            except ValueError as error:
                assert name in str(error)
            else:
                assert samples.ndim == 1 and len(samples) > 0
                assert samples.isfinite().all()
                assert samples.dtype == torch.float32

    assert np.isfinite(read_sound_of(sounds[name], path)).all()


def read_sound_of(contents, path):
    path.write_bytes(contents)
    return read_mono(str(path), RATE).numpy()
