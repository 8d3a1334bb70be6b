"""Tests that the repository is clean by its own style settings.

Authors
 * The speechbrain-merit developers 2026
"""

import re
import subprocess
import sys

import pytest
from repository import ROOT, files, relative

# In pieces, so that this file is not among what it finds.
MACHINE_PATHS = ("/" + "work/", "/" + "tmp/")


@pytest.mark.parametrize(
    "command", [["check"], ["format", "--check"]], ids=" ".join
)
def test_ruff_passes(command: list[str]):
    run = subprocess.run(
        [sys.executable, "-m", "ruff", *command, "--no-cache", "."],
        cwd=ROOT,
        capture_output=True,
        text=True,
    )
    assert run.returncode == 0, run.stdout + run.stderr


def test_no_paths_of_one_machine():
    found = []
    for path in files():
        if relative(path).startswith("tests/"):
            continue
        # Binary files are read too; what they hold besides is no matter.
        text = path.read_text(encoding="utf-8", errors="replace")
        found += [
            f"{relative(path)}:{number}: {line.strip()}"
            for number, line in enumerate(text.splitlines(), start=1)
            if any(needle in line for needle in MACHINE_PATHS)
        ]
    assert not found, "Paths of one machine:\n" + "\n".join(found)


def test_no_figure_is_left_to_be_filled_in():
    placeholder = re.compile(r"\b[A-Z]+_(TIME|TABLE|SUMMARY|RESULTS)\b")
    found = [
        f"{relative(path)}: {match.group()}"
        for path in files(".md")
        for match in placeholder.finditer(path.read_text(encoding="utf-8"))
    ]
    assert not found, "\n".join(found)
