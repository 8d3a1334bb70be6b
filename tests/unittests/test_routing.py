"""Routing counted by task and group, and drawn.

Authors
 * The speechbrain-merit developers 2026
"""

import numpy as np
import pytest
import torch
from matplotlib.colors import to_hex
from matplotlib.figure import Figure

from speechbrain_merit.lobes import Routing
from speechbrain_merit.metrics.routing import (
    RoutingStats,
    choices_of_utterances,
    shares_by_group,
)
from speechbrain_merit.metrics.routing_plots import (
    expert_colour,
    plot_expert_timeline,
    plot_shares,
)

# That of the tensors below, see benchmarks/lobes_on_device.py.
DEVICE = torch.get_default_device()

PNG_SIGNATURE = b"\x89PNG\r\n\x1a\n"


def routing(experts, num_experts=3):
    """A report with one choice per frame, and a gate without preference."""
    experts = torch.tensor(experts)
    probabilities = torch.full((*experts.shape, num_experts), 1 / num_experts)
    probabilities[experts < 0] = 0.0
    return Routing(probabilities, experts.unsqueeze(-1))


@pytest.fixture
def figures(monkeypatch):
    """Figures that are written, in order, besides their files."""
    written = []
    save = Figure.savefig

    def savefig(figure, *args, **kwargs):
        written.append(figure)
        save(figure, *args, **kwargs)

    monkeypatch.setattr(Figure, "savefig", savefig)
    return written


# RoutingStats


def test_agreement_is_the_share_of_true_frames():
    stats = RoutingStats()
    stats.append(
        {
            "enhance": routing([[0, 1, 2, 2], [1, 1, -1, -1]]),
            "emotion": routing([[0, 2, 2, 1], [1, 0, -1, -1]]),
        }
    )
    assert stats.agreements() == {"enhance_emotion": 3 / 6}
    stats.append({"enhance": routing([[0, 0]]), "emotion": routing([[0, 0]])})
    assert stats.agreements() == {"enhance_emotion": 5 / 8}


def test_summary_adds_agreement_and_keeps_the_rest():
    stats = RoutingStats()
    stats.append(
        {
            "enhance": routing([[0, 1, 2, 2, -1]]),
            "emotion": routing([[0, 2, 2, 2, -1]]),
        }
    )
    summary = stats.summarize()
    shares = [summary[f"enhance_expert_{number}"] for number in range(3)]
    assert shares == [0.25, 0.25, 0.5]
    assert summary["emotion_gate_entropy"] == pytest.approx(1)
    assert summary["enhance_emotion_agreement"] == 0.75
    assert stats.shares()["emotion"] == [0.25, 0, 0.75]


def test_every_pair_of_tasks_has_an_agreement():
    stats = RoutingStats()
    reports = {
        "a": routing([[0, 1, 2, 0]]),
        "b": routing([[0, 1, 2, 1]]),
        "c": routing([[1, 1, 0, 1]]),
    }
    stats.append(reports)
    assert stats.agreements() == {"a_b": 0.75, "a_c": 0.25, "b_c": 0.5}


def test_only_the_best_expert_has_to_agree():
    one = torch.tensor([[[0, 1], [2, 1], [-1, -1]]])
    other = torch.tensor([[[0, 2], [1, 2], [-1, -1]]])
    even = torch.full((1, 3, 3), 1 / 3)
    stats = RoutingStats()
    stats.append({"a": Routing(even, one), "b": Routing(even, other)})
    assert stats.agreements() == {"a_b": 0.5}


def test_a_frame_must_be_true_for_both_tasks():
    stats = RoutingStats()
    stats.append({"a": routing([[0, 1, -1]]), "b": routing([[0, -1, -1]])})
    assert stats.agreements() == {"a_b": 1.0}


@pytest.mark.parametrize(
    "reports",
    [
        {},
        {"emotion": routing([[0, 1]])},
        {"enhance": routing([[0, 1, 1]]), "emotion": routing([[0, 1]])},
        {"enhance": routing([[0, -1]]), "emotion": routing([[-1, 0]])},
    ],
)
def test_without_common_frames_there_is_no_agreement(reports):
    stats = RoutingStats()
    stats.append(reports)
    assert stats.agreements() == {}
    assert not any("agreement" in key for key in stats.summarize())


