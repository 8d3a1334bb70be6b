"""The command `speechbrain-merit`.

Authors
 * The speechbrain-merit developers 2026
"""

import argparse
import importlib
import logging
import sys
from collections.abc import Sequence

from speechbrain_merit import __version__

from .subcommand import add_subcommand

# Not SpeechBrain's: no command's help and mistakes wait for PyTorch.
logger = logging.getLogger(__name__)

# As shells have it after Ctrl-C.
_INTERRUPTED = 130
# In the order of the help; each is the module with its function `run`.
_COMMANDS = (
    "process listen demo models export export_onnx import_official report sweep"
)


def main(argv: Sequence[str] | None = None) -> int:
    """Runs a subcommand.

    Arguments
    ---------
    argv : sequence of str, optional
        Arguments; those of the command line by default.

    Returns
    -------
    int
        Exit status: zero, one where something failed, or 130 after Ctrl-C.

    Example
    -------
    >>> main(["export", "nowhere", str(getfixture("tmpdir") / "model")])
    1
    """
    argv = sys.argv[1:] if argv is None else argv
    parser = argparse.ArgumentParser(
        prog="speechbrain-merit",
        description="Enhances speech and names its emotion.",
    )
    parser.add_argument(
        "--version", action="version", version=f"%(prog)s {__version__}"
    )
    commands = parser.add_subparsers(
        title="commands", metavar="COMMAND", required=True
    )
    for name in _COMMANDS.split():
        module = importlib.import_module(f".{name}", __name__)
        add_subcommand(commands, name.replace("_", "-"), module.run)
    arguments = vars(parser.parse_args(argv))
    try:
        return arguments.pop("function")(**arguments)
    except KeyboardInterrupt:
        logger.error("Interrupted: what is finished stays.")
        return _INTERRUPTED
    except (ImportError, OSError, ValueError) as error:
        logger.error("%s", error)
        return 1
