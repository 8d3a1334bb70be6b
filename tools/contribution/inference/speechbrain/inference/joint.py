"""Specifies the inference interfaces for models that enhance speech and
recognise its emotion in one pass.

Authors
 * The speechbrain-merit developers 2026
"""

import torch

from speechbrain.dataio import audio_io
from speechbrain.inference.interfaces import Pretrained
from speechbrain.processing.features import spectral_magnitude
from speechbrain.processing.signal_processing import resynthesize


class JointEnhancementClassifier(Pretrained):
    """A ready-to-use model for joint speech enhancement and classification.

    One pass of the encoder serves both tasks; each has its own features.

    Arguments
    ---------
    See ``Pretrained``.

    Example
    -------
    >>> import torch
    >>> from speechbrain.dataio.encoder import CategoricalEncoder
    >>> from speechbrain.lobes.models.SparseMERIT import (
    ...     AttentiveStatisticsPooling,
    ...     EmotionHead,
    ...     SparseMoE,
    ...     SpectralMaskHead,
    ... )
    >>> from speechbrain.processing.features import (
    ...     ISTFT,
    ...     STFT,
    ...     InputNormalization,
    ... )
    >>> class Encoder(torch.nn.Module):
    ...     def forward(self, wav, wav_lens=None):
    ...         return wav.unfold(1, 320, 320)[None, :, :, :8].repeat(
    ...             3, 1, 1, 1
    ...         )
    >>> labels = CategoricalEncoder()
    >>> labels.update_from_iterable(["angry", "sad"])
    >>> model = JointEnhancementClassifier(
    ...     modules={
    ...         "encoder": Encoder(),
    ...         "normalizer": InputNormalization(norm_type="sentence"),
    ...         "integrator": SparseMoE(3, 8, hidden_size=16, output_size=4),
    ...         "enhancement_head": SpectralMaskHead(4, hidden_size=16),
    ...         "emotion_head": EmotionHead(AttentiveStatisticsPooling(4), 2),
    ...     },
    ...     hparams={
    ...         "stft": STFT(16000),
    ...         "istft": ISTFT(16000),
    ...         "label_encoder": labels,
    ...     },
    ...     run_opts={"device": "cpu"},
    ... )
    >>> enhanced, log_probs, text_lab = model(torch.rand(2, 16000))
    >>> enhanced.shape, log_probs.shape, len(text_lab)
    (torch.Size([2, 16000]), torch.Size([2, 2]), 2)
    """

    HPARAMS_NEEDED = ["stft", "istft", "label_encoder"]
    MODULES_NEEDED = [
        "encoder",
        "normalizer",
        "integrator",
        "enhancement_head",
        "emotion_head",
    ]

    def process_batch(self, wavs, wav_lens=None, tasks=("enhance", "emotion")):
        """Enhances a batch of waveforms and classifies it.

        Arguments
        ---------
        wavs : torch.Tensor
            Batch of waveforms ``[batch, time]``, sampled as the model was
            trained.
        wav_lens : torch.Tensor
            Lengths of the waveforms relative to the longest one in the batch,
            ``[batch]``. Padding changes nothing of what an utterance gives.
        tasks : sequence of str
            ``enhance`` and ``emotion``, or one of them: nothing is computed
            that only the other needs.

        Returns
        -------
        enhanced : torch.Tensor or None
            Enhanced waveforms, zero on padding, ``[batch, time]``.
        log_probs : torch.Tensor or None
            Log posterior probabilities, ``[batch, class]``.
        text_lab : list of str or None
            Label of the most probable class of each utterance.
        """
        wavs = wavs.to(self.device).float()
        if wav_lens is None:
            wav_lens = torch.ones(len(wavs))
        wav_lens = wav_lens.to(self.device)
        num_samples = torch.round(wav_lens * wavs.shape[1]).long()
        steps = torch.arange(wavs.shape[1], device=self.device)
        mask = steps.unsqueeze(0) < num_samples.unsqueeze(1)
        wavs = wavs * mask

        states = self.mods.encoder(wavs, wav_lens=wav_lens)
        # [layer, batch, time, channel] -> [batch, time, layer * channel]
        joined = states.permute(1, 2, 0, 3).flatten(2)
        joined = self.mods.normalizer(joined, wav_lens)
        states = joined.unflatten(2, (len(states), -1)).permute(2, 0, 1, 3)
        features = self.mods.integrator(states, wav_lens, list(tasks)).features

        enhanced = log_probs = text_lab = None
        if "enhance" in tasks:
            counts = 1 + num_samples // self.hparams.stft.hop_length
            magnitude = spectral_magnitude(self.hparams.stft(wavs), power=0.5)
            log_spectrum = self.mods.enhancement_head(
                torch.log1p(magnitude),
                counts,
                features["enhance"],
                torch.round(wav_lens * states.shape[2]).long().clamp(min=1),
            )
            enhanced = torch.zeros_like(wavs)
            # One by one: overlapping frames end with the utterance.
            for i, (num, count) in enumerate(zip(num_samples, counts)):
                enhanced[i, :num] = resynthesize(
                    torch.expm1(log_spectrum[i : i + 1, :count]),
                    wavs[i : i + 1, :num],
                    self.hparams.stft,
                    self.hparams.istft,
                    normalize_wavs=False,
                )[0]
        if "emotion" in tasks:
            logits = self.mods.emotion_head(features["emotion"], wav_lens)
            log_probs = logits.log_softmax(dim=1)
            text_lab = self.hparams.label_encoder.decode_torch(
                log_probs.argmax(dim=1)
            )
        return enhanced, log_probs, text_lab

    def enhance_batch(self, noisy, lengths=None):
        """Enhances a batch of noisy waveforms.

        Arguments
        ---------
        noisy : torch.Tensor
            Batch of waveforms ``[batch, time]``.
        lengths : torch.Tensor
            Relative lengths, ``[batch]``.

        Returns
        -------
        torch.Tensor
            Enhanced waveforms, ``[batch, time]``.
        """
        return self.process_batch(noisy, lengths, ["enhance"])[0]

    def classify_batch(self, wavs, wav_lens=None):
        """Classifies a batch, with the results of ``EncoderClassifier``.

        Arguments
        ---------
        wavs : torch.Tensor
            Batch of waveforms ``[batch, time]``.
        wav_lens : torch.Tensor
            Relative lengths, ``[batch]``.

        Returns
        -------
        out_prob : torch.Tensor
            Log posterior probabilities, ``[batch, class]``.
        score : torch.Tensor
            That of the most probable class, ``[batch]``.
        index : torch.Tensor
            Index of the most probable class, ``[batch]``.
        text_lab : list of str
            Label of the most probable class.
        """
        _, out_prob, text_lab = self.process_batch(wavs, wav_lens, ["emotion"])
        score, index = torch.max(out_prob, dim=1)
        return out_prob, score, index, text_lab

    def process_file(self, path, output_filename=None, **kwargs):
        """Enhances a file and classifies it.

        Arguments
        ---------
        path : str
            Location of the audio file.
        output_filename : str
            If provided, writes the enhanced speech to this file.
        **kwargs : dict
            Arguments forwarded to ``load_audio``.

        Returns
        -------
        enhanced : torch.Tensor
            Enhanced waveform, ``[time]``.
        log_probs : torch.Tensor
            Log posterior probabilities, ``[class]``.
        label : str
            Label of the most probable class.
        """
        wav = self.load_audio(path, **kwargs).unsqueeze(0)
        enhanced, log_probs, text_lab = self.process_batch(wav)
        if output_filename is not None:
            audio_io.save(
                path=output_filename,
                src=enhanced.cpu(),
                sample_rate=self.hparams.stft.sample_rate,
            )
        return enhanced[0], log_probs[0], text_lab[0]

    def forward(self, wavs, wav_lens=None):
        """Runs ``process_batch``"""
        return self.process_batch(wavs, wav_lens)
