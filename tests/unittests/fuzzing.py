"""Properties checked on many made-up inputs: the same ones each time, or new.

Authors
 * The speechbrain-merit developers 2026
"""

import sys
from collections.abc import Callable
from typing import Any

import pytest

from speechbrain.utils.importutils import LazyModule

# CI installs it with the extra "test".
hypothesis = pytest.importorskip("hypothesis")

# With `-m long`, so many times the inputs, and other ones in each run.
LONG = 20

in_both_forms = pytest.mark.parametrize(
    "times",
    [
        pytest.param(1, id="short"),
        pytest.param(LONG, id="long", marks=pytest.mark.long),
    ],
)


def fuzz(
    times: int, num_inputs: int, **strategies: Any
) -> Callable[[Callable[..., None]], None]:
    """Checks a property at once, where it is written.

    Arguments
    ---------
    times : int
        1 for the fixed inputs; more for so many times as many new ones.
    num_inputs : int
        How many there are in the short form.
    **strategies : Any
        What to draw, by the arguments of the property.

    Returns
    -------
    callable
        A decorator for the property, which gives nothing.
    """
    settings = hypothesis.settings(
        max_examples=num_inputs * times,
        derandomize=times == 1,
        database=None,
        # A machine may be busy; a hang is for the caller's time limit.
        deadline=None,
        print_blob=times > 1,
        suppress_health_check=list(hypothesis.HealthCheck),
    )

    def check(holds: Callable[..., None]) -> None:
        # hypothesis asks every module for its file, and SpeechBrain's lazy
        # ones would import packages that are not there.
        for module in list(sys.modules.values()):
            if isinstance(module, LazyModule):
                module.__file__ = None
        settings(hypothesis.given(**strategies)(holds))()

    return check
