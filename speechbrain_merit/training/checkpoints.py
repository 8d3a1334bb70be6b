"""Checkpoints that are either whole or not there.

A checkpoint is written into a folder that no one takes for a checkpoint, gets
checksums, and then its name. A folder that is to be deleted loses its name
first. So a process may end at any moment, also while saving or deleting.

Authors
 * The speechbrain-merit developers 2026
"""

import contextlib
import logging
import os
import shutil
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml

from speechbrain.utils.checkpoints import (
    CKPT_PREFIX,
    METAFNAME,
    PARAMFILE_EXT,
    Checkpoint,
    Checkpointer,
    ckpt_recency,
)
from speechbrain.utils.distributed import ddp_barrier, if_main_process
from speechbrain.utils.logger import get_logger
from speechbrain_merit.training.checksums import (
    SUMS_FILE,
    find_damage,
    sync_to_disk,
    write_checksums,
)

logger = get_logger(__name__)

# Folders that are being written or deleted, and those that were found bad.
UNFINISHED_PREFIX = "UNFINISHED+"
DAMAGED_PREFIX = "DAMAGED+"
# So that there is one to go back to, should the newest be damaged.
NUM_NEWEST_KEPT = 2
# Between two checkpoints, at least.
_TICK_S = 1e-3


class WholeCheckpointer(Checkpointer):
    """SpeechBrain's `Checkpointer`, safe against kills and damage.

    Upstream takes a folder for a checkpoint as soon as its meta file is
    there, writes that file first and checks nothing: a run killed while
    saving would be resumed from a folder without weights, and fail; one whose
    disk flipped a bit would go on with it. Arguments are those of
    `Checkpointer`.

    Example
    -------
    >>> import torch
    >>> folder = getfixture("tmpdir")
    >>> model = torch.nn.Linear(1, 1)
    >>> checkpointer = WholeCheckpointer(folder, {"model": model})
    >>> first = checkpointer.save_checkpoint(meta={"score": 1.0})
    >>> second = checkpointer.save_checkpoint()
    >>> _ = (second.path / "model.ckpt").write_text("damaged")
    >>> checkpointer.recover_if_possible().meta["score"]
    1.0
    """

    def save_checkpoint(
        self, *args: Any, verbosity: int = logging.INFO, **kwargs: Any
    ) -> Checkpoint | None:
        """Saves as upstream does, and gives it its name when it is whole.

        Raises
        ------
        OSError
            If it cannot be written, as on a full disk. What was written of
            it is removed, and all earlier checkpoints are left.
        """
        with self._removed_on_failure():
            checkpoint = super().save_checkpoint(
                *args, verbosity=logging.DEBUG, **kwargs
            )
            # All processes have written their parts.
            ddp_barrier()
            if if_main_process():
                checkpoint = self._name(checkpoint)
                logger.log(verbosity, "Saved a checkpoint: %s", checkpoint.path)
        return checkpoint

    def delete_checkpoints(
        self,
        *,
        num_to_keep: int = 1,
        min_keys: Sequence[str] | None = None,
        max_keys: Sequence[str] | None = None,
        importance_keys: Sequence[Callable[[Checkpoint], Any]] = (
            ckpt_recency,
        ),
        ckpt_predicate: Callable[[Checkpoint], bool] | None = None,
        verbosity: int = logging.INFO,
    ) -> None:
        """Deletes as upstream does, but never one of the two newest."""
        orders: list[dict[str, Any]] = [
            *({"min_key": key} for key in min_keys or ()),
            *({"max_key": key} for key in max_keys or ()),
            # Upstream's list of them grows with every call.
            *(
                {"importance_key": key}
                for key in dict.fromkeys(importance_keys)
            ),
        ]
        newest = self.find_checkpoints(max_num_checkpoints=NUM_NEWEST_KEPT)
        kept: set[Path] = {c.path for c in newest}
        doomed: set[Path] = set()
        for order in orders:
            found = self.find_checkpoints(
                ckpt_predicate=ckpt_predicate, **order
            )
            kept.update(c.path for c in found[:num_to_keep])
            doomed.update(c.path for c in found)
        # No process saves or looks while another deletes.
        ddp_barrier()
        if if_main_process():
            for path in sorted(doomed - kept):
                _discard(path)
                logger.log(verbosity, "Deleted a checkpoint: %s", path)
        ddp_barrier()

    def find_whole_checkpoints(
        self, max_num_checkpoints: int | None = None, **order: Any
    ) -> list[Checkpoint]:
        """Picks checkpoints as `find_checkpoints` does, none of them damaged.

        Those that are found damaged get another name, `DAMAGED+`..., and
        count no more.

        Arguments
        ---------
        max_num_checkpoints : int, optional
            How many to pick; all by default.
        **order
            How to pick them, as for `find_checkpoints`.

        Returns
        -------
        list of Checkpoint
            The best first; none where none was saved.

        Raises
        ------
        ValueError
            If there is none, but one that is damaged.

        Example
        -------
        >>> checkpointer = WholeCheckpointer(getfixture("tmpdir"))
        >>> checkpointer.find_whole_checkpoints(1)
        []
        """
        if if_main_process():
            self._set_damaged_aside(max_num_checkpoints, order)
        ddp_barrier()
        found = self.find_checkpoints(
            max_num_checkpoints=max_num_checkpoints, **order
        )
        damaged = sorted(self.checkpoints_dir.glob(f"{DAMAGED_PREFIX}*"))
        if damaged and not self.list_checkpoints():
            names = ", ".join(path.name for path in damaged)
            raise ValueError(
                f"No whole checkpoint is left in {self.checkpoints_dir}, only "
                f"damaged ones: {names}. Put a good copy in its place, without "
                f"{DAMAGED_PREFIX} in its name; or delete them all to start "
                "anew."
            )
        return found

    def recover_if_possible(self, **order: Any) -> Checkpoint | None:
        """Loads the best whole checkpoint, if there is any.

        What an interrupted process left is removed.

        Arguments
        ---------
        **order
            How to pick it, as for `find_checkpoints`; the newest by default.

        Returns
        -------
        Checkpoint or None
            What was loaded.
        """
        if if_main_process():
            self._remove_unfinished()
        found = self.find_whole_checkpoints(max_num_checkpoints=1, **order)
        if not found:
            logger.info("%s holds no checkpoint yet.", self.checkpoints_dir)
            return None
        self.load_checkpoint(found[0])
        return found[0]

    def load_checkpoint(self, checkpoint: Checkpoint) -> None:
        """Loads as upstream does.

        Raises
        ------
        ValueError
            If it does not fit what it is to be loaded into.
        """
        try:
            super().load_checkpoint(checkpoint)
        except Exception as error:
            raise ValueError(
                f"{checkpoint.path} does not fit this training: {error}. "
                "Give the keys that it was trained with, or another "
                "output_folder."
            ) from error

    def _new_checkpoint_dirpath(self) -> Path:
        path = super()._new_checkpoint_dirpath()
        return path.with_name(UNFINISHED_PREFIX + path.name)

    def _save_checkpoint_metafile(
        self,
        fpath: Path,
        meta_to_include: Mapping[str, Any] | None = None,
        end_of_epoch: bool = True,
    ) -> dict[str, Any]:
        """Makes the newest the last one in time, though a clock was set."""
        meta, newest = {"unixtime": time.time()}, self.find_checkpoint()
        if newest is not None:
            after = newest.meta["unixtime"] + _TICK_S
            meta["unixtime"] = max(meta["unixtime"], after)
        return super()._save_checkpoint_metafile(
            fpath, {**meta, **(meta_to_include or {})}, end_of_epoch
        )

    def _name(self, checkpoint: Checkpoint) -> Checkpoint:
        """Lets a folder that is written count as a checkpoint."""
        write_checksums(checkpoint.path)
        name = checkpoint.path.name.removeprefix(UNFINISHED_PREFIX)
        path = self.checkpoints_dir / name
        os.replace(checkpoint.path, path)
        sync_to_disk(self.checkpoints_dir)
        files = {n: path / f.name for n, f in checkpoint.paramfiles.items()}
        return Checkpoint(path, checkpoint.meta, files)

    @contextlib.contextmanager
    def _removed_on_failure(self) -> Iterator[None]:
        try:
            yield
        except (OSError, RuntimeError) as error:
            if if_main_process():
                self._remove_unfinished()
            if not _is_about_writing(error):
                raise
            free_bytes = shutil.disk_usage(self.checkpoints_dir).free
            raise OSError(
                f"A checkpoint could not be written to {self.checkpoints_dir}, "
                f"where {free_bytes / 1e6:.0f} MB are free: {error}. The "
                "earlier ones are whole: make room on that disk, and the same "
                "command continues from the newest."
            ) from error

    def _remove_unfinished(self) -> None:
        for path in self.checkpoints_dir.glob(f"{UNFINISHED_PREFIX}*"):
            shutil.rmtree(path, ignore_errors=True)

    def _set_damaged_aside(
        self, max_num_checkpoints: int | None, order: Mapping[str, Any]
    ) -> None:
        """Looks at the best ones until so many are whole."""
        for path in sorted(self.checkpoints_dir.glob(f"{CKPT_PREFIX}*")):
            _set_aside(path, _find_meta_damage(path))
        whole: set[Path] = set()
        while True:
            found = self.find_checkpoints(
                max_num_checkpoints=max_num_checkpoints, **order
            )
            unknown = {c.path for c in found} - whole
            if not unknown:
                return
            for path in unknown:
                _set_aside(path, _find_any_damage(path))
            whole |= unknown


