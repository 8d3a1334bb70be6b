"""Audio that was decoded and resampled once, kept in a folder.

Authors
 * The speechbrain-merit developers 2026
"""

import contextlib
import dataclasses
import hashlib
import os
from pathlib import Path

import numpy as np
import torch

from .atomic_write import atomic_write
from .audio import read_mono

# Part of every key; to be raised when `read_mono` gives other samples.
_VERSION = 2


@dataclasses.dataclass
class AudioCache:
    """Reads as `read_mono` does, and keeps what it has read.

    The samples are those of `read_mono` to the last bit. They are kept under
    the file's path, size and time of last change, so that a file that was
    changed is read anew. A folder may be shared by any number of processes
    and trainings; nothing in it is ever removed.

    Arguments
    ---------
    folder : str or Path, optional
        Where to keep samples, 64 kB per second of 16 kHz; created when
        needed. By default nothing is kept.

    Example
    -------
    >>> from speechbrain.dataio import audio_io
    >>> folder = getfixture("tmpdir")
    >>> path = str(folder / "speech.wav")
    >>> audio_io.save(path, torch.zeros(1, 48000), 48000)
    >>> read = AudioCache(folder / "cache")
    >>> read(path, 16000).shape, read(path, 16000, 0.5).shape
    (torch.Size([16000]), torch.Size([8000]))
    >>> len(list(Path(folder / "cache").rglob("*.npy")))
    2
    """

    folder: str | Path | None = None

    def __call__(
        self,
        path: str,
        sample_rate_hz: int,
        start_s: float = 0.0,
        duration_s: float | None = None,
    ) -> torch.Tensor:
        """Gives a stretch of an audio file, see `read_mono`.

        Arguments
        ---------
        path : str
            As for `read_mono`.
        sample_rate_hz : int
            Sample rate of the result.
        start_s : float
            Where to start, in seconds from the beginning of the file.
        duration_s : float, optional
            How much to read, in seconds; to the end of the file by default.

        Returns
        -------
        torch.Tensor
            Samples in float32, `[time]`; the caller's own.

        Raises
        ------
        ValueError
            As `read_mono`; or if the folder cannot be written to.
        """
        stretch = (path, sample_rate_hz, start_s, duration_s)
        key = None if self.folder is None else _key(*stretch)
        if self.folder is None or key is None:
            return read_mono(*stretch)
        # So that no folder has to hold a file for every utterance.
        file = Path(self.folder) / key[:2] / f"{key}.npy"
        # Not there, or damaged: to be written once more.
        with contextlib.suppress(OSError, ValueError, EOFError):
            return torch.from_numpy(np.load(file))
        samples = read_mono(*stretch)
        try:
            with atomic_write(file) as partial:
                np.save(partial, samples.numpy())
        except OSError as error:
            raise ValueError(
                f"The audio cache {self.folder} cannot be written to: {error}. "
                "Make room there, or set audio_cache_folder to another folder "
                "or to null."
            ) from error
        return samples


def _key(path: str, *stretch: float | None) -> str | None:
    """Names a stretch of a file as it is now; None without the file."""
    try:
        status = os.stat(path)
    except OSError:
        # `read_mono` tells what is wrong.
        return None
    file = (os.path.realpath(path), status.st_size, status.st_mtime_ns)
    text = "\x1f".join(map(repr, (_VERSION, *file, *stretch)))
    return hashlib.blake2b(text.encode("utf-8"), digest_size=16).hexdigest()
