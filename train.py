#!/usr/bin/env python3
"""Recipe for training a joint model of speech enhancement and emotion
recognition on noisy speech, and for testing it on clean speech and on seen
and unseen noise.

To run this recipe, do the following:
> python train.py hparams/sparse_merit.yaml
> python train.py hparams/sparse_merit.yaml --corpus RAVDESS \
    --data_folder /path/to/ravdess --noise_folder /path/to/esc10

The first command trains a small model on the embedded corpus `mini`, which is
made on the spot. A trained model is tested on another corpus than its own by
> python train.py hparams/sparse_merit.yaml --corpus RAVDESS --test_only \
    --pretrained_folder results/mini/sparse_merit/fold0_seed1986/pretrained \
    --system sparse_merit_from_mini --data_folder ... --noise_folder ...

Authors
 * The speechbrain-merit developers 2026
"""

import itertools
import json
import sys
from pathlib import Path
from statistics import mean

import torch
from hyperpyyaml import load_hyperpyyaml

import speechbrain as sb
from speechbrain.dataio.batch import PaddedBatch
from speechbrain.dataio.sampler import ReproducibleWeightedRandomSampler
from speechbrain.nnet.losses import l1_loss
from speechbrain.utils.checkpoints import average_checkpoints
from speechbrain.utils.distributed import if_main_process, run_on_main
from speechbrain.utils.logger import get_logger
from speechbrain.utils.train_logger import TensorboardLogger
from speechbrain_merit.config import (
    TrainingRecord,
    check_hyperparameters,
    compose,
    file_sums,
    parse_arguments,
    training_settings,
)
from speechbrain_merit.data.atomic_write import atomic_write
from speechbrain_merit.data.batches import (
    count_optimizer_steps,
    draw_shares,
    spread_batches,
    use_batch_sampler,
)
from speechbrain_merit.data.labels import map_label, write_labels_once
from speechbrain_merit.data.manifests import load_utterances, manifest_paths
from speechbrain_merit.data.mixing import EvaluationMixer, plan_mixtures
from speechbrain_merit.data.reading_errors import naming_file
from speechbrain_merit.lobes import Gate
from speechbrain_merit.lobes.joint_model import EMOTION, ENHANCE
from speechbrain_merit.losses.gradient_conflict import (
    CONFLICT,
    gradient_cosines,
)
from speechbrain_merit.losses.task_losses import (
    NO_LABEL,
    class_weights,
    emotion_loss,
    emotion_loss_weight,
)
from speechbrain_merit.metrics import (
    Condition,
    EmotionStats,
    TestStats,
    UtteranceScorer,
    fit_temperature,
    markdown_table,
    results_dictionary,
    write_results,
)
from speechbrain_merit.metrics.routing import RoutingStats
from speechbrain_merit.metrics.routing_report import (
    write_share_figures,
    write_timeline,
)
from speechbrain_merit.pretrained.borrowing import (
    borrow_model,
    replace_encoder_source,
)
from speechbrain_merit.pretrained.folder import (
    find_pretrained_folder,
    write_pretrained_folder,
)
from speechbrain_merit.training.brain import MultiTaskBrain
from speechbrain_merit.training.checksums import sync_to_disk
from speechbrain_merit.training.distributed import (
    gather,
    gather_rows,
    mean_over_processes,
    seed_apart,
    set_timeout,
    whole_batch_losses,
)
from speechbrain_merit.training.evaluation_progress import identify
from speechbrain_merit.training.faults import explained_faults, told_plainly
from speechbrain_merit.training.folder_lock import claim_folder
from speechbrain_merit.training.statistics import TrainingStatistics

logger = get_logger(__name__)

# The name under which checkpoints keep the score that selects them.
SCORE = "score"


