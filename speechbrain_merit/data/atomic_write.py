"""Files and folders that are either whole or not there.

Authors
 * The speechbrain-merit developers 2026
"""

import contextlib
import os
import shutil
import tempfile
import uuid
from collections.abc import Iterator
from pathlib import Path


@contextlib.contextmanager
def atomic_write(path: str | Path) -> Iterator[Path]:
    """Gives a path to write to, and that its name when it is written.

    Whoever looks meanwhile finds what was there before, as after an error or
    a kill. Processes may write the same path at the same time: the last one
    stays. A link is written through. A device or a pipe stays what it is, and
    is given what was written.

    Arguments
    ---------
    path : str or Path
        File, or a folder that is not there; folders above it are made.

    Yields
    ------
    Path
        Hidden beside it, with its extension; nothing is there yet.

    Raises
    ------
    OSError
        As where the disk is full; the message names the path.

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
    if is_device(path):
        with tempfile.TemporaryDirectory() as folder:
            whole = Path(folder) / path.name
            yield whole
            with (
                naming_path(path),
                whole.open("rb") as source,
                path.open("ab") as target,
            ):
                shutil.copyfileobj(source, target)
        return
    path = Path(os.path.realpath(path))
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f".{uuid.uuid4().hex}.partial{path.suffix}")
    try:
        with naming_path(path):
            yield partial
        os.replace(partial, path)
    except BaseException:
        if partial.is_dir():
            shutil.rmtree(partial)
        partial.unlink(missing_ok=True)
        raise


@contextlib.contextmanager
def naming_path(path: str | Path) -> Iterator[None]:
    """Makes errors such as that of a full disk name what was written.

    Arguments
    ---------
    path : str or Path
        File that is written.

    Yields
    ------
    None
        Once.

    Raises
    ------
    OSError
        The same error, with the path.

    Example
    -------
    >>> with naming_path("table.md"):
    ...     raise OSError(28, "No space left on device")
    Traceback (most recent call last):
    ...
    OSError: [Errno 28] No space left on device: 'table.md'
    """
    try:
        yield
    except OSError as error:
        if error.filename is None:
            error.filename = str(path)
        raise


def is_device(path: str | os.PathLike[str]) -> bool:
    """Tells whether a path is neither file nor folder, but there.

    Arguments
    ---------
    path : str or Path
        Maybe a link.

    Returns
    -------
    bool
        True for devices, pipes and sockets.

    Example
    -------
    >>> is_device(os.devnull), is_device("nowhere")
    (True, False)
    """
    path = Path(path)
    return path.exists() and not path.is_file() and not path.is_dir()
