#!/usr/bin/env python3
"""Puts recipes, their tables, samples and lobes into a checkout of SpeechBrain,
and runs that checkout's own checks on them.

> python tools/upstream_check.py PATH_TO_SPEECHBRAIN

The checkout stays as it is: a copy of it is checked, unless --in_place is
given. What is checked are the checkout's `tests/consistency` (which call its
`tests/utils/check_*.py`), the doctests of the lobes, and ruff and yamllint
with the checkout's settings. `--run CORPUS` also trains every line of
`tests/recipes/CORPUS.csv` with the checkout's own runner.

Authors
 * The speechbrain-merit developers 2026
"""

import argparse
import csv
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

from speechbrain.utils.logger import get_logger
from speechbrain_merit.config import compose

logger = get_logger(__name__)

ROOT = Path(__file__).resolve().parents[1]
SAMPLES = Path("tests/samples/joint_enhance_emotion")
LOBES = Path("speechbrain/lobes/models/sparse_merit")
# What says that a folder is a checkout, and is needed below.
NEEDED = (
    "speechbrain/core.py",
    "speechbrain/lobes/models",
    "recipes",
    "tests/recipes",
    "tests/consistency",
    "tests/utils",
)
IGNORED = shutil.ignore_patterns("__pycache__", ".git", "results")
RUNNER = """
import sys
from tests.utils.recipe_tests import run_recipe_tests
passed = run_recipe_tests(
    filters_fields=["Dataset", "Script_file"],
    filters=[[sys.argv[1]], [sys.argv[2]]],
    do_checks=True,
    run_opts="--device=cpu",
)
sys.exit(not passed)
"""


def check_checkout(checkout: Path) -> None:
    """Refuses a folder that is no checkout of SpeechBrain.

    Arguments
    ---------
    checkout : Path
        The folder.

    Raises
    ------
    FileNotFoundError
        If something of a checkout is missing; the message names it.
    """
    missing = [name for name in NEEDED if not (checkout / name).exists()]
    if missing:
        raise FileNotFoundError(
            f"{checkout} is no checkout of SpeechBrain: it lacks "
            f"{', '.join(missing)}. Give the folder of `git clone "
            "https://github.com/speechbrain/speechbrain`; an installed "
            "package has no recipes and no tests."
        )


def add_to_checkout(root: Path, checkout: Path) -> list[Path]:
    """Copies what would be contributed, following links as `cp -rL` does.

    Arguments
    ---------
    root : Path
        Top of this project.
    checkout : Path
        A checkout, which is changed.

    Returns
    -------
    list of Path
        The copied files and the tables, relative to the checkout.

    Raises
    ------
    FileExistsError
        If the checkout has another file of the same name.
    """
    places = [
        (folder, Path("recipes") / folder.name)
        for folder in sorted((root / "recipes").iterdir())
        if folder.is_dir() and not folder.name.startswith(("_", "."))
    ]
    places.append((root / SAMPLES, SAMPLES))
    places.append((root / "speechbrain_merit" / "lobes", LOBES))
    added = []
    for source, target in places:
        added += _copy_tree(source, checkout, target)
    for table in sorted((root / "tests" / "recipes").glob("*.csv")):
        added.append(_merge_table(table, checkout))
    return added


def _copy_tree(source: Path, checkout: Path, target: Path) -> list[Path]:
    added = []
    for path in _files(source):
        relative = target / path.relative_to(source)
        place = checkout / relative
        content = path.read_bytes()
        if path.suffix == ".yaml" and b"\nbase: " in content:
            # Upstream has no overlays.
            content = compose(path).text.encode("utf-8")
        if place.exists() and place.read_bytes() != content:
            raise FileExistsError(
                f"{place} is there already and differs from {path}: take a "
                "checkout without it, or rename one of the two."
            )
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_bytes(content)
        added.append(relative)
    return added


def _files(folder: Path) -> Iterator[Path]:
    for place, subfolders, names in os.walk(folder, followlinks=True):
        ignored = IGNORED(place, [*subfolders, *names])
        subfolders[:] = sorted(set(subfolders) - ignored)
        for name in sorted(set(names) - ignored):
            yield Path(place) / name


