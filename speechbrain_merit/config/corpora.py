"""The corpora that a training script can use.

A corpus is a folder of `recipes` whose `corpus.yml` overrides some keys of the
variants. So variants and corpora add up instead of multiplying.

Authors
 * The speechbrain-merit developers 2026
"""

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from ruamel.yaml.comments import CommentedMap

from .names import suggestion
from .reading import read_mapping, read_overrides

TASK_FOLDER = "joint_enhance_emotion"
CORPUS_FILE = "corpus.yml"
DEFAULT_CORPUS = "mini"
# What several corpora are prepared by; their functions are added.
_JOINED = """
prepare_corpus: !name:joining.join_corpora
    prepare: {}
    emotions: !ref <emotions>
    label_mapping: !ref <label_mapping>
prepare_options:
    left_out: []
"""


def find_corpora(script_folder: str | Path) -> dict[str, Path]:
    """Finds the recipe folders that a training script can use.

    Arguments
    ---------
    script_folder : str or Path
        Folder of train.py: the top of the project, or a single recipe folder
        `<Corpus>/joint_enhance_emotion`, as a contribution to SpeechBrain is.

    Returns
    -------
    dict
        Recipe folder by the name of its corpus.

    Example
    -------
    >>> folder = getfixture("tmpdir").mkdir("recipes").mkdir("Mine")
    >>> _ = folder.mkdir(TASK_FOLDER).join(CORPUS_FILE).write("")
    >>> list(find_corpora(getfixture("tmpdir")))
    ['Mine']
    """
    script_folder = Path(script_folder).absolute()
    if (script_folder / CORPUS_FILE).is_file():
        return {script_folder.parent.name: script_folder}
    files = script_folder.glob(f"recipes/*/{TASK_FOLDER}/{CORPUS_FILE}")
    return {file.parent.parent.name: file.parent for file in sorted(files)}


def choose_corpus(script_folder: str | Path, name: Any = None) -> Path:
    """Chooses a corpus, and lets the YAML name its preparation function.

    Arguments
    ---------
    script_folder : str or Path
        Folder of train.py.
    name : str, optional
        The corpus; by default the only one there is, or else `mini`.

    Returns
    -------
    Path
        Its recipe folder, which is now on Python's path.

    Raises
    ------
    ValueError
        If there is no such corpus; the message lists the known ones.

    Example
    -------
    >>> choose_corpus(getfixture("tmpdir"), "Mine")
    Traceback (most recent call last):
    ...
    ValueError: Unknown corpus 'Mine': the known ones are none.
    """
    corpora = find_corpora(script_folder)
    if name is None:
        name = next(iter(corpora)) if len(corpora) == 1 else DEFAULT_CORPUS
    if not isinstance(name, str) or name not in corpora:
        raise ValueError(
            f"Unknown corpus {name!r}: the known ones are "
            f"{', '.join(corpora) or 'none'}."
            f"{suggestion(str(name), corpora, cutoff=0.5)}"
        )
    # The preparation script lies in the corpus's folder, and in a complete
    # recipe also beside train.py: as a link, which may be none on Windows, and
    # so comes second. What joins several corpora lies beside them all.
    place = corpora[name]
    for folder in (place.parents[1], place, place.parent):
        if str(folder) not in sys.path:
            sys.path.insert(0, str(folder))
    return corpora[name]


def read_corpora(folders: Sequence[Path]) -> CommentedMap:
    """Reads what one corpus sets, or several that are joined.

    Arguments
    ---------
    folders : sequence of Path
        Recipe folders. Of the first one all counts, of the others what
        prepares them.

    Returns
    -------
    CommentedMap
        Value by key, with tags and comments. Of several corpora,
        `prepare_options` are by corpus.

    Example
    -------
    >>> folder = Path(getfixture("tmpdir"))
    >>> text = "prepare_corpus: !name:f {}\\nlr: 0.1\\nprepare_options: {}"
    >>> for name in ("A", "B"):
    ...     (folder / name / "task").mkdir(parents=True)
    ...     _ = (folder / name / "task" / CORPUS_FILE).write_text(text)
    >>> read_corpora([folder / "A" / "task", folder / "B" / "task"])["lr"]
    0.1
    """
    files = {f.parent.name: read_mapping(f / CORPUS_FILE) for f in folders}
    first = next(iter(files.values()))
    if len(files) == 1:
        return first
    joined = read_overrides(_JOINED)
    for name, settings in files.items():
        joined["prepare_corpus"]["prepare"][name] = settings["prepare_corpus"]
        joined["prepare_options"][name] = settings["prepare_options"]
    first.update(joined)
    return first
