"""Hidden states of a frozen encoder, kept instead of computed once more.

Authors
 * The speechbrain-merit developers 2026
"""

import hashlib
from collections.abc import Callable
from typing import TypeVar

import torch

Encoded = TypeVar("Encoded")


class HiddenStateCache:
    """Keeps what an encoder made of batches that come again.

    Batches are told apart by their samples, to the last bit, and so are the
    results those of the encoder to the last bit; for as long as its weights
    are. What is kept lies in the main memory. When that is full, what is
    there stays: batches come in the same order every time, and to drop the
    oldest one would be to drop the next one that is asked for.

    Arguments
    ---------
    capacity_gib : float
        How much to keep, in GiB, in every process; WavLM-Large makes 5 MB
        per second of audio.

    Raises
    ------
    ValueError
        If the capacity is negative.

    Example
    -------
    >>> from speechbrain_merit.lobes.speech_encoder import EncodedSpeech
    >>> def encode(waveform, lengths):
    ...     print("encoding")
    ...     return EncodedSpeech(waveform[None, ..., None], lengths)
    >>> cache, batch = HiddenStateCache(0.1), torch.rand(2, 5)
    >>> first = cache(batch, torch.ones(2), encode)
    encoding
    >>> second = cache(batch, torch.ones(2), encode)
    >>> torch.equal(first.hidden_states, second.hidden_states)
    True
    """

    def __init__(self, capacity_gib: float) -> None:
        if not capacity_gib >= 0:
            raise ValueError(
                f"capacity_gib is {capacity_gib}: give 0 or a positive number."
            )
        self.capacity_bytes = capacity_gib * 2**30
        self.clear()

    def clear(self) -> None:
        """Forgets everything, as is due when the encoder changes."""
        self._kept: dict[bytes, tuple[type, dict[str, torch.Tensor]]] = {}
        self._held_bytes = 0

    def __call__(
        self,
        waveform: torch.Tensor,
        lengths: torch.Tensor | None,
        encode: Callable[[torch.Tensor, torch.Tensor | None], Encoded],
    ) -> Encoded:
        """Gives what the encoder makes of a batch.

        Arguments
        ---------
        waveform : torch.Tensor
            Samples, `[batch, time]`.
        lengths : torch.Tensor or None
            Relative lengths, `[batch]`.
        encode : callable
            Takes the two, and returns a dataclass of tensors.

        Returns
        -------
        Encoded
            What `encode` returns, on the device of the samples.
        """
        if not self.capacity_bytes:
            return encode(waveform, lengths)
        key = _digest(waveform, lengths)
        if key in self._kept:
            kind, tensors = self._kept[key]
            return kind(
                **{n: t.to(waveform.device) for n, t in tensors.items()}
            )
        encoded = encode(waveform, lengths)
        num_bytes = sum(t.nbytes for t in vars(encoded).values())
        if self._held_bytes + num_bytes <= self.capacity_bytes:
            self._held_bytes += num_bytes
            tensors = {n: t.cpu() for n, t in vars(encoded).items()}
            self._kept[key] = (type(encoded), tensors)
        return encoded


def _digest(waveform: torch.Tensor, lengths: torch.Tensor | None) -> bytes:
    digest = hashlib.blake2b(repr(tuple(waveform.shape)).encode("ascii"))
    for values in (waveform, lengths):
        if values is not None:
            digest.update(values.detach().cpu().contiguous().numpy().tobytes())
    return digest.digest()