# Groups of utterances


def grouped(*batches, order=()):
    """Shares by group of batches of reports and groups."""
    choices = [c for b, _ in batches for c in choices_of_utterances(b)]
    groups = [group for _, names in batches for group in names]
    return shares_by_group(choices, groups, order)


def test_groups_are_counted_apart():
    shares = grouped(
        (
            {
                "enhance": routing([[0, 1, 1, 2], [2, 2, -1, -1]]),
                "emotion": routing([[0, 0, 0, 0], [1, 2, -1, -1]]),
            },
            ["sad", "angry"],
        ),
        (
            {
                "enhance": routing([[0, 0, 2, 1], [0, -1, -1, -1]]),
                "emotion": routing([[1, 1, 2, 2], [1, -1, -1, -1]]),
            },
            ["angry", "angry"],
        ),
    )
    assert shares == {
        "enhance": {
            "sad": [1 / 4, 2 / 4, 1 / 4],
            "angry": pytest.approx([3 / 7, 1 / 7, 3 / 7]),
        },
        "emotion": {
            "sad": [1, 0, 0],
            "angry": pytest.approx([0, 4 / 7, 3 / 7]),
        },
    }
    assert list(shares["enhance"]) == ["sad", "angry"]


def test_given_groups_come_first_and_unused_ones_not_at_all():
    shares = grouped(
        (
            {"emotion": routing([[0], [1], [2], [2]])},
            ["5 dB", "-5 dB", "clean", "10 dB"],
        ),
        order=["clean", "0 dB", "-5 dB"],
    )
    assert list(shares["emotion"]) == ["clean", "-5 dB", "5 dB", "10 dB"]


def test_utterances_without_group_or_frames_are_not_counted():
    report = {"emotion": routing([[0, 0], [1, -1], [-1, -1]])}
    shares = grouped((report, [None, "sad", "angry"]))
    assert shares == {"emotion": {"sad": [0, 1, 0]}}


def test_all_choices_are_counted_in_their_group():
    experts = torch.tensor([[[0, 1], [0, 2]], [[2, 1], [-1, -1]]])
    report = Routing(torch.zeros(2, 2, 3), experts)
    assert grouped(({"emotion": report}, ["a", "b"])) == {
        "emotion": {"a": [0.5, 0.25, 0.25], "b": [0, 0.5, 0.5]}
    }


def test_groups_together_are_what_is_counted_without_them():
    generator = torch.Generator(DEVICE).manual_seed(0)
    experts = torch.randint(-1, 4, (6, 50), generator=generator).tolist()
    whole = RoutingStats()
    report = {"emotion": routing(experts, num_experts=4)}
    whole.append(report)
    shares = grouped((report, ["all"] * 6))
    assert shares["emotion"]["all"] == whole.shares()["emotion"]


def test_systems_without_gates_have_no_groups():
    assert choices_of_utterances({}) == []
    assert shares_by_group([{}, {}], ["sad", "sad"], ["sad"]) == {}


def test_every_utterance_needs_a_group():
    report = {"emotion": routing([[0], [1]])}
    with pytest.raises(ValueError, match="shorter"):
        grouped((report, ["sad"]))


# Figures


def test_shares_are_bars_from_zero_to_one(tmp_path, figures):
    shares = {"angry": [0.5, 0.47, 0.03], "sad": [0.0, 0.25, 0.75]}
    path = tmp_path / "shares.partial"
    plot_shares(shares, "emotion gate", path)
    assert path.read_bytes().startswith(PNG_SIGNATURE)
    (axes,) = figures[0].axes
    assert axes.get_title() == "emotion gate"
    assert [text.get_text() for text in axes.get_yticklabels()] == list(shares)
    assert axes.get_ylim()[0] > axes.get_ylim()[1]  # the first group is on top
    for row, group in enumerate(shares):
        bars = [bars[row] for bars in axes.containers]
        widths = [bar.get_width() for bar in bars]
        assert widths == pytest.approx(shares[group])
        starts = np.cumsum([0, *shares[group]])[:-1]
        assert [bar.get_x() for bar in bars] == pytest.approx(list(starts))
    # 3 % of the width has no room for a label, and 0 % gets none either.
    assert {text.get_text() for text in axes.texts} - {""} == {
        "50%",
        "47%",
        "25%",
        "75%",
    }
    (legend,) = figures[0].legends
    assert [text.get_text() for text in legend.get_texts()] == ["1", "2", "3"]


