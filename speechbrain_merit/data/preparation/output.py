"""What every preparation writes: manifests, and a list of skipped files.

Authors
 * The speechbrain-merit developers 2026
"""

import json
from collections.abc import Collection, Mapping
from pathlib import Path, PurePosixPath
from typing import Any

from speechbrain.utils.logger import get_logger
from speechbrain_merit.data.atomic_write import atomic_write
from speechbrain_merit.data.manifests import (
    NOISE_KEYS,
    UTTERANCE_KEYS,
    UTTERANCE_SPLITS,
    manifest_paths,
    write_manifest,
)

from .files import printable

logger = get_logger(__name__)

SKIPPED_FILE = "skipped.json"
_NAMED = 10


def manifest_path(path: str, root: str) -> str:
    """Names a file as manifests do.

    Arguments
    ---------
    path : str
        Relative to the root, with forward slashes; or absolute.
    root : str
        `data_root` or `noise_root`.

    Returns
    -------
    str
        Path below the root's placeholder; an absolute one as it is.

    Example
    -------
    >>> manifest_path("rain/a.wav", "noise_root")
    '{noise_root}/rain/a.wav'
    """
    if PurePosixPath(path).is_absolute():
        return path
    return f"{{{root}}}/{path}"


def report_skipped(
    skipped: Mapping[str, str], manifest_folder: str | Path
) -> None:
    """Lists skipped files in `skipped.json`, and warns of them.

    Arguments
    ---------
    skipped : Mapping
        Reason by the file's path in manifests.
    manifest_folder : str or Path
        Where to write; made where needed.

    Example
    -------
    >>> folder = getfixture("tmpdir")
    >>> report_skipped({"{data_root}/a.wav": "a.wav is missing."}, folder)
    >>> folder.join("skipped.json").read()
    '{\\n "{data_root}/a.wav": "a.wav is missing."\\n}\\n'
    """
    path = Path(manifest_folder) / SKIPPED_FILE
    skipped = {printable(name): skipped[name] for name in skipped}
    text = json.dumps(skipped, indent=1, ensure_ascii=False, sort_keys=True)
    with atomic_write(path) as partial:
        partial.write_text(text + "\n", encoding="utf-8")
    if skipped:
        names = sorted(skipped)
        reasons = [skipped[name] for name in names[:_NAMED]]
        if len(names) > _NAMED:
            reasons.append(f"and {len(names) - _NAMED} more.")
        listing = "\n".join(reasons)
        logger.warning(
            f"{len(skipped)} files were skipped, also listed in {path}:\n"
            f"{listing}"
        )


def write_manifests(
    speech: Mapping[str, Mapping[str, Mapping[str, Any]]],
    noise: Mapping[str, Mapping[str, Mapping[str, Any]]],
    manifest_folder: str | Path,
    *,
    may_be_empty: Collection[str] = (),
) -> None:
    """Writes the seven manifests, or none of them.

    Arguments
    ---------
    speech : Mapping
        For each of `UTTERANCE_SPLITS`, fields by identity.
    noise : Mapping
        For each of `NOISE_SPLITS`, fields by identity.
    manifest_folder : str or Path
        Where to write.
    may_be_empty : collection of str
        Manifests that need no item, as `manifest_paths` names them.

    Raises
    ------
    ValueError
        If a manifest has no item and needs one.

    Example
    -------
    >>> write_manifests({"train": {}, "valid": {}, "test": {}}, {}, "save")
    Traceback (most recent call last):
    ...
    ValueError: No usable file is left for train, valid, test: ...
    """
    entries = {**speech, **{f"noise_{name}": noise[name] for name in noise}}
    empty = [n for n in entries if not entries[n] and n not in may_be_empty]
    if empty:
        raise ValueError(
            f"No usable file is left for {', '.join(empty)}: replace the "
            f"files listed in {Path(manifest_folder) / SKIPPED_FILE}."
        )
    for name, path in manifest_paths(manifest_folder).items():
        write_manifest(
            path,
            entries[name],
            UTTERANCE_KEYS if name in UTTERANCE_SPLITS else NOISE_KEYS,
            may_be_empty=name in may_be_empty,
        )
