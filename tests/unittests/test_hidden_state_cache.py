"""Hidden states that are kept, and when they are not."""

import pytest
import torch
from test_speech_encoder import make

from speechbrain_merit.lobes import HiddenStateCache


@pytest.fixture
def batches():
    torch.manual_seed(1)
    lengths = torch.tensor([1.0, 0.6])
    return [(torch.randn(2, 4000), lengths) for _ in range(3)]


def count_runs(encoder):
    runs = []
    encoder.features.register_forward_hook(lambda *_: runs.append(1))
    return runs


@pytest.mark.parametrize("name", ["wavlm-large", "whisper"])
def test_a_batch_is_encoded_once_to_the_last_bit(batches, name):
    encoder = make(name, freeze="all")
    expected = [encoder(*batch) for batch in batches]
    encoder.cache = HiddenStateCache(1.0)
    runs = count_runs(encoder)
    for _ in range(3):
        for batch, plain in zip(batches, expected, strict=True):
            found = encoder(*batch)
            assert torch.equal(found.hidden_states, plain.hidden_states)
            assert torch.equal(found.counts, plain.counts)
    assert len(runs) == len(batches)


def test_samples_and_lengths_tell_batches_apart(batches):
    encoder = make("wavlm-large", freeze="all")
    encoder.cache = HiddenStateCache(1.0)
    runs = count_runs(encoder)
    waveform, lengths = batches[0]
    nearly = waveform.clone()
    nearly[0, 0] = torch.nextafter(nearly[0, 0], torch.tensor(9.0))
    for batch in (
        (waveform, lengths),
        (nearly, lengths),
        (waveform, torch.tensor([1.0, 0.5])),
        (waveform, None),
        (waveform.view(1, -1), None),
        (waveform, lengths),
    ):
        encoder(*batch)
    assert len(runs) == 5


def test_what_does_not_fit_is_encoded_again(batches):
    encoder = make("wavlm-large", freeze="all")
    states = encoder(*batches[0]).hidden_states
    encoder.cache = HiddenStateCache(1.5 * states.nbytes / 2**30)
    runs = count_runs(encoder)
    for _ in range(2):
        for batch in batches:
            encoder(*batch)
    assert len(runs) == 3 + 2
    encoder.cache.clear()
    encoder(*batches[0])
    assert len(runs) == 6


@pytest.mark.parametrize("freeze", ["convolutions", "none"])
def test_an_encoder_that_trains_keeps_nothing(batches, freeze):
    encoder = make("wavlm-large", freeze=freeze)
    encoder.cache = HiddenStateCache(1.0)
    runs = count_runs(encoder)
    for _ in range(2):
        assert encoder(*batches[0]).hidden_states.requires_grad
    assert len(runs) == 2


def test_no_capacity_keeps_nothing(batches):
    encoder = make("wavlm-large", freeze="all")
    encoder.cache = HiddenStateCache(0)
    runs = count_runs(encoder)
    for _ in range(2):
        encoder(*batches[0])
    assert len(runs) == 2
    with pytest.raises(ValueError, match="capacity_gib is -1"):
        HiddenStateCache(-1)