def draw_timeline(path, num_frames=101, **changes):
    """Draws a second of two tasks, the last 30 ms of which are not routed."""
    generator = np.random.default_rng(0)
    settings = {
        "log1p_spectrum": generator.random((num_frames, 201)),
        "experts": {
            "enhance": np.array([0] * 20 + [2] * 28),
            "emotion": np.array([1] * 48 + [-1] * 10),
        },
        "hop_s": 0.01,
        "frame_s": 0.02,
        "sample_rate_hz": 16000,
        "title": "utterance",
        "path": path,
    }
    plot_expert_timeline(**{**settings, **changes})
    return settings


def test_timeline_has_one_time_axis(tmp_path, figures):
    path = tmp_path / "timeline.partial"
    settings = draw_timeline(path)
    assert path.read_bytes().startswith(PNG_SIGNATURE)
    top, *strips = figures[0].axes[:3]
    assert top.get_title() == "utterance"
    # Half a frame and half a bin of 40 Hz beyond the outermost centres.
    assert top.images[0].get_extent() == pytest.approx(
        [-0.005, 1.005, -0.02, 8.02]
    )
    assert top.get_ylim() == pytest.approx((0, 8))
    drawn = top.images[0].get_array()
    assert np.array_equal(drawn, settings["log1p_spectrum"].T)
    assert top.images[0].origin == "lower"
    for axes in (top, *strips):
        assert axes.get_xlim() == pytest.approx((0, 1))
        place, expected = axes.get_position(), top.get_position()
        assert (place.x0, place.x1) == pytest.approx((expected.x0, expected.x1))
    labels = [strip.get_yticklabels()[0].get_text() for strip in strips]
    assert labels == ["enhance", "emotion"]
    assert strips[0].images[0].get_extent()[:2] == pytest.approx([0, 0.96])


def test_strips_show_the_chosen_experts(tmp_path, figures):
    draw_timeline(tmp_path / "timeline.png")
    enhance, emotion = (axes.images[0] for axes in figures[0].axes[1:3])
    colours = enhance.get_array()[0]
    assert np.allclose(colours[:20], (*expert_colour(0), 1))
    assert np.allclose(colours[20:], (*expert_colour(2), 1))
    colours = emotion.get_array()[0]
    assert np.allclose(colours[:48], (*expert_colour(1), 1))
    assert np.all(colours[48:, 3] == 0)  # padding is transparent
    (legend,) = figures[0].legends
    assert [text.get_text() for text in legend.get_texts()] == ["1", "2", "3"]
    shown = [to_hex(patch.get_facecolor()) for patch in legend.get_patches()]
    assert shown == [to_hex(expert_colour(expert)) for expert in range(3)]


def test_the_shortest_utterance_can_be_drawn(tmp_path):
    path = tmp_path / "timeline.png"
    draw_timeline(path, num_frames=1, experts={"emotion": np.array([0])})
    assert path.exists()


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (
            {"experts": {"emotion": np.zeros(80, int)}},
            "experts last 1.600 s, .* 1.000 s",
        ),
        ({"hop_s": 0.02, "frame_s": 0.01}, "0.480 s, .* 2.000 s"),
    ],
)
def test_timeline_is_checked(tmp_path, changes, message):
    with pytest.raises(ValueError, match=message):
        draw_timeline(tmp_path / "x.png", **changes)
    assert not list(tmp_path.iterdir())


def test_colours_of_experts_differ():
    colours = {to_hex(expert_colour(expert)) for expert in range(16)}
    assert len(colours) == 16