class DualTaskBrain(MultiTaskBrain):
    """Trains both tasks, selects on both, and tests every condition.

    `datasets` are those of `dataio_prep`; all else is as in SpeechBrain.
    """

    def __init__(self, datasets, **options):
        super().__init__(**options)
        hparams = vars(self.hparams)
        self.model.encoder.checkpoint_activations(
            hparams["checkpoint_activations"]
        )
        self.datasets = datasets
        self.train_loggers = [hparams["train_logger"]]
        if hparams["use_tensorboard"]:
            folder = hparams["tensorboard_logs_folder"]
            self.train_loggers.append(TensorboardLogger(folder))
        groups = training_groups(hparams, datasets)
        weights = class_weights(
            [label for _, label in groups],
            hparams["emotions"],
            draw_shares(groups, hparams["sampling_weights"]),
        )
        self.class_weights = torch.tensor(weights, device=self.device)

    def compute_forward(self, batch, stage):
        """Runs the model on the noisy speech."""
        batch = batch.to(self.device)
        # Unwrapped in evaluation, where processes differ in their batches.
        train = stage == sb.Stage.TRAIN
        return (self.modules.model if train else self.model)(*batch.noisy)

    def compute_objectives(self, predictions, batch, stage):
        """Computes the balanced sum of all losses, and keeps statistics."""
        losses = dict(predictions.integration.auxiliary_losses)
        train, weights = stage == sb.Stage.TRAIN, {}
        if ENHANCE in self.model.tasks:
            weights[ENHANCE] = predictions.spectrum.counts.sum()
            losses[ENHANCE] = self.enhancement_loss(predictions, batch)
        if EMOTION in self.model.tasks:
            labels = batch.emotion_index.data.squeeze(1)
            weights[EMOTION] = emotion_loss_weight(labels, self.class_weights)
            losses[EMOTION] = emotion_loss(
                predictions.logits,
                labels,
                self.class_weights,
                self.hparams.label_smoothing if train else 0.0,
            )
        self.num_batches += 1
        self.routing_stats.append(predictions.integration.routing)
        if train:
            losses = whole_batch_losses(
                losses, weights, predictions.integration
            )
            self.compare_gradients(losses)
            self.train_losses.append(
                {name: float(loss.detach()) for name, loss in losses.items()}
            )
        elif stage == sb.Stage.VALID:
            self.append_valid_stats(predictions, batch)
        else:
            self.append_test_rows(predictions, batch)
        self.losses = losses
        return self.modules.task_balancing(losses)

    def compare_gradients(self, losses):
        """Keeps the cosine between the tasks' gradients of some batches."""
        interval = self.hparams.gradient_cosine_interval
        both = {ENHANCE, EMOTION} <= {*losses}
        if interval and both and (self.num_batches - 1) % interval == 0:
            self.cosines.append(
                gradient_cosines(
                    losses[ENHANCE],
                    losses[EMOTION],
                    dict(self.model.named_parameters()),
                )
            )

    def enhancement_loss(self, predictions, batch):
        """Compares spectra, or waveforms where the YAML names a loss for it."""
        if self.hparams.waveform_loss is None:
            return l1_loss(
                predictions.enhanced_log1p,
                self.model.target_log1p(*batch.clean, predictions),
                length=predictions.spectrum.lengths,
            )
        lengths, scale = batch.clean.lengths, predictions.statistics.scale
        enhanced = self.model.enhanced_waveform(predictions, lengths)
        return self.hparams.waveform_loss(
            enhanced / scale, batch.clean.data / scale, lengths
        )

    def append_valid_stats(self, predictions, batch):
        """Scores a batch of development mixtures, utterance by utterance."""
        spectrum = predictions.spectrum
        if EMOTION in self.model.tasks:
            self.emotion_stats.append(
                batch.id,
                predictions.logits.log_softmax(dim=1),
                batch.emotion_index.data.squeeze(1),
            )
        if ENHANCE in self.model.tasks:
            # The output's spectrum may be the enhanced one.
            target, noisy = (
                self.model.target_log1p(*signal, predictions)
                for signal in (batch.clean, batch.noisy)
            )
            errors = (
                l1_loss(x, target, spectrum.lengths, reduction="batch").tolist()
                for x in (predictions.enhanced_log1p, noisy)
            )
            self.errors += [
                {"id": name, "enhanced": enhanced, "noisy": noisy}
                for name, enhanced, noisy in zip(batch.id, *errors, strict=True)
            ]

    def append_test_rows(self, predictions, batch):
        """Scores a batch of test mixtures, and keeps what is finished."""
        found = {}
        if EMOTION in self.model.tasks:
            found["log_posteriors"] = predictions.logits.log_softmax(dim=1)
            found["targets"] = batch.emotion_index.data.squeeze(1)
        if ENHANCE in self.model.tasks:
            lengths = batch.noisy.lengths
            found |= {
                "enhanced": self.model.enhanced_waveform(predictions, lengths),
                "clean": batch.clean.data,
                "noisy": batch.noisy.data,
                "lengths": lengths,
            }
        plan = self.datasets["test"].data
        conditions = [
            Condition(plan[name]["condition"], plan[name]["snr_db"])
            for name in batch.id
        ]
        rows = self.scorer.append(
            conditions,
            batch.id,
            routing=predictions.integration.routing,
            **found,
        )
        self.test_progress.append(rows)

    def on_stage_start(self, stage, epoch=None):
        """Prepares empty statistics, and the epoch's mixing and freezing."""
        self.num_batches = 0
        self.routing_stats = RoutingStats()
        # What comes again as it was.
        again = stage == sb.Stage.VALID or (
            stage == sb.Stage.TRAIN and self.hparams.mixtures_per_utterance
        )
        self.model.encoder.cache = (
            self.hparams.hidden_state_cache if again else None
        )
        if stage == sb.Stage.TRAIN:
            # Else the epoch was interrupted and goes on.
            if self.step == 0:
                self.train_statistics.clear()
            self.train_losses = self.train_statistics.losses
            self.cosines = []
            self.routing_stats = self.train_statistics.routing
            self.hparams.mixer.set_epoch(epoch)
            last = max(self.hparams.number_of_epochs - 1, 1)
            for gate in self.gates():
                gate.set_progress((epoch - 1) / last)
            if self.balancing.needs_task_gradients:
                self.balancing.reset()
            frozen = epoch <= self.hparams.number_of_frozen_epochs
            self.freeze_encoder(
                "all" if frozen else self.hparams.freeze_encoder
            )
        elif stage == sb.Stage.VALID:
            self.emotion_stats = EmotionStats(self.hparams.emotions)
            self.errors = []
        else:
            self.scorer = UtteranceScorer(
                self.hparams.emotions,
                self.hparams.sample_rate_hz,
                self.hparams.enhancement_metrics,
                n_jobs=self.hparams.num_metric_jobs,
            )

    def on_stage_end(self, stage, stage_loss, epoch=None):
        """Logs the stage; saves a checkpoint, or writes the results."""
        stage_loss = self.merge_statistics(stage, stage_loss)
        if stage == sb.Stage.TRAIN:
            self.train_summary = {
                "loss": stage_loss,
                **self.train_statistics.mean_losses(),
                **self.routing_stats.summarize(),
            }
            self.write_conflict(epoch)
        elif stage == sb.Stage.VALID:
            self.finish_epoch(stage_loss, epoch)
        elif if_main_process():
            self.write_test_results()

    def merge_statistics(self, stage, stage_loss):
        """Joins what the processes found, each with a share of the data."""
        routing = RoutingStats()
        order = self.datasets[stage.name.lower()].data_ids
        for sums in gather(self.routing_stats.sums):
            routing.add(sums)
        self.routing_stats = routing
        if stage == sb.Stage.VALID:
            self.emotion_stats = EmotionStats(
                self.hparams.emotions,
                gather_rows(self.emotion_stats.rows, order),
            )
            self.errors = gather_rows(self.errors, order)
        elif stage == sb.Stage.TEST:
            self.test_progress.append(self.scorer.flush())
            rows = self.test_progress.rows.values()
            self.test_rows = gather_rows(rows, order)
        return mean_over_processes(stage_loss, self.num_batches)

    def write_conflict(self, epoch):
        """Writes the cosines between the tasks' gradients, for the report."""
        rows = self.cosines
        if rows and if_main_process():
            path = self.result_folder / CONFLICT
            found = json.loads(path.read_text("utf-8")) if path.exists() else {}
            found[str(epoch)] = {
                group: mean([row[group] for row in rows if group in row])
                for group in dict.fromkeys(itertools.chain(*rows))
            }
            with atomic_write(path) as partial:
                partial.write_text(json.dumps(found, indent=1), "utf-8")

    def finish_epoch(self, stage_loss, epoch):
        """Scores the development set and keeps the best checkpoints."""
        summary = {"loss": stage_loss, **self.summarize_valid()}
        score = summary[SCORE]
        rate = self.optimizers_dict["model"].param_groups[0]["lr"]
        for train_logger in self.train_loggers:
            train_logger.log_stats(
                stats_meta={"epoch": epoch, "lr": rate},
                train_stats=self.train_summary,
                valid_stats={**summary, **self.routing_stats.summarize()},
            )
        self.hparams.epoch_counter.update_metric(score)
        self.checkpointer.save_and_keep_only(
            meta={SCORE: score, "epoch": epoch},
            max_keys=[SCORE],
            num_to_keep=self.hparams.num_averaged_checkpoints,
        )

    def summarize_valid(self):
        """Scores what the development set has targets for."""
        summary, score = {}, 0.0
        if EMOTION in self.model.tasks:
            f1_macro = self.emotion_stats.summarize("f1_macro")
            # None where no development utterance has a label.
            if f1_macro is not None:
                summary["f1_macro"] = f1_macro
                score += self.hparams.score_weights[EMOTION] * f1_macro
        if ENHANCE in self.model.tasks:
            rows = self.errors
            # In float32, as SpeechBrain's MetricStats.
            enhanced, noisy = (
                float(sum(torch.tensor([r[key] for r in rows])) / len(rows))
                for key in ("enhanced", "noisy")
            )
            summary["l1"], summary["noisy_l1"] = enhanced, noisy
            # 0 where all development mixtures are clean.
            if noisy > 0:
                gain = 1 - enhanced / noisy
                score += self.hparams.score_weights[ENHANCE] * gain
        return {**summary, SCORE: score}

    def write_test_results(self):
        """Writes tables, figures and results.json, and prints the table."""
        hparams, rows = self.hparams, self.test_rows
        plan = self.datasets["test"].data
        if "," in hparams.corpus:
            for corpus in hparams.corpus.split(","):
                own = [r for r in rows if plan[r["id"]]["corpus"] == corpus]
                self.write_scores(self.result_folder / corpus, corpus, own)
        # Last, as its results.json says that all is there.
        self.write_scores(self.result_folder, hparams.corpus, rows)
        labels = {
            name: map_emotion(vars(hparams), fields["emotion"])
            for name, fields in plan.items()
        }
        write_share_figures(
            self.result_folder, hparams.system, rows, labels, hparams.emotions
        )
        self.write_timelines()

    def write_scores(self, folder, corpus, rows):
        """Writes what the rows of a corpus, or of all together, say."""
        hparams = self.hparams
        stats = TestStats(hparams.emotions, hparams.enhancement_metrics, rows)
        results = results_dictionary(
            hparams.system,
            corpus,
            hparams.fold,
            hparams.seed,
            stats,
            stats.expert_shares(),
            self.temperature,
        )
        write_results(folder, results, stats, self.datasets["test"].data)
        logger.info("Results, also in %s:\n%s", folder, markdown_table(results))

    @torch.no_grad()
    def write_timelines(self):
        """Draws where the gates sent the first utterance of each condition."""
        first, test_set = {}, self.datasets["test"]
        for row in self.test_rows:
            condition = Condition(row["noise"], row["snr_db"])
            first.setdefault(condition, row["id"])
        for condition, name in first.items():
            batch = PaddedBatch([test_set[test_set.data_ids.index(name)]])
            with self.evaluation_ctx:
                output = self.compute_forward(batch, sb.Stage.TEST)
            write_timeline(
                self.result_folder,
                f"{self.hparams.system}, {name}",
                condition,
                output,
                self.hparams.sample_rate_hz,
                self.hparams.hop_length,
                self.model.encoder.samples_per_frame,
            )

    @property
    def result_folder(self):
        """Where results go: in debug mode not over those of a real run."""
        folder = Path(self.hparams.output_folder)
        return folder / "debug" if self.debug else folder

    @property
    def model(self):
        """The joint model, whatever wraps it."""
        return getattr(self.modules.model, "module", self.modules.model)

    @property
    def is_borrowed(self):
        """Whether another training's model is tested as it is."""
        return self.test_only and self.hparams.pretrained_folder is not None

    def freeze_encoder(self, freeze):
        """Sets what trains, and what gradients the processes exchange."""
        before = [p.requires_grad for p in self.model.parameters()]
        self.model.encoder.freeze(freeze)
        after = [p.requires_grad for p in self.model.parameters()]
        if self.distributed_launch and after != before:
            for name, module in self.modules.items():
                self.modules[name] = getattr(module, "module", module)
            self._wrap_distributed()

    def on_fit_start(self):
        """Says where training continues, after upstream has restored it."""
        super().on_fit_start()
        if self.model.encoder.needs_fitting:
            self.fit_standardization()
            # Before any epoch: the statistics need not be fitted again.
            self.checkpointer.save_checkpoint(meta={"epoch": 0})
        done = self.hparams.epoch_counter.current
        if done > 0 or self.step > 0:
            logger.info(
                "Resuming after %d epochs and %d optimizer steps, at batch %d",
                done,
                self.optimizer_step,
                self.step,
            )

    def gates(self):
        """Lists the gates of all tasks."""
        return [m for m in self.model.modules() if isinstance(m, Gate)]

    def fit_standardization(self):
        """Fits the hidden states' statistics, alike in every process."""
        self.hparams.mixer.set_epoch(0)
        batches = spread_batches(
            self.datasets["train"],
            self.hparams.standardization_utterances,
            self.hparams.batch_size,
        )
        self.model.fit_standardization(
            batch.to(self.device).noisy for batch in batches
        )

    def init_optimizers(self):
        """Makes one optimizer for the encoder and one for all else."""
        # Lists, for optimizers restore their state by position.
        inside = list(self.model.encoder.parameters())
        known = {id(parameter) for parameter in inside}
        gates, lr_gates = [], self.hparams.lr_gates
        if lr_gates is not None:
            gates = [p for g in self.gates() for p in g.parameters()]
            known |= {id(parameter) for parameter in gates}
        outside = [p for p in self.model.parameters() if id(p) not in known]
        self.optimizers_dict = {"model": self.opt_class(outside)}
        if gates:
            self.optimizers_dict["gates"] = self.opt_class(gates, lr=lr_gates)
        learned = list(self.balancing.parameters())
        if learned:
            self.optimizers_dict["model"].add_param_group(
                {"params": learned, "weight_decay": 0.0}
            )
        self.train_statistics = TrainingStatistics()
        self.checkpointer.add_recoverable(
            "train_statistics", self.train_statistics, optional_load=True
        )
        if self.balancing.state_dict():
            self.checkpointer.add_recoverable("balancing", self.balancing)
        if self.hparams.freeze_encoder != "all":
            self.model.encoder.freeze(self.hparams.freeze_encoder)
            trained = [p for p in inside if p.requires_grad]
            encoder_opt_class = self.hparams.encoder_opt_class
            self.optimizers_dict["encoder"] = encoder_opt_class(trained)
        num_steps = count_optimizer_steps(
            self.hparams.number_of_epochs,
            self.batches_per_epoch,
            self.grad_accumulation_factor,
        )
        num_warmup_steps = round(self.hparams.warmup_fraction * num_steps)
        self.lr_schedules = {}
        for name, optimizer in self.optimizers_dict.items():
            self.lr_schedules[name] = self.hparams.lr_schedule(
                initial_value=optimizer.param_groups[0]["lr"],
                num_warmup_steps=num_warmup_steps,
                # The last value is zero, which would waste a step.
                num_training_steps=num_steps + 1,
            )
            self.lr_schedules[name](optimizer)
            self.checkpointer.add_recoverable(f"optimizer_{name}", optimizer)
            self.checkpointer.add_recoverable(
                f"lr_schedule_{name}", self.lr_schedules[name]
            )

    def on_fit_batch_end(self, batch, outputs, loss, should_step):
        """Moves the learning rates on with every optimizer step."""
        if should_step:
            for name, optimizer in self.optimizers_dict.items():
                self.lr_schedules[name](optimizer)
        super().on_fit_batch_end(batch, outputs, loss, should_step)

    def on_evaluate_start(self, max_key=None, min_key=None):
        """Loads the mean of the best checkpoints' weights, and calibrates."""
        self.temperature = None
        # Of other weights, were it but by the rounding of a mean.
        self.model.encoder.cache = None
        # Else the weights are there, and their temperature in them.
        if not self.is_borrowed:
            self.load_best_weights(max_key, min_key)
        self.test_progress.open(self.identify_test())
        num_done = len(self.test_progress.rows)
        if num_done > 0:
            logger.info("Resuming the test after %d utterances", num_done)
        if EMOTION in self.model.tasks and not self.is_borrowed:
            self.calibrate()

    def identify_test(self):
        """Tells this test from others, whose results it must not take."""
        return identify(
            self.model.state_dict(),
            self.datasets["test"].data,
            self.hparams.emotions,
            self.hparams.label_mapping,
            self.hparams.enhancement_metrics,
            self.hparams.sample_rate_hz,
            self.eval_precision,
            batches=self.test_batches,
            files=test_files(vars(self.hparams), self.datasets["test"].data),
        )

    def load_best_weights(self, max_key=None, min_key=None):
        """Loads the mean of the best checkpoints' weights."""
        checkpoints = self.checkpointer.find_whole_checkpoints(
            max_key=max_key,
            min_key=min_key,
            max_num_checkpoints=self.hparams.num_averaged_checkpoints,
        )
        if checkpoints:
            mean = average_checkpoints(checkpoints, "model")
            self.model.load_state_dict(mean)
        elif self.debug:
            logger.warning("No checkpoint: debugging with the present weights.")
        else:
            raise FileNotFoundError(
                f"{self.checkpointer.checkpoints_dir} holds no checkpoint of "
                "a finished epoch: train before testing."
            )

    @torch.no_grad()
    def calibrate(self):
        """Fits the temperature of the logits on the development set."""
        self.modules.eval()
        judged = EmotionStats(self.hparams.emotions)
        loader = self.make_dataloader(
            self.datasets["valid"],
            sb.Stage.VALID,
            ckpt_prefix=None,
            **self.hparams.valid_dataloader_opts,
        )
        num_batches = self.debug_batches if self.debug else None
        for batch in itertools.islice(loader, num_batches):
            batch = batch.to(self.device)
            with self.evaluation_ctx:
                logits = self.model(*batch.noisy, [EMOTION]).logits
            judged.append(
                batch.id,
                logits.log_softmax(dim=1),
                batch.emotion_index.data.squeeze(1),
            )
        rows = gather_rows(judged.rows, self.datasets["valid"].data_ids)
        judged = EmotionStats(self.hparams.emotions, rows)
        # Empty where no development utterance has a label.
        if judged.ids:
            self.temperature = fit_temperature(
                judged.posteriors, judged.targets
            )
            self.model.apply_temperature(self.temperature)


