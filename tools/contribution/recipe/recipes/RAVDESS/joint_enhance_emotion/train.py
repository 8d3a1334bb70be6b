#!/usr/bin/env python3
"""Recipe for training a joint model of speech enhancement and emotion
recognition on RAVDESS in noise from ESC-10, and for testing it on speakers,
recordings and kinds of noise that it has not heard.

To run this recipe, do the following:
> python train.py hparams/sparse_merit.yaml --data_folder /path/to/ravdess \
    --noise_folder /path/to/esc10

Authors
 * The speechbrain-merit developers 2026
"""

import os
import sys

import torch
import torchaudio
from hyperpyyaml import load_hyperpyyaml
from pesq import pesq
from pystoi import stoi

import speechbrain as sb
from speechbrain.dataio import audio_io
from speechbrain.dataio.dataio import length_to_mask
from speechbrain.nnet.losses import l1_loss
from speechbrain.processing.features import spectral_magnitude
from speechbrain.processing.signal_processing import (
    compute_amplitude,
    dB_to_amplitude,
    resynthesize,
)
from speechbrain.utils.checkpoints import average_checkpoints
from speechbrain.utils.distributed import if_main_process, run_on_main
from speechbrain.utils.metric_stats import ClassificationStats, MetricStats


class JointBrain(sb.Brain):
    """Trains both tasks and selects checkpoints on both."""

    def compute_forward(self, batch, stage):
        """Runs the model on noisy speech, which is mixed here in training."""
        batch = batch.to(self.device)
        clean, lens = batch.clean
        if stage == sb.Stage.TRAIN:
            clean, lens = self.hparams.speech_augmentation(clean, lens)
            noisy, clean = self.add_noise(clean, lens)
        else:
            noisy, lens = batch.noisy
        features, hidden_counts = self.encode(noisy, lens)
        integration = self.modules.integrator(features, lens)
        spectrum = self.log_spectrum(noisy)
        num_samples = torch.round(lens * noisy.shape[1]).long()
        spectrum_counts = 1 + num_samples // self.hparams.stft.hop_length
        # There is no dict of fields to remember the order of.
        return {
            "noisy": noisy,
            "clean": clean,
            "lens": lens,
            "spectrum": spectrum,
            "spectrum_lens": spectrum_counts / spectrum.shape[1],
            "enhanced": self.modules.enhancement_head(
                spectrum,
                spectrum_counts,
                integration.features["enhance"],
                hidden_counts,
            ),
            "logits": self.modules.emotion_head(
                integration.features["emotion"], lens
            ),
            "auxiliary_losses": integration.auxiliary_losses,
        }

    def add_noise(self, clean, lens):
        """Adds noise to all utterances but some, at SNRs of their own.

        ``AddNoise`` turns the speech down by as much as it adds noise. A mask
        cannot turn it up again, so that gain is taken back: what is returned
        is the mixture, and the speech as it is in the mixture.
        """
        draws = torch.rand(2, len(clean), 1, device=clean.device)
        width = self.hparams.snr_high_db - self.hparams.snr_low_db
        snr_db = self.hparams.snr_low_db + draws[0] * width
        # The range of every utterance is the one SNR whose gain is known.
        self.hparams.noise_adder.snr_low = snr_db
        self.hparams.noise_adder.snr_high = snr_db
        noisy = self.hparams.noise_adder(clean, lens)
        noisy = noisy / (1 - 1 / (dB_to_amplitude(snr_db) + 1))
        noisy = torch.where(
            draws[1] < self.hparams.clean_probability, clean, noisy
        )
        mask = length_to_mask(lens * clean.shape[1], clean.shape[1])
        noisy = noisy * mask
        peak = noisy.abs().amax(dim=1, keepdim=True).clamp(min=1.0)
        return noisy / peak, clean / peak

    def encode(self, noisy, lens):
        """Gives the standardised hidden states and their numbers of frames."""
        states = self.modules.encoder(noisy, wav_lens=lens)
        # [layer, batch, time, channel] -> [batch, time, layer * channel]
        joined = states.permute(1, 2, 0, 3).flatten(2)
        joined = self.modules.normalizer(
            joined, lens, epoch=self.hparams.epoch_counter.current
        )
        states = joined.unflatten(2, (len(states), -1)).permute(2, 0, 1, 3)
        return states, torch.round(lens * states.shape[2]).long().clamp(min=1)

    def log_spectrum(self, wavs):
        """Computes log1p magnitudes, `[batch, time, bin]`."""
        return torch.log1p(
            spectral_magnitude(self.hparams.stft(wavs), power=0.5)
        )

    def compute_objectives(self, predictions, batch, stage):
        """Computes the weighted sum of all losses, and keeps statistics."""
        labels = batch.emotion_index.data.squeeze(1)
        target = self.log_spectrum(predictions["clean"])
        train = stage == sb.Stage.TRAIN
        losses = {
            "enhance": l1_loss(
                predictions["enhanced"], target, predictions["spectrum_lens"]
            ),
            # Classes count the same in total, however rare they are.
            "emotion": torch.nn.functional.cross_entropy(
                predictions["logits"],
                labels,
                weight=self.hparams.class_weights.to(self.device),
                label_smoothing=self.hparams.label_smoothing if train else 0.0,
            ),
            **predictions["auxiliary_losses"],
        }
        if not train:
            self.append_stats(predictions, batch, target, labels)
        if stage == sb.Stage.TEST:
            self.append_test_stats(predictions, batch)
        weights = self.hparams.loss_weights
        return sum(weights[name] * loss for name, loss in losses.items())

    def append_stats(self, predictions, batch, target, labels):
        """Keeps the errors of spectra, and the emotions."""
        for stats, spectrum in (
            (self.enhanced_stats, predictions["enhanced"]),
            (self.noisy_stats, predictions["spectrum"]),
        ):
            stats.append(
                batch.id,
                spectrum,
                target,
                predictions["spectrum_lens"],
                reduction="batch",
            )
        decode = self.hparams.label_encoder.decode_torch
        self.emotion_stats.append(
            batch.id,
            decode(predictions["logits"].argmax(dim=1)),
            decode(labels),
        )

    def append_test_stats(self, predictions, batch):
        """Scores the enhanced speech at its full length."""
        noisy = predictions["noisy"]
        num_samples = torch.round(predictions["lens"] * noisy.shape[1]).long()
        enhanced = torch.zeros_like(noisy)
        # One by one: overlapping frames end with the utterance.
        for i, num in enumerate(num_samples):
            count = 1 + num // self.hparams.stft.hop_length
            enhanced[i, :num] = resynthesize(
                torch.expm1(predictions["enhanced"][i : i + 1, :count]),
                noisy[i : i + 1, :num],
                self.hparams.stft,
                self.hparams.istft,
                normalize_wavs=False,
            )[0]
        for stats in self.test_stats.values():
            stats.append(
                batch.id,
                predict=enhanced.cpu(),
                target=predictions["clean"].cpu(),
                lengths=predictions["lens"].cpu(),
            )

    def on_stage_start(self, stage, epoch=None):
        """Prepares empty statistics."""
        if stage != sb.Stage.TRAIN:
            self.enhanced_stats = MetricStats(metric=l1_loss)
            self.noisy_stats = MetricStats(metric=l1_loss)
            self.emotion_stats = ClassificationStats()
        if stage == sb.Stage.TEST:
            self.test_stats = {
                name: MetricStats(
                    metric=metric,
                    n_jobs=self.hparams.num_metric_jobs,
                    batch_eval=False,
                )
                for name, metric in METRICS.items()
            }

    def on_stage_end(self, stage, stage_loss, epoch=None):
        """Logs the stage, and saves a checkpoint after validation."""
        if stage == sb.Stage.TRAIN:
            self.train_loss = stage_loss
            return
        stats = {"loss": stage_loss, "f1_macro": f1_macro(self.emotion_stats)}
        if stage == sb.Stage.VALID:
            # The share of the spectral error that enhancement removes.
            removed = 1 - (
                self.enhanced_stats.summarize("average")
                / self.noisy_stats.summarize("average")
            )
            stats["removed"] = removed
            stats["score"] = stats["f1_macro"] + removed
            self.hparams.train_logger.log_stats(
                {"epoch": epoch, "lr": self.optimizer.param_groups[0]["lr"]},
                train_stats={"loss": self.train_loss},
                valid_stats=stats,
            )
            self.checkpointer.save_and_keep_only(
                meta={"score": stats["score"]},
                max_keys=["score"],
                num_to_keep=self.hparams.num_averaged_checkpoints,
            )
        else:
            for name, metric in self.test_stats.items():
                stats[name] = metric.summarize("average")
            self.hparams.train_logger.log_stats(
                {
                    "epoch loaded": self.hparams.epoch_counter.current,
                    "condition": self.condition,
                },
                test_stats=stats,
            )
            if if_main_process():
                self.write_emotions()

    def write_emotions(self):
        """Writes which emotions were taken for which."""
        folder = self.hparams.output_folder
        name = f"emotions_{self.condition.replace(' ', '_')}.txt"
        with open(os.path.join(folder, name), "w", encoding="utf-8") as file:
            self.emotion_stats.write_stats(file)

    def init_optimizers(self):
        """Starts the warm-up with the first step."""
        super().init_optimizers()
        self.hparams.lr_annealing(self.optimizer)

    def on_fit_batch_end(self, batch, outputs, loss, should_step):
        """Moves the learning rate on with every step."""
        if should_step:
            self.hparams.lr_annealing(self.optimizer)

    def on_evaluate_start(self, max_key=None, min_key=None):
        """Loads the mean of the best checkpoints' weights."""
        super().on_evaluate_start(max_key=max_key, min_key=min_key)
        checkpoints = self.checkpointer.find_checkpoints(
            max_key=max_key,
            min_key=min_key,
            max_num_checkpoints=self.hparams.num_averaged_checkpoints,
        )
        if checkpoints:
            mean = average_checkpoints(checkpoints, "model")
            self.hparams.model.load_state_dict(mean)


