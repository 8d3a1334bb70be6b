"""Audio that was decoded and resampled once, kept in a folder or in memory.

Authors
 * The speechbrain-merit developers 2026
"""

import collections
import contextlib
import hashlib
import os
from pathlib import Path
from typing import Any

import numpy as np
import torch

from .atomic_write import atomic_write
from .audio import read_mono

# Part of every key; to be raised when `read_mono` gives other samples.
_VERSION = 2


class AudioCache:
    """Reads as `read_mono` does, and keeps what it has read.

    The samples are those of `read_mono` to the last bit. They are kept under
    the file's path, size and time of last change, so that a file that was
    changed is read anew. A folder may be shared by any number of processes
    and trainings; nothing in it is ever removed. Memory is held by every
    loader process for itself, the least recently read parts go first.

    Arguments
    ---------
    folder : str or Path, optional
        Where to keep samples on disk, 64 kB per second of 16 kHz; created
        when needed. By default nothing is written.
    memory_mib : float
        How much to keep in memory, in MiB.

    Raises
    ------
    ValueError
        If `memory_mib` is negative.

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

    def __init__(
        self, folder: str | Path | None = None, memory_mib: float = 0.0
    ) -> None:
        if not memory_mib >= 0:
            raise ValueError(
                f"memory_mib is {memory_mib}: give 0 or a positive number."
            )
        self.folder = None if folder is None else Path(folder)
        self.memory_bytes = memory_mib * 2**20
        self._empty_memory()

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
        is_kept = self.folder is not None or self.memory_bytes
        key = _key(*stretch) if is_kept else None
        if key is None:
            return read_mono(*stretch)
        if key in self._memory:
            self._memory.move_to_end(key)
            return self._memory[key].clone()
        samples = self._read(key, stretch)
        self._remember(key, samples)
        return samples.clone()

    def _read(
        self, key: str, stretch: tuple[str, int, float, float | None]
    ) -> torch.Tensor:
        """Reads from the folder, or else the file."""
        if self.folder is None:
            return read_mono(*stretch)
        # So that no folder has to hold a file for every utterance.
        file = self.folder / key[:2] / f"{key}.npy"
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

    def _empty_memory(self) -> None:
        self._memory: collections.OrderedDict[str, torch.Tensor] = (
            collections.OrderedDict()
        )
        self._held_bytes = 0

    def _remember(self, key: str, samples: torch.Tensor) -> None:
        if samples.nbytes > self.memory_bytes:
            return
        self._memory[key] = samples
        self._held_bytes += samples.nbytes
        while self._held_bytes > self.memory_bytes:
            _, dropped = self._memory.popitem(last=False)
            self._held_bytes -= dropped.nbytes

    def __getstate__(self) -> dict[str, Any]:
        # A loader process that is spawned starts with an empty memory.
        return {"folder": self.folder, "memory_bytes": self.memory_bytes}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        self._empty_memory()


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
