"""Relative lengths, counts and masks: the one place that converts them.

Authors
 * The speechbrain-merit developers 2026
"""

import torch

from speechbrain.dataio.dataio import length_to_mask


def absolute_lengths(
    lengths: torch.Tensor | None, batch_size: int, num_steps: int
) -> torch.Tensor:
    """Turns SpeechBrain's relative lengths into counts.

    Arguments
    ---------
    lengths : torch.Tensor or None
        Lengths relative to the padded one, `[batch]`; None means that nothing
        is padded.
    batch_size : int
        Size of the batch.
    num_steps : int
        Padded length, in samples or frames.

    Returns
    -------
    torch.Tensor
        Number of true samples or frames, `[batch]`, int64, on the CPU.

    Raises
    ------
    ValueError
        If the lengths do not fit the batch, or one is not in (0, 1].

    Example
    -------
    >>> absolute_lengths(torch.tensor([1.0, 0.5]), 2, 300)
    tensor([300, 150])
    """
    if lengths is None:
        return torch.full((batch_size,), num_steps, dtype=torch.int64)
    if lengths.shape != (batch_size,):
        raise ValueError(
            f"lengths has the shape {tuple(lengths.shape)}, but the batch "
            f"holds {batch_size} utterances: give one length for each."
        )
    # Not every device has double precision.
    lengths = lengths.cpu()
    if not bool(((lengths > 0) & (lengths <= 1 + 1e-6)).all()):
        raise ValueError(
            f"lengths are relative to the longest utterance and lie in "
            f"(0, 1], but are {lengths.tolist()}."
        )
    # Double precision: float32 cannot count the samples of a long file.
    counts = torch.round(lengths.double() * num_steps).long()
    return counts.clamp(min=1, max=num_steps)


def step_mask(counts: torch.Tensor, num_steps: int) -> torch.Tensor:
    """Marks the true steps of a padded batch.

    Arguments
    ---------
    counts : torch.Tensor
        Number of true steps of every utterance, `[batch]`.
    num_steps : int
        Padded length.

    Returns
    -------
    torch.Tensor
        True on the steps that are not padding, `[batch, time]`, bool.

    Example
    -------
    >>> step_mask(torch.tensor([1, 3]), 3)
    tensor([[ True, False, False],
            [ True,  True,  True]])
    """
    return length_to_mask(counts, max_len=num_steps, dtype=torch.bool)
