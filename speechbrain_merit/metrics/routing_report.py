"""Figures of where the gates sent a test set.

Authors
 * The speechbrain-merit developers 2026
"""

import math
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import torch

from speechbrain_merit.lobes import JointOutput
from speechbrain_merit.metrics.conditions import Condition
from speechbrain_merit.metrics.routing import GroupedRoutingStats
from speechbrain_merit.metrics.routing_plots import (
    plot_expert_timeline,
    plot_shares,
)


class RoutingReport:
    """Counts experts by emotion and SNR, and keeps an utterance to draw.

    A system without gates has nothing to draw.

    Arguments
    ---------
    conditions : iterable of Condition
        Those of the test, whose SNRs order the figures.
    emotions : sequence of str
        Names of the classes, in the order of the figures.

    Example
    -------
    >>> report = RoutingReport([Condition("clean", None)], ["angry", "sad"])
    >>> folder = getfixture("tmpdir")
    >>> report.write(
    ...     folder, "naive_mtl", 16000, hop_length=160, frame_length=320
    ... )
    >>> folder.listdir()
    []
    """

    def __init__(
        self, conditions: Iterable[Condition], emotions: Sequence[str]
    ) -> None:
        ordered = sorted(conditions, key=_snr_order)
        self.emotions = emotions
        self.groups = {
            "emotion": GroupedRoutingStats(emotions),
            "snr": GroupedRoutingStats([_snr_name(c) for c in ordered]),
        }
        # The first utterance of each condition.
        self.timelines: dict[Condition, tuple] = {}

    def append(
        self,
        output: JointOutput,
        names: Sequence[str],
        conditions: Sequence[Condition],
        labels: Sequence[int | None],
    ) -> None:
        """Adds a batch.

        Arguments
        ---------
        output : JointOutput
            What the model said about it.
        names : sequence of str
            Identity of every mixture.
        conditions : sequence of Condition
            Condition of every mixture.
        labels : sequence of int or None
            Index of every mixture's emotion; None counts for no emotion.
        """
        routing = output.integration.routing
        self.groups["emotion"].append(
            routing,
            [
                None if label is None else self.emotions[label]
                for label in labels
            ],
        )
        self.groups["snr"].append(routing, [_snr_name(c) for c in conditions])
        if not routing or output.spectrum is None:
            return
        for row, condition in enumerate(conditions):
            if condition not in self.timelines:
                count = output.spectrum.counts[row]
                log1p = output.spectrum.log1p[row, :count].cpu().numpy()
                experts = {
                    task: report.experts[row, :, 0].cpu().numpy()
                    for task, report in routing.items()
                }
                self.timelines[condition] = names[row], log1p, experts

    def merge(
        self, others: Sequence["RoutingReport"], order: Sequence[str]
    ) -> None:
        """Adds what other processes have counted, and keeps first utterances.

        Arguments
        ---------
        others : sequence of RoutingReport
            Of other mixtures.
        order : sequence of str
            Identity of all mixtures, in the order of one process.
        """
        for name, stats in self.groups.items():
            stats.merge([other.groups[name] for other in others], order)
        places = {name: place for place, name in enumerate(order)}
        kept = [
            (places[utterance[0]], condition, utterance)
            for report in (self, *others)
            for condition, utterance in report.timelines.items()
        ]
        self.timelines = {}
        for _, condition, utterance in sorted(kept, key=lambda entry: entry[0]):
            self.timelines.setdefault(condition, utterance)

    def state_dict(self) -> dict[str, Any]:
        """Gives all that was appended, as plain values.

        Returns
        -------
        dict
            For `load_state_dict`.
        """
        timelines = [
            (
                (condition.noise, condition.snr_db, name),
                torch.from_numpy(log1p),
                {task: torch.from_numpy(e) for task, e in experts.items()},
            )
            for condition, (name, log1p, experts) in self.timelines.items()
        ]
        groups = {n: stats.state_dict() for n, stats in self.groups.items()}
        return {"groups": groups, "timelines": timelines}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Takes up what was appended before.

        Arguments
        ---------
        state : Mapping
            As of `state_dict`.
        """
        for name, counts in state["groups"].items():
            self.groups[name].load_state_dict(counts)
        for (noise, snr_db, name), log1p, experts in state["timelines"]:
            self.timelines[Condition(noise, snr_db)] = (
                name,
                log1p.numpy(),
                {task: e.numpy() for task, e in experts.items()},
            )

    def write(
        self,
        folder: str | Path,
        system: str,
        sample_rate_hz: int,
        hop_length: int,
        frame_length: int,
    ) -> None:
        """Draws `experts_<task>_by_<group>.png` and `timeline_<condition>.png`.

        Arguments
        ---------
        folder : str or Path
            Where to write.
        system : str
            Name of the model, for titles.
        sample_rate_hz : int
            Sample rate.
        hop_length : int
            Samples per frame of the spectrum.
        frame_length : int
            Samples per frame of the encoder.
        """
        folder = Path(folder)
        for grouping, stats in self.groups.items():
            for task, shares in stats.shares().items():
                # Empty where no utterance has a label.
                if shares:
                    plot_shares(
                        shares,
                        f"{system}, gate of {task}",
                        folder / f"experts_{task}_by_{grouping}.png",
                    )
        for condition, (name, log1p, experts) in self.timelines.items():
            plot_expert_timeline(
                log1p,
                experts,
                hop_s=hop_length / sample_rate_hz,
                frame_s=frame_length / sample_rate_hz,
                sample_rate_hz=sample_rate_hz,
                title=f"{system}, {name}",
                path=folder / f"timeline_{condition.name}.png",
            )


def _snr_order(condition: Condition) -> float:
    # Clean speech last.
    return math.inf if condition.snr_db is None else condition.snr_db


def _snr_name(condition: Condition) -> str:
    """Such as `-5 dB` or `clean`; seen and unseen noise together."""
    if condition.snr_db is None:
        return condition.noise
    return f"{condition.snr_db:g} dB"
