"""One training or test at a time in an output folder.

Authors
 * The speechbrain-merit developers 2026
"""

import os
import socket
from pathlib import Path

from filelock import FileLock, Timeout


def claim_folder(folder: str | Path) -> FileLock:
    """Keeps other processes out of a folder for as long as this one lives.

    The operating system lets go of it when the process ends, however it does.
    No child process keeps it: a training that was killed can be continued
    while its loaders still linger.

    Arguments
    ---------
    folder : str or Path
        An output folder; made where needed.

    Returns
    -------
    filelock.FileLock
        What holds the folder until it is released or forgotten.

    Raises
    ------
    RuntimeError
        If another process has it.

    Example
    -------
    >>> held = claim_folder(getfixture("tmpdir"))
    >>> held.release()
    """
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    lock, holder = FileLock(folder / "train.lock"), folder / "train.holder"
    try:
        # A child that was forked a moment ago lets go of it at once.
        lock.acquire(timeout=1)
    except Timeout as error:
        name = holder.read_text("utf-8") if holder.exists() else ""
        raise RuntimeError(
            f"{folder} is in use by {name.strip() or 'another process'}: two "
            "at once would destroy each other's checkpoints. Wait for it or "
            "end it, or give another output_folder."
        ) from error
    holder.write_text(
        f"process {os.getpid()} on {socket.gethostname()}", "utf-8"
    )
    return lock
