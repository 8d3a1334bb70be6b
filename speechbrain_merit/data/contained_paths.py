"""Paths of corpora, which may not lead out of the corpus by themselves.

What a label table, a manifest or an archive says about files is taken for data
of strangers: a name such as `../../other/file.wav` is refused. What the user
of a machine does is not: links inside a corpus are followed, to other disks
too, and an absolute path may stand wherever the user, or a preparation script,
wrote it.

Authors
 * The speechbrain-merit developers 2026
"""

import posixpath
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

_PATH_KEYS = ("wav", "noisy_wav")


def check_paths(place: str | Path, paths: Iterable[str]) -> None:
    """Refuses relative paths that leave their folder.

    Arguments
    ---------
    place : str or Path
        Where they are written, for the error.
    paths : iterable of str
        With forward slashes. Absolute ones start nowhere and are good.

    Raises
    ------
    ValueError
        If there is one; the message names it.

    Example
    -------
    >>> check_paths("labels.csv", ["a/../a.wav", "/data/../a.wav"])
    >>> check_paths("labels.csv", ["a.wav", "../b.wav"])
    Traceback (most recent call last):
    ...
    ValueError: labels.csv names '../b.wav', which is outside the folder ...
    """
    for path in paths:
        if _leaves_its_folder(path):
            raise ValueError(
                f"{place} names {path!r}, which is outside the folder of the "
                "corpus: no corpus needs that. If the file is yours, link it "
                "into the folder or give its absolute path."
            )


def check_manifest_paths(
    manifest: str | Path, items: Mapping[str, Mapping[str, Any]]
) -> None:
    """Refuses a manifest with paths that leave `{data_root}` and the like.

    Arguments
    ---------
    manifest : str or Path
        Its file, for the error.
    items : Mapping
        Its fields by identity.

    Raises
    ------
    ValueError
        If there is one; the message names it.

    Example
    -------
    >>> item = {"wav": "{data_root}/../b.wav"}
    >>> check_manifest_paths("train.json", {"b": item})
    Traceback (most recent call last):
    ...
    ValueError: train.json names '../b.wav', which is outside the folder ...
    """
    check_paths(
        manifest,
        (
            _below_root(fields[key])
            for fields in items.values()
            for key in _PATH_KEYS
            if isinstance(fields.get(key), str)
        ),
    )


def _below_root(path: str) -> str:
    # After a root, one slash more does not begin at the top.
    return path.partition("}")[2].lstrip("/") if path[:1] == "{" else path


def _leaves_its_folder(path: str) -> bool:
    """Whether the `..` of a relative path lead above its start."""
    return posixpath.normpath(path).split("/")[0] == ".."