def noise_source(hparams, split):
    """Makes the source of one of the corpus's noise manifests."""
    manifest = manifest_paths(hparams["manifest_folder"])[f"noise_{split}"]
    return hparams["noises"](manifest=manifest)


def test_files(hparams, plan):
    """Names the files of speech and noise that a test reads."""
    sources = {s: noise_source(hparams, s) for s in ("seen", "unseen")}
    for fields in plan.values():
        yield from filter(None, (fields["wav"], fields["noisy_wav"]))
        if fields["noise"] is not None:
            yield sources[fields["condition"]].path_of(fields["noise"])


def plan_evaluation(hparams):
    """Writes the mixtures of the development and the test set."""
    manifests = manifest_paths(hparams["manifest_folder"])
    plans = {
        "valid": (["valid"], hparams["valid_snrs_db"]),
        "test": (["seen", "unseen"], hparams["test_snrs_db"]),
    }
    for split, (noises, snrs_db) in plans.items():
        plan_mixtures(
            mixture_manifest(hparams, split),
            manifests[split],
            {noise: noise_source(hparams, noise) for noise in noises},
            snrs_db,
            hparams["evaluation_seed"],
            hparams["max_duration_s"],
        )


def mixture_manifest(hparams, split):
    """Names the plan of the development or the test mixtures."""
    return Path(hparams["manifest_folder"]) / f"mixtures_{split}.json"


