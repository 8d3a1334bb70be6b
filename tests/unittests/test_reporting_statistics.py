"""Statistics of the report against textbooks and cases known beforehand.

Authors
 * The speechbrain-merit developers 2026
"""

import numpy as np
import pytest
from scipy.stats import wilcoxon
from sklearn.metrics import f1_score, recall_score
from synthetic_runs import EMOTIONS, write_run

from speechbrain_merit.experiments.report.resampling import resampled_sums
from speechbrain_merit.experiments.report.runs import find_runs
from speechbrain_merit.experiments.report.scores import (
    UNPROCESSED,
    score_systems,
)
from speechbrain_merit.experiments.report.significance import (
    bootstrap_p,
    compare,
    holm,
    signed_rank_p,
)
from speechbrain_merit.metrics.emotion import average_recall, f1_macro

# Textbook cases


def test_holm_by_a_worked_example():
    """Four hypotheses, as on the Holm-Bonferroni page of Wikipedia."""
    adjusted = holm([0.01, 0.04, 0.03, 0.005])
    np.testing.assert_allclose(adjusted, [0.03, 0.06, 0.06, 0.02])


def test_holm_by_its_definition():
    p = np.random.default_rng(0).random(50) ** 3
    order = np.argsort(p)
    expected = [
        max(min((50 - j) * p[order[j]], 1) for j in range(rank + 1))
        for rank in range(50)
    ]
    np.testing.assert_allclose(np.array(holm(p))[order], expected)
    assert holm([]) == []


def test_wilcoxon_by_a_worked_example():
    """Hamilton depression scores before and after a tranquillizer.

    M. Hollander, D. A. Wolfe, "Nonparametric Statistical Methods", 1973, table
    3.1: the ranks sum up to 40, which 10 in 512 orders of signs reach.
    """
    before = [1.83, 0.50, 1.62, 2.48, 1.68, 1.88, 1.55, 3.06, 1.30]
    after = [0.878, 0.647, 0.598, 2.05, 1.06, 1.29, 1.06, 3.14, 1.29]
    p = signed_rank_p(np.array(before), np.array(after))
    assert p == pytest.approx(2 * 10 / 512)


def test_wilcoxon_leaves_out_what_is_not_finite():
    one = np.array([1.0, 2.0, np.inf, np.nan, 3.0, 4.5])
    other = np.array([0.5, 1.0, np.inf, 1.0, 1.0, 1.0])
    expected = wilcoxon([0.5, 1.0, 2.0, 3.5]).pvalue
    assert signed_rank_p(one, other) == expected


def test_interval_of_a_mean_is_the_normal_one():
    values = np.random.default_rng(1).normal(3.0, 2.0, (900, 1))
    sums = resampled_sums(values, ["a"] * 900, 4000, "test")
    low, high = np.percentile(sums / 900, [2.5, 97.5])
    half = 1.96 * values.std() / 30
    assert low == pytest.approx(values.mean() - half, abs=0.1 * half)
    assert high == pytest.approx(values.mean() + half, abs=0.1 * half)


def test_utterances_are_drawn_within_speakers():
    """Speakers who differ do not widen an interval, their utterances do."""
    speakers = ["a", "b", "c"] * 20
    apart = np.array([[0.0], [5.0], [9.0]] * 20)
    sums = resampled_sums(apart, speakers, 100, "test")
    np.testing.assert_allclose(sums, apart.sum(), rtol=1e-12)


# Scores


def test_scores_of_confusions_are_scikit_learn_s():
    rng = np.random.default_rng(2)
    for classes in (2, 4):
        true, predicted = rng.integers(classes, size=(2, 30))
        confusion = np.zeros((5, 5))
        np.add.at(confusion, (true, predicted), 1)
        assert f1_macro(confusion) == pytest.approx(
            f1_score(true, predicted, average="macro")
        )
        assert average_recall(confusion) == pytest.approx(
            recall_score(true, predicted, average="macro")
        )
    assert np.isnan(f1_macro(np.zeros((2, 2))))


def row_named(scores, name):
    (row,) = (row for row in scores.rows if row.name == name)
    return row


