"""Any Hugging Face speech encoder: all hidden states, padding honoured.

Authors
 * The speechbrain-merit developers 2026
"""

import contextlib
import dataclasses
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import torch
from torch import nn

from .convolutional_features import ConvolutionalFeatures
from .hidden_state_cache import HiddenStateCache
from .hidden_state_statistics import HiddenStateStandardization
from .lengths import absolute_lengths, step_mask
from .speech_model_loading import load_speech_model
from .waveform_normalization import WaveformNormalization, WaveformStatistics
from .whisper_features import WhisperFeatures

FREEZE = ("all", "convolutions", "none")


@dataclasses.dataclass
class EncodedSpeech:
    """All representations of a batch.

    Arguments
    ---------
    hidden_states : torch.Tensor
        Input to the first Transformer layer and output of every layer,
        `[layer, batch, time, channel]`, zero on padding.
    counts : torch.Tensor
        True frames of every utterance, `[batch]`, int64.
    """

    hidden_states: torch.Tensor
    counts: torch.Tensor

    @property
    def lengths(self) -> torch.Tensor:
        """Lengths relative to the padded number of frames, `[batch]`."""
        return self.counts / self.hidden_states.shape[2]


class SpeechEncoder(nn.Module):
    """WavLM, HuBERT, wav2vec 2.0 or Whisper's encoder as a feature extractor.

    All hidden states are returned as the Transformer layers compute them: the
    last one comes from before the encoder's final LayerNorm where there is
    one, as Sparse MERIT feeds it. Nothing about an utterance depends on the
    batch it is in. An utterance shorter than one frame is extended with zeros
    to one. Whisper's encoder runs at the utterance's own length, not at 30 s.

    Arguments
    ---------
    source : str, optional
        Hub name or folder of a Hugging Face model.
    config : mapping, optional
        Hugging Face configuration with its `model_type`; without a source,
        the model has it and random weights, to be trained or loaded from a
        checkpoint.
    save_path : str
        Where a model from the hub is stored.
    freeze : str
        `all`; `convolutions`: the convolutional feature extractor only, as in
        the paper; `none`.
    normalization : WaveformNormalization, optional
        Applied by `forward` before encoding; none by default.
    standardize : bool
        Whether to standardise all hidden states by statistics of a training
        set, see `fit_standardization`; the paper does not.

    Raises
    ------
    ValueError
        If neither `source` nor `config` is given, the model's type is not
        supported, or `freeze` is unknown.
    OSError
        If the source cannot be loaded.

    Example
    -------
    >>> config = {
    ...     "model_type": "wavlm",
    ...     "hidden_size": 16,
    ...     "num_hidden_layers": 2,
    ...     "num_attention_heads": 2,
    ...     "intermediate_size": 32,
    ...     "conv_dim": [8, 8],
    ...     "conv_kernel": [400, 1],
    ...     "conv_stride": [320, 1],
    ...     "num_conv_pos_embeddings": 4,
    ...     "num_conv_pos_embedding_groups": 2,
    ...     "feat_extract_norm": "layer",
    ... }
    >>> encoder = SpeechEncoder(config=config)
    >>> encoded = encoder(torch.rand(2, 4000), torch.tensor([1.0, 0.5]))
    >>> encoded.hidden_states.shape, encoded.counts
    (torch.Size([3, 2, 12, 16]), tensor([12,  6]))
    """

    def __init__(
        self,
        source: str | None = None,
        config: Mapping[str, Any] | None = None,
        save_path: str = "pretrained_models",
        freeze: str = "convolutions",
        normalization: WaveformNormalization | None = None,
        standardize: bool = False,
    ) -> None:
        super().__init__()
        if freeze not in FREEZE:
            raise ValueError(f"Unknown freeze {freeze!r}: use one of {FREEZE}.")
        model = load_speech_model(source, config, save_path)
        self.config = model.config
        if model.config.model_type == "whisper":
            self.features = WhisperFeatures(model)
        else:
            self.features = ConvolutionalFeatures(model)
        self.normalization = normalization or WaveformNormalization("none")
        self.standardization = None
        if standardize:
            self.standardization = HiddenStateStandardization(
                self.num_layers, self.output_size
            )
        # To be set for passes over utterances that come again.
        self.cache: HiddenStateCache | None = None
        self.freeze(freeze)

    @property
    def num_layers(self) -> int:
        """Number of representations: one more than Transformer layers."""
        return len(self.features.layers) + 1

    @property
    def output_size(self) -> int:
        """Width of a representation."""
        return self.config.hidden_size

    @property
    def samples_per_frame(self) -> int:
        """Samples from one frame to the next."""
        return self.features.samples_per_frame

    def freeze(self, freeze: str) -> None:
        """Sets what is trained from now on.

        Arguments
        ---------
        freeze : str
            `all`, `convolutions` or `none`.
        """
        self.frozen = freeze == "all"
        self.features.requires_grad_(not self.frozen)
        if freeze == "convolutions":
            self.features.freeze_convolutions()
        self.features.freeze_constants()
        self.train(self.training)

    def checkpoint_activations(self, enabled: bool) -> None:
        """Sets whether training keeps what is within the layers.

        Otherwise the backward pass computes it once more: less memory for
        more time, and the same gradients.

        Arguments
        ---------
        enabled : bool
            True to compute once more.
        """
        model = self.features.transformers_model
        # Its name in the older versions of transformers 5, and in the newer.
        kind = "gradient_checkpointing"
        if hasattr(model, "activation_checkpointing_enable"):
            kind = "activation_checkpointing"
        if enabled:
            # The hidden states may be recorded within a layer's checkpoint,
            # and the other kind has no graph there.
            getattr(model, f"{kind}_enable")({"use_reentrant": False})
        else:
            getattr(model, f"{kind}_disable")()

    def train(self, mode: bool = True) -> "SpeechEncoder":
        """Sets training mode; what is frozen stays deterministic.

        Arguments
        ---------
        mode : bool
            Whether to train.

        Returns
        -------
        SpeechEncoder
            The module itself.
        """
        super().train(mode)
        if self.frozen:
            self.features.eval()
        return self

    def forward(
        self, waveform: torch.Tensor, lengths: torch.Tensor | None = None
    ) -> EncodedSpeech:
        """Normalises and encodes a batch.

        Arguments
        ---------
        waveform : torch.Tensor
            Samples at 16 kHz, `[batch, time]`.
        lengths : torch.Tensor, optional
            Relative lengths, `[batch]`.

        Returns
        -------
        EncodedSpeech
            All hidden states and the frame counts.
        """
        return self.encode(self.normalize(waveform, lengths)[0], lengths)

    def normalize(
        self, waveform: torch.Tensor, lengths: torch.Tensor | None = None
    ) -> tuple[torch.Tensor, WaveformStatistics]:
        """Normalises a batch as `forward` does.

        Arguments
        ---------
        waveform : torch.Tensor
            Samples, `[batch, time]`.
        lengths : torch.Tensor, optional
            Relative lengths, `[batch]`.

        Returns
        -------
        tuple of torch.Tensor and WaveformStatistics
            Normalised samples, `[batch, time]`, and their statistics.
        """
        return self.normalization(waveform, lengths)

    def encode(
        self, waveform: torch.Tensor, lengths: torch.Tensor | None = None
    ) -> EncodedSpeech:
        """Encodes samples that are already normalised.

        Arguments
        ---------
        waveform : torch.Tensor
            Samples at 16 kHz, `[batch, time]`.
        lengths : torch.Tensor, optional
            Relative lengths, `[batch]`.

        Returns
        -------
        EncodedSpeech
            All hidden states and the frame counts.

        Raises
        ------
        ValueError
            If the batch is empty, or an utterance longer than the encoder
            can take.
        """
        # What trains would change while it lies there.
        if self.cache is None or not self.frozen:
            states, counts = self._encode(waveform, lengths)
        else:
            states, counts = self.cache(
                waveform, lengths, self._encode, self.features
            )
        if self.standardization is not None:
            states = self.standardization(states)
        mask = step_mask(counts, states.shape[2])
        return EncodedSpeech(
            states.masked_fill(~mask.unsqueeze(-1), 0.0), counts
        )

    def _encode(
        self, waveform: torch.Tensor, lengths: torch.Tensor | None
    ) -> tuple[torch.Tensor, torch.Tensor]:
        if waveform.ndim != 2 or waveform.numel() == 0:
            raise ValueError(
                "The encoder takes samples as [batch, time] and at least one "
                f"of them, not the shape {tuple(waveform.shape)}."
            )
        counts = absolute_lengths(lengths, *waveform.shape)
        counts = counts.to(waveform.device)
        samples = step_mask(counts, waveform.shape[1])
        missing = max(self.features.minimum_samples - waveform.shape[1], 0)
        waveform = nn.functional.pad(waveform * samples, (0, missing))
        counts = counts.clamp(min=self.features.minimum_samples)
        with torch.set_grad_enabled(
            torch.is_grad_enabled() and not self.frozen
        ):
            with recorded(self.features.layers) as states:
                frame_counts = self.features(waveform, counts)
            return torch.stack(states), frame_counts

    @property
    def needs_fitting(self) -> bool:
        """Whether hidden states are to be standardised, and cannot yet be."""
        return self.standardization is not None and not bool(
            self.standardization.fitted
        )

    @torch.no_grad()
    def fit_standardization(
        self, batches: Iterable[tuple[torch.Tensor, torch.Tensor]]
    ) -> None:
        """Fits the standardisation of the hidden states to training mixtures.

        Arguments
        ---------
        batches : iterable of tuple of torch.Tensor
            Samples at 16 kHz, `[batch, time]`, with relative lengths,
            `[batch]`.

        Raises
        ------
        ValueError
            If the encoder does not standardise.
        """
        if self.standardization is None:
            raise ValueError("Set standardize, or there is nothing to fit.")
        training = self.training
        self.eval()
        self.standardization.reset()
        self.standardization.fit(map(self._states_and_mask, batches))
        self.train(training)

    def _states_and_mask(
        self, batch: tuple[torch.Tensor, torch.Tensor]
    ) -> tuple[torch.Tensor, torch.Tensor]:
        encoded = self(*batch)
        states = encoded.hidden_states
        return states, step_mask(encoded.counts, states.shape[2])


