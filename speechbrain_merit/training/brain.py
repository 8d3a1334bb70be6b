"""The Brain that train.py's inherits from: a batch's way to a step.

Authors
 * The speechbrain-merit developers 2026
"""

from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import torch

import speechbrain as sb
from speechbrain.dataio.batch import PaddedBatch
from speechbrain.dataio.dataset import DynamicItemDataset
from speechbrain_merit.data.batches import take_batches
from speechbrain_merit.losses.base import TaskBalancing

from .distributed import num_processes, share_data
from .evaluation_progress import EvaluationProgress, RemainingBatches
from .faults import NonfiniteSteps, drop_nonfinite_gradients, naming_utterances


class MultiTaskBrain(sb.Brain):
    """Steps along several tasks' losses, and keeps what it has done.

    Every process has its share of the data. Steps that are not finite are left
    out; utterances that fail are named. A file that cannot be read ends a
    training with a checkpoint, and a test with the rows of what it has scored.
    Where the balancing of the tasks asks for it, every task is differentiated
    on its own.

    Whoever inherits gives `result_folder` and `model`, which has
    `shared_parameters`; `modules` has `model` and `task_balancing`;
    `compute_objectives` leaves the scalar losses by name in `losses`; a test
    calls `test_progress.open`, and appends its rows to it. Of the
    hyperparameters it reads `seed` and `sample_rate_hz`; batches have `id` and
    `noisy`, `[batch, time]`.

    Example
    -------
    >>> balancing = TaskBalancing(["emotion"], {"emotion": 1.0})
    >>> brain = MultiTaskBrain({"task_balancing": balancing})
    >>> brain.balancing is balancing
    True
    >>> brain.nonfinite_count, brain.nonfinite_patience = 0, 3
    >>> brain.nonfinite_steps = NonfiniteSteps()
    >>> brain.nonfinite_steps.add(["a", "b"])
    >>> brain.check_loss_isfinite(torch.tensor(float("nan")))
    >>> brain.nonfinite_count
    1
    """

    @property
    def result_folder(self) -> Path:
        """Where a test keeps its progress."""
        raise NotImplementedError

    @property
    def balancing(self) -> TaskBalancing:
        """The balancing of the tasks' losses, whatever wraps it."""
        balancing = self.modules.task_balancing
        return getattr(balancing, "module", balancing)

    def make_dataloader(
        self,
        dataset: DynamicItemDataset,
        stage: sb.Stage,
        *args: Any,
        **loader_kwargs: Any,
    ) -> Any:
        """Gives every process its share of the data.

        Arguments
        ---------
        dataset : DynamicItemDataset
            What is to be loaded.
        stage : speechbrain.Stage
            What for.
        *args : Any
            As for `speechbrain.Brain`.
        **loader_kwargs : Any
            As for `speechbrain.Brain`.

        Returns
        -------
        torch.utils.data.DataLoader
            Of a test, without what was done when it was interrupted.
        """
        train = stage == sb.Stage.TRAIN
        options = share_data(dataset, train, self.hparams.seed, loader_kwargs)
        sampler = options.get("batch_sampler", options.get("sampler"))
        if train and sampler is not None:
            # Upstream tells it the epoch; of several processes, by its wrapper.
            self.train_sampler = sampler
        if stage == sb.Stage.TEST:
            rank = torch.distributed.get_rank() if num_processes() > 1 else 0
            self.test_progress = EvaluationProgress(
                self.result_folder / f"test_progress_{rank}.jsonl"
            )
            self.test_batches, options = take_batches(dataset, options)
            options["batch_sampler"] = RemainingBatches(
                self.test_batches, dataset.data_ids, self.test_progress
            )
        loader = super().make_dataloader(dataset, stage, *args, **options)
        if train:
            self.batches_per_epoch = len(loader)
        return loader

    def naming_utterances(
        self, batch: PaddedBatch
    ) -> AbstractContextManager[None]:
        """Names a batch in errors about too little memory.

        Arguments
        ---------
        batch : PaddedBatch
            What is worked on within.

        Returns
        -------
        context manager
            For `with`.
        """
        num_samples = batch.noisy.lengths * batch.noisy.data.shape[1]
        durations_s = num_samples / self.hparams.sample_rate_hz
        return naming_utterances(batch.id, durations_s.tolist())

    def evaluate_batch(
        self, batch: PaddedBatch, stage: sb.Stage
    ) -> torch.Tensor:
        """Scores a batch, which errors name."""
        with self.naming_utterances(batch):
            return super().evaluate_batch(batch, stage)

    def fit_batch(self, batch: PaddedBatch) -> torch.Tensor:
        """Trains on a batch, which errors name; task by task if need be."""
        with self.naming_utterances(batch):
            if self.balancing.needs_task_gradients:
                return self._fit_batch_by_task(batch)
            return super().fit_batch(batch)

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

    def on_fit_batch_start(self, batch: PaddedBatch, should_step: bool) -> None:
        """Remembers the utterances, for messages about them."""
        self.nonfinite_steps.add(batch.id)
        self.batch_is_done = False

    def on_fit_batch_end(
        self, batch: PaddedBatch, outputs: Any, loss: Any, should_step: bool
    ) -> None:
        """Takes note of a batch that is done."""
        if should_step:
            self.nonfinite_steps.start()
        self.batch_is_done = True

    def check_loss_isfinite(self, loss: torch.Tensor) -> None:
        """Names the utterances of a loss that is not finite.

        Raises
        ------
        ValueError
            If it happens too often in an epoch.
        """
        if not torch.isfinite(loss):
            self._count_nonfinite(f"The loss is {loss.item()}", of_batch=True)

    def _count_nonfinite(self, what: str, of_batch: bool) -> None:
        self.nonfinite_count += 1
        self.nonfinite_steps.report(
            what, self.nonfinite_count, self.nonfinite_patience, of_batch
        )

    def optimizers_step(self) -> None:
        """Takes a step, unless gradients are not finite.

        Raises
        ------
        ValueError
            If it happens too often in an epoch.
        """
        # With float16, the scaler leaves such steps out.
        if not self.scaler.is_enabled():
            dropped = drop_nonfinite_gradients(self.modules.parameters())
            if dropped and not self.nonfinite_steps.is_reported:
                self._count_nonfinite("Gradients are not finite", False)
        super().optimizers_step()

    def _fit_train(self, train_set: Any, epoch: int, enable: bool) -> None:
        """Trains for an epoch; keeps what it has done if a file ends it."""
        self.nonfinite_steps = NonfiniteSteps()
        self.batch_is_done = False
        try:
            super()._fit_train(train_set, epoch, enable)
        except ValueError:
            whole = self.step % self.grad_accumulation_factor == 0
            # Other processes would have to take part.
            if self.batch_is_done and whole and num_processes() == 1:
                self._save_intra_epoch_ckpt()
            raise

    def _should_save_intra_epoch_ckpt(
        self, last_ckpt_time: float, steps_since_ckpt: int
    ) -> bool:
        """Waits for the optimizer's step: gradients are not saved."""
        # All processes have to agree, which only steps are worth.
        if self.step % self.grad_accumulation_factor != 0:
            return False
        return super()._should_save_intra_epoch_ckpt(
            last_ckpt_time, steps_since_ckpt
        )
