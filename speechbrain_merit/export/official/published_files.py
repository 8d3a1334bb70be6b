"""Which files the published system consists of, and where they are.

Authors
 * The speechbrain-merit developers 2026
"""

from pathlib import Path

import huggingface_hub

ENCODER = "final_ssl.pt"
INTEGRATOR = "final_mmoe.pt"
POOLING = "final_pool.pt"
EMOTION_HEAD = "final_ser.pt"
ENHANCEMENT_HEAD = "final_se.pt"
ENCODER_CONFIG = "WavLM-Large.pt"
NORMALIZATION = "train_norm_stat.pkl"

WEIGHTS = (ENCODER, INTEGRATOR, POOLING, EMOTION_HEAD, ENHANCEMENT_HEAD)
FILES = (*WEIGHTS, ENCODER_CONFIG, NORMALIZATION)


def find_official_files(source: str | Path) -> dict[str, Path]:
    """Finds the published files in a folder, or downloads them.

    Arguments
    ---------
    source : str or Path
        A folder, in which the files may lie at any depth, or the model hub's
        name of one. Of a hub's folder, only these files are downloaded, to
        the hub's own cache.

    Returns
    -------
    dict of str to Path
        Place of every file of `FILES`.

    Raises
    ------
    FileNotFoundError
        If the source is no folder and cannot be downloaded, or lacks files.
    ValueError
        If a file is there more than once.

    Example
    -------
    >>> find_official_files(str(getfixture("tmpdir")))
    Traceback (most recent call last):
    ...
    FileNotFoundError: ... lacks final_ssl.pt, final_mmoe.pt, ...
    """
    folder = Path(source)
    if not folder.is_dir():
        folder = _download(str(source))
    places = {name: _find(name, folder) for name in FILES}
    found = {n: path for n, path in places.items() if path is not None}
    missing = [name for name in FILES if name not in found]
    if missing:
        raise FileNotFoundError(
            f"{source} lacks {', '.join(missing)}: give a folder with all of "
            f"the published files, which are {', '.join(FILES)}."
        )
    return found


def _find(name: str, folder: Path) -> Path | None:
    if (folder / name).is_file():
        return folder / name
    paths = sorted(path for path in folder.rglob(name) if path.is_file())
    if len(paths) > 1:
        raise ValueError(
            f"{name} is there more than once: {', '.join(map(str, paths))}. "
            "Give the folder of the one that is meant."
        )
    return paths[0] if paths else None


def _download(source: str) -> Path:
    patterns = [pattern for name in FILES for pattern in (name, f"*/{name}")]
    try:
        return Path(
            huggingface_hub.snapshot_download(source, allow_patterns=patterns)
        )
    except Exception as error:
        # The hub's client raises many kinds of errors here, few of which say
        # what was asked for.
        raise FileNotFoundError(
            f"{source!r} is no folder here, and the model hub did not give "
            "it. Without network, download it elsewhere and give its folder. "
            f"The library says: {type(error).__name__}: {error}"
        ) from error