def prepare(hparams):
    """Writes all manifests."""
    if hparams["prepare_corpus"] is None:
        raise ValueError(
            "prepare_corpus is not set: the corpus.yml of "
            f"{hparams['corpus']} must name its preparation function."
        )
    hparams["prepare_corpus"](
        data_folder=hparams["data_folder"],
        noise_folder=hparams["noise_folder"],
        manifest_folder=hparams["manifest_folder"],
        sample_rate_hz=hparams["sample_rate_hz"],
        fold=hparams["fold"],
        seed=hparams["evaluation_seed"],
        **hparams["prepare_options"],
    )
    plan_evaluation(hparams)


def check_data(hparams, record, before):
    """Compares the training's data with those that it was begun with."""
    names = ("train", "valid", "noise_train", "noise_valid")
    paths = manifest_paths(hparams["manifest_folder"])
    try:
        record.check("data", file_sums(paths[name] for name in names))
    except ValueError:
        # As they were, before the preparation wrote others.
        for path, content in before.items():
            path.write_bytes(content)
        raise
    record.write()


def map_emotion(hparams, label):
    """Names the model's emotion for the corpus's; None for none."""
    return map_label(
        label,
        hparams["emotions"],
        hparams["label_mapping"],
        hparams["corpus"],
    )


def use_pretrained(hparams, test_only):
    """Takes a trained model: to start from it, or to test it as it is."""
    source = hparams["pretrained_folder"]
    if test_only and any(Path(hparams["save_folder"]).glob("CKPT*")):
        raise ValueError(
            f"{hparams['output_folder']} holds a training: leave "
            "pretrained_folder out to test that, or give the test of "
            f"{find_pretrained_folder(source)} another system or "
            "output_folder."
        )
    hparams["modules"]["model"] = borrow_model(
        source, hparams["modules"]["model"], hparams["emotions"], test_only
    )


