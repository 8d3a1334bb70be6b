"""Streams: the samples of the file, whatever the blocks, in stated time."""

import math

import pytest
import soundfile
import torch
from toy_model import EMOTIONS, take_all_for_speech, write_experiment

from speechbrain_merit.inference import JointEnhancementClassifier
from speechbrain_merit.inference.batch_processing import HeardSpeech
from speechbrain_merit.inference.stream import LEVEL_S, SpeechStream

RATE = 16000


def halve(samples, recent):
    """Stands for a model with frames of two samples."""
    return HeardSpeech(0.5 * samples, None, None)


def fake_stream(hear=halve):
    return SpeechStream(hear, lambda overlap: None, 10, 2, 1.0, 0.4)


def noise(num_samples):
    generator = torch.Generator().manual_seed(0)
    return 0.1 * torch.randn(num_samples, generator=generator)


@pytest.mark.parametrize("block_size", [1, 2, 3, 7, 10, 11, 23])
def test_every_residue_of_length_and_block(block_size):
    for count in range(50):
        signal = torch.arange(float(count)) + 1
        stream = fake_stream()
        received = torch.zeros(0)
        for end in range(0, count + block_size, block_size):
            block = signal[max(end - block_size, 0) : end]
            received = torch.cat([received, stream.push(block)])
            given = min(end, count)
            assert given - len(received) <= stream.latency_samples
        received = torch.cat([received, stream.flush()])
        torch.testing.assert_close(received, 0.5 * signal)


def test_the_latency_is_as_stated():
    stream = fake_stream()
    waiting = []
    for count in range(1, 200):
        received = stream.push(torch.ones(1))
        waiting.append((waiting[-1] if waiting else 0) + 1 - len(received))
    assert max(waiting) == stream.latency_samples == 11
    assert stream.latency_s == pytest.approx(1.1)


@pytest.mark.parametrize("channels", [(), (2,)])
def test_a_level_is_that_of_the_last_30_s(channels):
    heard = []

    def hear(samples, recent):
        heard.append((samples, recent))
        return halve(samples, recent)

    signal = torch.arange(700.0).expand(*channels, 700)
    stream = fake_stream(hear)
    for block in signal.split(7, dim=-1):
        stream.push(block)
    stream.flush()
    for samples, recent in heard:
        end = int(samples[0, -1]) + 1
        start = max(end - round(LEVEL_S * 10), 0)
        expected = torch.atleast_2d(signal)[:, start:end]
        assert torch.equal(recent, expected)
    assert end == 700


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    folder = tmp_path_factory.mktemp("experiment")
    write_experiment(folder, "utterance")
    model = JointEnhancementClassifier.from_hparams(
        folder, run_opts={"device": "cpu"}
    )
    take_all_for_speech(model)
    return model


@pytest.mark.parametrize("count", [1, 319, 16000, 16320, 40123])
def test_a_stream_gives_what_the_file_gives(model, tmp_path, count):
    signal = noise(count)
    path = tmp_path / "noisy.wav"
    soundfile.write(path, signal.numpy(), RATE, "FLOAT")
    options = {"chunk_s": 1.0, "overlap_s": 0.3, "timeline_step_s": 0.3}
    expected = model.process_file(path, timeline=True, **options)
    for block_size in (160, 321, 7001, 50000):
        stream = model.stream(**options)
        blocks = list(stream.run(signal.split(block_size)))
        torch.testing.assert_close(
            torch.cat(blocks), expected.enhanced[0], atol=1e-6, rtol=0
        )
        torch.testing.assert_close(
            stream.log_posteriors, expected.log_posteriors[0]
        )
        assert stream.timeline.segments() == expected.timeline
    assert stream.latency_s == pytest.approx(1.0 + 319 / RATE)


def test_emotions_are_there_as_soon_as_a_chunk_is(model):
    stream = model.stream(chunk_s=0.5, overlap_s=0.1, tasks=["emotion"])
    signal = noise(RATE)
    assert len(stream.push(signal[: stream.latency_samples])) == 0
    assert stream.log_posteriors is None
    for sample in range(stream.latency_samples, len(signal), 1000):
        stream.push(signal[sample : sample + 1000])
        assert stream.log_posteriors.exp().sum() == pytest.approx(1, abs=1e-5)
    assert len(stream.flush()) == 0
    (*_, last) = stream.timeline.segments()
    assert (
        last.end_s == pytest.approx(1.0) and list(last.posteriors) == EMOTIONS
    )


def test_wrong_use_is_refused(model):
    with pytest.raises(ValueError, match="cannot overlap"):
        model.stream(chunk_s=1.0, overlap_s=0.6)
    for seconds in (0.0, math.inf, math.nan):
        with pytest.raises(ValueError, match="step of the time line"):
            model.stream(timeline_step_s=seconds)
    for seconds in (math.inf, math.nan):
        with pytest.raises(ValueError, match="finite"):
            model.stream(chunk_s=seconds)
    with pytest.raises(ValueError, match="sing"):
        model.stream(tasks=["sing"])
    stream = model.stream()
    for samples in (torch.zeros(2, 1, 9), torch.tensor([0.0, torch.nan])):
        with pytest.raises(ValueError, match="finite"):
            stream.push(samples)
    assert len(stream.flush()) == len(stream.flush()) == 0
    with pytest.raises(ValueError, match="finished"):
        stream.push(torch.zeros(1))
