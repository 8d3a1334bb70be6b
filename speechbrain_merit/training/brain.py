"""A Brain that keeps what it has done when something goes wrong.

Authors
 * The speechbrain-merit developers 2026
"""

from collections.abc import Mapping
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import torch

import speechbrain as sb
from speechbrain.dataio.batch import PaddedBatch
from speechbrain.dataio.dataset import DynamicItemDataset

from .distributed import num_processes, share_data
from .evaluation_progress import EvaluationProgress, remaining_options
from .faults import explained_faults, naming_utterances
from .nonfinite import NonfiniteSteps, drop_nonfinite_gradients


class FaultTolerantBrain(sb.Brain):
    """Names utterances that fail, and leaves an end to continue from.

    Steps that are not finite are left out. A file that cannot be read ends a
    training with a checkpoint, and a test with what it has scored. Errors of
    the machine say what to do. Every process has its share of the data.

    Whoever inherits gives `result_folder`, calls `test_progress.open` before a
    test, and appends the rows that it finds to `test_progress`. Of the hyperparameters it reads `output_folder`, `seed` and
    `sample_rate_hz`; batches have `id` and `noisy`, `[batch, time]`.

    Example
    -------
    >>> folder = str(getfixture("tmpdir"))
    >>> brain = FaultTolerantBrain(hparams={"output_folder": folder})
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
        loader_kwargs = share_data(
            dataset,
            stage == sb.Stage.TRAIN,
            self.hparams.seed,
            loader_kwargs,
        )
        if stage == sb.Stage.TEST:
            loader_kwargs = self._leave_out_tested(dataset, loader_kwargs)
        return super().make_dataloader(dataset, stage, *args, **loader_kwargs)

    def _leave_out_tested(
        self, dataset: DynamicItemDataset, loader_kwargs: Mapping[str, Any]
    ) -> dict[str, Any]:
        rank = torch.distributed.get_rank() if num_processes() > 1 else 0
        self.test_progress = EvaluationProgress(
            self.result_folder / f"test_progress_{rank}.jsonl"
        )
        options = remaining_options(dataset, loader_kwargs, self.test_progress)
        self.test_batches = options["batch_sampler"].batches
        return options

    def fit(self, *args: Any, **kwargs: Any) -> None:
        """Trains; says what to do where the machine fails.

        Arguments
        ---------
        *args : Any
            As for `speechbrain.Brain`.
        **kwargs : Any
            As for `speechbrain.Brain`.
        """
        with explained_faults(self.hparams.output_folder):
            super().fit(*args, **kwargs)

    def evaluate(self, *args: Any, **kwargs: Any) -> float:
        """Tests; says what to do where the machine fails.

        Arguments
        ---------
        *args : Any
            As for `speechbrain.Brain`.
        **kwargs : Any
            As for `speechbrain.Brain`.

        Returns
        -------
        float
            The average loss.
        """
        with explained_faults(self.hparams.output_folder):
            return super().evaluate(*args, **kwargs)

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
        """Scores a batch.

        Arguments
        ---------
        batch : PaddedBatch
            What to score.
        stage : speechbrain.Stage
            Which set it is of.

        Returns
        -------
        torch.Tensor
            The loss, a scalar.
        """
        with self.naming_utterances(batch):
            return super().evaluate_batch(batch, stage)

    def fit_batch(self, batch: PaddedBatch) -> torch.Tensor:
        """Trains on a batch.

        Arguments
        ---------
        batch : PaddedBatch
            What to train on.

        Returns
        -------
        torch.Tensor
            The loss, a scalar.
        """
        with self.naming_utterances(batch):
            return super().fit_batch(batch)

    def on_fit_batch_start(self, batch: PaddedBatch, should_step: bool) -> None:
        """Remembers the utterances, for messages about them.

        Arguments
        ---------
        batch : PaddedBatch
            What is trained on.
        should_step : bool
            Of no use here.
        """
        self.nonfinite_steps.add(batch.id)
        self.batch_is_done = False

    def on_fit_batch_end(
        self, batch: PaddedBatch, outputs: Any, loss: Any, should_step: bool
    ) -> None:
        """Takes note of a batch that is done.

        Arguments
        ---------
        batch : PaddedBatch
            Of no use here.
        outputs : Any
            Of no use here.
        loss : Any
            Of no use here.
        should_step : bool
            Whether the optimizers have made a step.
        """
        if should_step:
            self.nonfinite_steps.start()
        self.batch_is_done = True

    def check_loss_isfinite(self, loss: torch.Tensor) -> None:
        """Names the utterances of a loss that is not finite.

        Arguments
        ---------
        loss : torch.Tensor
            A scalar.

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
