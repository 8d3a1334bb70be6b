"""Random numbers of every process: its own, and saved with the others'.

Authors
 * The speechbrain-merit developers 2026
"""

from functools import partial
from pathlib import Path

import torch

from speechbrain.utils.checkpoints import (
    mark_as_loader,
    mark_as_saver,
    register_checkpoint_hooks,
)
from speechbrain.utils.distributed import if_main_process
from speechbrain.utils.logger import get_logger
from speechbrain.utils.repro import SaveableGenerator

from .evaluation import gather
from .processes import num_processes

logger = get_logger(__name__)

# Where a checkpoint of several processes has their states, by rank.
_PROCESSES = "processes"


def seed_apart(seed: int) -> None:
    """Gives every process but the main one random numbers of its own.

    All start from one seed, so that they build the same model; the dropout of
    different utterances should not be the same as well.

    Arguments
    ---------
    seed : int
        Of the run.

    Example
    -------
    >>> seed_apart(1986)  # the main process goes on as it is
    """
    if not if_main_process():
        torch.manual_seed(seed + torch.distributed.get_rank())


@partial(register_checkpoint_hooks, save_on_main_only=False)
class ProcessRandomState(SaveableGenerator):
    """SpeechBrain's `SaveableGenerator` for all processes, not one alone.

    In one process the file is upstream's. Of several, each gets back its own
    state; one that the checkpoint has no state of keeps what it has, since
    another's state would make both draw the same.

    Example
    -------
    >>> path = getfixture("tmpdir") / "random_state.ckpt"
    >>> state = ProcessRandomState()
    >>> state.save(path)
    >>> drawn = torch.rand(3)
    >>> state.load(path, end_of_epoch=True)
    >>> torch.equal(torch.rand(3), drawn)
    True
    """

    @mark_as_saver
    def save(self, path: str | Path) -> None:
        """Saves the states of all processes; call it in all of them.

        Arguments
        ---------
        path : str or Path
            Written by the main process.
        """
        states = {n: g.get_state() for n, g in self.generators.items()}
        every = gather(states)
        # What one process saves is upstream's file.
        saved = states if len(every) == 1 else {_PROCESSES: every}
        if if_main_process():
            torch.save(saved, path)

    @mark_as_loader
    def load(self, path: str | Path, end_of_epoch: bool) -> None:
        """Restores the state of this process.

        Arguments
        ---------
        path : str or Path
            What `save` wrote, or upstream's class.
        end_of_epoch : bool
            Of no use here.
        """
        saved = torch.load(path, weights_only=True)
        # What one process saved is that of the main process.
        states = saved.get(_PROCESSES, [saved])
        rank = torch.distributed.get_rank() if num_processes() > 1 else 0
        if len(states) != num_processes():
            logger.warning(
                "%s was saved by %d processes, and there are %d now: training "
                "continues, but not as it would have on as many.",
                path,
                len(states),
                num_processes(),
            )
        own = states[rank] if rank < len(states) else {}
        for name, state in own.items():
            # A checkpoint may be from a machine with other devices.
            if name in self.generators:
                self.generators[name].set_state(state)
