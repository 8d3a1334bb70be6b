"""Results by condition: routing, schema, table and files.

Authors
 * The speechbrain-merit developers 2026
"""

import csv
import json
import math
import re

import numpy as np
import pytest
import torch

from speechbrain_merit.data.mixing.evaluation_plan import MIXTURE_KEYS
from speechbrain_merit.metrics import UtteranceScorer, condition_stats
from speechbrain_merit.metrics.conditions import Condition
from speechbrain_merit.metrics.enhancement import segmental_snr_db
from speechbrain_merit.metrics.results import results_dictionary, write_results
from speechbrain_merit.metrics.results_table import markdown_table
from speechbrain_merit.metrics.score_plots import plot_confusion

LABELS = ["angry", "sad"]
METRICS = ["pesq_wb", "stoi", "ssnr_db", "si_sdr_db"]
CLEAN = Condition("clean")
SEEN = Condition("seen", -5)
UNSEEN = Condition("unseen", 2.5)


def signals(num_utterances, seed=0):
    """Clean and noisy signals, `[batch, time]` each."""
    generator = torch.Generator().manual_seed(seed)
    clean, noise = 0.1 * torch.randn(
        2, num_utterances, 8000, generator=generator
    )
    return clean, clean + noise


def stats_of(*batch, metrics=METRICS, **tensors):
    """Statistics of one batch, made of what JSON keeps of its rows."""
    scorer = UtteranceScorer(LABELS, metrics=metrics)
    rows = scorer.append(*batch, **tensors) + scorer.flush()
    return condition_stats.TestStats(
        LABELS, metrics, json.loads(json.dumps(rows))
    )


def filled_stats(**settings):
    """Four utterances under three conditions, the last without a label."""
    clean, noisy = signals(4)
    noisy[0] = clean[0]
    clean[2] = 0
    return stats_of(
        [CLEAN, UNSEEN, SEEN, UNSEEN],
        ["a", "d", "b", "c"],
        torch.tensor([[0.9, 0.1], [0.6, 0.4], [0.2, 0.8], [0.5, 0.5]]).log(),
        torch.tensor([0, 1, 1, -1]),
        enhanced=0.9 * clean + 0.05 * noisy,
        clean=clean,
        noisy=noisy,
        **settings,
    )


def filled_results(**settings):
    """The results of `filled_stats` of a system with experts."""
    stats = filled_stats(**settings)
    routing = {"ser": [0.25, 0.75], "se": [1.0, 0.0]}
    return stats, results_dictionary("merit", "mini", 2, 7, stats, routing)


# Condition


def test_conditions_sort_and_have_names():
    conditions = [
        Condition("unseen", 0),
        Condition("seen", 10),
        Condition("unseen", -5),
        CLEAN,
        Condition("seen", -2.5),
    ]
    assert [condition.name for condition in sorted(conditions)] == [
        "clean",
        "seen_-2.5dB",
        "seen_10dB",
        "unseen_-5dB",
        "unseen_0dB",
    ]
    assert len({Condition("seen", 5), Condition("seen", 5.0)}) == 1


@pytest.mark.parametrize(
    "noise, snr_db",
    [
        ("babble", 0),
        ("clean", 0),
        ("seen", None),
        ("unseen", math.inf),
        ("seen", "5"),
    ],
)
def test_conditions_are_checked(noise, snr_db):
    with pytest.raises(ValueError, match=f"{noise}|{snr_db}"):
        Condition(noise, snr_db)


# TestStats


def test_utterances_go_to_their_condition():
    by_condition = filled_stats(metrics=["ssnr_db"]).by_condition
    assert list(by_condition) == [CLEAN, SEEN, UNSEEN]
    assert by_condition[UNSEEN].ids == ["d", "c"]
    clean, noisy = signals(4)
    for name, row in (("d", 1), ("c", 3)):
        scores = by_condition[UNSEEN].scores[name]
        expected = segmental_snr_db(noisy[row], clean[row])
        assert scores["noisy_ssnr_db"] == pytest.approx(expected)
    assert by_condition[CLEAN].summarize()["ser"]["accuracy"] == 1
    assert by_condition[UNSEEN].summarize()["ser"]["accuracy"] == 0


def test_lengths_are_routed_with_their_utterances():
    clean, noisy = signals(2)
    stats = stats_of(
        [SEEN, CLEAN],
        ["a", "b"],
        metrics=["ssnr_db"],
        enhanced=noisy,
        clean=clean,
        noisy=noisy,
        lengths=torch.tensor([0.5, 1.0]),
    )
    scores = stats.by_condition[SEEN].scores["a"]
    expected = segmental_snr_db(noisy[0, :4000], clean[0, :4000])
    assert scores["ssnr_db"] == pytest.approx(expected)


def test_stats_need_all_of_a_task():
    stats = UtteranceScorer(LABELS)
    batch = torch.zeros(1, 8000)
    with pytest.raises(ValueError, match="noisy"):
        stats.append([CLEAN], ["a"], enhanced=batch, clean=batch)
    with pytest.raises(ValueError, match="targets"):
        stats.append([CLEAN], ["a"], log_posteriors=torch.zeros(1, 2))
    with pytest.raises(ValueError, match="'ids': 2"):
        stats.append([CLEAN], ["a", "b"])
    with pytest.raises(ValueError, match="loudness"):
        UtteranceScorer(LABELS, metrics=["loudness"])


