"""Checkpoints that are either whole or not there.

Authors
 * The speechbrain-merit developers 2026
"""

import os
from pathlib import Path
from typing import Any

from speechbrain.utils.checkpoints import METAFNAME, Checkpoint, Checkpointer
from speechbrain.utils.distributed import ddp_barrier, if_main_process


class WholeCheckpointer(Checkpointer):
    """SpeechBrain's `Checkpointer`, with its mark written last.

    Upstream takes a folder for a checkpoint as soon as its meta file is
    there, and writes that file first: a run killed while saving would be
    resumed from a folder without weights, and fail. Here the meta file gets
    its name when all else is written. Arguments are those of `Checkpointer`.

    Example
    -------
    >>> import torch
    >>> folder = getfixture("tmpdir")
    >>> model = torch.nn.Linear(1, 1)
    >>> checkpointer = WholeCheckpointer(folder, {"model": model})
    >>> checkpoint = checkpointer.save_checkpoint(meta={"score": 1.0})
    >>> checkpointer.find_checkpoint(max_key="score").meta["score"]
    1.0
    """

    def save_checkpoint(self, *args: Any, **kwargs: Any) -> Checkpoint | None:
        """Saves as upstream does; its arguments are the same.

        Arguments
        ---------
        *args : Any
            Arguments of upstream's `save_checkpoint`.
        **kwargs : Any
            Arguments of upstream's `save_checkpoint`.

        Returns
        -------
        Checkpoint or None
            The checkpoint; None on processes other than the main one.
        """
        checkpoint = super().save_checkpoint(*args, **kwargs)
        # All processes have written their parts.
        ddp_barrier()
        if if_main_process():
            meta = checkpoint.path / METAFNAME
            os.replace(_unfinished(meta), meta)
        return checkpoint

    def _save_checkpoint_metafile(
        self,
        fpath: Path,
        meta_to_include: dict = {},
        end_of_epoch: bool = True,
    ) -> dict:
        return super()._save_checkpoint_metafile(
            _unfinished(fpath), meta_to_include, end_of_epoch
        )


def _unfinished(path: Path) -> Path:
    return path.with_name(path.name + ".unfinished")
