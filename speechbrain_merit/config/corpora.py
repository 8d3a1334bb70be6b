"""Adding what differs for a corpus to a variant's hyperparameters.

A variant is a YAML file in `hparams`, a corpus a folder of `recipes` whose
`corpus.yml` overrides some of the variant's keys. The command line overrides
both. So variants and corpora add up instead of multiplying.

Authors
 * The speechbrain-merit developers 2026
"""

import io
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import ruamel.yaml
from hyperpyyaml.core import recursive_update

from speechbrain_merit.config.yaml_files import read_yaml

from . import read_overrides, suggestion

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
        corpus sets a key that no variant has, or a file is no YAML.
    FileNotFoundError
        If there is no such variant.

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
    given = read_overrides(overrides)
    default = next(iter(corpora)) if len(corpora) == 1 else DEFAULT_CORPUS
    name = given.get("corpus", default)
    if not isinstance(name, str) or name not in corpora:
        raise ValueError(
            f"Unknown corpus {name!r}: the known ones are "
            f"{', '.join(corpora) or 'none'}."
            f"{suggestion(str(name), corpora, cutoff=0.5)}"
        )
    file = corpora[name] / CORPUS_FILE
    merged = _load(file)
    for key in _foreign_keys(merged, Path(variant_file), file):
        del merged[key]
    try:
        recursive_update(merged, {**given, "corpus": name})
    except TypeError as error:
        raise ValueError(
            f"The options {overrides!r} give a mapping for what is none in "
            f"{file}: {error}."
        ) from error
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
    if not foreign:
        return foreign
    known = {
        key
        for file in variant_file.parent.glob("*.yaml")
        for key in _top_level_keys(file)
    }
    unknown = sorted(foreign - known)
    if unknown:
        raise ValueError(
            f"{corpus_file} sets {', '.join(unknown)}, which no variant in "
            f"{variant_file.parent} has.{suggestion(unknown[0], known)}"
        )
    return foreign


def _load(corpus_file: Path) -> dict[str, Any]:
    settings = read_yaml(corpus_file, ruamel.yaml.YAML().load) or {}
    if not isinstance(settings, dict):
        raise ValueError(f"{corpus_file} holds no settings, as key: value.")
    return settings


def _top_level_keys(file: Path) -> set[str]:
    # Composed only: nothing that the YAML names is built.
    root = read_yaml(file, ruamel.yaml.YAML().compose)
    if root is not None and not isinstance(root, ruamel.yaml.MappingNode):
        raise ValueError(f"{file} holds no hyperparameters, as key: value.")
    return {key.value for key, _ in root.value} if root else set()
