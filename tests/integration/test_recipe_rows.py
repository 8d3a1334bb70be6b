"""Every line of tests/recipes trains on tests/samples and passes its checks.

Authors
 * The speechbrain-merit developers 2026
"""

from pathlib import Path

import pytest
from recipe_rows import ROOT, failures, read_rows, run_row

ROWS = read_rows(ROOT / "tests" / "recipes")
# With mixing and both tasks; all of them take many minutes.
SHORT = {"RAVDESS/sparse_merit"}
LOG = """\
epoch: 1, lr: 1.00e-02 - train loss: 2.250, train emotion: 1.500
epoch: 2, lr: 5.00e-03 - train loss: 7.500e-01, train emotion: -0.500
Epoch loaded: 2 - test loss: 3
"""


@pytest.mark.parametrize(
    "name",
    [
        pytest.param(name, marks=() if name in SHORT else pytest.mark.long)
        for name in ROWS
    ],
)
def test_a_row_passes_its_checks(name: str, tmp_path: Path):
    result = run_row(ROWS[name], tmp_path)
    assert result.returncode == 0, result.stdout[-3000:]
    found = list(failures(ROWS[name]["test_debug_checks"], tmp_path))
    assert not found, found


def test_the_short_rows_exist():
    assert SHORT <= set(ROWS)


@pytest.mark.parametrize(
    ("checks", "expected"),
    [
        ("file_exists=[log.txt]", None),
        ("file_exists=[log.txt, a/b.txt]", "a/b.txt does not exist"),
        ("file_exist=[log.txt]", "there is no check file_exist"),
        ("performance_check=[log.txt, train loss, <=0.75, epoch: 2]", None),
        (
            "performance_check=[log.txt, train loss, <0.75, epoch: 2]",
            "train loss is 7.500e-01, not <0.75",
        ),
        (
            "performance_check=[log.txt, train loss, <=2, epoch: 1]",
            "train loss is 2.250, not <=2",
        ),
        ("performance_check=[log.txt, train emotion, <=-0.4, epoch: 2]", None),
        (
            "performance_check=[log.txt, train emotion, >=0, epoch: 2]",
            "train emotion is -0.500, not >=0",
        ),
        ("performance_check=[log.txt, test loss, <4, loaded: 2]", None),
        (
            "performance_check=[log.txt, train loss, <=9, epoch: 3]",
            "log.txt has no line with 'epoch: 3'",
        ),
        (
            "performance_check=[log.txt, rate, <=9, epoch: 2]",
            "the line with 'epoch: 2' of log.txt has no 'rate'",
        ),
        (
            "performance_check=[log.txt, train loss, <=9]",
            "[log.txt, train loss, <=9] is not [file, variable, bound, "
            "pattern of the line]",
        ),
    ],
)
def test_checks_are_read(checks: str, expected: str | None, tmp_path: Path):
    (tmp_path / "log.txt").write_text(LOG)
    found = list(failures(checks, tmp_path))
    assert found == ([] if expected is None else [expected])


def test_a_row_twice_is_refused(tmp_path: Path):
    (tmp_path / "A.csv").write_text("Hparam_file\na/x.yaml\nb/x.yaml\n")
    with pytest.raises(ValueError, match="A/x twice"):
        read_rows(tmp_path)
