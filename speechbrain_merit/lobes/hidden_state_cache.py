"""Hidden states of a frozen encoder, kept instead of computed once more.

Authors
 * The speechbrain-merit developers 2026
"""

import contextlib
import hashlib
import os
from collections.abc import Callable, Iterable
from pathlib import Path

import torch
from torch import nn
from torch.nn.utils.rnn import pad_sequence

from .lengths import absolute_lengths

States = tuple[torch.Tensor, torch.Tensor]


class HiddenStateCache:
    """Keeps what an encoder made of utterances that come again, in a folder.

    Utterances are told apart by their samples, to the last bit. What is kept
    is rounded to half precision, and so is what is given when it is computed,
    that a training which was interrupted goes on as it would have. The
    encoder's weights, as they are at first, and its precision are part of the
    key: any number of processes and trainings may share a folder, whatever
    their integrators, heads and folds. Nothing in it is ever removed.

    Arguments
    ---------
    folder : str or Path, optional
        Where to keep it, with 2.5 MB per second of audio for WavLM-Large;
        created when needed. By default nothing is kept.

    Example
    -------
    >>> def encode(waveform, lengths):
    ...     print("encoding")
    ...     return waveform[None, ..., None], torch.tensor([5, 5])
    >>> cache = HiddenStateCache(getfixture("tmpdir"))
    >>> batch = torch.rand(2, 5)
    >>> states, counts = cache(batch, torch.ones(2), encode, nn.Identity())
    encoding
    >>> again, counts = cache(batch[[1]], torch.ones(1), encode, nn.Identity())
    >>> torch.equal(again[:, 0], states[:, 1])
    True
    """

    def __init__(self, folder: str | Path | None = None) -> None:
        self.folder = None if folder is None else Path(folder)
        self._encoder_key = ""

    def __call__(
        self,
        waveform: torch.Tensor,
        lengths: torch.Tensor | None,
        encode: Callable[[torch.Tensor, torch.Tensor | None], States],
        encoder: nn.Module,
    ) -> States:
        """Gives what the encoder makes of a batch.

        Arguments
        ---------
        waveform : torch.Tensor
            Samples, `[batch, time]`.
        lengths : torch.Tensor or None
            Relative lengths, `[batch]`.
        encode : callable
            Takes the two, and returns hidden states, `[layer, batch, time,
            channel]`, with the number of every utterance's true frames.
        encoder : torch.nn.Module
            Whose weights `encode` uses.

        Returns
        -------
        tuple of torch.Tensor
            What `encode` returns, on the device of the samples; of a batch
            whose utterances are all there, zero on padding.

        Raises
        ------
        ValueError
            If the folder cannot be written to.
        """
        if self.folder is None:
            return encode(waveform, lengths)
        salt = self._salt(waveform.device.type, encoder)
        sizes = absolute_lengths(lengths, *waveform.shape).tolist()
        rows = zip(waveform, sizes, strict=True)
        files = [self.folder / _name([row[:size]], salt) for row, size in rows]
        found = [_read(file) for file in files]
        kept = [states for states in found if states is not None]
        if len(kept) == len(files):
            return _join(kept, waveform.device)
        states, counts = encode(waveform, lengths)
        # Lest what half precision cannot hold become infinite.
        largest = torch.finfo(torch.half).max
        half = states.clamp(-largest, largest).half()
        for number, file in enumerate(files):
            if found[number] is None:
                _write(file, half[:, number, : counts[number]])
        return half.float(), counts

    def _salt(self, kind: str, encoder: nn.Module) -> bytes:
        """Tells encoders and precisions apart."""
        if not self._encoder_key:
            self._encoder_key = _name(encoder.state_dict().values())
        precision = str(torch.get_autocast_dtype(kind))
        if not torch.is_autocast_enabled(kind):
            precision = "plain"
        return f"{self._encoder_key} {precision}".encode("ascii")


def _read(file: Path) -> torch.Tensor | None:
    """Gives an utterance's states, `[layer, time, channel]`, if kept."""
    # Not there, or damaged: to be written once more.
    with contextlib.suppress(OSError, RuntimeError, EOFError):
        return torch.load(file, weights_only=True)
    return None


def _write(file: Path, states: torch.Tensor) -> None:
    partial = file.with_suffix(f".{os.getpid()}.partial")
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        torch.save(states.to("cpu", copy=True), partial)
        partial.replace(file)
    except (OSError, RuntimeError) as error:
        with contextlib.suppress(OSError):
            partial.unlink()
        raise ValueError(
            f"Hidden states cannot be written to {file.parent}: {error}. Make "
            "room there, or set another hidden_state_cache_folder, or null."
        ) from error


def _join(rows: list[torch.Tensor], device: torch.device) -> States:
    """Pads utterances to a batch."""
    counts = torch.tensor([row.shape[1] for row in rows], device=device)
    states = pad_sequence([row.transpose(0, 1) for row in rows], True)
    return states.permute(2, 0, 1, 3).to(device).float().contiguous(), counts


def _name(values: Iterable[torch.Tensor], salt: bytes = b"") -> str:
    digest = hashlib.blake2b(salt, digest_size=16)
    for value in values:
        flat = value.detach().cpu().contiguous().view(-1)
        digest.update(flat.view(torch.uint8).numpy())
    name = digest.hexdigest()
    # So that no folder has to hold a file for every utterance.
    return f"{name[:2]}/{name}.pt"
