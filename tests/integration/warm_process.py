"""A process that has imported all that train.py does, and forks at every call.

Imports take most of the time of a small training otherwise. Run as a script,
this is that process: for every line that it reads, it runs a script as a
child, says its process number, and then how it ended.

Authors
 * The speechbrain-merit developers 2026
"""

import functools
import importlib
import json
import os
import runpy
import subprocess
import sys
import tempfile
import traceback
from collections.abc import Sequence
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]


class WarmProcess:
    """What runs scripts without waiting for imports, one at a time.

    `cpu_s` is the time that all of them took of a processor.
    """

    def __init__(self) -> None:
        self.cpu_s = 0.0
        self._folder = tempfile.TemporaryDirectory()
        self.log = Path(self._folder.name) / "log.txt"
        self._process = subprocess.Popen(
            [sys.executable, __file__],
            cwd=ROOT,
            text=True,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        )

    def start(
        self,
        arguments: Sequence[object],
        before: str = "",
        given: dict[str, Any] | None = None,
    ) -> int:
        """Starts a script; gives its process number.

        Arguments
        ---------
        arguments : sequence
            The script's path and what it is called with.
        before : str
            `module.function`, which is called in the child before the script.
        given : dict
            What that function is called with.

        Returns
        -------
        int
            The child's process number.
        """
        request = {
            "arguments": [str(argument) for argument in arguments],
            "log": str(self.log),
            "before": before,
            "given": given or {},
        }
        self._process.stdin.write(json.dumps(request) + "\n")
        self._process.stdin.flush()
        return int(self._process.stdout.readline())

    def wait(self) -> tuple[int, str]:
        """Waits for the script; gives its status, and what it printed."""
        status, cpu_s = self._process.stdout.readline().split()
        self.cpu_s += float(cpu_s)
        return int(status), self.log.read_text(encoding="utf-8")


@functools.cache
def warm_process() -> WarmProcess:
    """The one of this process; it ends with it, as nothing is there to read."""
    return WarmProcess()


def serve() -> None:
    """Runs a script for every line that is read."""
    for line in sys.stdin:
        request = json.loads(line)
        child = os.fork()
        if child == 0:
            run(**request)
        print(child, flush=True)
        _, status, usage = os.wait4(child, 0)
        cpu_s = usage.ru_utime + usage.ru_stime
        print(os.waitstatus_to_exitcode(status), cpu_s, flush=True)


def run(
    arguments: list[str], log: str, before: str, given: dict[str, Any]
) -> None:
    """Runs a script in this process, which ends with it."""
    output = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
    os.dup2(output, 1)
    os.dup2(output, 2)
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    status = 0
    try:
        if before:
            module, function = before.split(".")
            getattr(importlib.import_module(module), function)(**given)
        sys.argv = arguments
        # As Python does it for a script.
        sys.path[0] = str(Path(arguments[0]).resolve().parent)
        runpy.run_path(arguments[0], run_name="__main__")
    except SystemExit as end:
        if isinstance(end.code, str):
            print(end.code, file=sys.stderr)
        status = end.code if isinstance(end.code, int) else bool(end.code)
    except BaseException:
        traceback.print_exc()
        status = 1
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(status)


if __name__ == "__main__":
    import matplotlib.pyplot  # noqa: F401
    import transformers.models.wavlm.modeling_wavlm  # noqa: F401

    import speechbrain as sb

    # Imports all that it needs, and trains nothing.
    runpy.run_path("train.py", run_name="train")
    # The list of all packages, for env.log, takes as long as a training.
    sb.utils.logger.get_environment_description = lambda: ""
    serve()
