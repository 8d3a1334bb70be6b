"""A lock on an output folder that lasts as long as who works in it.

Authors
 * The speechbrain-merit developers 2026
"""

from pathlib import Path
from typing import IO

try:
    import fcntl
except ImportError:  # Windows has no such locks: there nothing is locked.
    fcntl = None  # type: ignore[assignment]

LOCK_FILE = "sweep.lock"


def lock_folder(folder: Path) -> IO[str] | None:
    """Takes the lock of a folder, if nobody has it.

    A process that inherits the file keeps the lock for as long as it lives,
    also when the one that took the lock is killed.

    Arguments
    ---------
    folder : Path
        An output folder; made where needed.

    Returns
    -------
    file-like object or None
        What holds the lock until all who have it close it or end; None where
        somebody has the lock.

    Example
    -------
    >>> folder = Path(getfixture("tmpdir"))
    >>> held = lock_folder(folder)
    >>> lock_folder(folder) is None
    True
    >>> held.close()
    >>> lock_folder(folder) is None
    False
    """
    folder.mkdir(parents=True, exist_ok=True)
    stream = open(folder / LOCK_FILE, "w", encoding="utf-8")
    if fcntl is not None:
        try:
            fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            stream.close()
            return None
    return stream
