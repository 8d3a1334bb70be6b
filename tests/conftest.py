"""What all tests share.

Authors
 * The speechbrain-merit developers 2026
"""

import os

import pytest

# The tests run in two processes, and so do the trainings that they start:
# several threads in each would wait for one another. Read when torch loads.
os.environ.setdefault("OMP_NUM_THREADS", "1")


@pytest.hookimpl(tryfirst=True)
def pytest_cmdline_main(config):
    """Runs the whole suite in two processes, where pytest-xdist is there."""
    whole = config.args_source is config.ArgsSource.TESTPATHS
    inside = hasattr(config, "workerinput")
    # None also where the plugin is not loaded.
    asked = config.getoption("numprocesses", None) is not None
    # These have prepared for one process by now: `-n 2` tells them in time.
    alone = config.getoption("usepdb") or config.getoption("cov_source", None)
    if whole and not (inside or asked or alone):
        config.option.numprocesses = 2
        config.option.dist = "worksteal"
