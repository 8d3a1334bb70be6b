"""Figures of where the gates send speech.

Experts are counted from 1 in figures. The colours of the first eight, by
Okabe and Ito, can be told apart by the colour-blind: M. Okabe, K. Ito, "Color
Universal Design", 2008, https://jfly.uni-koeln.de/color.

Authors
 * The speechbrain-merit developers 2026
"""

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure
from matplotlib.layout_engine import ConstrainedLayoutEngine
from matplotlib.patches import Patch
from matplotlib.ticker import PercentFormatter

# In this order, so that few experts get colours that are farthest apart.
OKABE_ITO = (
    "#0072B2",  # blue
    "#D55E00",  # vermilion
    "#F0E442",  # yellow
    "#000000",  # black
    "#56B4E9",  # sky blue
    "#CC79A7",  # reddish purple
    "#E69F00",  # orange
    "#009E73",  # bluish green
)
# Below this share of a bar, a percentage does not fit into its segment.
SMALLEST_LABELLED_SHARE = 0.05
# Encoders without padding give no frames for the end of what they see at
# once, which is a few frames long.
LARGEST_DIFFERENCE_FRAMES = 5


def plot_shares(
    shares: Mapping[str, Sequence[float]], title: str, path: str | Path
) -> None:
    """Draws how the frames of each group are shared among the experts.

    Arguments
    ---------
    shares : Mapping
        For each group, drawn from top to bottom, the share of every expert,
        as `shares_by_group` gives it for a task.
    title : str
        What the figure shows.
    path : str or Path
        The PNG file to write, whatever its suffix.

    Example
    -------
    >>> path = getfixture("tmpdir") / "shares.png"
    >>> plot_shares({"angry": [0.7, 0.3], "sad": [0.1, 0.9]}, "emotion", path)
    >>> path.exists()
    True
    """
    table = np.array(list(shares.values()), dtype=float)
    # Not through pyplot, which keeps every figure in a global list.
    size = (6.4, 1.3 + 0.4 * len(shares))
    figure = Figure(figsize=size, layout="constrained")
    axes = figure.add_subplot()
    rows = range(len(shares))
    starts = np.zeros(len(shares))
    for expert, column in enumerate(table.T):
        colour = expert_colour(expert)
        bars = axes.barh(
            rows, column, 0.8, starts, color=colour, edgecolor="white", lw=0.8
        )
        axes.bar_label(
            bars,
            [
                f"{s:.0%}" if s >= SMALLEST_LABELLED_SHARE else ""
                for s in column
            ],
            label_type="center",
            color=_text_colour(colour),
        )
        starts = starts + column
    axes.set_yticks(rows, list(shares))
    axes.invert_yaxis()
    axes.tick_params(axis="y", length=0)
    axes.xaxis.set_major_formatter(PercentFormatter(xmax=1))
    axes.set(xlim=(0, 1), xlabel="share of routed frames", title=title)
    axes.spines[["top", "right", "left"]].set_visible(False)
    _add_legend(figure, table.shape[1])
    figure.savefig(path, format="png", dpi=150)


