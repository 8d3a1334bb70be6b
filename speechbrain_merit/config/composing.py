"""A variant, its bases, a corpus and a command line as one HyperPyYAML.

`hparams/sparse_merit.yaml` is complete. Any other variant is an overlay: what
differs from its `base`, which may be an overlay too, and in `drop` the keys of
the base that it does without. A corpus comes over the complete file, and leaves
alone what an overlay sets; the command line comes over all. In each of them a
mapping without a tag is merged key by key, and anything else takes the place of
what was there, unless that is such a mapping.

Authors
 * The speechbrain-merit developers 2026
"""

import contextlib
import copy
import dataclasses
import functools
import io
from collections.abc import Mapping
from datetime import date
from pathlib import Path
from typing import Any

import ruamel.yaml
from hyperpyyaml import resolve_references
from ruamel.yaml.comments import CommentedMap

from speechbrain_merit.data.atomic_write import atomic_write

from .corpora import CORPUS_FILE, choose_corpus, read_corpora
from .hyperparameters import KNOWN
from .names import refusal, suggestion
from .reading import read_mapping, read_overrides, tag_of

COMMAND_LINE = "on the command line"
# How a file begins that `Composition.write` made: nothing is laid over it but
# the command line.
_GENERATED = "# Generated "


@dataclasses.dataclass
class Composition:
    """All hyperparameters of a run; nothing of them is built.

    Arguments
    ---------
    files : list of Path
        The variant's file, that of its base and so on.
    tree : CommentedMap
        Value by key, with tags and comments.
    origins : dict
        Where a key is set, such as `in hparams/sparse_merit.yaml`. Keys in
        mappings have dots; of those that are missing, the mapping's counts.
    """

    files: list[Path]
    tree: CommentedMap
    origins: dict[str, str]

    @property
    def path(self) -> Path:
        """The variant's file."""
        return self.files[0]

    @functools.cached_property
    def other_keys(self) -> set[str]:
        """Keys of its bases and of all other variants in the same folders."""
        files = {
            other
            for file in self.files
            for other in file.parent.glob("*.yaml")
            if other.resolve() != self.path.resolve()
        }
        found: set[str] = set()
        for file in files:
            # One that is broken is another one's trouble.
            with contextlib.suppress(ValueError):
                found |= set(read_mapping(file))
        return found - {"base", "drop"}

    @property
    def text(self) -> str:
        """HyperPyYAML that stands alone."""
        stream = io.StringIO()
        yaml = ruamel.yaml.YAML()
        yaml.indent(mapping=4, sequence=6, offset=4)
        # Writing changes what ruamel.yaml keeps of blank lines.
        yaml.dump(copy.deepcopy(self.tree), stream)
        return stream.getvalue()

    def resolve(self) -> str:
        """Puts what references refer to in their place.

        Returns
        -------
        str
            HyperPyYAML that stands alone.
        """
        return resolve_references(self.text).getvalue()

    def write(self, path: str | Path) -> None:
        """Writes what has been resolved, and what it was composed of.

        Arguments
        ---------
        path : str or Path
            A file of HyperPyYAML.
        """
        places = dict.fromkeys(self.origins.values())
        sources = "".join(f"# {place}\n" for place in places)
        with atomic_write(path) as partial:
            partial.write_text(
                f"{_GENERATED}{date.today()} of what is set\n{sources}"
                f"# yamllint disable\n{self.resolve()}",
                encoding="utf-8",
            )

    def origin(self, key: str) -> str:
        """Tells where a key is set.

        Arguments
        ---------
        key : str
            With dots where it lies in mappings.

        Returns
        -------
        str
            Such as `in hparams/sparse_merit.yaml`.
        """
        while key not in self.origins and "." in key:
            key = key.rpartition(".")[0]
        return self.origins[key]

    def override(
        self,
        settings: CommentedMap,
        where: str,
        below: CommentedMap | None = None,
        inside: str = "",
        over_all: bool = True,
    ) -> None:
        """Puts settings over those that there are.

        Arguments
        ---------
        settings : CommentedMap
            With tags and comments.
        where : str
            They are set, such as `on the command line`.
        below : CommentedMap, optional
            The mapping to change; by default the whole tree.
        inside : str
            Its key, with a dot at the end.
        over_all : bool
            Whether also over what an overlay or a corpus has set, and not over
            the complete file alone.

        Raises
        ------
        ValueError
            If there is a mapping for what is none, or else none for one.
        """
        below = self.tree if below is None else below
        # From the last key on: a new one stands before the next known one.
        place = len(below)
        for key, value in reversed(list(settings.items())):
            name = f"{inside}{key}"
            old, merged = below.get(key), _is_untagged(value)
            if merged and isinstance(old, Mapping):
                self.override(value, where, old, f"{name}.", over_all)
            elif not over_all and self.origin(name) != f"in {self.files[-1]}":
                continue
            elif key in below and (
                merged or (_is_untagged(old) and not tag_of(value))
            ):
                shown = dict(value) if merged else value
                takes = "no mapping" if merged else "a mapping"
                text = f"{name} is {shown!r}: it takes {takes}. ({where})"
                raise refusal(self.path, [text])
            else:
                if key not in below:
                    below.insert(place, key, value)
                below[key] = value
                self._set_origin(name, where)
            place = list(below).index(key)

    def _set_origin(self, name: str, where: str) -> None:
        for key in [k for k in self.origins if k.startswith(f"{name}.")]:
            del self.origins[key]
        self.origins[name] = where


