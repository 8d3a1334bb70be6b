"""Tests that no text has what belongs to one machine or is to be filled in.

Authors
 * The speechbrain-merit developers 2026
"""

import re

from repository import files, relative

# At the root, unlike the folder tests/tmp of SpeechBrain.
MACHINE_PATH = re.compile(r"(?<![\w.])/(work|tmp)/")


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
            if MACHINE_PATH.search(line)
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