def plot_expert_timeline(
    log1p_spectrum: np.ndarray,
    experts: Mapping[str, np.ndarray],
    hop_s: float,
    frame_s: float,
    sample_rate_hz: int,
    title: str,
    path: str | Path,
) -> None:
    """Draws an utterance's spectrum and the expert of each frame below it.

    A spectral frame is drawn around its centre, as of a centred transform,
    and a routed frame from its beginning.

    Arguments
    ---------
    log1p_spectrum : numpy.ndarray
        log1p magnitudes of the true frames, `[time, bin]`, from 0 Hz to half
        the sample rate.
    experts : Mapping
        By task the best expert of every frame of the encoder, int, `[time]`;
        -1 where there is none.
    hop_s : float
        Time from one spectral frame to the next, in seconds.
    frame_s : float
        Time from one frame of the encoder to the next, in seconds.
    sample_rate_hz : int
        Sample rate of the signal.
    title : str
        What the figure shows.
    path : str or Path
        The PNG file to write, whatever its suffix.

    Raises
    ------
    ValueError
        If the experts do not last as long as the spectrum.

    Example
    -------
    >>> path = getfixture("tmpdir") / "timeline.png"
    >>> experts = {"emotion": np.array([0, 0, 1, 1, 2])}
    >>> plot_expert_timeline(
    ...     np.random.default_rng(0).random((11, 201)),
    ...     experts,
    ...     hop_s=0.01,
    ...     frame_s=0.02,
    ...     sample_rate_hz=16000,
    ...     title="a",
    ...     path=path,
    ... )
    >>> path.exists()
    True
    """
    spectrum_s = (len(log1p_spectrum) - 1) * hop_s
    routed_s = max(map(_num_frames, experts.values())) * frame_s
    if abs(routed_s - spectrum_s) > LARGEST_DIFFERENCE_FRAMES * frame_s:
        raise ValueError(
            f"The experts last {routed_s:.3f} s, but the spectrum "
            f"{spectrum_s:.3f} s: give the true frames of one utterance, and "
            "the hop_s and frame_s that they have."
        )
    figure = Figure(
        figsize=(7.2, 3.2 + 0.3 * len(experts)),
        layout=ConstrainedLayoutEngine(hspace=0, h_pad=0.02),
    )
    top, *strips = figure.subplots(
        1 + len(experts),
        sharex=True,
        height_ratios=[8, *[1] * len(experts)],
    )
    _draw_spectrum(top, log1p_spectrum, hop_s, sample_rate_hz)
    figure.colorbar(
        top.images[0], ax=top, label="log(1 + magnitude)", pad=0.01, aspect=30
    )
    for axes, (task, chosen) in zip(strips, experts.items(), strict=True):
        _draw_strip(axes, task, chosen, frame_s)
    top.set(xlim=(0, max(spectrum_s, routed_s)), title=title)
    strips[-1].tick_params(axis="x", bottom=True)
    strips[-1].set_xlabel("time (s)")
    _add_legend(figure, max(chosen.max() for chosen in experts.values()) + 1)
    figure.savefig(path, format="png", dpi=150)


def expert_colour(expert: int) -> tuple[float, float, float]:
    """Gives the colour of an expert, the same in all figures.

    Arguments
    ---------
    expert : int
        Index of the expert, from 0.

    Returns
    -------
    tuple of float
        Red, green and blue. After eight experts the colours recur, paler.

    Example
    -------
    >>> expert_colour(3), expert_colour(11)
    ((0.0, 0.0, 0.0), (0.5, 0.5, 0.5))
    """
    rounds, position = divmod(expert, len(OKABE_ITO))
    red, green, blue = (
        1 - (1 - part) / 2**rounds for part in to_rgb(OKABE_ITO[position])
    )
    return red, green, blue


def _num_frames(chosen: np.ndarray) -> int:
    """Counts the frames up to the last true one, without padding."""
    return int(np.flatnonzero(chosen >= 0)[-1]) + 1


def _draw_spectrum(
    axes: Axes, log1p_spectrum: np.ndarray, hop_s: float, sample_rate_hz: int
) -> None:
    num_frames, num_bins = log1p_spectrum.shape
    highest_khz = sample_rate_hz / 2000
    bin_khz = highest_khz / (num_bins - 1)
    axes.imshow(
        log1p_spectrum.T,
        cmap="Greys",
        origin="lower",
        aspect="auto",
        extent=(
            -hop_s / 2,
            (num_frames - 0.5) * hop_s,
            -bin_khz / 2,
            highest_khz + bin_khz / 2,
        ),
    )
    axes.set(ylim=(0, highest_khz), ylabel="frequency (kHz)")
    axes.tick_params(axis="x", bottom=False)


def _draw_strip(
    axes: Axes, task: str, chosen: np.ndarray, frame_s: float
) -> None:
    palette = [expert_colour(expert) for expert in range(chosen.max() + 1)]
    # Transparent where there is none.
    opaque = (chosen >= 0)[:, None]
    axes.imshow(
        np.hstack([np.array(palette)[chosen], opaque])[None],
        aspect="auto",
        interpolation="nearest",
        extent=(0, len(chosen) * frame_s, 0, 1),
    )
    axes.set_yticks([0.5], [task])
    axes.tick_params(left=False, bottom=False)


def _text_colour(colour: tuple[float, float, float]) -> str:
    # Relative luminance, with a plain power for sRGB's; at 0.18 black and
    # white have the same contrast by the definition of WCAG 2.
    luminance = np.dot(np.power(colour, 2.2), (0.2126, 0.7152, 0.0722))
    return "black" if luminance > 0.18 else "white"


def _add_legend(figure: Figure, num_experts: int) -> None:
    handles = [
        Patch(color=expert_colour(expert), label=str(expert + 1))
        for expert in range(num_experts)
    ]
    figure.legend(
        handles=handles,
        title="expert",
        loc="outside lower center",
        ncols=min(len(handles), len(OKABE_ITO)),
        handlelength=1.5,
        borderaxespad=0.0,
        frameon=False,
    )
