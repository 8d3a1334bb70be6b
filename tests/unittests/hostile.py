"""What a stranger may put into a file.

Authors
 * The speechbrain-merit developers 2026
"""

import os
import resource
from collections.abc import Callable
from pathlib import Path
from typing import Any


class Trap:
    """Makes a file when it is unpickled.

    Arguments
    ---------
    path : Path
        The file.
    """

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Callable, tuple]:
        return os.system, (f"touch '{self.path}'",)


def grown_mb(function: Callable[[], Any]) -> float:
    """Tells by how much a call raises the process's largest memory.

    Arguments
    ---------
    function : callable
        What to call.

    Returns
    -------
    float
        In MB; less than it takes where the process was larger before.
    """
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    function()
    after = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return (after - before) / 1024
