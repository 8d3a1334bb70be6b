"""Enhanced speech and the speaker's emotion from a trained model.

Authors
 * The speechbrain-merit developers 2026
"""

import dataclasses
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

import torch

from speechbrain.dataio.encoder import CategoricalEncoder
from speechbrain.inference.interfaces import Pretrained
from speechbrain.utils.data_utils import batch_pad_right
from speechbrain.utils.fetching import fetch
from speechbrain.utils.run_opts import RunOptions
from speechbrain_merit.data.audio import read_mono_blocks
from speechbrain_merit.lobes.joint_model import EMOTION, ENHANCE
from speechbrain_merit.pretrained import MERIT_MINI
from speechbrain_merit.pretrained.folder import (
    HYPERPARAMETERS,
    LABELS,
    find_pretrained_folder,
)
from speechbrain_merit.pretrained.safe_loading import load_safely
from speechbrain_merit.pretrained.weights import WEIGHTS

from .chunking import CHUNK_S, OVERLAP_S
from .devices import with_device_name
from .output_files import at_rate_of, check_output, use_blocks
from .stock_adapters import EmotionEmbedding
from .stream import STREAM_CHUNK_S, STREAM_OVERLAP_S, SpeechStream
from .timeline import EmotionSegment, EmotionTimeline

_Value = TypeVar("_Value")


@dataclasses.dataclass
class ProcessedSpeech:
    """Both results for a batch; what was not asked for is None.

    Arguments
    ---------
    enhanced : torch.Tensor or None
        Enhanced speech, zero on padding, `[batch, time]`.
    log_posteriors : torch.Tensor or None
        Logarithm of every emotion's probability, `[batch, class]`.
    labels : list of str or None
        Most probable emotion of every utterance.
    emotions : list of str
        Names of the classes in the order of the posteriors.
    timeline : list of EmotionSegment, optional
        Emotions over the course of a file.
    """

    enhanced: torch.Tensor | None
    log_posteriors: torch.Tensor | None
    labels: list[str] | None
    emotions: list[str]
    timeline: list[EmotionSegment] | None = None


