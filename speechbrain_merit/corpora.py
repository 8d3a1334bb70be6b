"""Adding what differs for a corpus to a variant's hyperparameters.

A variant is a YAML file in `hparams`, a corpus a folder of `recipes` whose
`corpus.yml` overrides some of the variant's keys. The command line overrides
both. So variants and corpora add up instead of multiplying.

Authors
 * The speechbrain-merit developers 2026
"""

import difflib
import io
import sys
from pathlib import Path

import ruamel.yaml
from hyperpyyaml.core import recursive_update

TASK_FOLDER = "joint_enhance_emotion"
CORPUS_FILE = "corpus.yml"
DEFAULT_CORPUS = "mini"


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


def add_corpus(script_folder: str | Path, overrides: str) -> str:
    """Puts a corpus's settings under the overrides of the command line.

    The corpus is the override `corpus`; without it, the only one there is, or
    else the embedded `mini`. Its folder goes on Python's path, so that the
    YAML can name its preparation function.

    Arguments
    ---------
    script_folder : str or Path
        Folder of train.py.
    overrides : str
        Overrides as `speechbrain.parse_arguments` returns them, in YAML.

    Returns
    -------
    str
        All overrides, in YAML, for `load_hyperpyyaml`.

    Raises
    ------
    ValueError
        If there is no such corpus; the message lists the known ones.

    Example
    -------
    >>> folder = getfixture("tmpdir").mkdir("recipes").mkdir("mini")
    >>> _ = folder.mkdir(TASK_FOLDER).join(CORPUS_FILE).write("a: 1\\nb: 2")
    >>> print(add_corpus(getfixture("tmpdir"), "b: 3"))
    a: 1
    b: 3
    corpus: mini
    <BLANKLINE>
    """
    yaml = ruamel.yaml.YAML()
    corpora = find_corpora(script_folder)
    given = yaml.load(overrides) or {}
    default = next(iter(corpora)) if len(corpora) == 1 else DEFAULT_CORPUS
    name = given.get("corpus", default)
    if name not in corpora:
        close = difflib.get_close_matches(str(name), corpora, n=1, cutoff=0.5)
        hint = f" Did you mean {close[0]}?" if close else ""
        raise ValueError(
            f"Unknown corpus {name!r}: the known ones are "
            f"{', '.join(corpora) or 'none'}.{hint}"
        )
    file = corpora[name] / CORPUS_FILE
    merged = yaml.load(file.read_text(encoding="utf-8")) or {}
    recursive_update(merged, {**given, "corpus": name})
    # The preparation script lies in the corpus's folder, and in a complete
    # recipe also beside train.py.
    for folder in (corpora[name].parent, corpora[name]):
        if str(folder) not in sys.path:
            sys.path.insert(0, str(folder))
    text = io.StringIO()
    yaml.dump(merged, text)
    return text.getvalue()
