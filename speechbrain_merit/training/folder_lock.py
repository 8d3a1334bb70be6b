"""One training or test at a time in an output folder.

Authors
 * The speechbrain-merit developers 2026
"""

import os
import socket
from pathlib import Path
from typing import IO

try:
    import fcntl
except ImportError:  # Windows has no such locks: there nothing is locked.
    fcntl = None  # type: ignore[assignment]

CLAIM_FILE = "train.lock"


def claim_folder(folder: str | Path) -> IO[str]:
    """Keeps other processes out of a folder for as long as this one lives.

    The operating system lets go of it when the process ends, however it does.
    Unlike the lock of `speechbrain_merit.experiments.sweep`, no child process keeps it: a
    training that was killed can be continued while its loaders still linger.

    Arguments
    ---------
    folder : str or Path
        An output folder; made where needed.

    Returns
    -------
    file-like object
        What holds the folder until it is closed.

    Raises
    ------
    RuntimeError
        If another process has it.

    Example
    -------
    >>> held = claim_folder(getfixture("tmpdir"))
    >>> held.close()
    """
    path = Path(folder) / CLAIM_FILE
    path.parent.mkdir(parents=True, exist_ok=True)
    stream = path.open("a+", encoding="utf-8")
    if fcntl is not None:
        try:
            fcntl.lockf(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except (BlockingIOError, PermissionError):
            stream.seek(0)
            holder = stream.read().strip() or "another process"
            stream.close()
            raise RuntimeError(
                f"{folder} is in use by {holder}: two at once would destroy "
                "each other's checkpoints. Wait for it or end it, or give "
                "another output_folder."
            )
    stream.truncate(0)
    stream.write(f"process {os.getpid()} on {socket.gethostname()}\n")
    stream.flush()
    return stream