def _is_about_writing(error: Exception) -> bool:
    # PyTorch has no exception of its own for a file that it cannot write.
    text = str(error)
    return isinstance(error, OSError) or any(
        part in text for part in ("iostream", "inline_container", "PytorchStr")
    )


def _discard(path: Path) -> None:
    # Not the name under which another of the same name is being written.
    going = path.with_name(f"{UNFINISHED_PREFIX}deleted+{path.name}")
    os.replace(path, going)
    shutil.rmtree(going)


def _set_aside(path: Path, damage: str | None) -> None:
    if damage is None:
        return
    aside = path.with_name(DAMAGED_PREFIX + path.name)
    os.replace(path, aside)
    logger.warning(
        "The checkpoint %s is damaged and not used: %s. It is kept as %s.",
        path,
        damage,
        aside.name,
    )


def _find_any_damage(path: Path) -> str | None:
    if (path / SUMS_FILE).exists():
        names = [file.name for file in path.glob(f"*{PARAMFILE_EXT}")]
        return find_damage(path, required=[METAFNAME, *names])
    logger.warning(
        "The checkpoint %s has no %s: it is used without being checked.",
        path,
        SUMS_FILE,
    )
    return None


def _find_meta_damage(path: Path) -> str | None:
    """What is wrong with the meta file, which is read of all checkpoints."""
    if not (path / METAFNAME).is_file():
        return f"{METAFNAME} is missing"
    if (path / SUMS_FILE).exists():
        return find_damage(path, only=[METAFNAME])
    try:
        meta = yaml.safe_load((path / METAFNAME).read_text(encoding="utf-8"))
        known = {"unixtime", "end-of-epoch"} <= set(meta)
    except (yaml.YAMLError, UnicodeDecodeError, TypeError):
        known = False
    return None if known else f"{METAFNAME} is damaged"
