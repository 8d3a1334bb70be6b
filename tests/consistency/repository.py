"""What the consistency tests read: the files of this repository.

Authors
 * The speechbrain-merit developers 2026
"""

import functools
import os
from pathlib import Path

from speechbrain_merit.config import compose

ROOT = Path(__file__).resolve().parents[2]
PACKAGE = ROOT / "speechbrain_merit"
VARIANTS = sorted((ROOT / "hparams").glob("*.yaml"))
RECIPES = sorted(
    path
    for path in (ROOT / "recipes").glob("*/joint_enhance_emotion")
    if path.is_dir()
)

# Folders that hold what running, building or testing writes.
GENERATED = {
    "__pycache__",
    "build",
    "data",
    "dist",
    "pretrained_models",
    "results",
    "venv",
}
HIDDEN_BUT_OURS = {".github", ".pre-commit-config.yaml", ".yamllint.yaml"}


@functools.cache
def flattened(path: Path) -> str:
    """Composes a variant with its bases.

    Arguments
    ---------
    path : Path
        The variant's file.

    Returns
    -------
    str
        One HyperPyYAML.
    """
    return compose(path).text


def files(*suffixes: str) -> list[Path]:
    """Lists the files that people wrote, following no symbolic links.

    Arguments
    ---------
    *suffixes : str
        Such as `.py`; without any, all files.

    Returns
    -------
    list of Path
        Sorted paths below `ROOT`.
    """
    found = []
    for folder, subfolders, names in os.walk(ROOT):
        inside = [Path(folder) / name for name in subfolders]
        subfolders[:] = [path.name for path in inside if _is_ours(path)]
        paths = [Path(folder) / name for name in names]
        found += [p for p in paths if _is_ours(p) and not p.is_symlink()]
    return sorted(p for p in found if not suffixes or p.suffix in suffixes)


def _is_ours(path: Path) -> bool:
    if path.name.startswith("."):
        return path.name in HIDDEN_BUT_OURS
    if path == PACKAGE / "data":
        return True
    return path.name not in GENERATED and path.suffix != ".egg-info"


def relative(path: Path) -> str:
    """Names a path from the top of the repository, for test identities.

    Arguments
    ---------
    path : Path
        Below `ROOT`.

    Returns
    -------
    str
        With forward slashes.
    """
    return path.relative_to(ROOT).as_posix()