# results_dictionary


def test_schema():
    _, results = filled_results()
    assert list(results) == [
        "system",
        "corpus",
        "fold",
        "seed",
        "conditions",
        "routing",
        "calibration",
    ]
    assert results["routing"] == {"ser": [0.25, 0.75], "se": [1.0, 0.0]}
    metrics = ["pesq_wb", "stoi", "ssnr_db", "si_sdr_db"]
    for entry in results["conditions"]:
        assert list(entry) == [
            "noise",
            "snr_db",
            "num_utterances",
            "ser",
            "se",
            "noisy",
            "num_unscored",
        ]
        assert list(entry["ser"]) == ["f1_macro", "accuracy", "uar"]
        for column in ("se", "noisy", "num_unscored"):
            assert list(entry[column]) == metrics
    clean, seen, unseen = results["conditions"]
    assert (clean["noise"], clean["snr_db"]) == ("clean", None)
    assert (seen["noise"], seen["snr_db"]) == ("seen", -5)
    assert unseen["num_utterances"] == 2
    assert clean["noisy"]["si_sdr_db"] is None
    assert seen["se"] == seen["noisy"] == dict.fromkeys(metrics)
    assert seen["num_unscored"] == dict.fromkeys(metrics, 1)
    assert json.loads(json.dumps(results, allow_nan=False)) == results


def test_absent_tasks_are_none():
    clean, noisy = signals(1)
    recognition = stats_of([CLEAN], ["a"], torch.zeros(1, 2), torch.tensor([0]))
    enhancement = stats_of(
        [SEEN],
        ["a"],
        metrics=["stoi"],
        enhanced=noisy,
        clean=clean,
        noisy=noisy,
    )
    results = results_dictionary("s", "c", 0, 0, recognition, None)
    (entry,) = results["conditions"]
    assert entry["se"] is entry["noisy"] is entry["num_unscored"] is None
    assert results["routing"] is None
    assert "->" not in markdown_table(results)
    results = results_dictionary("s", "c", 0, 0, enhancement, None)
    assert results["conditions"][0]["ser"] is None
    assert "| - |" in " ".join(markdown_table(results).split())


# markdown_table


def entry(noise, snr_db, num_utterances, uar, noisy, se, unscored=0):
    """A condition as in results.json, with the given UAR and STOI."""
    metrics = ("pesq_wb", "stoi", "ssnr_db", "si_sdr_db")
    return {
        "noise": noise,
        "snr_db": snr_db,
        "num_utterances": num_utterances,
        "ser": {"f1_macro": 0.5, "accuracy": 0.25, "uar": uar},
        "se": {**dict.fromkeys(metrics, -10.0), "stoi": se},
        "noisy": {**dict.fromkeys(metrics, -10.0), "stoi": noisy},
        "num_unscored": {**dict.fromkeys(metrics, 0), "stoi": unscored},
    }


def cells_by_condition(table):
    """The cells of each row of a Markdown table by the first."""
    rows = [line for line in table.splitlines() if line.startswith("|")]
    cells = [[cell.strip() for cell in row.split("|")[1:-1]] for row in rows]
    return {row[0]: dict(zip(cells[0], row, strict=True)) for row in cells}


def test_table_has_a_row_per_condition_and_means():
    results = {
        "conditions": [
            entry("clean", None, 120, 0.9, None, 0.95),
            entry("seen", -5, 100, 0.5, 0.6, 0.7, unscored=2),
            entry("seen", 5, 20, 0.7, 0.8, 0.9, unscored=1),
            entry("unseen", -5, 120, 0.4, None, None),
        ]
    }
    table = markdown_table(results)
    rows = cells_by_condition(table)
    assert rows["clean"]["STOI"] == "- -> 0.950"
    assert rows["unseen_-5dB"]["STOI"] == "-"
    assert rows["seen_5dB"]["UAR"] == "0.700"
    assert rows["mean seen"]["n"] == "120"
    assert rows["mean seen"]["UAR"] == "0.600"
    assert rows["mean seen"]["STOI"] == "0.700 -> 0.800"
    assert rows["mean unseen"]["SSNR dB"] == "-10.00 -> -10.00"
    lines = table.splitlines()
    grid = [line for line in lines if line.startswith("|")]
    assert len({len(line) for line in grid}) == 1
    assert len(grid[0]) <= 125
    assert lines[-1].endswith(": STOI 3.")


def test_table_of_everything_scored_has_no_note():
    results = {"conditions": [entry("seen", 0, 1, 0.5, 0.5, 0.5)]}
    assert "not scored" not in markdown_table(results)


def test_table_aligns_in_markdown_with_one_digit_counts():
    results = {"conditions": [entry("seen", 0, 1, 0.5, 0.5, 0.5)]}
    rule = markdown_table(results).splitlines()[1]
    for cell in rule.strip("| ").split(" | "):
        assert re.fullmatch("-+:?", cell)


