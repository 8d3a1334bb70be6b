"""The file that says which output of the model is which emotion.

Authors
 * The speechbrain-merit developers 2026
"""

import os
from collections.abc import Sequence
from pathlib import Path

from speechbrain.dataio.encoder import CategoricalEncoder


def write_labels_once(path: str | Path, emotions: Sequence[str]) -> None:
    """Writes a `CategoricalEncoder`, whole or not at all, if it is not there.

    Arguments
    ---------
    path : str or Path
        Where to.
    emotions : sequence of str
        In the order of the model's outputs.

    Example
    -------
    >>> path = getfixture("tmpdir") / "label_encoder.txt"
    >>> write_labels_once(path, ["angry", "sad"])
    >>> encoder = CategoricalEncoder()
    >>> encoder.load(path)
    >>> encoder.lab2ind
    {'angry': 0, 'sad': 1}
    """
    path = Path(path)
    if path.exists():
        return
    encoder = CategoricalEncoder()
    encoder.update_from_iterable(emotions, sequence_input=False)
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(path.name + ".partial")
    encoder.save(partial)
    os.replace(partial, path)
