"""`speechbrain-merit models`: the trained models that there are.

Authors
 * The speechbrain-merit developers 2026
"""

from collections.abc import Sequence
from pathlib import Path

from speechbrain_merit.pretrained import MERIT_BASE


def run(folders: Sequence[str] = ("results",)) -> int:
    """Lists trained models.

    What comes with this package comes first, then what is in folders. Each is
    a name for --model and for load().

    Arguments
    ---------
    folders : sequence of str
        Where to look, at any depth: experiments of train.py, and folders that
        export made.

    Returns
    -------
    int
        Exit status: zero.

    Example
    -------
    >>> run([str(getfixture("tmpdir"))])
    merit-base  54 MB  angry, sad, happy, neutral
    0
    """
    # Here, so that its help does not wait for PyTorch.
    from speechbrain_merit.pretrained.folder import (
        HYPERPARAMETERS,
        LABELS,
        read_emotions,
    )
    from speechbrain_merit.pretrained.weights import WEIGHTS

    found = {MERIT_BASE.name: MERIT_BASE / WEIGHTS}
    for folder in folders:
        for weights in sorted(Path(folder).rglob(WEIGHTS)):
            place = weights.parent
            is_inside = place.name == "pretrained"
            found[str(place.parent if is_inside else place)] = weights
    for name, weights in found.items():
        size_mb = weights.stat().st_size / 1e6
        description = weights.with_name(HYPERPARAMETERS).read_text("utf-8")
        emotions = read_emotions(weights.with_name(LABELS))
        tasks = ", ".join(emotions * ("emotion_head:" in description))
        print(f"{name}  {size_mb:.0f} MB  {tasks or 'enhances only'}")
    return 0
