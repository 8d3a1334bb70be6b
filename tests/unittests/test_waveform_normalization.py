"""Waveform normalisation: what is asked for, over true samples, and back."""

import pytest
import torch

from speechbrain_merit.lobes import WaveformNormalization

WAVEFORM = torch.tensor([[1.0, 3.0, 100.0], [2.0, 4.0, 6.0]])
LENGTHS = torch.tensor([2 / 3, 1.0])


def test_utterance_mode_uses_true_samples_only():
    result, _ = WaveformNormalization("utterance")(WAVEFORM, LENGTHS)
    variance = 8 / 3
    expected = torch.tensor(
        [[-1.0, 1.0, 0.0], [-2 / variance**0.5, 0.0, 2 / variance**0.5]]
    )
    torch.testing.assert_close(result, expected, atol=1e-5, rtol=0)


def test_corpus_mode_and_padding():
    normalization = WaveformNormalization("corpus", mean=1.0, std=2.0)
    result, _ = normalization(WAVEFORM, LENGTHS)
    expected = torch.tensor([[0.0, 1.0, 0.0], [0.5, 1.5, 2.5]])
    torch.testing.assert_close(result, expected)
    restored = WaveformNormalization("corpus", mean=0.0, std=1.0)
    restored.load_state_dict(normalization.state_dict())
    assert restored.std == 2.0  # the numbers travel with the weights


@pytest.mark.parametrize("mode", ["none", "utterance", "corpus", "level"])
def test_round_trip_and_following(mode):
    numbers = {"mean": 0.5, "std": 3.0} if mode == "corpus" else {}
    normalization = WaveformNormalization(mode, **numbers)
    result, statistics = normalization(WAVEFORM, LENGTHS)
    back = normalization.invert(result, LENGTHS, statistics)
    expected = WAVEFORM.clone()
    expected[0, 2] = 0.0
    torch.testing.assert_close(back, expected)
    torch.testing.assert_close(
        normalization.normalize_with(WAVEFORM, LENGTHS, statistics), result
    )


@pytest.mark.parametrize("mode", ["utterance", "level"])
def test_silence_stays_finite(mode):
    result, _ = WaveformNormalization(mode)(torch.zeros(1, 8))
    assert (result == 0).all()


def test_level_is_that_of_the_sound_and_not_of_the_silence_around_it():
    sound = 0.3 * torch.sin(torch.arange(8000) * 0.1)
    waveform = torch.cat([sound, 0.002 * torch.randn(8000)]).unsqueeze(0)
    _, statistics = WaveformNormalization("level")(waveform)
    expected = 0.3 * 0.5**0.5 / 0.05  # a sine's level over the reference
    torch.testing.assert_close(
        statistics.scale, torch.tensor([[expected]]), atol=0.02, rtol=0
    )


# At the first one, the power of a sample is none that float32 has.
@pytest.mark.parametrize("gain_db", [-500, -120, -40, 20])
def test_a_gain_changes_nothing(gain_db):
    normalization = WaveformNormalization("level")
    generator = torch.Generator().manual_seed(0)
    waveform = 0.1 * torch.randn(1, 5000, generator=generator)
    gain = 10 ** (gain_db / 20)
    torch.testing.assert_close(
        normalization(gain * waveform)[0], normalization(waveform)[0]
    )


def test_level_ignores_padding():
    normalization = WaveformNormalization("level")
    alone, _ = normalization(WAVEFORM[:1, :2])
    result, _ = normalization(WAVEFORM, LENGTHS)
    torch.testing.assert_close(result[:1, :2], alone)


def test_wrong_options_are_refused():
    with pytest.raises(ValueError, match="'global'"):
        WaveformNormalization("global")
    with pytest.raises(ValueError, match="no other takes them"):
        WaveformNormalization("utterance", mean=0.1, std=1.0)
    with pytest.raises(ValueError, match="needs mean and std"):
        WaveformNormalization("corpus")
