"""Files of any length: nothing lost, nothing heard of the seams."""

import copy
import gc
import itertools
import math

import numpy as np
import pytest
import soundfile
import torch
from toy_model import EMOTIONS, take_all_for_speech, write_experiment
from whole_signals import cross_fade, split_into_chunks

from speechbrain_merit.data.audio import (
    read_mono,
    read_mono_blocks,
    resample,
    resample_blocks,
)
from speechbrain_merit.inference import JointEnhancementClassifier
from speechbrain_merit.inference.chunking import Chunk
from speechbrain_merit.inference.timeline import EmotionTimeline

RATE = 16000


def noise(num_samples, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return 0.1 * torch.randn(num_samples, generator=generator)


@pytest.fixture(scope="module")
def models(tmp_path_factory):
    """Models of random weights by their normalisation."""
    found = {}
    for mode in ("none", "utterance"):
        folder = tmp_path_factory.mktemp(mode)
        write_experiment(folder, mode)
        found[mode] = JointEnhancementClassifier.from_hparams(
            folder, run_opts={"device": "cpu"}
        )
        take_all_for_speech(found[mode])
    return found


@pytest.fixture
def write(tmp_path):
    """Writes samples as a file of floats; gives its name."""

    def write(samples, rate=RATE, name="noisy.wav"):
        soundfile.write(tmp_path / name, samples.numpy(), rate, "FLOAT")
        return str(tmp_path / name)

    return write


# ---------------------------------------------------------------- chunks


@pytest.mark.parametrize("overlap", [0, 3, 5])
@pytest.mark.parametrize("grid", [1, 5])
def test_nothing_is_lost_for_any_residue(grid, overlap):
    overlap *= grid
    size = 10 * grid
    for count in range(1, 4 * size):
        signal = torch.arange(float(count)) + 1
        chunks = list(split_into_chunks(signal.split(7), size, overlap, grid))
        for start, samples in chunks:
            assert torch.equal(samples, signal[start : start + len(samples)])
            assert start % grid == 0
            assert len(samples) < size + grid
            assert len(samples) >= min(size, count)
        assert len({chunk.start for chunk in chunks}) == len(chunks)
        joined = torch.cat(list(cross_fade(chunks, overlap)))
        torch.testing.assert_close(joined, signal)


def test_blocks_do_not_matter():
    signal = noise(1000)
    whole = list(split_into_chunks([signal], 100, 30))
    for size in (1, 64, 100, 999):
        chunks = list(split_into_chunks(signal.split(size), 100, 30))
        assert [c.start for c in chunks] == [c.start for c in whole]
        for chunk, expected in zip(chunks, whole, strict=True):
            assert torch.equal(chunk.samples, expected.samples)


def test_the_fade_is_complementary_and_smooth():
    # One chunk of ones among zeros shows the weights themselves.
    zero, one = torch.zeros(20), torch.ones(20)
    chunks = [Chunk(0, zero), Chunk(12, one), Chunk(24, zero)]
    weights = torch.cat(list(cross_fade(chunks, 8)))
    time = (np.arange(8) + 0.5) / 8
    rising = np.sin(np.pi / 2 * time) ** 2
    expected = np.concatenate(
        [np.zeros(12), rising, np.ones(4), rising[::-1], np.zeros(12)]
    )
    np.testing.assert_allclose(weights.numpy(), expected, atol=1e-6)


@pytest.mark.parametrize(
    ("size", "overlap", "grid"),
    [(10, 6, 1), (10, -1, 1), (0, 0, 1), (10, 2, 4), (10, 5, 10), (4, 2, 0)],
)
def test_impossible_chunks_are_refused(size, overlap, grid):
    with pytest.raises(ValueError, match=f"Chunks of {size} samples"):
        list(split_into_chunks([torch.zeros(50)], size, overlap, grid))


# ------------------------------------------------------------- time line


def mean_of_frames(features):
    return features.mean(dim=1).log_softmax(dim=1)


def windows_of_the_whole(features, speech, step, size=40):
    """What a time line of 10 frames a second should say, written plainly."""
    total = len(features)
    rows = []
    for start in range(0, total, step):
        middle = start + step // 2
        begin = min(max(middle - size // 2, 0), max(total - size, 0))
        chosen = [
            features[n]
            for n in range(begin, min(begin + size, total))
            if speech[n]
        ]
        logits = sum(chosen) / len(chosen) if chosen else torch.zeros(2)
        own = sum(map(bool, speech[start : start + step]))
        rows.append((logits.log_softmax(dim=0), own))
    return rows


@pytest.mark.parametrize("step", [3, 10, 17])
def test_windows_do_not_depend_on_chunks(step):
    generator = torch.Generator().manual_seed(step)
    for count in (1, 39, 40, 41, 90, 203):
        features = torch.randn(count, 2, generator=generator)
        speech = torch.rand(count, generator=generator) < 0.3
        speech[60:130] = False
        expected = windows_of_the_whole(features, speech, step)
        for size, overlap in ((1000, 0), (20, 6), (50, 0)):
            # 10 frames of 4 samples in a second.
            timeline = EmotionTimeline(
                ["a", "b"], mean_of_frames, 40, 4, 4 * overlap, step / 10
            )
            frames = torch.arange(float(count))
            for start, taken in split_into_chunks([frames], size, overlap):
                taken = taken.long()
                # What lies beyond a fade's middle is the other chunk's.
                seen = features[taken].clone()
                if start:
                    seen[: overlap // 2] = 99.0
                end = start + len(taken)
                if end < count and overlap:
                    seen[-(overlap // 2) :] = 99.0
                timeline.append(
                    4 * start, 4 * end, seen[None], speech[None, taken]
                )
            found = timeline.segments()
            assert len(found) == len(expected)
            for segment, (row, own) in zip(found, expected, strict=True):
                assert list(segment.posteriors.values()) == pytest.approx(
                    row.exp().tolist(), abs=1e-5
                )
                assert segment.speech_s == pytest.approx(own / 10)
            weights = torch.tensor([own for _, own in expected]) / 1.0
            rows = torch.stack([row for row, _ in expected])
            mean = weights @ rows / weights.sum().clamp(min=1)
            torch.testing.assert_close(
                timeline.log_posteriors(), mean.log_softmax(dim=0)
            )
            assert found[-1].end_s == pytest.approx(count / 10)


def test_silence_has_no_part_in_a_judgement():
    features = torch.tensor([[0.0, 3.0]]).repeat(100, 1)
    features[30:] = torch.tensor([9.0, 0.0])
    speech = torch.arange(100) < 30
    timeline = EmotionTimeline(["a", "b"], mean_of_frames, 10, 1)
    timeline.append(0, 100, features[None], speech[None])
    probability = 1 / (1 + math.exp(-3.0))
    assert timeline.log_posteriors().exp()[1].item() == pytest.approx(
        probability
    )
    emotions = [segment.emotion for segment in timeline.segments()]
    assert emotions == ["b"] * 3 + ["no speech"] * 7
    speech_s = sum(segment.speech_s for segment in timeline.segments())
    assert speech_s == pytest.approx(3.0)
    silent = EmotionTimeline(["a", "b"], mean_of_frames, 10, 1)
    silent.append(0, 100, features[None], torch.zeros_like(speech)[None])
    assert silent.log_posteriors().exp().tolist() == [0.5, 0.5]


def test_what_is_certain_stays_a_number():
    def certain(frames):
        return torch.tensor([[0.0, -200.0]])

    timeline = EmotionTimeline(["a", "b"], certain, 10, 1)
    # Two of the three seconds are silent, with the same window.
    timeline.append(0, 30, torch.zeros(1, 30, 2), torch.arange(30)[None] < 10)
    assert [s.emotion for s in timeline.segments()] == ["a"] + ["no speech"] * 2
    chances = timeline.log_posteriors().exp()
    torch.testing.assert_close(chances, torch.tensor([1.0, 0.0]))


# ------------------------------------------------------------- resampling


@pytest.mark.parametrize(
    ("from_hz", "to_hz"),
    [(44100, 16000), (8000, 16000), (48000, 16000), (16000, 11025)],
)
def test_blocks_are_resampled_as_the_whole(from_hz, to_hz):
    for count in (1, 50, 441, 5000):
        signal = noise(count)
        expected = resample(signal, from_hz, to_hz)
        for size in (37, 1000):
            blocks = resample_blocks(signal.split(size), from_hz, to_hz)
            torch.testing.assert_close(
                torch.cat(list(blocks)), expected, atol=1e-6, rtol=0
            )


def test_a_file_is_read_in_blocks_as_the_whole(write):
    stereo = torch.stack([noise(9000), noise(9000, seed=1)], dim=1)
    path = write(stereo, 44100)
    blocks = torch.cat(list(read_mono_blocks(path, RATE, 0.05)))
    torch.testing.assert_close(blocks, read_mono(path, RATE), atol=1e-6, rtol=0)


# ------------------------------------------------------------------ files


@pytest.mark.parametrize("count", [1, 100, 15999, 16000, 16001, 27531, 40123])
@pytest.mark.parametrize("mode", ["none", "utterance"])
def test_files_keep_their_length(models, write, tmp_path, mode, count):
    out = tmp_path / "enhanced.wav"
    result = models[mode].process_file(
        write(noise(count)), out, chunk_s=1.0, overlap_s=0.3, timeline=True
    )
    assert result.enhanced.shape == (1, count)
    assert soundfile.info(out).frames == count
    assert result.timeline[0].start_s == 0
    assert result.timeline[-1].end_s == pytest.approx(count / RATE)
    for one, other in zip(
        result.timeline[:-1], result.timeline[1:], strict=True
    ):
        assert one.end_s == other.start_s
    for segment in result.timeline:
        assert list(segment.posteriors) == EMOTIONS
        assert sum(segment.posteriors.values()) == pytest.approx(1, abs=1e-5)


def test_a_short_file_is_processed_whole(models, write):
    signal = noise(12345)
    model = models["utterance"]
    expected = model.process_batch(signal)
    result = model.process_file(write(signal))
    torch.testing.assert_close(result.enhanced, expected.enhanced)
    torch.testing.assert_close(result.log_posteriors, expected.log_posteriors)
    assert result.timeline is None


def speech_like(num_samples):
    """Tones in noise whose level comes and goes four times a second."""
    time = torch.arange(num_samples) / RATE
    tones = sum(torch.sin(2 * torch.pi * f * time) for f in (220, 700, 1900))
    return (0.2 + (4 * torch.pi * time).sin() ** 2) * 0.1 * tones + noise(
        num_samples
    )


@pytest.fixture
def sharp(models):
    """The model with a mask that follows its input far more."""
    model = copy.deepcopy(models["none"])
    for parameter in model.mods.model.enhancement_head.parameters():
        parameter.data *= 3
    return model


def test_chunks_agree_with_the_whole(sharp, write):
    # An encoder that attends to everything hears each chunk a little
    # differently; the tolerance is that of these random weights.
    path = write(speech_like(10 * RATE))
    whole = sharp.process_file(path, chunk_s=20)
    parts = sharp.process_file(path, chunk_s=2, overlap_s=0.4)
    error = (parts.enhanced - whole.enhanced).square().mean()
    assert error / whole.enhanced.square().mean() < 1e-4
    torch.testing.assert_close(
        parts.log_posteriors, whole.log_posteriors, atol=0.01, rtol=0
    )


def bends_at_seams(model, path, overlap_s):
    """How much sharper the output bends at the seams than elsewhere."""
    whole = model.process_file(path, chunk_s=20).enhanced[0]
    parts = model.process_file(path, chunk_s=2, overlap_s=overlap_s)
    # The second difference is where a jump or a bend stands out.
    bends = (parts.enhanced[0] - whole).diff(n=2).square()
    overlap = round(overlap_s * RATE)
    at_seams = torch.zeros(len(bends), dtype=torch.bool)
    for end in range(2 * RATE, len(whole), 2 * RATE - overlap):
        for edge in (end - overlap, end):
            at_seams[edge - 80 : edge + 80] = True
    return bends[at_seams].mean() / bends[~at_seams].mean()


def test_seams_are_not_heard(sharp, write):
    path = write(speech_like(10 * RATE))
    assert bends_at_seams(sharp, path, 0.4) < 1
    # Without a fade they are, and the measure tells.
    assert bends_at_seams(sharp, path, 0.0) > 20


def test_nothing_waits_for_the_end_of_the_signal():
    drawn = 0

    def endless():
        nonlocal drawn
        while True:
            drawn += 1
            yield torch.zeros(100)

    for from_hz, to_hz in ((8000, 16000), (16000, 8000)):
        drawn = 0
        blocks = resample_blocks(endless(), from_hz, to_hz)
        chunks = split_into_chunks(blocks, 400, 40)
        joined = cross_fade(chunks, 40)
        written = sum(len(next(joined)) for _ in range(100))
        assert drawn * 100 * to_hz / from_hz < written + 2 * 400 + 3 * 200


def test_memory_does_not_grow_with_the_file(models, write, monkeypatch):
    model = models["none"]
    hear = model.hear
    held = []

    def spy(samples, **kwargs):
        # Looking at all objects takes longer than a chunk.
        if next(chunks) % 8:
            return hear(samples, **kwargs)
        tensors = (
            tensor
            for tensor in gc.get_objects()
            # Others of the process may be sparse, which have no storage.
            if type(tensor) is torch.Tensor and tensor.layout == torch.strided
        )
        sizes = {
            tensor.untyped_storage().data_ptr(): tensor.untyped_storage().nbytes()
            for tensor in tensors
        }
        held.append(sum(sizes.values()))
        return hear(samples, **kwargs)

    monkeypatch.setattr(model, "hear", spy)
    peaks = []
    for duration_s in (45, 105):
        path = write(noise(duration_s * RATE))
        gc.collect()
        held.clear()
        chunks = itertools.count(1)
        model.process_file(
            path, chunk_s=2.0, overlap_s=0.2, return_enhanced=False
        )
        num_chunks = math.ceil((duration_s - 0.2) / 1.8)
        assert (next(chunks), len(held)) == (num_chunks + 1, num_chunks // 8)
        peaks.append(max(held))
    # Of the minute of samples between them, in float32, next to nothing.
    assert peaks[1] - peaks[0] <= 0.1 * 60 * RATE * 4


@pytest.mark.parametrize("rate", [8000, 11025, 44100, 48000])
def test_the_sample_rate_can_be_kept(models, write, tmp_path, rate):
    out = tmp_path / "out" / "enhanced.flac"
    for count in (rate // 2 + 1, 2 * rate + 7):
        path = write(noise(count), rate)
        result = models["none"].process_file(
            path, out, chunk_s=1.0, overlap_s=0.1, keep_sample_rate=True
        )
        assert result.enhanced.shape == (1, count)
        info = soundfile.info(out)
        assert (info.frames, info.samplerate) == (count, rate)
        enhanced = models["none"].enhance_file(path, chunk_s=1.0, overlap_s=0.1)
        expected = resample(enhanced, RATE, rate)[:count]
        torch.testing.assert_close(
            result.enhanced[0], expected, atol=1e-5, rtol=0
        )


def test_loudness_is_kept(models, write):
    model = models["utterance"]
    loud = speech_like(3 * RATE)
    options = {"chunk_s": 1.0, "overlap_s": 0.1}
    expected = model.enhance_file(write(loud), **options)
    quiet = model.enhance_file(write(0.1 * loud), **options)
    torch.testing.assert_close(quiet, 0.1 * expected, atol=1e-5, rtol=1e-2)


def test_a_file_may_be_replaced_by_its_enhancement(models, write, tmp_path):
    path = write(noise(3 * RATE))
    options = {"chunk_s": 1.0, "overlap_s": 0.1}
    expected = models["none"].enhance_file(path, **options)
    models["none"].enhance_file(path, path, **options)
    written, _ = soundfile.read(path, dtype="float32")
    torch.testing.assert_close(
        torch.from_numpy(written), expected, atol=2 / 32768, rtol=0
    )
    assert [p.name for p in tmp_path.iterdir()] == ["noisy.wav"]


def test_only_what_is_asked_for(models, write):
    path = write(noise(RATE))
    emotion = models["none"].process_file(path, tasks=["emotion"])
    assert emotion.enhanced is None and emotion.labels[0] in EMOTIONS
    enhanced = models["none"].process_file(
        path, tasks=["enhance"], timeline=True
    )
    assert enhanced.labels is enhanced.timeline is None
    posteriors, score, index, labels = models["none"].classify_file(path)
    torch.testing.assert_close(posteriors, emotion.log_posteriors)
    assert score == posteriors[0, index] == posteriors.max()
    assert labels == [EMOTIONS[index]]


def test_errors_name_the_file_and_leave_nothing(models, write, tmp_path):
    model = models["none"]
    broken = tmp_path / "broken.wav"
    broken.write_bytes(b"no audio")
    empty = write(torch.zeros(0), name="empty.wav")
    infinite = torch.zeros(3 * RATE)
    infinite[-1] = math.inf
    infinite = write(infinite, name="infinite.wav")
    good = write(noise(RATE))
    before = set(tmp_path.iterdir())
    for path in (broken, empty, infinite, tmp_path / "missing.wav"):
        for keep in (False, True):
            with pytest.raises(ValueError, match=str(path)):
                model.process_file(
                    path,
                    tmp_path / "out.wav",
                    chunk_s=1.0,
                    overlap_s=0.1,
                    keep_sample_rate=keep,
                )
    with pytest.raises(ValueError, match=".doc"):
        model.process_file(good, tmp_path / "out.doc")
    with pytest.raises(ValueError, match="enhance"):
        model.process_file(good, tmp_path / "out.wav", tasks=["emotion"])
    with pytest.raises(ValueError, match="1 outputs for 2 files"):
        model.process_files([good, good], [tmp_path / "out.wav"])
    assert set(tmp_path.iterdir()) == before