def training_groups(hparams, datasets):
    """Gives corpus and emotion of every training utterance."""
    return [
        (fields.get("corpus"), map_emotion(hparams, fields["emotion"]))
        for fields in datasets["train"].data.values()
    ]


def dataio_prep(hparams):
    """Makes the datasets of training, development and test mixtures.

    Returns
    -------
    dict
        `train`, `valid` and `test` as `DynamicItemDataset`.
    """
    label_file = Path(hparams["save_folder"]) / "label_encoder.txt"
    run_on_main(write_labels_once, args=[label_file, hparams["emotions"]])
    with naming_file(label_file):
        hparams["label_encoder"].load(label_file)
    hparams["label_encoder"].expect_len(len(hparams["emotions"]))
    known = hparams["label_encoder"].decode_torch(
        torch.arange(len(hparams["emotions"]))
    )
    if known != list(hparams["emotions"]):
        raise ValueError(
            f"The run in {hparams['output_folder']} has the emotions {known}, "
            f"not {list(hparams['emotions'])}: take another output_folder."
        )

    @sb.utils.data_pipeline.takes("emotion")
    @sb.utils.data_pipeline.provides("emotion_index")
    def label_pipeline(emotion):
        emotion = map_emotion(hparams, emotion)
        if emotion is None:
            return torch.tensor([NO_LABEL])
        return torch.tensor([hparams["label_encoder"].encode_label(emotion)])

    @sb.utils.data_pipeline.takes(
        "id", "wav", "start_s", "duration_s", "noisy_wav"
    )
    @sb.utils.data_pipeline.provides("noisy", "clean")
    def training_pipeline(*fields):
        mixture = hparams["mixer"](*fields)
        yield mixture.noisy
        yield mixture.speech

    mix = EvaluationMixer(
        {s: noise_source(hparams, s) for s in ("valid", "seen", "unseen")},
        hparams["sample_rate_hz"],
        hparams["read_speech"],
    )

    @sb.utils.data_pipeline.takes(
        "id",
        "wav",
        "start_s",
        "duration_s",
        "condition",
        "noise",
        "noise_offset",
        "snr_db",
        "noisy_wav",
    )
    @sb.utils.data_pipeline.provides("noisy", "clean")
    def evaluation_pipeline(*fields):
        mixture = mix(*fields)
        yield mixture.noisy
        yield mixture.speech

    manifests = {
        "train": manifest_paths(hparams["manifest_folder"])["train"],
        "valid": mixture_manifest(hparams, "valid"),
        "test": mixture_manifest(hparams, "test"),
    }
    return {
        split: sb.dataio.dataset.DynamicItemDataset(
            load_utterances(manifest, hparams["data_folder"]),
            dynamic_items=[
                training_pipeline if split == "train" else evaluation_pipeline,
                label_pipeline,
            ],
            output_keys=["id", "noisy", "clean", "emotion_index"],
        )
        for split, manifest in manifests.items()
    }


