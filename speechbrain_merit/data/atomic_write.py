"""Files and folders that are either whole or not there.

Authors
 * The speechbrain-merit developers 2026
"""

import contextlib
import os
import shutil
import uuid
from collections.abc import Iterator
from pathlib import Path


@contextlib.contextmanager
def atomic_write(path: str | Path) -> Iterator[Path]:
    """Gives a path to write to, and that its name when it is written.

    Whoever looks meanwhile finds what was there before, as after an error or
    a kill. Processes may write the same path at the same time: the last one
    stays.

    Arguments
    ---------
    path : str or Path
        File, or a folder that is not there; folders above it are made.

    Yields
    ------
    Path
        Hidden beside it, with its extension; nothing is there yet.

    Example
    -------
    >>> path = Path(getfixture("tmpdir")) / "results" / "table.md"
    >>> with atomic_write(path) as partial:
    ...     _ = partial.write_text("whole", encoding="utf-8")
    ...     path.exists()
    False
    >>> path.read_text(encoding="utf-8")
    'whole'
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f".{uuid.uuid4().hex}.partial{path.suffix}")
    try:
        yield partial
        os.replace(partial, path)
    except BaseException:
        if partial.is_dir():
            shutil.rmtree(partial)
        partial.unlink(missing_ok=True)
        raise
