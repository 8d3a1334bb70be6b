"""Spectrograms before and after enhancement, and the emotions over time.

Authors
 * The speechbrain-merit developers 2026
"""

import math
from collections.abc import Iterable, Sequence

import numpy as np
import torch
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from speechbrain_merit.data.audio import read_mono_blocks
from speechbrain_merit.data.decoding import Source, audio_info
from speechbrain_merit.metrics.routing_plots import expert_colour

from .timeline import EmotionSegment

WINDOW_S = 0.025
HOP_S = 0.01
# More would not be seen, and memory would grow with the file.
MAX_COLUMNS = 1200
BLOCK_S = 10.0
# What lies so far below the loudest spot of the two is drawn as silence.
RANGE_DB = 80.0
# Far below anything audible at full scale, and above zero.
MINIMUM_POWER = 1e-12


def compare(
    before: Source,
    after: Source,
    segments: Sequence[EmotionSegment] | None,
    sample_rate_hz: int,
    title: str,
) -> Figure:
    """Draws a recording and what was made of it, however long they are.

    Arguments
    ---------
    before : str or Path or file object
        The recording.
    after : str or Path or file object
        The enhanced speech.
    segments : sequence of EmotionSegment or None
        The emotions over time, where there are any.
    sample_rate_hz : int
        Sample rate to draw both at.
    title : str
        What the figure shows.

    Returns
    -------
    matplotlib.figure.Figure
        To be saved.

    Raises
    ------
    ValueError
        If a file cannot be read.

    Example
    -------
    >>> from speechbrain_merit.data.samples import as_source
    >>> silence = as_source(np.zeros(8000), 16000)
    >>> compare(silence, silence, None, 16000, "silence").axes[0].get_title()
    'silence'
    """
    duration_s = audio_info(after).duration
    noisy, enhanced = (
        spectrogram_db(
            read_mono_blocks(file, sample_rate_hz, BLOCK_S),
            round(duration_s * sample_rate_hz),
            sample_rate_hz,
        )
        for file in (before, after)
    )
    return speech_figure(
        noisy, enhanced, segments, duration_s, sample_rate_hz, title
    )


def spectrogram_db(
    blocks: Iterable[torch.Tensor], num_samples: int, sample_rate_hz: int
) -> np.ndarray:
    """Computes a spectrogram of bounded size of a signal of any length.

    Arguments
    ---------
    blocks : iterable of torch.Tensor
        Consecutive samples, `[time]` each.
    num_samples : int
        How many there are; a few more or less do not matter.
    sample_rate_hz : int
        Their sample rate.

    Returns
    -------
    numpy.ndarray
        Mean power in dB of one or more frames of 25 ms, every 10 ms, with a
        Hann window, `[column, bin]`; a sine of amplitude 1 has about 0 dB.

    Example
    -------
    >>> spectrogram_db([torch.zeros(8000), torch.zeros(8000)], 16000, 16000)[
    ...     0, 0
    ... ]
    np.float32(-120.0)
    """
    size = round(WINDOW_S * sample_rate_hz)
    hop = round(HOP_S * sample_rate_hz)
    window = torch.hann_window(size)
    pooled = max(math.ceil(num_samples / hop / MAX_COLUMNS), 1)
    # The frames of a column begin at every hop and reach a window further.
    stride, reach = pooled * hop, (pooled - 1) * hop + size
    columns = []
    buffer = torch.zeros(0)
    for block in blocks:
        buffer = torch.cat([buffer, block])
        while len(buffer) >= reach:
            columns.append(_mean_power(buffer[:reach], window, hop))
            buffer = buffer[stride:]
    if len(buffer) or not columns:
        missing = max(size - len(buffer), 0)
        rest = torch.nn.functional.pad(buffer, (0, missing))
        columns.append(_mean_power(rest, window, hop))
    power = torch.stack(columns) / (window.sum() / 2) ** 2
    return 10 * power.clamp(min=MINIMUM_POWER).log10().numpy()


def _mean_power(
    samples: torch.Tensor, window: torch.Tensor, hop: int
) -> torch.Tensor:
    frames = samples.unfold(0, len(window), hop) * window
    return torch.fft.rfft(frames).abs().square().mean(dim=0)


def speech_figure(
    before_db: np.ndarray,
    after_db: np.ndarray,
    segments: Sequence[EmotionSegment] | None,
    duration_s: float,
    sample_rate_hz: int,
    title: str,
) -> Figure:
    """Draws two spectrograms with one scale, and the emotions under them.

    Arguments
    ---------
    before_db : numpy.ndarray
        As `spectrogram_db` gives it, `[column, bin]`.
    after_db : numpy.ndarray
        The same of the enhanced speech.
    segments : sequence of EmotionSegment or None
        The emotions over time, where there are any.
    duration_s : float
        Length of the signals.
    sample_rate_hz : int
        Their sample rate.
    title : str
        What the figure shows.

    Returns
    -------
    matplotlib.figure.Figure
        To be saved.

    Example
    -------
    >>> silence = np.zeros((10, 201))
    >>> segment = EmotionSegment(0.0, 0.1, {"angry": 0.3, "sad": 0.7}, 0.1)
    >>> figure = speech_figure(silence, silence, [segment], 0.1, 16000, "a")
    >>> [axes.get_ylabel() for axes in figure.axes[:3]]
    ['original, kHz', 'enhanced, kHz', 'emotion']
    """
    # Not through pyplot, which keeps every figure in a global list.
    figure = Figure(figsize=(8, 5.6 if segments else 4.4), layout="constrained")
    FigureCanvasAgg(figure)
    ratios = [3, 3, 1.4] if segments else [3, 3]
    rows = figure.subplots(len(ratios), sharex=True, height_ratios=ratios)
    loudest = max(before_db.max(), after_db.max())
    for axes, spectrum, name in zip(
        rows[:2], (before_db, after_db), ("original", "enhanced"), strict=True
    ):
        image = axes.imshow(
            spectrum.T,
            cmap="magma",
            origin="lower",
            aspect="auto",
            vmin=loudest - RANGE_DB,
            vmax=loudest,
            extent=(0, duration_s, 0, sample_rate_hz / 2000),
        )
        axes.set_ylabel(f"{name}, kHz")
    figure.colorbar(image, ax=list(rows[:2]), label="dB", pad=0.01, aspect=30)
    if segments:
        _draw_emotions(rows[2], segments)
    rows[-1].set_xlabel("time (s)")
    # Names of files may have dollar signs.
    rows[0].set_title(title, parse_math=False)
    return figure


def _draw_emotions(axes: Axes, segments: Sequence[EmotionSegment]) -> None:
    starts = [segment.start_s for segment in segments]
    widths = [segment.end_s - segment.start_s for segment in segments]
    bottom = np.zeros(len(segments))
    for number, emotion in enumerate(segments[0].posteriors):
        # Blank where there is no speech.
        shares = np.array(
            [s.posteriors[emotion] * (s.speech_s > 0) for s in segments]
        )
        axes.bar(
            starts,
            shares,
            widths,
            bottom,
            align="edge",
            color=expert_colour(number),
            label=emotion,
        )
        bottom += shares
    axes.set(ylim=(0, 1), ylabel="emotion")
    axes.figure.legend(
        loc="outside lower center",
        ncols=min(len(segments[0].posteriors), 6),
        frameon=False,
    )
