"""`speechbrain-merit import-official`: a published checkpoint as our folder.

Authors
 * The speechbrain-merit developers 2026
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Literal


def run(
    source: str,
    destination: Path,
    *,
    gate: Literal["sparse", "dense"] = "sparse",
    emotions: Sequence[str] = ("angry", "sad", "happy", "neutral"),
    license: str = "other",
) -> int:
    """Makes a folder of a checkpoint that the authors published.

    The model loads from it here. The checkpoint is in the format of the code
    published with the paper.

    Arguments
    ---------
    source : str
        Folder with the published files, or its hub name.
    destination : Path
        Folder to make.
    gate : str
        One expert for every frame, or all of them; the files of both look the
        same.
    emotions : sequence of str
        Names of the classes in the order of the files, which do not name
        them.
    license : str
        The hub's identifier of the licence of the weights.

    Returns
    -------
    int
        Exit status: zero.

    Raises
    ------
    FileNotFoundError
        If the source cannot be had, or lacks files.
    ValueError
        If something in it is not as published, or the destination exists.

    Example
    -------
    >>> run(str(getfixture("tmpdir")), Path("model"))
    Traceback (most recent call last):
    ...
    FileNotFoundError: ... lacks final_ssl.pt, ...
    """
    # Here, so that its help does not wait for PyTorch.
    from speechbrain_merit.export.official import import_official

    import_official(source, destination, gate, emotions, license)
    return 0
