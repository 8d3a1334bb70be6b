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


def test_samples_and_lengths_tell_batches_apart(batches, tmp_path):
    encoder = make("wavlm-large", freeze="all")
    encoder.cache = HiddenStateCache(tmp_path)
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


@pytest.mark.parametrize("freeze", ["convolutions", "none"])
def test_an_encoder_that_trains_keeps_nothing(batches, freeze, tmp_path):
    encoder = make("wavlm-large", freeze=freeze)
    encoder.cache = HiddenStateCache(tmp_path)
    runs = count_runs(encoder)
    for _ in range(2):
        assert encoder(*batches[0]).hidden_states.requires_grad
    assert len(runs) == 2


def test_without_a_folder_nothing_is_kept(batches):
    encoder = make("wavlm-large", freeze="all")
    plain = encoder(*batches[0]).hidden_states
    encoder.cache = HiddenStateCache()
    runs = count_runs(encoder)
    for _ in range(2):
        assert torch.equal(encoder(*batches[0]).hidden_states, plain)
    assert len(runs) == 2


def test_an_utterance_is_known_in_any_batch(batches, tmp_path):
    encoder = make("whisper", freeze="all")
    encoder.cache = HiddenStateCache(tmp_path)
    (first, lengths), (second, _), _ = batches
    expected = [encoder(w, lengths).hidden_states for w in (first, second)]
    runs = count_runs(encoder)
    short = first[1:, :2400], second[1:, :2400]
    found = encoder(torch.cat(short), None)
    assert not runs
    for row, states in enumerate(expected):
        frames = int(found.counts[row])
        assert torch.equal(
            found.hidden_states[:, row], states[:, 1, : found.counts.max()]
        )
        assert not states[:, 1, frames:].any()
    # One that is new has the whole batch encoded.
    encoder(torch.stack([first[0], -first[0]]), None)
    assert len(runs) == 1


def test_a_folder_keeps_half_precision_for_the_next_training(batches, tmp_path):
    encoder = make("wavlm-large", freeze="all")
    plain = encoder(*batches[0]).hidden_states
    encoder.cache = HiddenStateCache(tmp_path)
    given = encoder(*batches[0])
    assert torch.equal(given.hidden_states, plain.half().float())
    encoder.cache = HiddenStateCache(tmp_path)
    runs = count_runs(encoder)
    again = encoder(*batches[0])
    assert torch.equal(again.hidden_states, given.hidden_states)
    assert torch.equal(again.counts, given.counts) and not runs
    # A damaged file is written once more.
    files = sorted(tmp_path.rglob("*.pt"))
    assert len(files) == 2
    files[0].write_bytes(files[0].read_bytes()[:-1])
    assert torch.equal(encoder(*batches[0]).hidden_states, again.hidden_states)
    encoder(*batches[0])
    assert len(runs) == 1


def test_a_folder_tells_weights_and_precisions_apart(batches, tmp_path):
    encoder = make("whisper", freeze="all")
    encoder.cache = HiddenStateCache(tmp_path)
    runs = count_runs(encoder)
    encoder(*batches[0])
    with torch.autocast("cpu", torch.bfloat16):
        encoder(*batches[0])
    weights = encoder.features.state_dict()
    next(iter(weights.values())).add_(1)
    encoder.cache = HiddenStateCache(tmp_path)
    encoder(*batches[0])
    assert len(runs) == 3


def test_what_half_precision_cannot_hold_stays_finite(tmp_path):
    cache, row = HiddenStateCache(tmp_path), torch.ones(1, 3)
    counts = torch.tensor([3])
    for _ in range(2):
        states, _ = cache(
            row,
            None,
            lambda *_: (1e6 * row[None, ..., None], counts),
            make_id(),
        )
        assert states.max() == 65504


def test_a_full_disk_is_named(tmp_path):
    (tmp_path / "file").touch()
    cache = HiddenStateCache(tmp_path / "file")
    row = torch.ones(1, 3)
    with pytest.raises(ValueError, match="hidden_state_cache_folder"):
        cache(row, None, lambda *_: (row[None, ..., None], [3]), make_id())


def make_id():
    return torch.nn.Identity()