def f1_macro(stats):
    """Averages the F1 scores of the emotions that occur."""
    scores = []
    for label in sorted(set(stats.targets)):
        pairs = zip(stats.predictions, stats.targets)
        hits = sum(predicted == true == label for predicted, true in pairs)
        total = stats.predictions.count(label) + stats.targets.count(label)
        scores.append(2 * hits / total)
    return sum(scores) / len(scores)


def pesq_wb(predict, target):
    """Computes wide-band PESQ."""
    return pesq(SAMPLE_RATE_HZ, target.numpy(), predict.numpy(), "wb")


def stoi_score(predict, target):
    """Computes STOI, not the extended one."""
    return stoi(target.numpy(), predict.numpy(), SAMPLE_RATE_HZ)


def segmental_snr_db(predict, target):
    """Averages the SNR of frames of 30 ms, each limited to -10 to 35 dB.

    Reference: P. C. Loizou, "Speech Enhancement: Theory and Practice", 2nd
    ed., chapter 11.
    """
    length = round(0.03 * SAMPLE_RATE_HZ)
    window = torch.hann_window(length + 2, periodic=False)[1:-1].double()
    energies = [
        signal.double().square().unfold(0, length, length // 4)
        @ window.square()
        for signal in (target, target - predict)
    ]
    epsilon = torch.finfo(torch.float64).eps
    ratios = energies[0] / (energies[1] + epsilon)
    snrs_db = 10 * torch.log10(ratios + epsilon)
    return float(snrs_db.clamp(min=-10, max=35).mean())


# What PESQ and the frames of the segmental SNR are defined for here.
SAMPLE_RATE_HZ = 16000
METRICS = {
    "pesq_wb": pesq_wb,
    "stoi": stoi_score,
    "ssnr_db": segmental_snr_db,
}


def read_mono(path, sample_rate_hz):
    """Reads a file, mixed down and resampled."""
    signal, rate_hz = audio_io.load(path)
    return torchaudio.functional.resample(
        signal.mean(dim=0), rate_hz, sample_rate_hz
    )


def mix_at_snr(clean, noise, snr_db):
    """Mixes two signals of one length; a peak above 1 turns both down."""
    levels = [
        compute_amplitude(signal.unsqueeze(0), amp_type="rms").squeeze()
        for signal in (clean, noise)
    ]
    noise = noise * (levels[0] / (levels[1] * dB_to_amplitude(snr_db)))
    peak = (clean + noise).abs().max().clamp(min=1.0)
    return (clean + noise) / peak, clean / peak


def dataio_prep(hparams):
    """Makes the datasets of training, validation and test."""
    rate_hz = hparams["sample_rate_hz"]
    label_encoder = hparams["label_encoder"]
    label_encoder.load_or_create(
        path=os.path.join(hparams["save_folder"], "label_encoder.txt"),
        from_iterables=[hparams["emotions"]],
    )

    def read_speech(wav, start_s, duration_s):
        start = round(start_s * rate_hz)
        stop = start + round(duration_s * rate_hz)
        return read_mono(wav, rate_hz)[start:stop]

    @sb.utils.data_pipeline.takes("wav", "start_s", "duration_s")
    @sb.utils.data_pipeline.provides("clean")
    def clean_pipeline(wav, start_s, duration_s):
        return read_speech(wav, start_s, duration_s)

    @sb.utils.data_pipeline.takes(
        "wav", "start_s", "duration_s", "noise", "noise_start", "snr_db"
    )
    @sb.utils.data_pipeline.provides("noisy", "clean")
    def mixture_pipeline(wav, start_s, duration_s, noise, noise_start, snr_db):
        clean = read_speech(wav, start_s, duration_s)
        if noise is None:
            return clean, clean
        recording = read_mono(noise, rate_hz)
        # A recording that is too short starts over.
        index = torch.arange(noise_start, noise_start + len(clean))
        crop = recording[index % len(recording)]
        return mix_at_snr(clean, crop, snr_db)

    @sb.utils.data_pipeline.takes("emotion")
    @sb.utils.data_pipeline.provides("emotion_index")
    def label_pipeline(emotion):
        return torch.tensor([label_encoder.encode_label(emotion)])

    datasets = {}
    for split in ("train", "valid", "test"):
        train = split == "train"
        audio = clean_pipeline if train else mixture_pipeline
        keys = ["id", "clean", "emotion_index"]
        datasets[split] = sb.dataio.dataset.DynamicItemDataset.from_json(
            json_path=hparams[f"{split}_annotation"],
            replacements={
                "data_root": hparams["data_folder"],
                "noise_root": hparams["noise_folder"],
            },
            dynamic_items=[audio, label_pipeline],
            output_keys=keys if train else [*keys, "noisy"],
        )
    return datasets


def count_classes(hparams, train_set):
    """Weighs classes such that each counts the same in total."""
    labels = [item["emotion"] for item in train_set.data.values()]
    counts = torch.tensor([labels.count(name) for name in hparams["emotions"]])
    weights = len(labels) / (len(counts) * counts.clamp(min=1))
    return weights * (counts > 0)


if __name__ == "__main__":
    hparams_file, run_opts, overrides = sb.parse_arguments(sys.argv[1:])

    # Initialize ddp (useful only for multi-GPU training)
    sb.utils.distributed.ddp_init_group(run_opts)

    with open(hparams_file, encoding="utf-8") as fin:
        hparams = load_hyperpyyaml(fin, overrides)

    sb.create_experiment_directory(
        experiment_directory=hparams["output_folder"],
        hyperparams_to_save=hparams_file,
        overrides=overrides,
    )

    # Data preparation, to be run on only one process.
    if not hparams["skip_prep"]:
        from ravdess_prepare import plan_mixtures, prepare_ravdess

        run_on_main(
            prepare_ravdess,
            kwargs={
                "data_folder": hparams["data_folder"],
                "noise_folder": hparams["noise_folder"],
                "manifest_folder": hparams["manifest_folder"],
                "sample_rate_hz": hparams["sample_rate_hz"],
                "fold": hparams["fold"],
                "seed": hparams["evaluation_seed"],
                **hparams["prepare_options"],
            },
        )
        run_on_main(
            plan_mixtures,
            kwargs={
                "manifest_folder": hparams["manifest_folder"],
                "noise_folder": hparams["noise_folder"],
                "sample_rate_hz": hparams["sample_rate_hz"],
                "valid_snrs_db": hparams["valid_snrs_db"],
                "test_snrs_db": hparams["test_snrs_db"],
                "seed": hparams["evaluation_seed"],
            },
        )

    datasets = dataio_prep(hparams)
    hparams["class_weights"] = count_classes(hparams, datasets["train"])

    brain = JointBrain(
        modules=hparams["modules"],
        opt_class=hparams["opt_class"],
        hparams=hparams,
        run_opts=run_opts,
        checkpointer=hparams["checkpointer"],
    )
    brain.fit(
        hparams["epoch_counter"],
        datasets["train"],
        datasets["valid"],
        train_loader_kwargs=hparams["train_dataloader_opts"],
        valid_loader_kwargs=hparams["valid_dataloader_opts"],
    )

    # Every condition has results of its own.
    found = [item["condition"] for item in datasets["test"].data.values()]
    for condition in dict.fromkeys(found):
        brain.condition = condition
        brain.evaluate(
            datasets["test"].filtered_sorted(
                key_test={"condition": lambda name: name == brain.condition}
            ),
            max_key="score",
            test_loader_kwargs=hparams["test_dataloader_opts"],
        )
