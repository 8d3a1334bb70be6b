"""What is not imported before it is needed: the start must not take seconds.

Authors
 * The speechbrain-merit developers 2026
"""

import inspect
import subprocess
import sys

import pytest

from speechbrain_merit.command_line import import_official, process
from speechbrain_merit.export.official.importing import EMOTIONS
from speechbrain_merit.inference.chunking import CHUNK_S, OVERLAP_S
from speechbrain_merit.inference.timeline import TIMELINE_STEP_S

# Prints which of the modules that take long are there after a statement.
PROBE = """
import contextlib, io, sys
heavy = {"torch", "speechbrain", "numpy", "transformers", "matplotlib"}
heavy |= {"pydantic", "ray"}
from speechbrain_merit.command_line import main
for arguments in sys.argv[1:]:
    with contextlib.suppress(SystemExit), contextlib.redirect_stdout(None):
        main(arguments.split())
print(sorted(heavy & set(sys.modules)))
import speechbrain_merit.inference
print(sorted(heavy & set(sys.modules)))
"""
COMMANDS = [
    "--help",
    "process",
    "process --help",
    "process a.wav --nothing",
    "process a.wav --plot",
    "sweep --devices a --jobs 2 --script setup.cfg",
    "sweep --script setup.cfg",
    "demo --port a",
]


def test_heavy_modules_are_imported_where_they_are_used(tmp_path):
    (tmp_path / "setup.cfg").touch()
    result = subprocess.run(
        [sys.executable, "-c", PROBE, *COMMANDS],
        cwd=tmp_path,
        capture_output=True,
        text=True,
    )
    assert result.returncode == 0, result.stderr
    command_line, inference = result.stdout.splitlines()
    assert command_line == "[]"
    # What SpeechBrain itself imports.
    assert inference == "['numpy', 'speechbrain', 'torch']"


@pytest.mark.parametrize(
    ("function", "name", "value"),
    [
        (process.run, "chunk_s", CHUNK_S),
        (process.run, "overlap_s", OVERLAP_S),
        (process.run, "timeline_step_s", TIMELINE_STEP_S),
        (import_official.run, "emotions", EMOTIONS),
    ],
)
def test_defaults_that_are_written_out_are_the_right_ones(
    function, name, value
):
    assert inspect.signature(function).parameters[name].default == value
