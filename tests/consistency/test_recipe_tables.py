"""Tests that tests/recipes names every recipe, as upstream's checks demand.

Authors
 * The speechbrain-merit developers 2026
"""

import csv
import re
from pathlib import Path

import pytest
from repository import RECIPES, ROOT, flattened, relative

TABLES = sorted((ROOT / "tests" / "recipes").glob("*.csv"))
COLUMNS = [
    "Task",
    "Dataset",
    "Script_file",
    "Hparam_file",
    "Data_prep_file",
    "Readme_file",
    "Result_url",
    "HF_repo",
    "test_debug_flags",
    "test_debug_checks",
    "performance",
]
MANDATORY = [
    "Task",
    "Dataset",
    "Script_file",
    "Hparam_file",
    "Readme_file",
    "test_debug_flags",
    "test_debug_checks",
]
CHECKS = re.compile(
    r"file_exists=\[[^\[\]]+\]"
    r"( performance_check=\[[^,]+, [^,]+, [<>=]+[-\d.e]+, [^,\]]+\])?"
)


def rows(table: Path) -> list[dict[str, str]]:
    """Lines of a table by column."""
    with table.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file, skipinitialspace=True))


def faults(table: Path, root: Path) -> list[str]:
    """Says what is wrong in a table; one message per fault."""
    found = []
    for number, row in enumerate(rows(table), start=2):
        messages = [f"no {name}" for name in MANDATORY if not row[name]]
        for name, value in row.items():
            if name.endswith("_file") and not (root / value).exists():
                messages.append(f"{name} {value} does not exist")
        if row["Dataset"] != table.stem:
            messages.append(f"the dataset is {row['Dataset']}")
        if not CHECKS.fullmatch(row["test_debug_checks"]):
            messages.append("test_debug_checks has another form")
        messages += unlisted(row, root)
        found += [f"{table.name}:{number}: {message}" for message in messages]
    return found


def unlisted(row: dict[str, str], root: Path) -> list[str]:
    """Links and figures that the recipe's README does not have."""
    readme = (root / row["Readme_file"]).read_text(encoding="utf-8")
    links = f"{row['Result_url']} {row['HF_repo']}".split()
    figures = re.findall(r"\d*\.\d+", row["performance"])
    return [
        f"the README does not have {item}"
        for item in (*links, *figures)
        if item not in readme
    ]


def test_every_corpus_has_a_table():
    corpora = [recipe.parent.name for recipe in RECIPES]
    assert [table.stem for table in TABLES] == sorted(corpora)


@pytest.mark.parametrize("table", TABLES, ids=relative)
def test_table_is_in_upstream_form(table: Path):
    with table.open(encoding="utf-8", newline="") as file:
        assert next(csv.reader(file)) == COLUMNS
    problems = faults(table, ROOT)
    assert not problems, "\n".join(problems)


@pytest.mark.parametrize("recipe", RECIPES, ids=relative)
def test_every_yaml_of_a_recipe_has_a_line(recipe: Path):
    table = ROOT / "tests" / "recipes" / f"{recipe.parent.name}.csv"
    listed = [row["Hparam_file"] for row in rows(table)]
    present = [relative(path) for path in recipe.glob("hparams/*.yaml")]
    assert sorted(listed) == sorted(present)


@pytest.mark.parametrize("table", TABLES, ids=relative)
def test_flags_name_keys_of_the_yaml(table: Path):
    for row in rows(table):
        yaml = flattened(ROOT / row["Hparam_file"])
        flags = re.findall(r"(?:^| )--(\w+)=", row["test_debug_flags"])
        keys = set(re.findall(r"^(\w+):", yaml, flags=re.MULTILINE))
        unknown = set(flags) - keys
        assert not unknown, f"{row['Hparam_file']} has no {unknown}."


def test_each_fault_is_seen(tmp_path: Path):
    for name in ("train.py", "a.yaml"):
        (tmp_path / name).touch()
    (tmp_path / "README.md").write_text("STOI .712 https://a.example/b")
    good = {
        "Task": "Enhancement",
        "Dataset": "A",
        "Script_file": "train.py",
        "Hparam_file": "a.yaml",
        "Data_prep_file": "",
        "Readme_file": "README.md",
        "Result_url": "https://a.example/b",
        "HF_repo": "",
        "test_debug_flags": "--x=1",
        "test_debug_checks": "file_exists=[log.txt]",
        "performance": "STOI=.712",
    }
    bad = {
        "Task": "no Task",
        "Script_file": "Script_file no does not exist",
        "test_debug_flags": "no test_debug_flags",
        "Dataset": "the dataset is no",
        "test_debug_checks": "test_debug_checks has another form",
        "HF_repo": "the README does not have no",
        "performance": "the README does not have .9",
    }
    values = {"Task": "", "test_debug_flags": "", "performance": ".9"}
    table = tmp_path / "A.csv"
    write(table, [good])
    assert faults(table, tmp_path) == []
    for column, message in bad.items():
        write(table, [{**good, column: values.get(column, "no")}])
        assert faults(table, tmp_path) == [f"A.csv:2: {message}"]


def write(table: Path, lines: list[dict[str, str]]) -> None:
    with table.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, COLUMNS)
        writer.writeheader()
        writer.writerows(lines)
