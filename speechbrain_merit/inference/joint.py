"""Enhanced speech and the speaker's emotion from a trained model.

Authors
 * The speechbrain-merit developers 2026
"""

import dataclasses
from collections.abc import Sequence
from pathlib import Path

import torch

from speechbrain.dataio import audio_io
from speechbrain.inference.interfaces import Pretrained
from speechbrain_merit.audio import read_mono
from speechbrain_merit.lobes.joint_model import EMOTION, ENHANCE


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
    """

    enhanced: torch.Tensor | None
    log_posteriors: torch.Tensor | None
    labels: list[str] | None
    emotions: list[str]


class JointEnhancementClassifier(Pretrained):
    """Enhances speech and names its emotion, from one pass of the encoder.

    Made by `from_hparams(source)`, where the source is the `pretrained`
    folder that train.py leaves in its output folder. Arguments are those of
    SpeechBrain's `Pretrained`. As everywhere in SpeechBrain, loading a source
    runs what its hyperparams.yaml says: load only sources that you trust.
    """

    MODULES_NEEDED = ["model"]
    HPARAMS_NEEDED = ["label_encoder", "sample_rate_hz"]

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
        """
        if wavs.ndim == 1:
            wavs = wavs.unsqueeze(0)
        wavs = wavs.float().to(self.device)
        if wav_lens is not None:
            wav_lens = wav_lens.to(self.device)
        model = self.mods.model
        with torch.no_grad(), self.inference_ctx:
            output = model(wavs, wav_lens, tasks)
        names = self.hparams.label_encoder.ind2lab
        result = ProcessedSpeech(
            None, None, None, [names[index] for index in sorted(names)]
        )
        if output.enhanced_log1p is not None:
            result.enhanced = model.enhanced_waveform(output, wav_lens)
        if output.logits is not None:
            result.log_posteriors = output.logits.float().log_softmax(dim=1)
            best = result.log_posteriors.argmax(dim=1)
            result.labels = [result.emotions[index] for index in best]
        return result

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
        score, index = result.log_posteriors.max(dim=1)
        return result.log_posteriors, score, index, result.labels

    def classify_file(
        self, path: str
    ) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor, list[str]]:
        """Names the emotion of a file of any rate and number of channels.

        Arguments
        ---------
        path : str
            Any audio file that soundfile reads.

        Returns
        -------
        tuple
            As `classify_batch`, for a batch of one.
        """
        return self.classify_batch(self.read_file(path).unsqueeze(0))

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
        return self.process_batch(noisy, lengths, [ENHANCE]).enhanced

    def enhance_file(
        self, path: str, output_filename: str | None = None
    ) -> torch.Tensor:
        """Enhances a file, and writes the result where asked.

        Arguments
        ---------
        path : str
            Any audio file that soundfile reads.
        output_filename : str, optional
            File to write, mono at the model's `sample_rate_hz`.

        Returns
        -------
        torch.Tensor
            Enhanced samples at the model's `sample_rate_hz`, `[time]`.
        """
        return self.process_file(path, output_filename, [ENHANCE]).enhanced[0]

    def process_file(
        self,
        path: str,
        output_filename: str | None = None,
        tasks: Sequence[str] | None = None,
    ) -> ProcessedSpeech:
        """Enhances and classifies a file in one pass.

        Arguments
        ---------
        path : str
            Any audio file that soundfile reads.
        output_filename : str, optional
            File for the enhanced speech, mono at the model's
            `sample_rate_hz`.
        tasks : sequence of str, optional
            Some of `enhance` and `emotion`; all that the model has by default.

        Returns
        -------
        ProcessedSpeech
            As `process_batch`, for a batch of one.
        """
        result = self.process_batch(self.read_file(path), tasks=tasks)
        if output_filename is not None and result.enhanced is not None:
            Path(output_filename).parent.mkdir(parents=True, exist_ok=True)
            audio_io.save(
                output_filename,
                result.enhanced[0].clamp(-1, 1).cpu(),
                self.hparams.sample_rate_hz,
            )
        return result

    def read_file(self, path: str) -> torch.Tensor:
        """Reads a file as the model takes it; it is neither linked nor copied.

        Arguments
        ---------
        path : str
            Any audio file that soundfile reads.

        Returns
        -------
        torch.Tensor
            Samples, mono at the model's `sample_rate_hz`, `[time]`.
        """
        return read_mono(str(path), self.hparams.sample_rate_hz)

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
