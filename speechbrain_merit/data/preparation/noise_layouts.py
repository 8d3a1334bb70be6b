"""Noise sets as they are distributed, and folders that people make.

MUSAN: D. Snyder, G. Chen, D. Povey, arXiv 1510.08484. DEMAND: J. Thiemann,
N. Ito, E. Vincent, Proc. Meetings on Acoustics 19, 2013. DNS Challenge: C. K.
A. Reddy et al., Interspeech 2020.

Authors
 * The speechbrain-merit developers 2026
"""

import dataclasses
import functools
import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from speechbrain.utils.logger import get_logger
from speechbrain_merit.data.contained_paths import check_paths
from speechbrain_merit.data.manifests import NOISE_SPLITS, read_manifest
from speechbrain_merit.data.reading_errors import naming_file

from .files import find_audio, layout_error
from .tables import open_table

logger = get_logger(__name__)

UNTYPED = "untyped"
AUTO = "auto"
_SPLIT_FOLDERS = {
    "train": "train",
    "dev": "valid",
    "valid": "valid",
    "validation": "valid",
    "development": "valid",
    "test": "test",
}
_DNS_FOLDERS = (
    "datasets_fullband/noise_fullband",
    "datasets/noise",
    "noise_fullband",
)
# Such as door_Freesound_validated_451485_0.wav: what sounds, the recording,
# and which piece of it.
_DNS_FREESOUND = re.compile(
    r"(?P<type>.+?)_?Freesound_(?P<source>.*)_\d+", re.I
)
# Such as 1-100032-A.ogg or, with the number of the kind, 1-100032-A-0.wav: takes
# of one clip of ESC-10 and ESC-50.
_ESC_TAKE = re.compile(r"[1-5]-(?P<clip>\d+)-[A-Z](-\d+)?")
_ROOT = re.compile(r"^(\{\w+\}|\$\w+)/+")


@dataclasses.dataclass(frozen=True)
class Recording:
    """A noise recording and what its place or name says about it.

    Arguments
    ---------
    path : str
        Relative to the noise folder; or absolute.
    noise_type : str
        Kind of noise.
    source : str
        Recordings of one source stay in one split.
    split : str, optional
        One of `NOISE_SPLITS`, or `test` where the kinds of noise decide
        between seen and unseen; None where it is ours to choose.
    """

    path: str
    noise_type: str
    source: str
    split: str | None = None


def list_recordings(
    noise_folder: Path, kind: str, manifests: Mapping[str, str] | None
) -> list[Recording]:
    """Lists the recordings of a noise set.

    Arguments
    ---------
    noise_folder : Path
        Where they are.
    kind : str
        One of `KINDS`: `split_folders` has folders train, dev (or valid) and
        test, each with the recordings or a folder per kind of noise, test
        also with a folder seen and one unseen; `type_folders` has a folder
        per kind of noise, or recordings whose kind nothing tells; `musan`,
        `demand` and `dns` are as published; `manifests` is listed in files;
        `auto` is what of these the folder looks like.
    manifests : Mapping or None
        For `manifests`, and only there: file by split. JSON as
        `write_manifest` writes it, or CSV as SpeechBrain's noise lists are,
        of which `wav` and, if it is there, `noise_type` are read.

    Returns
    -------
    list of Recording
        In a reproducible order.

    Raises
    ------
    FileNotFoundError
        If the folder is not laid out so.
    ValueError
        If there is no such kind, or manifests do not go with it.

    Example
    -------
    >>> folder = Path(getfixture("tmpdir"))
    >>> for place in ("DKITCHEN", "TBUS"):
    ...     (folder / place).mkdir()
    ...     (folder / place / "ch01.wav").touch()
    >>> [r.noise_type for r in list_recordings(folder, "demand", None)]
    ['DKITCHEN', 'TBUS']
    """
    if kind not in KINDS:
        raise ValueError(f"Unknown kind of noise {kind!r}: use one of {KINDS}.")
    if (manifests is not None) != (kind == "manifests"):
        raise ValueError(
            f"The noise of kind {kind!r} was given the manifests {manifests}: "
            "'manifests' needs them, and no other kind takes them."
        )
    if manifests is not None:
        return _from_manifests(manifests)
    if not noise_folder.is_dir():
        raise layout_error(noise_folder, "*", "noise recordings")
    if kind == AUTO:
        kind = _recognised(noise_folder)
        logger.info(
            f"{noise_folder} is taken for noise of the kind {kind}; another "
            "one can be named in prepare_options."
        )
    return _LAYOUTS[kind](noise_folder)