def _merge_table(table: Path, checkout: Path) -> Path:
    """Adds the lines of a table to the checkout's, which may be none yet."""
    relative = Path("tests") / "recipes" / table.name
    place = checkout / relative
    if not place.exists():
        shutil.copy(table, place)
        return relative
    with place.open(encoding="utf-8", newline="") as file:
        columns = next(csv.reader(file, skipinitialspace=True))
    text = place.read_text(encoding="utf-8")
    with (
        table.open(encoding="utf-8", newline="") as source,
        place.open("a", encoding="utf-8", newline="") as target,
    ):
        if not text.endswith("\n"):
            target.write("\n")
        writer = csv.DictWriter(
            target, columns, extrasaction="ignore", lineterminator="\n"
        )
        for row in csv.DictReader(source):
            if row["Hparam_file"] not in text:
                writer.writerow(row)
    return relative


def commands(
    checkout: Path, added: list[Path], corpora: list[str]
) -> dict[str, list[str]]:
    """Lists the checks of a checkout that apply.

    Arguments
    ---------
    checkout : Path
        A checkout with what is to be checked.
    added : list of Path
        The files that were added, relative to the checkout.
    corpora : list of str
        Those whose lines are to be trained.

    Returns
    -------
    dict
        Command by name; each is run at the top of the checkout.
    """
    python = [sys.executable, "-m"]
    pytest = [*python, "pytest", "-q", "-p", "no:cacheprovider"]
    scripts = [str(path) for path in added if path.suffix == ".py"]
    yamls = [str(path) for path in added if path.suffix in (".yaml", ".yml")]
    found = {
        "consistency": [*pytest, "tests/consistency"],
        "doctests of the lobes": [*pytest, "--doctest-modules", str(LOBES)],
    }
    if (checkout / "pyproject.toml").is_file():
        ruff = [*python, "ruff"]
        no_cache = ["--no-cache", "--config", "pyproject.toml"]
        found["ruff check"] = [*ruff, "check", *no_cache, *scripts]
        found["ruff format"] = [*ruff, "format", "--check", *no_cache, *scripts]
    if (checkout / ".yamllint.yaml").is_file():
        found["yamllint"] = [*python, "yamllint", "-f", "parsable"]
        found["yamllint"] += ["-c", ".yamllint.yaml", *yamls]
    for name in corpora:
        script = f"recipes/{name}/joint_enhance_emotion/train.py"
        if not (checkout / script).is_file():
            raise FileNotFoundError(
                f"There is no {script}: give --run the name of a folder of "
                "recipes."
            )
        found[f"recipe {name}"] = [sys.executable, "-c", RUNNER, name, script]
    return found


def run_checks(
    checkout: Path, named_commands: dict[str, list[str]]
) -> list[str]:
    """Runs checks one after another, and logs what each one says.

    Arguments
    ---------
    checkout : Path
        Where to run.
    named_commands : dict
        Command by name.

    Returns
    -------
    list of str
        Names of the checks that failed.
    """
    # The checkout's own speechbrain goes before an installed one.
    path = os.pathsep.join([str(checkout), os.environ.get("PYTHONPATH", "")])
    failed = []
    for name, command in named_commands.items():
        result = subprocess.run(
            command,
            cwd=checkout,
            text=True,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            env={**os.environ, "PYTHONPATH": path},
            check=False,
        )
        passed = result.returncode == 0
        if not passed:
            failed.append(name)
        logger.info(
            "%s: %s\n%s", name, "passed" if passed else "FAILED", result.stdout
        )
    return failed


def main(arguments: list[str]) -> int:
    """Checks a checkout.

    Arguments
    ---------
    arguments : list of str
        Of the command line.

    Returns
    -------
    int
        0 if all checks passed.
    """
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("checkout", type=Path)
    parser.add_argument(
        "--in_place", action="store_true", help="change the checkout itself"
    )
    parser.add_argument(
        "--run", nargs="*", default=[], metavar="CORPUS", help="train its lines"
    )
    options = parser.parse_args(arguments)
    try:
        check_checkout(options.checkout)
        with tempfile.TemporaryDirectory() as folder:
            checkout = options.checkout.resolve()
            if not options.in_place:
                copy = Path(folder) / "speechbrain"
                shutil.copytree(checkout, copy, symlinks=True, ignore=IGNORED)
                checkout = copy
            added = add_to_checkout(ROOT, checkout)
            named_commands = commands(checkout, added, options.run)
            failed = run_checks(checkout, named_commands)
    except OSError as error:
        parser.exit(2, f"{error}\n")
    if failed:
        logger.error("Not passed: %s", ", ".join(failed))
        return 1
    logger.info(
        "%d files, %d checks, all passed", len(added), len(named_commands)
    )
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
