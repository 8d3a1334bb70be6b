"""A Brain that differentiates task by task where a balancing asks for it.

Authors
 * The speechbrain-merit developers 2026
"""

import torch

import speechbrain as sb
from speechbrain.dataio.batch import PaddedBatch
from speechbrain_merit.losses.base import TaskBalancing
from speechbrain_merit.training.brain import FaultTolerantBrain


class TaskGradientBrain(FaultTolerantBrain):
    """Steps along the total loss, or along what the balancing makes of each.

    Whoever inherits gives `modules` a `task_balancing`, has a `model` with
    `shared_parameters`, and leaves the scalar losses by name in `losses`.

    Example
    -------
    >>> from speechbrain_merit.losses import TaskBalancing
    >>> balancing = TaskBalancing(["emotion"], {"emotion": 1.0})
    >>> brain = TaskGradientBrain({"task_balancing": balancing})
    >>> brain.balancing is balancing
    True
    """

    @property
    def balancing(self) -> TaskBalancing:
        """The balancing of the tasks' losses, whatever wraps it."""
        balancing = self.modules.task_balancing
        return getattr(balancing, "module", balancing)

    def fit_batch(self, batch: PaddedBatch) -> torch.Tensor:
        """Trains on a batch; differentiates task by task where asked to.

        Arguments
        ---------
        batch : PaddedBatch
            What to train on.

        Returns
        -------
        torch.Tensor
            The loss, a scalar.
        """
        if not self.balancing.needs_task_gradients:
            return super().fit_batch(batch)
        with self.naming_utterances(batch):
            return self._fit_batch_by_task(batch)

    def _fit_batch_by_task(self, batch: PaddedBatch) -> torch.Tensor:
        should_step = self.step % self.grad_accumulation_factor == 0
        self.on_fit_batch_start(batch, should_step)
        # The balancing averages over the processes itself.
        with self.no_sync():
            with self.training_ctx:
                outputs = self.compute_forward(batch, sb.Stage.TRAIN)
                loss = self.compute_objectives(outputs, batch, sb.Stage.TRAIN)
            self.check_loss_isfinite(loss)
            self.balancing.backward(
                self.losses,
                self.model.shared_parameters(),
                self.modules.parameters(),
                lambda term: self.scaler.scale(
                    term / self.grad_accumulation_factor
                ),
            )
        if should_step:
            self.balancing.apply_gradients()
            self.optimizers_step()
        self.on_fit_batch_end(batch, outputs, loss, should_step)
        return loss.detach().cpu()
