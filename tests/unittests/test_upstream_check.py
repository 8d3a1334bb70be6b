"""tools/upstream_check.py on a miniature checkout with rules of its own.

Authors
 * The speechbrain-merit developers 2026
"""

import csv
from pathlib import Path

import pytest

from tools import upstream_check

COLUMNS = (
    "Task,Dataset,Script_file,Hparam_file,Data_prep_file,Readme_file,"
    "Result_url,HF_repo,test_debug_flags,test_debug_checks,performance"
)
OTHER_ROW = (
    "ASR,IEMOCAP,recipes/IEMOCAP/asr.py,recipes/IEMOCAP/asr.yaml,,,,,a,,"
)
# As upstream has it: every YAML must be in the table of its corpus.
RULE = """
from pathlib import Path

def test_every_yaml_is_listed():
    for table in Path("tests/recipes").glob("*.csv"):
        listed = table.read_text()
        for path in Path("recipes", table.stem).rglob("*.yaml"):
            assert str(path) in listed, path
"""
RUNNER = """
def run_recipe_tests(filters_fields, filters, do_checks, run_opts):
    assert filters_fields == ["Dataset", "Script_file"] and do_checks
    assert filters[1][0].endswith("joint_enhance_emotion/train.py")
    return filters[0] == ["Good"]
"""
LOBE = '''"""A lobe.

>>> double(2)
4
"""


def double(value):
    """Doubles."""
    return 2 * value
'''


def write(path: Path, text: str = "") -> None:
    """Writes a file and its folders."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """What upstream_check needs of a checkout, and no more."""
    top = tmp_path / "checkout"
    write(top / "speechbrain" / "core.py")
    write(top / "speechbrain" / "lobes" / "models" / "__init__.py")
    write(top / "recipes" / "IEMOCAP" / "asr.yaml")
    write(top / "tests/recipes/IEMOCAP.csv", f"{COLUMNS}\n{OTHER_ROW}")
    write(top / "tests" / "consistency" / "test_recipe.py", RULE)
    write(top / "tests" / "utils" / "recipe_tests.py", RUNNER)
    write(top / "pyproject.toml", "[tool.ruff]\nline-length = 80\n")
    write(top / ".yamllint.yaml", "extends: relaxed\n")
    return top


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A project of two corpora with one variant, which is a link."""
    top = tmp_path / "project"
    write(top / "hparams" / "variant.yaml", "seed: 1\n")
    for corpus in ("Good", "Poor"):
        recipe = top / "recipes" / corpus / "joint_enhance_emotion"
        write(recipe / "train.py", '"""Trains."""\n')
        (recipe / "hparams").symlink_to("../../../hparams")
        yaml = f"recipes/{corpus}/joint_enhance_emotion/hparams/variant.yaml"
        write(
            top / "tests" / "recipes" / f"{corpus}.csv",
            f"{COLUMNS}\n,{corpus},,{yaml},,,,,,,\n",
        )
    write(top / upstream_check.SAMPLES / "train.json", "{}\n")
    write(top / "speechbrain_merit" / "lobes" / "double.py", LOBE)
    monkeypatch.setattr(upstream_check, "ROOT", top)
    return top


def contents(folder: Path) -> dict[str, bytes]:
    """Every file by its path."""
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def test_another_folder_is_refused(tmp_path, capsys):
    with pytest.raises(SystemExit) as error:
        upstream_check.main([str(tmp_path / "nowhere")])
    assert error.value.code == 2
    message = capsys.readouterr().err
    assert "nowhere is no checkout of SpeechBrain: it lacks" in message
    assert "speechbrain/core.py, " in message and "git clone" in message


def test_a_part_of_a_checkout_is_refused(checkout, tmp_path):
    (checkout / "tests" / "utils").rename(tmp_path / "elsewhere")
    with pytest.raises(FileNotFoundError, match="it lacks tests/utils. Give"):
        upstream_check.check_checkout(checkout)


def test_this_project_arrives_whole(checkout):
    added = upstream_check.add_to_checkout(upstream_check.ROOT, checkout)
    assert not any((checkout / path).is_symlink() for path in added)
    for table in (checkout / "tests" / "recipes").glob("*.csv"):
        with table.open(encoding="utf-8", newline="") as file:
            rows = list(csv.DictReader(file))
        ours = [row for row in rows if "joint" in row["Script_file"]]
        assert len(ours) == len(rows) - (table.stem == "IEMOCAP")
        for row in ours:
            for column in ("Script_file", "Hparam_file", "Readme_file"):
                assert (checkout / row[column]).is_file(), row[column]
            for flag in row["test_debug_flags"].split():
                name, _, value = flag.partition("=")
                if name.endswith("_folder"):
                    assert (checkout / value).is_dir(), flag
    assert (checkout / upstream_check.LOBES / "sparse_moe.py").is_file()
    table = (checkout / "tests" / "recipes" / "IEMOCAP.csv").read_text()
    assert OTHER_ROW in table.splitlines()


def test_adding_twice_changes_nothing(checkout, project):
    upstream_check.add_to_checkout(project, checkout)
    before = contents(checkout)
    upstream_check.add_to_checkout(project, checkout)
    assert contents(checkout) == before


def test_a_file_of_the_checkout_is_not_overwritten(checkout, project):
    write(checkout / "recipes/Good/joint_enhance_emotion/train.py", "mine")
    with pytest.raises(FileExistsError, match="train.py is there already"):
        upstream_check.add_to_checkout(project, checkout)


def test_checks_pass_on_a_copy(checkout, project):
    before = contents(checkout)
    assert upstream_check.main([str(checkout), "--run", "Good"]) == 0
    assert contents(checkout) == before


def test_a_fault_is_found(checkout, project):
    write(project / "hparams" / "unlisted.yaml", "seed: 1\nseed: 2\n")
    write(project / "speechbrain_merit/lobes/double.py", LOBE + "import os\n")
    added = upstream_check.add_to_checkout(project, checkout)
    checks = upstream_check.commands(checkout, added, ["Poor"])
    assert upstream_check.run_checks(checkout, checks) == [
        "consistency",
        "ruff check",
        "ruff format",
        "yamllint",
        "recipe Poor",
    ]


def test_an_unknown_corpus_is_refused(checkout, project):
    with pytest.raises(FileNotFoundError, match="There is no recipes/None/"):
        upstream_check.commands(checkout, [], ["None"])
