"""Which frames of a signal are speech, by Silero's detector.

Authors
 * The speechbrain-merit developers 2026
"""

import importlib.util
from pathlib import Path

import torch
from torch import nn

from speechbrain_merit.lobes.lengths import step_mask

# Samples at 16 kHz that a probability stands for, and that are heard before.
STEP = 512
CONTEXT = 64
THRESHOLD = 0.5
# Of 32 ms: shorter runs are no speech, and as much around longer ones belongs
# to them. Models are trained on utterances with their pauses and faint ends.
SHORTEST_STEPS = 8
MARGIN_STEPS = 8


class SpeechDetector(nn.Module):
    """Silero's voice activity detector for batches of whole signals.

    The model is that of the package `silero-vad`, which is not imported: that
    would set PyTorch to one thread. Its own code takes a step at a time; here
    all steps go through the convolutions together, in about a tenth of the
    time, with the same probabilities.

    Raises
    ------
    ImportError
        If the package is not installed.

    Example
    -------
    >>> SpeechDetector()(torch.zeros(2, 16000)).shape
    torch.Size([2, 32])
    """

    def __init__(self) -> None:
        super().__init__()
        package = importlib.util.find_spec("silero_vad")
        if package is None or package.origin is None:
            raise ImportError(
                "Speech is found by silero-vad: pip install "
                "'silero-vad>=6.2.1,<7'."
            )
        path = Path(package.origin).with_name("data") / "silero_vad.jit"
        self.network = torch.jit.load(str(path), map_location="cpu")._model
        cell = self.network.decoder.rnn.state_dict()
        self.recurrence = nn.LSTM(128, 128, batch_first=True)
        self.recurrence.load_state_dict(
            {f"{name}_l0": weight for name, weight in cell.items()}
        )

    def forward(self, waveform: torch.Tensor) -> torch.Tensor:
        """Gives the probability of speech for every 32 ms.

        Arguments
        ---------
        waveform : torch.Tensor
            Samples at 16 kHz, at a level of about -26 dBFS, `[batch, time]`.

        Returns
        -------
        torch.Tensor
            `[batch, step]`; nothing depends on what comes later.
        """
        padded = nn.functional.pad(
            waveform, (CONTEXT, -waveform.shape[1] % STEP)
        )
        steps = padded.unfold(1, CONTEXT + STEP, STEP).flatten(0, 1)
        hidden = self.network.encoder(self.network.run_extractors(steps))
        hidden = hidden.squeeze(2).unflatten(0, (len(waveform), -1))
        hidden = self.recurrence(hidden)[0].flatten(0, 1).unsqueeze(2)
        return self.network.decoder.decoder(hidden).view(len(waveform), -1)

    @torch.no_grad()
    def frames(
        self, waveform: torch.Tensor, counts: torch.Tensor, frame_size: int
    ) -> torch.Tensor:
        """Marks the frames of speech, and those up to 256 ms around it.

        Arguments
        ---------
        waveform : torch.Tensor
            As for `forward`, zero on padding.
        counts : torch.Tensor
            True frames of every signal, `[batch]`.
        frame_size : int
            Samples of a frame.

        Returns
        -------
        torch.Tensor
            False on padding, `[batch, frame]`, bool.
        """
        speech = (self(waveform.float()) > THRESHOLD).float()
        num_frames = int(counts.max())
        # What reaches to an end of the signal may go on there.
        margin = SHORTEST_STEPS - 1
        extended = nn.functional.pad(
            speech.unsqueeze(1), (margin, margin), mode="replicate"
        )
        shortest = -nn.functional.max_pool1d(-extended, SHORTEST_STEPS, 1)
        long = nn.functional.max_pool1d(shortest, SHORTEST_STEPS, 1)
        long = nn.functional.max_pool1d(
            long, 2 * MARGIN_STEPS + 1, 1, MARGIN_STEPS
        ).squeeze(1)
        middles = torch.arange(num_frames) * frame_size + frame_size // 2
        steps = (middles // STEP).clamp(max=speech.shape[1] - 1)
        marked = long[:, steps.to(long.device)] > 0
        return marked & step_mask(counts.to(marked.device), num_frames)
