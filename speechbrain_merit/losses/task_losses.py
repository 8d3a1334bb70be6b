"""Losses of the two tasks, over what is true and what has a target.

Authors
 * The speechbrain-merit developers 2026
"""

import itertools
from collections.abc import Iterable, Mapping, Sequence

import torch
from torch.nn import functional

from speechbrain.nnet.loss.si_snr_loss import si_snr_loss
from speechbrain.processing.features import STFT

# Index of an utterance without an emotion label.
NO_LABEL = -1


def class_weights(
    labels: Iterable[str | None],
    classes: Sequence[str],
    shares: Iterable[float] = itertools.repeat(1),
) -> list[float]:
    """Weights that make every class count the same in total.

    `num_labelled / (num_classes * num_of_class)`, as in Sparse MERIT.

    Arguments
    ---------
    labels : iterable of str or None
        Label of every training utterance; None and others count nowhere.
    classes : sequence of str
        Names of the classes in the order of the logits.
    shares : iterable of float
        How often every utterance is drawn; once by default.

    Returns
    -------
    list of float
        One weight per class; 0 for a class that does not occur.

    Example
    -------
    >>> class_weights(["angry", "sad", "sad", None], ["angry", "sad"])
    [1.5, 0.75]
    """
    drawn: dict[str, float] = {}
    for label, share in zip(labels, shares, strict=False):
        if label is not None:
            drawn[label] = drawn.get(label, 0) + share
    counts = [drawn.get(name, 0) for name in classes]
    return [
        sum(counts) / (len(classes) * count) if count else 0.0
        for count in counts
    ]


def emotion_loss(
    logits: torch.Tensor,
    targets: torch.Tensor,
    weights: torch.Tensor | None = None,
    label_smoothing: float = 0.0,
) -> torch.Tensor:
    """Class-weighted cross-entropy over the utterances that have a label.

    Arguments
    ---------
    logits : torch.Tensor
        Emotion logits, `[batch, class]`.
    targets : torch.Tensor
        Class indices, `[batch]`; `NO_LABEL` for none.
    weights : torch.Tensor, optional
        One weight per class, `[class]`.
    label_smoothing : float
        Share of the target that goes to all classes alike; the paper has
        none.

    Returns
    -------
    torch.Tensor
        Scalar; zero, with zero gradients, when no utterance has a label, or
        only such as weigh nothing because no training utterance has them.

    Example
    -------
    >>> logits = torch.zeros(2, 4)
    >>> emotion_loss(logits, torch.tensor([2, NO_LABEL]))  # logarithm of 4
    tensor(1.3863)
    """
    counts = targets != NO_LABEL
    if weights is not None:
        counts = counts & (weights[targets.clamp(min=0)] > 0)
    if not bool(counts.any()):
        return (logits * 0.0).sum()
    return functional.cross_entropy(
        logits.float(),
        targets,
        weight=weights,
        ignore_index=NO_LABEL,
        label_smoothing=label_smoothing,
    )


def emotion_loss_weight(
    targets: torch.Tensor, weights: torch.Tensor
) -> torch.Tensor:
    """Sums up what `emotion_loss` is a weighted mean over.

    Arguments
    ---------
    targets : torch.Tensor
        Class indices, `[batch]`; `NO_LABEL` for none.
    weights : torch.Tensor
        One weight per class, `[class]`.

    Returns
    -------
    torch.Tensor
        Scalar; zero when no utterance has a label.

    Example
    -------
    >>> targets = torch.tensor([1, NO_LABEL, 1, 0])
    >>> emotion_loss_weight(targets, torch.tensor([1.5, 0.75]))
    tensor(3.)
    """
    counts = weights[targets.clamp(min=0)] * (targets != NO_LABEL)
    return counts.sum()


def compressed_spectrum_loss(
    enhanced: torch.Tensor,
    target: torch.Tensor,
    lengths: torch.Tensor,
    n_ffts: Sequence[int] = (256, 512, 1024),
    si_snr_weight: float = 0.002,
) -> torch.Tensor:
    """Compares waveforms by compressed spectra and SI-SNR.

    Magnitudes to the power of 0.3 count 0.7, spectra compressed so with their
    phase 0.3, as S. Braun and I. Tashev, "Data augmentation and loss
    normalization for deep noise suppression", SPECOM 2020, weight them; the
    SI-SNR counts up to 35 dB.

    Arguments
    ---------
    enhanced : torch.Tensor
        Samples, zero on padding, `[batch, time]`.
    target : torch.Tensor
        Clean speech at the same scale, `[batch, time]`.
    lengths : torch.Tensor
        Relative lengths, which are weights too, `[batch]`.
    n_ffts : sequence of int
        Lengths of the windows, which overlap by half.
    si_snr_weight : float
        Of a decibel.

    Returns
    -------
    torch.Tensor
        Scalar.

    Example
    -------
    >>> speech = torch.rand(1, 4000)
    >>> compressed_spectrum_loss(speech, speech, torch.ones(1))
    tensor(-0.0700)
    """
    losses = si_snr_loss(enhanced, target, lengths, "batch").clamp(min=-35)
    losses = losses.to(enhanced) * si_snr_weight
    for n_fft in n_ffts:
        # At 1000 Hz, a sample is a millisecond.
        stft = STFT(1000, n_fft, n_fft // 2, n_fft)
        pairs = []
        for waveform in (enhanced, target):
            # Whole to its last sample, however much padding follows.
            padded = functional.pad(waveform, (0, n_fft // 2))
            parts = stft(padded * (16 / n_fft**0.5))
            # A gradient where there is nothing, too.
            power = parts.square().sum(-1, keepdim=True) + 1e-7
            pairs.append((power**0.15, parts * power**-0.35))
        (magnitude, spectrum), (aim, aimed) = pairs
        error = 0.7 * (magnitude - aim).square().sum(-1)
        error = error + 0.3 * (spectrum - aimed).square().sum(-1)
        count = lengths * enhanced.shape[1] / (n_fft // 2)
        losses = losses + error.mean(2).sum(1) / count / len(n_ffts)
    return (losses * lengths).sum() / lengths.sum()


def weighted_sum(
    losses: Mapping[str, torch.Tensor], weights: Mapping[str, float]
) -> torch.Tensor:
    """Adds up named losses with named weights.

    Arguments
    ---------
    losses : Mapping
        Scalar losses by name.
    weights : Mapping
        Weight of every loss by name; names that have no loss here are fine,
        since not every system has every loss.

    Returns
    -------
    torch.Tensor
        Scalar.

    Raises
    ------
    ValueError
        If a loss has no weight.

    Example
    -------
    >>> losses = {"emotion": torch.tensor(2.0), "enhance": torch.tensor(3.0)}
    >>> weighted_sum(losses, {"emotion": 1.0, "enhance": 10.0})
    tensor(32.)
    """
    missing = sorted(set(losses) - set(weights))
    if missing:
        raise ValueError(
            f"loss_weights has no weight for {missing}: it names "
            f"{sorted(weights)}."
        )
    return sum(weights[name] * loss for name, loss in losses.items())
