"""A trained model for one utterance, in operations that ONNX has.

Authors
 * The speechbrain-merit developers 2026
"""

import copy
from collections.abc import Sequence

import torch
from torch import nn

from speechbrain_merit.lobes import EnhanceThenClassify, JointModel, SubbandHead
from speechbrain_merit.lobes.joint_model import EMOTION, ENHANCE

from .encoders import traceable_states
from .integrators import make_traceable
from .spectrum import InverseTransform, Transform


class TraceableModel(nn.Module):
    """Does for one utterance what `JointModel` does for a batch.

    Arguments
    ---------
    model : JointModel
        Trained; a copy is made.
    tasks : sequence of str
        Some of the model's.
    """

    def __init__(self, model: JointModel, tasks: Sequence[str]) -> None:
        super().__init__()
        # Plain copies of parameters: nothing here is trained.
        model = copy.deepcopy(model).eval().requires_grad_(False).cpu()
        self.tasks = tuple(tasks)
        self.normalization = model.encoder.normalization
        self.standardization = model.encoder.standardization
        self.minimum_samples = model.encoder.features.minimum_samples
        self.states = traceable_states(model.encoder)
        make_traceable(model.integrator)
        self.integrator = model.integrator
        self.frontend = model.frontend
        if ENHANCE in tasks:
            window, hop = self.frontend.window, self.frontend.hop_length
            # The margin of reflected samples is shorter than the utterance.
            self.minimum_samples = max(
                self.minimum_samples, self.frontend.n_fft // 2 + 1
            )
            self.transform = Transform(window, hop)
            self.inverse = InverseTransform(window, hop)
            self.enhancement_head: nn.Module = model.enhancement_head
        if EMOTION in tasks:
            self.emotion_head: nn.Module = model.emotion_head

    def forward(self, waveform: torch.Tensor) -> list[torch.Tensor]:
        """Processes an utterance.

        Arguments
        ---------
        waveform : torch.Tensor
            Samples, `[1, time]`, no fewer than `minimum_samples`.

        Returns
        -------
        list of torch.Tensor
            Enhanced samples, `[1, time]`, and the emotions' log-posteriors,
            `[1, class]`, as far as they are among the tasks.
        """
        normalised, statistics = self.normalization(waveform)
        states = self.states(normalised)
        if self.standardization is not None:
            states = self.standardization(states)
        features = self.integrator(states, None, self.tasks).features
        outputs = []
        if ENHANCE in self.tasks:
            enhanced = self._enhance(normalised, features[ENHANCE])
            outputs.append(
                self.normalization.invert(enhanced, None, statistics)
            )
        if EMOTION in self.tasks:
            logits = self.emotion_head(features[EMOTION])
            outputs.append(logits.log_softmax(dim=1))
        return outputs

    def _enhance(
        self, normalised: torch.Tensor, features: torch.Tensor
    ) -> torch.Tensor:
        margin = self.frontend.n_fft // 2
        reflected = nn.functional.pad(
            normalised.unsqueeze(1), (margin, margin), mode="reflect"
        )
        real, imaginary = self.transform(reflected.squeeze(1))
        floor = self.frontend.magnitude_floor
        magnitude = (real.square() + imaginary.square()).sqrt() + floor
        counts, feature_counts = (
            torch.ones(1, dtype=torch.int64) * frames.shape[1]
            for frames in (magnitude, features)
        )
        if isinstance(self.enhancement_head, SubbandHead):
            noisy = (magnitude, real / magnitude, imaginary / magnitude)
            gain, cosine, sine = self.enhancement_head.masks(
                noisy, counts, features, feature_counts
            )
            # The floor goes again, as it does in `SpectralFrontend`.
            gain = gain - floor / magnitude
            real, imaginary = (
                real * cosine - imaginary * sine,
                real * sine + imaginary * cosine,
            )
        else:
            log1p = self.enhancement_head(
                magnitude.log1p(), counts, features, feature_counts
            )
            # ONNX has no expm1; what this loses is far below the floor of 16
            # bits.
            gain = (log1p.exp() - 1 - floor) / magnitude
        samples = self.inverse(real * gain, imaginary * gain)
        return samples[:, margin : margin + normalised.shape[1]]


class TraceableCascade(nn.Module):
    """Does for one utterance what `EnhanceThenClassify` does for a batch.

    Arguments
    ---------
    model : EnhanceThenClassify
        Trained; a copy is made.
    """

    def __init__(self, model: EnhanceThenClassify) -> None:
        super().__init__()
        self.tasks = model.tasks
        self.enhancer = TraceableModel(model.enhancer, [ENHANCE])
        self.classifier = TraceableModel(model.classifier, [EMOTION])
        self.minimum_samples = max(
            self.enhancer.minimum_samples, self.classifier.minimum_samples
        )

    def forward(self, waveform: torch.Tensor) -> list[torch.Tensor]:
        """Processes an utterance.

        Arguments
        ---------
        waveform : torch.Tensor
            Samples, `[1, time]`, no fewer than `minimum_samples`.

        Returns
        -------
        list of torch.Tensor
            Enhanced samples, `[1, time]`, and the emotions' log-posteriors,
            `[1, class]`.
        """
        enhanced = self.enhancer(waveform)
        return enhanced + self.classifier(*enhanced)


def traceable(model: nn.Module) -> nn.Module:
    """Gives a model that can be exported, for one utterance at a time.

    Arguments
    ---------
    model : torch.nn.Module
        A `JointModel` or `EnhanceThenClassify`.

    Returns
    -------
    torch.nn.Module
        From samples, `[1, time]`, to enhanced samples and log-posteriors.

    Example
    -------
    >>> traceable(nn.Identity())
    Traceback (most recent call last):
    ...
    ValueError: An Identity cannot be exported to ONNX: only JointModel and ...
    """
    if isinstance(model, EnhanceThenClassify):
        return TraceableCascade(model).eval()
    if isinstance(model, JointModel):
        return TraceableModel(model, model.tasks).eval()
    raise ValueError(
        f"An {type(model).__name__} cannot be exported to ONNX: only "
        "JointModel and EnhanceThenClassify can."
    )
