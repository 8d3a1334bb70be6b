"""Checksums of a folder's files, in the format of `sha256sum`.

Authors
 * The speechbrain-merit developers 2026
"""

import hashlib
import os
from collections.abc import Sequence
from pathlib import Path

SUMS_FILE = "SHA256SUMS"
_CHUNK_BYTES = 1 << 20


def write_checksums(folder: str | Path) -> None:
    """Writes `SHA256SUMS`, and makes sure that all of the folder is on disk.

    Arguments
    ---------
    folder : str or Path
        A folder without folders in it.

    Example
    -------
    >>> folder = Path(getfixture("tmpdir"))
    >>> _ = (folder / "a.ckpt").write_text("a")
    >>> write_checksums(folder)
    >>> (folder / "SHA256SUMS").read_text()
    'ca978112ca1bbdcafac231b39a23dc4da786eff8147c4e72b9807785afee48bb  a.ckpt\\n'
    """
    folder = Path(folder)
    names = sorted(path.name for path in folder.iterdir())
    lines = [f"{_digest(folder / n)}  {n}\n" for n in names if n != SUMS_FILE]
    (folder / SUMS_FILE).write_text("".join(lines), encoding="utf-8")
    # Without this, a power failure may leave whole names on empty files.
    for name in (*names, SUMS_FILE, "."):
        sync_to_disk(folder / name)


def find_damage(
    folder: str | Path,
    required: Sequence[str] = (),
    only: Sequence[str] | None = None,
) -> str | None:
    """Compares a folder with its `SHA256SUMS`.

    Arguments
    ---------
    folder : str or Path
        What `write_checksums` has seen. Files that it has not seen may be
        there too.
    required : sequence of str
        Files that must be listed, beside those that are.
    only : sequence of str, optional
        The files to look at; those listed and required by default.

    Returns
    -------
    str or None
        What is wrong with the first bad file; None where all is well.

    Example
    -------
    >>> folder = Path(getfixture("tmpdir"))
    >>> _ = (folder / "a.ckpt").write_text("a")
    >>> write_checksums(folder)
    >>> find_damage(folder)
    >>> _ = (folder / "a.ckpt").write_text("b")
    >>> find_damage(folder)
    'a.ckpt is not as it was written'
    """
    folder = Path(folder)
    try:
        text = (folder / SUMS_FILE).read_text(encoding="utf-8")
        lines = [line.split("  ", maxsplit=1) for line in text.splitlines()]
        sums = {name: digest for digest, name in lines}
    except FileNotFoundError:
        return f"{SUMS_FILE} is missing"
    except ValueError:
        return f"{SUMS_FILE} is damaged"
    for name in only or sorted({*sums, *required}):
        if name not in sums:
            return f"{SUMS_FILE} has no line for {name}"
        if not (folder / name).is_file():
            return f"{name} is missing"
        if _digest(folder / name) != sums[name]:
            return f"{name} is not as it was written"
    return None


def sync_to_disk(path: str | Path) -> None:
    """Waits until a file or a folder is on disk, where the system can.

    Arguments
    ---------
    path : str or Path
        What was written.

    Example
    -------
    >>> sync_to_disk(getfixture("tmpdir"))
    """
    if os.name != "posix" and Path(path).is_dir():
        return
    descriptor = os.open(path, os.O_RDONLY if os.name == "posix" else os.O_RDWR)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _digest(path: Path) -> str:
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while chunk := file.read(_CHUNK_BYTES):
            digest.update(chunk)
    return digest.hexdigest()
