"""What a corpus lists, and which of it goes into which split.

Authors
 * The speechbrain-merit developers 2026
"""

import collections
import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

from speechbrain.utils.logger import get_logger

logger = get_logger(__name__)


@dataclasses.dataclass(frozen=True)
class Utterance:
    """What a corpus says about an utterance.

    Arguments
    ---------
    name : str
        Identity, distinct in the corpus.
    path : str
        File relative to the data folder, with forward slashes; or absolute.
    split : str
        One of `UTTERANCE_SPLITS`.
    speaker : str
        Who speaks; `unknown` where nobody knows.
    emotion : str, optional
        Label; None for none.
    noisy_path : str, optional
        File of the same utterance in noise, for corpora of given pairs.
    fields : Mapping
        Further fields for the manifest, the same ones for all utterances.
    """

    name: str
    path: str
    split: str
    speaker: str
    emotion: str | None = None
    noisy_path: str | None = None
    fields: Mapping[str, Any] = dataclasses.field(default_factory=dict)


def cyclic_split(index: int, fold: int, num_folds: int) -> str:
    """Tells the split of a speaker, or of a group of them, in a fold.

    Fold k tests on the groups of index k, develops on those that fold k + 1
    tests on (fold 0 after the last one), and trains on the others.

    Arguments
    ---------
    index : int
        Which group; it counts modulo the number of folds.
    fold : int
        Which fold.
    num_folds : int
        How many there are.

    Returns
    -------
    str
        One of `UTTERANCE_SPLITS`.

    Raises
    ------
    ValueError
        If there is no such fold.

    Example
    -------
    >>> [cyclic_split(index, fold=4, num_folds=5) for index in (4, 0, 1)]
    ['test', 'valid', 'train']
    """
    if fold not in range(num_folds):
        raise ValueError(f"fold must be 0 to {num_folds - 1}, not {fold}.")
    tested_in = index % num_folds
    if tested_in == fold:
        return "test"
    return "valid" if tested_in == (fold + 1) % num_folds else "train"


def select_utterances(
    utterances: Sequence[Utterance],
    emotions: Sequence[str],
    other_emotions: bool,
) -> list[Utterance]:
    """Keeps what has one of the emotions, or trains without a label.

    Arguments
    ---------
    utterances : sequence of Utterance
        All candidates.
    emotions : sequence of str
        Labels to keep.
    other_emotions : bool
        Whether training utterances of other emotions, or of none, are kept
        without a label.

    Returns
    -------
    list of Utterance
        Those that are left, in their order.

    Raises
    ------
    ValueError
        If one of the emotions never occurs.

    Example
    -------
    >>> calm = Utterance("a", "a.wav", "train", "s1", "calm")
    >>> sad = Utterance("b", "b.wav", "train", "s1", "sad")
    >>> kept = select_utterances([calm, sad], ["sad"], other_emotions=True)
    >>> [utterance.emotion for utterance in kept]
    [None, 'sad']
    """
    known = {u.emotion for u in utterances if u.emotion is not None}
    unknown = [name for name in emotions if name not in known]
    if unknown:
        raise ValueError(
            f"emotions names {unknown}, which no utterance has; the corpus's "
            f"labels are {sorted(known)}."
        )
    kept: list[Utterance] = []
    dropped: collections.Counter[str | None] = collections.Counter()
    for utterance in utterances:
        if utterance.emotion in emotions:
            kept.append(utterance)
        elif other_emotions and utterance.split == "train":
            kept.append(dataclasses.replace(utterance, emotion=None))
        else:
            dropped[utterance.emotion or "no label"] += 1
    if dropped:
        counts = ", ".join(f"{n} {name}" for name, n in dropped.most_common())
        logger.info(f"Utterances of other emotions, left out: {counts}.")
    return kept
