"""Figures of where the gates sent a test set.

Authors
 * The speechbrain-merit developers 2026
"""

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from speechbrain_merit.lobes import JointOutput
from speechbrain_merit.metrics.conditions import Condition
from speechbrain_merit.metrics.routing import shares_by_group
from speechbrain_merit.metrics.routing_plots import (
    plot_expert_timeline,
    plot_shares,
)


def write_share_figures(
    folder: str | Path,
    system: str,
    rows: Sequence[Mapping[str, Any]],
    labels: Mapping[str, str | None],
    emotions: Sequence[str],
) -> None:
    """Draws `experts_<task>_by_<group>.png`: by emotion and by SNR.

    Arguments
    ---------
    folder : str or Path
        Where to write.
    system : str
        Name of the model, for titles.
    rows : sequence of Mapping
        Of the test, as of `UtteranceScorer`.
    labels : Mapping
        Emotion of every mixture by identity, None for no emotion.
    emotions : sequence of str
        Names of the classes, in the order of the figures.

    Example
    -------
    >>> row = {"id": "a", "noise": "clean", "snr_db": None}
    >>> rows = [{**row, "experts": {"emotion": [3, 1]}}]
    >>> folder = getfixture("tmpdir")
    >>> write_share_figures(folder, "merit", rows, {"a": "sad"}, ["sad"])
    >>> sorted(path.basename for path in folder.listdir())
    ['experts_emotion_by_emotion.png', 'experts_emotion_by_snr.png']
    """
    snrs_db = [row["snr_db"] for row in rows]
    # Clean speech last.
    ordered = sorted(set(snrs_db), key=lambda x: math.inf if x is None else x)
    groups: dict[str, tuple[list[str | None], Sequence[str]]] = {
        "emotion": ([labels[row["id"]] for row in rows], emotions),
        "snr": (
            [_snr_name(x) for x in snrs_db],
            [_snr_name(x) for x in ordered],
        ),
    }
    choices = [row["experts"] for row in rows]
    for grouping, (names, order) in groups.items():
        for task, shares in shares_by_group(choices, names, order).items():
            # Empty where no utterance has a label.
            if shares:
                plot_shares(
                    shares,
                    f"{system}, gate of {task}",
                    Path(folder) / f"experts_{task}_by_{grouping}.png",
                )


def write_timeline(
    folder: str | Path,
    title: str,
    condition: Condition,
    output: JointOutput,
    sample_rate_hz: int,
    hop_length: int,
    frame_length: int,
) -> None:
    """Draws `timeline_<condition>.png` of an utterance.

    A system without gates, or that does not enhance, has nothing to draw.

    Arguments
    ---------
    folder : str or Path
        Where to write.
    title : str
        Of the figure.
    condition : Condition
        Of the utterance.
    output : JointOutput
        Of a batch of this utterance alone.
    sample_rate_hz : int
        Sample rate.
    hop_length : int
        Samples per frame of the spectrum.
    frame_length : int
        Samples per frame of the encoder.

    Example
    -------
    >>> from speechbrain_merit.lobes import Integration
    >>> output = JointOutput(*[None] * 4, Integration({}), None)
    >>> folder = getfixture("tmpdir")
    >>> write_timeline(folder, "a", Condition("clean"), output, 16000, 160, 320)
    >>> folder.listdir()
    []
    """
    routing = output.integration.routing
    if not routing or output.spectrum is None:
        return
    plot_expert_timeline(
        output.spectrum.log1p[0].cpu().numpy(),
        {task: r.experts[0, :, 0].cpu().numpy() for task, r in routing.items()},
        hop_s=hop_length / sample_rate_hz,
        frame_s=frame_length / sample_rate_hz,
        sample_rate_hz=sample_rate_hz,
        title=title,
        path=Path(folder) / f"timeline_{condition.name}.png",
    )


def _snr_name(snr_db: float | None) -> str:
    """Such as `-5 dB` or `clean`; seen and unseen noise together."""
    return "clean" if snr_db is None else f"{snr_db:g} dB"
