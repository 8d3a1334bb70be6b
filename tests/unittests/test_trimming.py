"""Tests of the silence trimmer against signals whose bounds are known.

Authors
 * The speechbrain-merit developers 2026
"""

import math

import pytest
import torch
from trimming import speech_bounds

RATE_HZ = 16000


def tone(duration_s, amplitude=0.5, rate_hz=RATE_HZ):
    time_s = torch.arange(round(duration_s * rate_hz)) / rate_hz
    return amplitude * torch.sin(2 * math.pi * 440 * time_s)


def silence(duration_s, rate_hz=RATE_HZ):
    return torch.zeros(round(duration_s * rate_hz))


@pytest.mark.parametrize("rate_hz", [8000, 16000, 44100, 48000])
def test_burst_between_zeros(rate_hz):
    waveform = torch.cat(
        [
            silence(1.0, rate_hz),
            tone(0.5, rate_hz=rate_hz),
            silence(0.7, rate_hz),
        ]
    )
    # Frames of 20 ms every 10 ms: the ones that half overlap the burst are
    # 3 dB below the loudest, so they count and add 10 ms on either side.
    start_s, stop_s = speech_bounds(waveform, rate_hz, 35.0, 0.0)
    assert start_s == pytest.approx(0.99, abs=1e-9)
    assert stop_s == pytest.approx(1.51, abs=1e-9)
    start_s, stop_s = speech_bounds(waveform, rate_hz, 35.0, 0.25)
    assert start_s == pytest.approx(0.74, abs=1e-9)
    assert stop_s == pytest.approx(1.76, abs=1e-9)


def test_any_burst_is_kept_whole_and_tight():
    generator = torch.Generator().manual_seed(1)
    for _ in range(50):
        lead, length, tail = torch.randint(
            400, 8000, (3,), generator=generator
        ).tolist()
        waveform = torch.zeros(lead + length + tail)
        waveform[lead : lead + length] = 0.1
        start_s, stop_s = speech_bounds(waveform, RATE_HZ, 40.0, 0.0)
        # One sample in 320 is -25 dB: no touched frame is lost at 40 dB.
        assert lead - 320 < round(start_s * RATE_HZ) <= lead
        stop = round(stop_s * RATE_HZ)
        assert lead + length <= stop < lead + length + 320


def test_threshold_is_relative_to_the_loudest_frame():
    # A second tone 30 dB below the first: 0.5 * 10 ** (-30 / 20).
    faint = tone(0.5, amplitude=0.5 * 10**-1.5)
    waveform = torch.cat([silence(0.5), tone(0.5), faint, silence(0.5)])
    for gain in (1.0, 1e-3):
        _, stop_s = speech_bounds(gain * waveform, RATE_HZ, 28.0, 0.0)
        # The last frame that holds some of the loud tone ends at 1.01 s.
        assert stop_s == pytest.approx(1.01, abs=1e-9)
        # A frame that the faint tone half fills is at -33 dB.
        _, stop_s = speech_bounds(gain * waveform, RATE_HZ, 32.0, 0.0)
        assert stop_s == pytest.approx(1.50, abs=1e-9)
        _, stop_s = speech_bounds(gain * waveform, RATE_HZ, 34.0, 0.0)
        assert stop_s == pytest.approx(1.51, abs=1e-9)


def test_pauses_are_kept():
    waveform = torch.cat(
        [silence(0.3), tone(0.2), silence(1.0), tone(0.2), silence(0.3)]
    )
    start_s, stop_s = speech_bounds(waveform, RATE_HZ, 35.0, 0.0)
    assert (start_s, stop_s) == (
        pytest.approx(0.29, abs=1e-9),
        pytest.approx(1.71, abs=1e-9),
    )


def test_bounds_stay_in_the_recording():
    assert speech_bounds(tone(0.5), RATE_HZ, 35.0, 0.1) == (0.0, 0.5)
    # Shorter than a frame, and a last frame that zeros complete.
    assert speech_bounds(tone(0.005), RATE_HZ, 35.0, 0.0) == (0.0, 0.005)
    click_at_end = torch.zeros(1603)
    click_at_end[-1] = 1.0
    assert speech_bounds(click_at_end, RATE_HZ, 35.0, 0.0)[1] == 1603 / RATE_HZ


def test_faint_recordings_are_not_silence():
    waveform = torch.cat([silence(0.5), tone(0.5, 1e-30), silence(0.5)])
    start_s, stop_s = speech_bounds(waveform, RATE_HZ, 35.0, 0.0)
    assert start_s == pytest.approx(0.49) and stop_s == pytest.approx(1.01)


@pytest.mark.parametrize(
    ("waveform", "threshold_db", "margin_s", "message"),
    [
        (torch.ones(9), 0.0, 0.1, "threshold_db must be positive"),
        (torch.ones(9), math.nan, 0.1, "threshold_db must be positive"),
        (torch.ones(9), 35.0, -0.1, "margin_s must not be negative: -0.1"),
        (torch.zeros(9), 35.0, 0.1, "not all zeros"),
        (torch.zeros(0), 35.0, 0.1, r"shape \(0,\)"),
        (torch.ones(2, 9), 35.0, 0.1, r"shape \(2, 9\)"),
    ],
)
def test_unusable_arguments(waveform, threshold_db, margin_s, message):
    with pytest.raises(ValueError, match=message):
        speech_bounds(waveform, RATE_HZ, threshold_db, margin_s)