def train_loader_options(hparams, datasets):
    """Gives the training's loader its order or its batches."""
    # Its own generator: workers' seeds would otherwise be drawn from the state
    # that a resumed run has just restored.
    options = {
        **hparams["train_dataloader_opts"],
        "generator": torch.Generator().manual_seed(hparams["seed"]),
    }
    if hparams["dynamic_batching"]:
        batches = hparams["dynamic_batch_sampler"](datasets["train"])
        options = use_batch_sampler(options, batches)
    if hparams["sampling_weights"]:
        options["sampler"] = ReproducibleWeightedRandomSampler(
            draw_shares(
                training_groups(hparams, datasets), hparams["sampling_weights"]
            ),
            len(datasets["train"]),
            replacement=True,
            seed=hparams["seed"],
        )
        options["shuffle"] = False
    return options


if __name__ == "__main__":
    with told_plainly():
        hparams_file, run_opts, overrides = parse_arguments(sys.argv[1:])
        composed = compose(hparams_file, overrides, Path(__file__).parent)
        check_hyperparameters(composed, run_opts)
        settings = training_settings(composed, run_opts)
        replace_encoder_source(composed)

    # Initialize ddp (useful only for multi-GPU training)
    sb.utils.distributed.ddp_init_group(run_opts)

    hparams = load_hyperpyyaml(composed.text)

    # Held until this process ends; the others of a training share it.
    if if_main_process():
        claim = claim_folder(hparams["output_folder"])
    with explained_faults(hparams["output_folder"]):
        with told_plainly():
            if hparams["pretrained_folder"] is not None:
                use_pretrained(hparams, run_opts["test_only"])
            record = TrainingRecord(
                hparams["save_folder"], run_opts["test_only"]
            )
            record.check("settings", settings)
        sb.create_experiment_directory(
            experiment_directory=hparams["output_folder"]
        )
        manifests = Path(hparams["manifest_folder"]).glob("*.json")
        before = {path: path.read_bytes() for path in manifests}
        if not hparams["skip_prep"]:
            run_on_main(prepare, kwargs={"hparams": hparams})
        with told_plainly():
            run_on_main(check_data, args=[hparams, record, before])
        hyperparameters_file = (
            Path(hparams["output_folder"]) / "hyperparams.yaml"
        )
        run_on_main(composed.write, args=[hyperparameters_file])
        set_timeout(hparams["process_timeout_minutes"])
        # Upstream allows it on import.
        torch.backends.cuda.matmul.allow_tf32 = hparams["allow_tf32"]
        torch.backends.cudnn.allow_tf32 = hparams["allow_tf32"]
        seed_apart(hparams["seed"])

        hparams["mixer"] = hparams["training_mixer"](
            noises=noise_source(hparams, "train")
        )
        datasets = dataio_prep(hparams)

        brain = DualTaskBrain(
            modules=hparams["modules"],
            opt_class=hparams["opt_class"],
            hparams=hparams,
            run_opts=run_opts,
            checkpointer=hparams["checkpointer"],
            datasets=datasets,
        )
        brain.fit(
            hparams["epoch_counter"],
            datasets["train"],
            datasets["valid"],
            train_loader_kwargs=train_loader_options(hparams, datasets),
            valid_loader_kwargs=hparams["valid_dataloader_opts"],
        )
        brain.evaluate(
            datasets["test"],
            max_key=SCORE,
            test_loader_kwargs=hparams["test_dataloader_opts"],
        )
        if not brain.is_borrowed:
            run_on_main(
                write_pretrained_folder,
                args=[
                    brain.result_folder / "pretrained",
                    hyperparameters_file,
                    brain.model,
                    hparams["label_encoder"],
                ],
            )
            for path in (brain.result_folder / "pretrained").iterdir():
                sync_to_disk(path)
        # What marks a training with its test as unfinished.
        brain.test_progress.remove()
