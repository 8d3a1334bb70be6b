"""Tests that the package's type annotations agree with its code.

Authors
 * The speechbrain-merit developers 2026
"""

import subprocess
import sys

from repository import ROOT


def test_mypy_passes():
    run = subprocess.run(
        [sys.executable, "-m", "mypy"],
        cwd=ROOT,
        capture_output=True,
        text=True,
    )
    assert run.returncode == 0, run.stdout + run.stderr
