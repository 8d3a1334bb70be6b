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
from collections.abc import Iterable
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


def add_corpus(
    script_folder: str | Path, variant_file: str | Path, overrides: str
) -> str:
    """Puts a corpus's settings under the overrides of the command line.

    The corpus is the override `corpus`; without it, the only one there is, or
    else the embedded `mini`. Its folder goes on Python's path, so that the
    YAML can name its preparation function. What it sets for other variants,
    such as the size of experts where there are none, is left out.

    Arguments
    ---------
    script_folder : str or Path
        Folder of train.py.
    variant_file : str or Path
        The variant's YAML; its folder holds the other variants.
    overrides : str
        Overrides as `speechbrain.parse_arguments` returns them, in YAML.

    Returns
    -------
    str
        All overrides, in YAML, for `load_hyperpyyaml`.

    Raises
    ------
    ValueError
        If there is no such corpus; the message lists the known ones. If the
        corpus sets a key that no variant has.

    Example
    -------
    >>> folder = getfixture("tmpdir").mkdir("recipes").mkdir("mini")
    >>> _ = folder.mkdir(TASK_FOLDER).join(CORPUS_FILE).write("a: 1\\nb: 2")
    >>> variant = getfixture("tmpdir").mkdir("hparams").join("variant.yaml")
    >>> variant.write("a: 0\\nb: 0\\ncorpus: none")
    >>> print(add_corpus(getfixture("tmpdir"), variant, "b: 3"))
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
    for key in _foreign_keys(merged, Path(variant_file), file):
        del merged[key]
    recursive_update(merged, {**given, "corpus": name})
    # The preparation script lies in the corpus's folder, and in a complete
    # recipe also beside train.py.
    for folder in (corpora[name].parent, corpora[name]):
        if str(folder) not in sys.path:
            sys.path.insert(0, str(folder))
    text = io.StringIO()
    yaml.dump(merged, text)
    return text.getvalue()


def _foreign_keys(
    settings: Iterable[str], variant_file: Path, corpus_file: Path
) -> set[str]:
    """Finds what a corpus sets for other variants than this one."""
    foreign = set(settings) - _top_level_keys(variant_file)
    known = {
        key
        for file in variant_file.parent.glob("*.yaml")
        for key in _top_level_keys(file)
    }
    unknown = sorted(foreign - known)
    if unknown:
        raise ValueError(
            f"{corpus_file} sets {', '.join(unknown)}, which no variant in "
            f"{variant_file.parent} has."
        )
    return foreign


def _top_level_keys(file: Path) -> set[str]:
    # Composed only: nothing that the YAML names is built.
    with file.open(encoding="utf-8") as stream:
        root = ruamel.yaml.YAML().compose(stream)
    return {key.value for key, _ in root.value} if root else set()
