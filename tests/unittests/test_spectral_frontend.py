"""The spectral front-end against torch.stft, and its independence of batches."""

import pytest
import torch

from speechbrain_merit.lobes import SpectralFrontend

# That of the tensors below, see benchmarks/lobes_on_device.py.
DEVICE = torch.get_default_device()


@pytest.mark.parametrize("num_samples", [201, 400, 1599, 1600, 1601, 16037])
def test_equals_torch_stft_and_istft(num_samples):
    frontend = SpectralFrontend()
    torch.manual_seed(num_samples)
    waveform = torch.randn(1, num_samples)
    window = torch.hamming_window(400)
    plain = torch.stft(waveform, 400, 160, window=window, return_complex=True)
    spectrum = frontend.analyze(waveform)
    expected = (plain.abs() + 1e-6).log1p().transpose(1, 2)
    torch.testing.assert_close(spectrum.log1p, expected, atol=1e-5, rtol=1e-5)
    assert spectrum.counts.tolist() == [1 + num_samples // 160]
    masked = 0.5 * spectrum.log1p
    magnitude = masked.expm1() - 1e-6
    expected = torch.istft(
        (magnitude * spectrum.phase).transpose(1, 2),
        400,
        160,
        window=window,
        length=num_samples,
    )
    torch.testing.assert_close(
        frontend.synthesize(masked, spectrum), expected, atol=1e-5, rtol=1e-4
    )


@pytest.mark.parametrize("num_samples", [1, 2, 100, 200])
def test_clips_shorter_than_the_reflection_come_back(num_samples):
    frontend = SpectralFrontend()
    waveform = torch.randn(1, num_samples)
    spectrum = frontend.analyze(waveform)
    restored = frontend.synthesize(spectrum.log1p, spectrum)
    torch.testing.assert_close(restored, waveform, atol=1e-5, rtol=1e-4)


def test_nothing_depends_on_the_batch():
    frontend = SpectralFrontend()
    counts = [5000, 4861, 4800, 321, 90]
    torch.manual_seed(0)
    padded = torch.full((len(counts), max(counts)), 9.0)
    for row, count in zip(padded, counts, strict=True):
        row[:count] = torch.randn(count)
    lengths = torch.tensor(counts) / max(counts)
    batch = frontend.analyze(padded, lengths)
    restored = frontend.synthesize(0.7 * batch.log1p, batch)
    for row, count in enumerate(counts):
        alone = frontend.analyze(padded[row : row + 1, :count])
        frames = int(alone.counts)
        assert int(batch.counts[row]) == frames
        torch.testing.assert_close(batch.log1p[row, :frames], alone.log1p[0])
        assert (batch.log1p[row, frames:] == 0).all()
        waveform = frontend.synthesize(0.7 * alone.log1p, alone)[0]
        torch.testing.assert_close(
            restored[row, :count], waveform, atol=1e-5, rtol=1e-4
        )
        assert (restored[row, count:] == 0).all()


def test_length_is_kept_where_all_utterances_are_padded():
    frontend = SpectralFrontend()
    spectrum = frontend.analyze(torch.randn(2, 8000), torch.tensor([0.5, 0.25]))
    waveform = frontend.synthesize(spectrum.log1p, spectrum)
    assert waveform.shape == (2, 8000)
    assert (waveform[0, :4000] != 0).all() and (waveform[:, 4000:] == 0).all()


def test_works_under_autocast_in_float32():
    frontend = SpectralFrontend()
    with torch.autocast(DEVICE.type, dtype=torch.bfloat16):
        spectrum = frontend.analyze(torch.randn(1, 800))
        assert spectrum.log1p.dtype == torch.float32
        waveform = frontend.synthesize(spectrum.log1p.bfloat16(), spectrum)
    assert waveform.dtype == torch.float32