def _is_untagged(value: Any) -> bool:
    return isinstance(value, Mapping) and not tag_of(value)


def compose(
    hparams_file: str | Path,
    overrides: str = "",
    script_folder: str | Path | None = None,
) -> Composition:
    """Composes all hyperparameters of a run.

    The corpus is the override `corpus`; without it, the only one there is, or
    else the embedded `mini`. Its folder goes on Python's path, so that the
    YAML can name its preparation function. Several corpora have commas between
    them. What it sets for other variants,
    such as the size of experts where there are none, is left out. The
    hyperparams.yaml of a training has its corpus in it already.

    Arguments
    ---------
    hparams_file : str or Path
        The variant, or the hyperparams.yaml of a training.
    overrides : str
        In YAML, as `parse_arguments` gives them.
    script_folder : str or Path, optional
        Folder of train.py, where the corpora are; by default the variant is
        taken without any.

    Returns
    -------
    Composition
        Nothing of it is built.

    Raises
    ------
    FileNotFoundError
        If there is no such file, or not its base.
    ValueError
        If a file is no YAML, or something is dropped or overridden that there
        is not; the message names the file.

    Example
    -------
    >>> folder = Path(getfixture("tmpdir"))
    >>> _ = (folder / "complete.yaml").write_text(
    ...     "a: 1\\nb: 2\\nc: !ref <b>\\n"
    ... )
    >>> variant = folder / "variant.yaml"
    >>> _ = variant.write_text("base: complete.yaml\\ndrop: [a]\\nb: 3\\n")
    >>> print(compose(variant, "b: 4").text)
    b: 4
    c: !ref <b>
    <BLANKLINE>
    """
    composed = _compose_files(Path(hparams_file))
    given = read_overrides(overrides)
    layers = [(given, COMMAND_LINE)]
    if composed.path.read_text(encoding="utf-8").startswith(_GENERATED):
        corpus = composed.tree["corpus"]
        if given.get("corpus", corpus) != corpus:
            raise ValueError(
                f"{composed.path} is of a training on {corpus}: for another "
                "corpus, give a file of hparams."
            )
        if script_folder is not None:
            for name in corpus.split(","):
                choose_corpus(script_folder, name)
    elif script_folder is not None:
        names = dict.fromkeys(str(given.get("corpus") or "").split(","))
        folders = [choose_corpus(script_folder, name or None) for name in names]
        given["corpus"] = ",".join(folder.parent.name for folder in folders)
        where = f"in {folders[0] / CORPUS_FILE}"
        layers.insert(0, (read_corpora(folders), where))
    problems = []
    for settings, where in layers:
        for key in [key for key in settings if key not in composed.tree]:
            if where != COMMAND_LINE and key in composed.other_keys:
                del settings[key]
            else:
                problems.append(_unknown(composed, key, where))
    if problems:
        raise refusal(composed.path, problems)
    for settings, where in layers:
        composed.override(settings, where, over_all=where == COMMAND_LINE)
    return composed


def _unknown(composed: Composition, key: str, where: str) -> str:
    """What to say of a key that is overridden and not there."""
    known = KNOWN | composed.other_keys
    name = composed.path.name
    if key in known and where == COMMAND_LINE:
        return f"{key} is a key of other variants: {name} has none."
    hint = suggestion(str(key), {*composed.tree, *known})
    return f"{key} is no key of {name}.{hint} ({where})"


def _compose_files(path: Path, above: tuple[Path, ...] = ()) -> Composition:
    """Composes a variant with its bases; those above it may not be such."""
    settings = read_mapping(path)
    if not settings:
        raise ValueError(f"{path} is empty: it has neither keys nor a base.")
    for key in settings:
        if not isinstance(key, str) or "." in key:
            raise ValueError(
                f"{path}: {key!r} is no key; what lies in a mapping is set as "
                "in loss_weights: {enhance: 1.0}."
            )
    base, dropped = settings.pop("base", None), settings.pop("drop", [])
    if not isinstance(dropped, list) or (dropped and base is None):
        raise ValueError(
            f"{path}: drop is {dropped!r}; it must be a list of keys of a base."
        )
    if base is None:
        return Composition(
            [path], settings, dict.fromkeys(settings, f"in {path}")
        )
    file, above = path.parent / str(base), (*above, path.resolve())
    if not file.is_file():
        raise FileNotFoundError(f"{path}: the base {base} does not exist.")
    if file.resolve() in above:
        raise ValueError(
            f"{path}: the base {base} has this file as base itself."
        )
    composed = _compose_files(file, above)
    for name in dropped:
        _drop(composed.tree, str(name), path)
    composed.files.insert(0, path)
    composed.override(settings, f"in {path}")
    # What is said at the top is about the variant itself.
    headers = [t.ca.comment for t in (settings, composed.tree) if t.ca.comment]
    if headers:
        composed.tree.ca.comment = [None, [x for h in headers for x in h[1]]]
    return composed


def _drop(tree: CommentedMap, name: str, file: Path) -> None:
    """Removes a key; with dots where it lies in mappings."""
    *outer, key = name.split(".")
    node = tree
    for part in outer:
        node = node.get(part) if isinstance(node, CommentedMap) else None
    if not isinstance(node, CommentedMap) or key not in node:
        hint = suggestion(name, tree)
        raise ValueError(
            f"{file} drops {name}, which its base does not have.{hint}"
        )
    del node[key]
