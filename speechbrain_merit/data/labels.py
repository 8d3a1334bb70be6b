"""Labels of a corpus as those of a model, and the outputs that they are.

Authors
 * The speechbrain-merit developers 2026
"""

from collections.abc import Mapping, Sequence
from pathlib import Path

from speechbrain.dataio.encoder import CategoricalEncoder

from .atomic_write import atomic_write


def map_label(
    label: str | None,
    emotions: Sequence[str],
    mapping: Mapping[str | None, str | None],
    corpus: str,
) -> str | None:
    """Names the model's emotion for the corpus's.

    Arguments
    ---------
    label : str or None
        Of an utterance; None for none.
    emotions : sequence of str
        Those of the model.
    mapping : Mapping
        Emotion by label, where they differ; None for labels to leave out.
    corpus : str
        Its name, for the error.

    Returns
    -------
    str or None
        One of the emotions; None for none.

    Raises
    ------
    ValueError
        If it is none of them.

    Example
    -------
    >>> map_label("anger", ["angry"], {"anger": "angry"}, "Mine")
    'angry'
    """
    mapped = mapping.get(label, label)
    if mapped is not None and mapped not in emotions:
        raise ValueError(
            f"The emotion {mapped!r} of {corpus} is none of "
            f"{list(emotions)}: give label_mapping what it stands for, or "
            "null to leave it out."
        )
    return mapped


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
    with atomic_write(path) as partial:
        encoder.save(partial)