# write_results


def test_files(tmp_path):
    stats, results = filled_results()
    write_results(tmp_path / "new" / "folder", results, stats)
    folder = tmp_path / "new" / "folder"
    assert {path.name for path in folder.iterdir()} == {
        "results.json",
        "results.md",
        "per_utterance.csv",
        "confusion_clean.png",
        "confusion_seen_-5dB.png",
        "confusion_unseen_2.5dB.png",
        "reliability.png",
    }
    text = (folder / "results.json").read_text(encoding="utf-8")
    assert json.loads(text) == results
    assert "NaN" not in text and "Infinity" not in text
    report = (folder / "results.md").read_text(encoding="utf-8")
    assert report.startswith("# merit on mini, fold 2, seed 7\n\n|")
    assert report.endswith("PESQ-WB 1, STOI 1, SSNR dB 1, SI-SDR dB 1.\n")


def test_per_utterance_file(tmp_path):
    stats, results = filled_results()
    write_results(tmp_path, results, stats)
    with open(tmp_path / "per_utterance.csv", encoding="utf-8") as stream:
        rows = list(csv.DictReader(stream))
    assert [(row["condition"], row["id"]) for row in rows] == [
        ("clean", "a"),
        ("seen_-5dB", "b"),
        ("unseen_2.5dB", "d"),
        ("unseen_2.5dB", "c"),
    ]
    clean, seen, unseen, unlabelled = rows
    assert (unseen["true"], unseen["predicted"]) == ("sad", "angry")
    assert float(unseen["posterior_sad"]) == pytest.approx(0.4)
    assert (unseen["noise"], float(unseen["snr_db"])) == ("unseen", 2.5)
    assert clean["snr_db"] == ""
    assert clean["noisy_si_sdr_db"] == "inf"
    assert seen["pesq_wb"] == seen["noisy_stoi"] == ""
    assert unlabelled["true"] == unlabelled["posterior_sad"] == ""
    scores = stats.by_condition[UNSEEN].scores["c"]
    assert float(unlabelled["ssnr_db"]) == scores["ssnr_db"]


def test_per_utterance_file_names_speaker_and_noise(tmp_path):
    stats, results = filled_results(metrics=["ssnr_db"])
    mixture = dict.fromkeys(MIXTURE_KEYS)
    plan = {
        "a": {**mixture, "speaker": "s1", "utterance": "u1"},
        "d": mixture,
        "b": {**mixture, "noise": "rain_1", "noise_type": "rain"},
        "c": {**mixture, "noise_offset": 7, "duration_s": 1.5},
    }
    write_results(tmp_path, results, stats, plan)
    with open(tmp_path / "per_utterance.csv", encoding="utf-8") as stream:
        clean, seen, _, unseen = csv.DictReader(stream)
    assert (clean["speaker"], clean["utterance"]) == ("s1", "u1")
    assert (seen["noise"], seen["noise_type"]) == ("seen", "rain")
    assert (seen["noise_id"], seen["speaker"]) == ("rain_1", "")
    assert (unseen["noise_offset"], unseen["duration_s"]) == ("7", "1.5")


def test_calibration_is_by_noise():
    stats, _ = filled_results()
    judged = stats.posteriors_by_noise()
    assert list(judged) == ["clean", "seen", "unseen"]
    posteriors, targets = judged["unseen"]
    np.testing.assert_allclose(posteriors, [[0.6, 0.4]], rtol=1e-6)
    assert targets.tolist() == [1]
    results = results_dictionary("s", "c", 0, 0, stats, None, 2.0)
    calibration = results["calibration"]
    assert calibration["temperature"] == 2.0
    assert calibration["ece"]["unseen"] == pytest.approx(0.6)
    # Odds of 3 to 2 were 9 to 4 before the temperature.
    assert calibration["uncalibrated_ece"]["unseen"] == pytest.approx(9 / 13)
    assert "unseen 0.600, with temperature 2.00." in markdown_table(results)


def test_table_has_the_metrics_that_were_computed():
    _, results = filled_results(metrics=["ssnr_db", "csig"])
    row = cells_by_condition(markdown_table(results))["clean"]
    assert [name for name in row if name not in ("condition", "n")] == [
        "F1-macro",
        "UAR",
        "accuracy",
        "SSNR dB",
        "CSIG",
    ]


def test_number_that_json_lacks_is_refused(tmp_path):
    stats, results = filled_results(metrics=["ssnr_db"])
    write_results(tmp_path, results, stats)
    before = (tmp_path / "results.json").read_bytes()
    results["routing"] = {"ser": [math.nan]}
    with pytest.raises(ValueError, match="JSON"):
        write_results(tmp_path, results, stats)
    assert (tmp_path / "results.json").read_bytes() == before


def test_confusion_must_fit_the_labels(tmp_path):
    with pytest.raises(ValueError, match=r"\(3, 3\)"):
        plot_confusion(np.eye(3, dtype=int), LABELS, "", tmp_path / "x.png")