def _recognised(noise_folder: Path) -> str:
    """Tells which kind a folder looks like."""
    paths = find_audio(noise_folder)
    names = [Path(path).stem for path in paths]
    tops = {path.partition("/")[0] for path in paths}
    if {_SPLIT_FOLDERS.get(top.lower()) for top in tops} == {
        *_SPLIT_FOLDERS.values()
    }:
        return "split_folders"
    if tops == {"music", "noise", "speech"}:
        return "musan"
    if names and all(re.fullmatch(r"ch\d\d", name) for name in names):
        return "demand"
    if any((noise_folder / folder).is_dir() for folder in _DNS_FOLDERS) or any(
        map(_DNS_FREESOUND.fullmatch, names)
    ):
        return "dns"
    return "type_folders"


def _split_folders(noise_folder: Path) -> list[Recording]:
    found, splits = [], set()
    for folder in sorted(noise_folder.iterdir()):
        split = _SPLIT_FOLDERS.get(folder.name.lower())
        if split is None or not folder.is_dir():
            continue
        splits.add(split)
        for path in find_audio(folder):
            place, split_here = Path(path).parts, split
            if split == "test" and place[0] in ("seen", "unseen"):
                split_here, place = place[0], place[1:]
            noise_type = place[0] if len(place) > 1 else UNTYPED
            path = f"{folder.name}/{path}"
            found.append(Recording(path, noise_type, path, split_here))
    folders = {"train": "train", "valid": "dev", "test": "test"}
    missing = [folders[name] for name in folders if name not in splits]
    if missing:
        raise layout_error(
            noise_folder, "train", f"folder {', '.join(missing)}"
        )
    return found


def _by_path(
    pattern: str, wanted: str, looked_for: str, noise_folder: Path
) -> list[Recording]:
    """Lists the files whose paths match, with their `type`."""
    found = []
    for path in find_audio(noise_folder):
        match = re.fullmatch(pattern, path, re.S)
        if match:
            take = _ESC_TAKE.fullmatch(Path(path).stem)
            source = take["clip"] if take else path
            found.append(Recording(path, match["type"] or UNTYPED, source))
    if not found:
        raise layout_error(noise_folder, wanted, looked_for)
    return found


def _dns(noise_folder: Path) -> list[Recording]:
    present = [f for f in _DNS_FOLDERS if (noise_folder / f).is_dir()]
    inside = f"{present[0]}/" if present else ""
    found = []
    for path in find_audio(noise_folder / inside):
        match = _DNS_FREESOUND.fullmatch(Path(path).stem)
        noise_type = match["type"].lower() if match else UNTYPED
        source = match["source"] if match else path
        found.append(Recording(inside + path, noise_type or UNTYPED, source))
    if not found:
        raise layout_error(noise_folder, "*.wav", "noise clips of DNS")
    return found


def _from_manifests(manifests: Mapping[str, str]) -> list[Recording]:
    unknown = sorted(set(manifests) - {*NOISE_SPLITS, "test"})
    if unknown:
        raise ValueError(
            f"The noise manifests name the splits {unknown}: use "
            f"{[*NOISE_SPLITS, 'test']}."
        )
    found = []
    for split, file in manifests.items():
        for fields in _items(Path(file)):
            if not isinstance(fields.get("wav"), str) or not fields["wav"]:
                raise ValueError(f"{file} has an item without the field wav.")
            path = _ROOT.sub("", fields["wav"])
            check_paths(file, [path])
            noise_type = fields.get("noise_type") or UNTYPED
            found.append(Recording(path, noise_type, path, split))
    return found


def _items(file: Path) -> list[dict[str, Any]]:
    if file.suffix.lower() not in (".csv", ".tsv"):
        return list(read_manifest(file).values())
    with (
        naming_file(file),
        file.open(encoding="utf-8-sig", newline="") as stream,
    ):
        return list(open_table(stream))


_LAYOUTS: dict[str, Callable[[Path], list[Recording]]] = {
    "split_folders": _split_folders,
    "type_folders": functools.partial(
        _by_path,
        "((?P<type>[^/]+)/)?.+",
        "*/*.*",
        "recordings, or folders of them",
    ),
    "musan": functools.partial(
        _by_path,
        "(?P<type>music|noise|speech)/.+",
        "noise",
        "folders music, noise and speech of MUSAN",
    ),
    # The sixteen channels are one recording by as many microphones.
    "demand": functools.partial(
        _by_path,
        r"(.+/)?(?P<type>[^/]+)/ch01\.wav",
        "*/ch01.wav",
        "folders such as DKITCHEN with ch01.wav",
    ),
    "dns": _dns,
}
KINDS = (AUTO, *_LAYOUTS, "manifests")