@contextlib.contextmanager
def recorded(layers: nn.ModuleList) -> Iterator[list[torch.Tensor]]:
    """Collects the input of the first layer and the output of every layer.

    Which of its hidden states transformers returns before or after the final
    LayerNorm depends on its version; what the layers give does not.

    Arguments
    ---------
    layers : torch.nn.ModuleList
        Layers that run one after the other.

    Yields
    ------
    list of torch.Tensor
        Filled while they run.

    Example
    -------
    >>> layers = nn.ModuleList([nn.ReLU(), nn.Identity()])
    >>> with recorded(layers) as states:
    ...     _ = layers[1](layers[0](torch.tensor([-1.0, 1.0])))
    >>> states
    [tensor([-1.,  1.]), tensor([0., 1.]), tensor([0., 1.])]
    """
    states: list[torch.Tensor] = []

    def record_input(
        module: nn.Module, args: tuple, kwargs: dict[str, Any]
    ) -> None:
        states.append(args[0] if args else kwargs["hidden_states"])

    def record_output(module: nn.Module, args: tuple, output: Any) -> None:
        states.append(output[0] if isinstance(output, tuple) else output)

    handles = [
        layers[0].register_forward_pre_hook(record_input, with_kwargs=True)
    ]
    handles += [layer.register_forward_hook(record_output) for layer in layers]
    try:
        yield states
    finally:
        for handle in handles:
            handle.remove()