def test_a_score_is_the_mean_over_folds_of_the_mean_over_seeds(tmp_path):
    for fold, seed in ((0, 1), (0, 2), (1, 1)):
        write_run(tmp_path / f"f{fold}s{seed}", fold=fold, seed=seed)
    runs = find_runs([tmp_path])
    scores = score_systems(runs, 200, 0)
    row = row_named(scores, "seen_5dB")
    expected = {}
    for run in runs:
        index = [c.name for c in run.conditions].index("seen_5dB")
        expected[run.fold, run.seed] = (
            f1_score(
                run.true[:, index], run.predicted[:, index], average="macro"
            ),
            run.scores["stoi"][:, index].mean(),
        )
    for number, metric in enumerate(("f1_macro", "stoi")):
        one, two, other = (
            expected[key][number]
            for key in (("0", "1"), ("0", "2"), ("1", "1"))
        )
        estimate = scores.estimate("sparse_merit", metric, row)
        assert estimate.value == pytest.approx(((one + two) / 2 + other) / 2)
        assert estimate.low < estimate.value < estimate.high


def test_means_weigh_snrs_alike_and_noisy_speech_is_a_system(tmp_path):
    write_run(tmp_path / "a", shift=0.3)
    scores = score_systems(find_runs([tmp_path]), 50, 0)
    assert [row.name for row in scores.rows] == [
        "clean",
        "seen_-5dB",
        "seen_5dB",
        "mean seen",
        "unseen_-5dB",
        "unseen_5dB",
        "mean unseen",
    ]
    values = scores.values["sparse_merit"]["ssnr_db"][0]
    assert values[3] == pytest.approx((values[1] + values[2]) / 2)
    gain = values - scores.values[UNPROCESSED]["ssnr_db"][0]
    np.testing.assert_allclose(gain, 1.3)
    assert "f1_macro" not in scores.values[UNPROCESSED]


def test_the_interval_of_a_gain_leaves_out_how_hard_mixtures_are(tmp_path):
    """Every mixture gains the same 1.3, whatever its score."""
    write_run(tmp_path / "a", shift=0.3)
    write_run(tmp_path / "b", "ser_only", tasks=("ser",))
    scores = score_systems(find_runs([tmp_path]), 50, 0)
    gains = scores.gains()
    assert gains.rows == scores.rows
    assert gains.values["ser_only"] == {} and UNPROCESSED not in gains.values
    for row in scores.rows:
        whole = scores.estimate("sparse_merit", "stoi", row)
        gain = gains.estimate("sparse_merit", "stoi", row)
        assert whole.high - whole.low > 0.1
        assert gain == pytest.approx((1.3, 1.3, 1.3))


def test_draws_depend_on_the_seed_alone(tmp_path):
    write_run(tmp_path / "a")
    runs = find_runs([tmp_path])
    first, again, other = (score_systems(runs, 50, seed) for seed in (0, 0, 1))
    found = [s.values["sparse_merit"]["stoi"] for s in (first, again, other)]
    assert (found[0] == found[1]).all()
    assert (found[0] != found[2]).any()
    # The score itself is no draw.
    assert (found[0][0] == found[2][0]).all()


def test_seeds_are_drawn_too(tmp_path):
    """The same utterances, one training being better by one than the other."""
    for seed in (1, 2):
        write_run(tmp_path / f"s{seed}", seed=seed, shift=float(seed))
    scores = score_systems(find_runs([tmp_path]), 400, 0)
    row = row_named(scores, "mean seen")
    value, low, high = scores.estimate("sparse_merit", "ssnr_db", row)
    # Both times the better one, in a quarter of the cases, or the worse one.
    assert high > value + 0.5 and low < value - 0.5
    noisy = scores.estimate(UNPROCESSED, "ssnr_db", row)
    assert value - noisy.value == pytest.approx(1 + 1.5)
    assert noisy.high - noisy.low < 0.5