class JointEnhancementClassifier(Pretrained):
    """Enhances speech and names its emotion, from one pass of the encoder.

    Made by `from_hparams(source)`. As everywhere in SpeechBrain, that runs what
    the source's hyperparams.yaml says: load only sources that you trust, and
    others by `from_plain(source)`.

    Arguments
    ---------
    modules : Mapping, optional
        As for SpeechBrain's `Pretrained`.
    hparams : Mapping, optional
        As for SpeechBrain's `Pretrained`.
    run_opts : RunOptions or Mapping, optional
        As for SpeechBrain's `Pretrained`; the device may be a `torch.device`
        too, or a name as `cpu`, `cuda`, `cuda:1` or `mps`.
    freeze_params : bool
        As for SpeechBrain's `Pretrained`.

    Raises
    ------
    ValueError
        If the device is not there, or something is missing in the source.
    """

    MODULES_NEEDED = ["model"]
    HPARAMS_NEEDED = ["label_encoder", "sample_rate_hz"]

    def __init__(
        self,
        modules: Mapping[str, torch.nn.Module] | None = None,
        hparams: Mapping[str, Any] | None = None,
        run_opts: RunOptions | Mapping[str, Any] | None = None,
        freeze_params: bool = True,
    ) -> None:
        super().__init__(
            modules, hparams, with_device_name(run_opts), freeze_params
        )
        self._check_labels()

    def _check_labels(self) -> None:
        # SpeechBrain passes over a file of labels that it cannot read.
        model = self.mods.model
        head = getattr(model, "classifier", model)
        head = getattr(head, "emotion_head", None)
        num_classes = getattr(head, "num_classes", None)
        if num_classes is not None and len(self.emotions) != num_classes:
            raise ValueError(
                f"The model scores {num_classes} emotions, but their names "
                f"are {self.emotions}: its label_encoder.ckpt is damaged, or "
                "another model's."
            )

    @classmethod
    def from_hparams(
        cls,
        source: str | Path = MERIT_MINI,
        hparams_file: str = "hyperparams.yaml",
        **kwargs: Any,
    ) -> "JointEnhancementClassifier":
        """Loads a trained model.

        Arguments
        ---------
        source : str or Path
            A folder that train.py or `speechbrain-merit export` made: an
            experiment's output folder, its `pretrained` folder, or an
            exported one; or the hub's name of such a model. By default the
            small model that comes with this package.
        hparams_file : str
            Its file of hyperparameters.
        **kwargs : Any
            As for SpeechBrain's `Pretrained.from_hparams`, e.g.
            `run_opts={"device": "cuda:1"}`.

        Returns
        -------
        JointEnhancementClassifier
            Ready to use.
        """
        source = find_pretrained_folder(source)
        return super().from_hparams(source, hparams_file, **kwargs)

    @classmethod
    def from_plain(
        cls,
        source: str | Path = MERIT_MINI,
        savedir: str | Path | None = None,
        **kwargs: Any,
    ) -> "JointEnhancementClassifier":
        """Loads a trained model as plain data: runs nothing of the source.

        Of its hyperparams.yaml, only the model is read, and only parts of
        `speechbrain_merit.lobes` are built; model.safetensors and the labels
        cannot hold code. Use it for a model whose source you cannot trust.

        Arguments
        ---------
        source : str or Path
            As for `from_hparams`.
        savedir : str or Path, optional
            Where to link what came from the hub.
        **kwargs : Any
            As for the class, e.g. `run_opts={"device": "cuda:1"}`.

        Returns
        -------
        JointEnhancementClassifier
            Ready to use.

        Raises
        ------
        FileNotFoundError
            If a folder does not have these files.
        ValueError
            If they are not what they should be, or a tensor is missing.
        """
        source = find_pretrained_folder(source)
        names = (HYPERPARAMETERS, WEIGHTS, LABELS)
        if Path(source).is_dir():
            files = [Path(source) / name for name in names]
        else:
            files = [fetch(name, source, savedir) for name in names]
        plain = load_safely(*files)
        label_encoder = CategoricalEncoder()
        label_encoder.update_from_iterable(plain.emotions)
        hparams = {
            "label_encoder": label_encoder,
            "sample_rate_hz": plain.sample_rate_hz,
        }
        return cls({"model": plain.model}, hparams, **kwargs)

    def process_batch(
        self,
        wavs: torch.Tensor,
        wav_lens: torch.Tensor | None = None,
        tasks: Sequence[str] | None = None,
    ) -> ProcessedSpeech:
        """Enhances and classifies a batch in one pass.

        Arguments
        ---------
        wavs : torch.Tensor
            Samples at the model's `sample_rate_hz`, `[batch, time]`, or of
            one utterance, `[time]`.
        wav_lens : torch.Tensor, optional
            Relative lengths, `[batch]`.
        tasks : sequence of str, optional
            Some of `enhance` and `emotion`, and nothing else is computed; all
            that the model has by default.

        Returns
        -------
        ProcessedSpeech
            Enhanced speech, posteriors and labels.

        Raises
        ------
        ValueError
            If a sample is not a finite number.
        """
        if wavs.ndim == 1:
            wavs = wavs.unsqueeze(0)
        wavs = wavs.float().to(self.device)
        _check_finite(wavs)
        if wav_lens is not None:
            wav_lens = wav_lens.to(self.device)
        model = self.mods.model
        with torch.no_grad(), self.inference_ctx:
            output = model(wavs, wav_lens, tasks)
        result = ProcessedSpeech(None, None, None, self.emotions)
        if output.enhanced_log1p is not None:
            result.enhanced = model.enhanced_waveform(output, wav_lens)
        if output.logits is not None:
            self._judge(result, output.logits.float().log_softmax(dim=1))
        return result

    @property
    def emotions(self) -> list[str]:
        """Names of the classes in the order of the posteriors."""
        names = self.hparams.label_encoder.ind2lab
        return [names[index] for index in sorted(names)]

    @staticmethod
    def _judge(result: ProcessedSpeech, log_posteriors: torch.Tensor) -> None:
        result.log_posteriors = log_posteriors
        best = log_posteriors.argmax(dim=1)
        result.labels = [result.emotions[index] for index in best]

    def encode_batch(
        self, wavs: torch.Tensor, wav_lens: torch.Tensor | None = None
    ) -> torch.Tensor:
        """Represents the emotion of a batch, as `EncoderClassifier` does.

        Arguments
        ---------
        wavs : torch.Tensor
            Samples, `[batch, time]`.
        wav_lens : torch.Tensor, optional
            Relative lengths, `[batch]`.

        Returns
        -------
        torch.Tensor
            Input of the emotion head's last layer, `[batch, 1, channel]`.
        """
        if wav_lens is not None:
            wav_lens = wav_lens.to(self.device)
        embed = EmotionEmbedding(self.mods.model)
        with torch.no_grad(), self.inference_ctx:
            return embed(wavs.float().to(self.device), wav_lens)

    def classify_batch(
        self, wavs: torch.Tensor, wav_lens: torch.Tensor | None = None
    ) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor, list[str]]:
        """Names the emotions of a batch, as `EncoderClassifier` does.

        Arguments
        ---------
        wavs : torch.Tensor
            Samples, `[batch, time]`.
        wav_lens : torch.Tensor, optional
            Relative lengths, `[batch]`.

        Returns
        -------
        tuple
            Log-posteriors `[batch, class]`, the best one's score `[batch]`,
            its index `[batch]` and its name.
        """
        result = self.process_batch(wavs, wav_lens, [EMOTION])
        return _scored(result)

    def classify_file(
        self,
        path: str | Path,
        chunk_s: float = CHUNK_S,
        overlap_s: float = OVERLAP_S,
    ) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor, list[str]]:
        """Names the emotion of a file of any rate, channels and length.

        Arguments
        ---------
        path : str or Path
            Any audio file that soundfile reads.
        chunk_s : float
            As for `process_file`.
        overlap_s : float
            As for `process_file`.

        Returns
        -------
        tuple
            As `classify_batch`, for a batch of one.
        """
        result = self.process_file(
            path, tasks=[EMOTION], chunk_s=chunk_s, overlap_s=overlap_s
        )
        return _scored(result)

    def enhance_batch(
        self, noisy: torch.Tensor, lengths: torch.Tensor | None = None
    ) -> torch.Tensor:
        """Enhances a batch, as `WaveformEnhancement` does.

        Arguments
        ---------
        noisy : torch.Tensor
            Samples, `[batch, time]`.
        lengths : torch.Tensor, optional
            Relative lengths, `[batch]`.

        Returns
        -------
        torch.Tensor
            Enhanced samples, `[batch, time]`.
        """
        return _found(self.process_batch(noisy, lengths, [ENHANCE]).enhanced)

    def enhance_file(
        self,
        path: str | Path,
        output_filename: str | Path | None = None,
        chunk_s: float = CHUNK_S,
        overlap_s: float = OVERLAP_S,
        keep_sample_rate: bool = False,
    ) -> torch.Tensor:
        """Enhances a file, and writes the result where asked.

        Arguments
        ---------
        path : str or Path
            Any audio file that soundfile reads.
        output_filename : str or Path, optional
            As for `process_file`.
        chunk_s : float
            As for `process_file`.
        overlap_s : float
            As for `process_file`.
        keep_sample_rate : bool
            As for `process_file`.

        Returns
        -------
        torch.Tensor
            Enhanced samples, `[time]`.
        """
        result = self.process_file(
            path,
            output_filename,
            [ENHANCE],
            chunk_s=chunk_s,
            overlap_s=overlap_s,
            keep_sample_rate=keep_sample_rate,
        )
        return _found(result.enhanced)[0]

    def process_file(
        self,
        path: str | Path,
        output_filename: str | Path | None = None,
        tasks: Sequence[str] | None = None,
        chunk_s: float = CHUNK_S,
        overlap_s: float = OVERLAP_S,
        timeline: bool = False,
        keep_sample_rate: bool = False,
        return_enhanced: bool = True,
    ) -> ProcessedSpeech:
        """Enhances and classifies a file of any length in one pass.

        What is longer than `chunk_s` is read, processed and written in chunks
        that overlap and fade into each other. The model knows nothing beyond
        a chunk, and normalises each by itself where it normalises utterances.
        The emotion is then the mean of the chunks' log-posteriors, weighted
        by the time that each of them stands for, see `EmotionTimeline`.

        Arguments
        ---------
        path : str or Path
            Any audio file that soundfile reads, of any sample rate and
            number of channels.
        output_filename : str or Path, optional
            File for the enhanced speech, mono, at the level of the input and
            as long; its extension tells the format. It appears when it is
            whole, and may be the input itself.
        tasks : sequence of str, optional
            Some of `enhance` and `emotion`; all that the model has by default.
        chunk_s : float
            Length of a chunk, in seconds.
        overlap_s : float
            What two chunks share, in seconds; half a chunk at most. Both are
            rounded to whole frames of the encoder.
        timeline : bool
            Whether to give the emotions over time too, one for every chunk.
        keep_sample_rate : bool
            Whether the enhanced speech has the sample rate of the input
            rather than the model's `sample_rate_hz`; there is nothing in it
            beyond half of the lower one of the two.
        return_enhanced : bool
            Whether to return the enhanced speech. Without it, memory does not
            grow with the file.

        Returns
        -------
        ProcessedSpeech
            As `process_batch`, for a batch of one.

        Raises
        ------
        ValueError
            If the file cannot be read, the output not be written, the chunks
            not overlap by so much, or a task is asked for that the model
            does not have.
        """
        tasks = self._checked_tasks(tasks)
        if output_filename is not None:
            check_output(output_filename, tasks)
        stream = self.stream(chunk_s, overlap_s, tasks)
        rate_hz = self.hparams.sample_rate_hz
        kept = self._use_blocks(
            stream.run(read_mono_blocks(str(path), rate_hz, chunk_s)),
            path,
            output_filename,
            keep_sample_rate,
            return_enhanced,
        )
        return self._file_result(
            kept if ENHANCE in tasks else None, stream.timeline, timeline
        )

    def process_files(
        self,
        paths: Sequence[str | Path],
        output_filenames: Sequence[str | Path] | None = None,
        tasks: Sequence[str] | None = None,
        timeline: bool = False,
        keep_sample_rate: bool = False,
        return_enhanced: bool = True,
    ) -> list[ProcessedSpeech]:
        """Enhances and classifies files in one batch, all in memory at once.

        Nothing about a file depends on the others, but for rounding. A batch
        costs the time and memory of its longest file for every one, so files
        of about the same length belong together.

        Arguments
        ---------
        paths : sequence of str or Path
            As for `process_file`.
        output_filenames : sequence of str or Path, optional
            One for each file, as for `process_file`.
        tasks : sequence of str, optional
            As for `process_file`.
        timeline : bool
            As for `process_file`; it has one segment.
        keep_sample_rate : bool
            As for `process_file`.
        return_enhanced : bool
            As for `process_file`.

        Returns
        -------
        list of ProcessedSpeech
            One for each file, as `process_file` gives it.

        Raises
        ------
        ValueError
            As `process_file` does, and if the encoder cannot take a file as
            a whole, or there are fewer outputs than files, or more.
        """
        tasks = self._checked_tasks(tasks)
        outputs: Sequence[str | Path | None] = [None] * len(paths)
        if output_filenames:
            outputs = output_filenames
        if len(outputs) != len(paths):
            raise ValueError(
                f"There are {len(outputs)} outputs for {len(paths)} files: "
                "name one for each."
            )
        for output in outputs:
            if output is not None:
                check_output(output, tasks)
        waveforms = [self.read_file(path) for path in paths]
        padded, lengths = batch_pad_right(waveforms)
        batch = self.process_batch(padded, lengths, tasks)
        rate_hz = self.hparams.sample_rate_hz
        results = []
        for number, (path, output, samples) in enumerate(
            zip(paths, outputs, waveforms, strict=True)
        ):
            heard = EmotionTimeline(self.emotions, rate_hz, overlap=0)
            if EMOTION in tasks:
                posteriors = _found(batch.log_posteriors)[number]
                heard.append(0, len(samples), posteriors)
            kept = None
            if ENHANCE in tasks:
                enhanced = _found(batch.enhanced)
                blocks = [enhanced[number, : len(samples)].cpu()]
                kept = self._use_blocks(
                    blocks, path, output, keep_sample_rate, return_enhanced
                )
            results.append(self._file_result(kept, heard, timeline))
        return results

    def stream(
        self,
        chunk_s: float = STREAM_CHUNK_S,
        overlap_s: float = STREAM_OVERLAP_S,
        tasks: Sequence[str] | None = None,
    ) -> SpeechStream:
        """Starts a stream: blocks of samples in, enhanced samples out.

        Arguments
        ---------
        chunk_s : float
            Length of what the model hears at once, in seconds; this and a
            frame of the encoder is the stream's latency.
        overlap_s : float
            What two of these share, in seconds; half of it at most.
        tasks : sequence of str, optional
            Some of `enhance` and `emotion`; all that the model has by default.

        Returns
        -------
        SpeechStream
            For one signal.

        Raises
        ------
        ValueError
            If the chunks cannot overlap by so much, or a task is asked for
            that the model does not have.
        """
        return SpeechStream(
            self, chunk_s, overlap_s, self._checked_tasks(tasks)
        )

    def _checked_tasks(self, tasks: Sequence[str] | None) -> tuple[str, ...]:
        available = self.mods.model.tasks
        tasks = available if tasks is None else tuple(tasks)
        if not tasks or set(tasks) - set(available):
            raise ValueError(
                f"The model cannot do {list(tasks)}: ask for some of "
                f"{list(available)}."
            )
        return tasks

    def _use_blocks(
        self,
        blocks: Iterable[torch.Tensor],
        path: str | Path,
        output_filename: str | Path | None,
        keep_sample_rate: bool,
        keep: bool,
    ) -> torch.Tensor | None:
        """Writes enhanced blocks of a file where asked, and joins them."""
        rate_hz = self.hparams.sample_rate_hz
        if keep_sample_rate:
            blocks, rate_hz = at_rate_of(path, blocks, rate_hz)
        enhanced = use_blocks(blocks, output_filename, rate_hz, keep)
        return enhanced if keep else None

    def _file_result(
        self,
        enhanced: torch.Tensor | None,
        heard: EmotionTimeline,
        timeline: bool,
    ) -> ProcessedSpeech:
        result = ProcessedSpeech(None, None, None, self.emotions)
        if enhanced is not None:
            result.enhanced = enhanced.unsqueeze(0).to(self.device)
        if not heard.is_empty:
            judged = heard.log_posteriors().unsqueeze(0).to(self.device)
            self._judge(result, judged)
            result.timeline = heard.segments() if timeline else None
        return result

    def read_file(self, path: str | Path) -> torch.Tensor:
        """Reads a file as the model takes it; it is neither linked nor copied.

        Arguments
        ---------
        path : str or Path
            Any audio file that soundfile reads.

        Returns
        -------
        torch.Tensor
            Samples, mono at the model's `sample_rate_hz`, `[time]`.
        """
        blocks = read_mono_blocks(
            str(path), self.hparams.sample_rate_hz, CHUNK_S
        )
        return torch.cat(list(blocks))

    def forward(
        self, wavs: torch.Tensor, wav_lens: torch.Tensor | None = None
    ) -> ProcessedSpeech:
        """Runs `process_batch`.

        Arguments
        ---------
        wavs : torch.Tensor
            Samples, `[batch, time]`.
        wav_lens : torch.Tensor, optional
            Relative lengths, `[batch]`.

        Returns
        -------
        ProcessedSpeech
            Enhanced speech, posteriors and labels.
        """
        return self.process_batch(wavs, wav_lens)


def _found(value: _Value | None) -> _Value:
    """What a result has, because its task was asked for."""
    if value is None:
        raise ValueError("The result lacks a task that was not asked for.")
    return value


def _scored(
    result: ProcessedSpeech,
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor, list[str]]:
    """What `EncoderClassifier` returns."""
    log_posteriors = _found(result.log_posteriors)
    score, index = log_posteriors.max(dim=1)
    return log_posteriors, score, index, _found(result.labels)


def _check_finite(wavs: torch.Tensor) -> None:
    # A sum of squares is finite only where all samples are, and not too large.
    bad = ~wavs.square().sum(dim=1).isfinite()
    if bool(bad.any()):
        raise ValueError(
            f"The utterances {bad.nonzero().flatten().tolist()} of the batch "
            "hold samples that are not finite numbers, or far beyond full "
            "scale, which is 1."
        )
