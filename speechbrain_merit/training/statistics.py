"""What an epoch of training has logged so far, kept in checkpoints.

Authors
 * The speechbrain-merit developers 2026
"""

from pathlib import Path

import torch

from speechbrain.utils.checkpoints import (
    mark_as_loader,
    mark_as_saver,
    register_checkpoint_hooks,
)
from speechbrain.utils.distributed import if_main_process
from speechbrain_merit.metrics.routing import RoutingStats


@register_checkpoint_hooks
class TrainingStatistics:
    """The losses of every batch of an epoch, and where its gates sent it.

    In a checkpoint, so that the log tells of whole epochs also where one was
    interrupted.

    Example
    -------
    >>> path = getfixture("tmpdir") / "statistics.ckpt"
    >>> statistics = TrainingStatistics()
    >>> statistics.losses.append({"emotion": 1.5})
    >>> statistics.save(path)
    >>> resumed = TrainingStatistics()
    >>> resumed.load(path, end_of_epoch=False)
    >>> resumed.losses
    [{'emotion': 1.5}]
    >>> resumed.losses.append({"emotion": 0.5})
    >>> resumed.mean_losses()
    {'emotion': 1.0}
    """

    def __init__(self) -> None:
        self.clear()

    def clear(self) -> None:
        """Forgets the epoch."""
        self.losses: list[dict[str, float]] = []
        self.routing = RoutingStats()

    def mean_losses(self) -> dict[str, float]:
        """Averages over the batches.

        Returns
        -------
        dict of str to float
            By the names of the first batch's; empty before it.
        """
        names = self.losses[0] if self.losses else ()
        return {
            name: sum(losses[name] for losses in self.losses) / len(self.losses)
            for name in names
        }

    @mark_as_saver
    def save(self, path: str | Path) -> None:
        """Saves the epoch so far.

        Arguments
        ---------
        path : str or Path
            Where to.
        """
        state = {"losses": self.losses, "routing": self.routing.sums}
        torch.save(state, path)

    @mark_as_loader
    def load(self, path: str | Path, end_of_epoch: bool) -> None:
        """Restores the epoch so far.

        Arguments
        ---------
        path : str or Path
            What `save` wrote.
        end_of_epoch : bool
            Of no use here: a new epoch clears it.
        """
        state = torch.load(path, weights_only=True)
        self.losses = state["losses"]
        # Counted by the main process: others would count it again.
        if if_main_process():
            self.routing.add(state["routing"])