def test_infinite_scores_make_no_estimate(tmp_path):
    folder = write_run(tmp_path / "a", num_utterances=8)
    text = (folder / "per_utterance.csv").read_text().splitlines()
    cells = text[1].split(",")
    cells[-1] = "inf"
    (folder / "per_utterance.csv").write_text(
        "\n".join([text[0], ",".join(cells), *text[2:]]) + "\n"
    )
    scores = score_systems(find_runs([tmp_path]), 50, 0)
    clean, seen = scores.rows[:2]
    assert scores.estimate(UNPROCESSED, "si_sdr_db", clean) is None
    assert scores.estimate(UNPROCESSED, "si_sdr_db", seen) is not None
    assert scores.estimate(UNPROCESSED, "stoi", clean) is not None
    assert scores.gains().estimate("sparse_merit", "si_sdr_db", clean) is None


# Comparisons


@pytest.fixture(scope="module")
def comparisons(tmp_path_factory):
    """Equal systems, a shifted and a better one, over two folds."""
    folder = tmp_path_factory.mktemp("runs")
    systems = {
        "base": {},
        "equal": {},
        "shifted": {"shift": 0.05},
        "better": {"accuracy": 0.95},
        "recogniser": {"tasks": ("ser",)},
    }
    for system, options in systems.items():
        for fold in (0, 1):
            write_run(folder / f"{system}{fold}", system, fold, **options)
    runs = find_runs([folder])
    scores = score_systems(runs, 999, 0)
    found = compare(runs, scores, "base")
    return {(c.system, c.metric, c.row.name): c for c in found}


def test_equal_systems_do_not_differ(comparisons):
    for metric in ("f1_macro", "pesq_wb", "stoi", "ssnr_db"):
        found = comparisons["equal", metric, "mean seen"]
        assert found.difference == (0, 0, 0)
        assert found.p == found.adjusted_p == 1
        assert not found.is_significant


def test_a_shift_is_found_and_its_interval_is_exact(comparisons):
    found = comparisons["shifted", "pesq_wb", "unseen_-5dB"]
    assert found.difference == pytest.approx((0.05, 0.05, 0.05))
    assert found.is_significant
    assert comparisons["shifted", "f1_macro", "unseen_-5dB"].p == 1


def test_better_recognition_is_found(comparisons):
    found = comparisons["better", "f1_macro", "mean unseen"]
    assert found.is_significant and found.difference.value > 0.1
    # No p is smaller than the resamples can tell.
    assert found.p == pytest.approx(2 / 1000)
    assert comparisons["better", "stoi", "mean unseen"].p == 1


def test_families_are_by_metric_and_kind_of_row(comparisons):
    """Three systems that enhance, or four, in three rows and in four."""
    for metric, count in (("stoi", 3), ("f1_macro", 4)):
        for in_summary, rows in ((True, 3), (False, 4)):
            family = [
                c
                for c in comparisons.values()
                if c.metric == metric and c.row.in_summary == in_summary
            ]
            assert len(family) == count * rows
            adjusted = [c.adjusted_p for c in family]
            assert adjusted == holm([c.p for c in family])
    assert not any(metric == "uar" for _, metric, _ in comparisons)
    assert ("recogniser", "stoi", "clean") not in comparisons


def test_bootstrap_counts_the_rarer_side():
    differences = np.array([0.1] * 90 + [-0.1] * 9)
    assert bootstrap_p(differences) == pytest.approx(2 * 10 / 100)
    assert bootstrap_p(-differences) == pytest.approx(2 * 10 / 100)


def test_false_alarms_are_as_rare_as_they_should_be():
    """Of systems that are equally good, one in twenty seems to differ."""
    rng = np.random.default_rng(3)
    alarms = 0
    for trial in range(300):
        hits = rng.random((120, 2)) < 0.7
        differences = (hits[:, :1] * 1.0) - hits[:, 1:]
        sums = resampled_sums(differences, ["a"] * 120, 199, trial)
        alarms += bootstrap_p(sums[:, 0]) < 0.05
    assert 3 <= alarms <= 30


def test_unknown_baseline_lists_the_systems(tmp_path):
    write_run(tmp_path / "a")
    runs = find_runs([tmp_path])
    with pytest.raises(ValueError, match=r"naive.*\['sparse_merit'\]"):
        compare(runs, score_systems(runs, 10, 0), "naive")


def test_emotions_are_read_in_the_order_of_the_model(tmp_path):
    (run,) = find_runs([write_run(tmp_path / "a")])
    assert run.emotions == EMOTIONS
    assert run.true[:5, 0].tolist() == [0, 1, 2, 3, 0]
