"""What became of one recording: to be used, saved, heard and looked at.

Authors
 * The speechbrain-merit developers 2026
"""

import base64
import dataclasses
import io
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING

import jinja2
import numpy as np
import soundfile
import torch

from speechbrain.utils.data_utils import batch_pad_right
from speechbrain_merit.data.audio import read_mono_blocks
from speechbrain_merit.data.decoding import Source, name_of
from speechbrain_merit.data.samples import as_source

from .batch_processing import found
from .output_files import subtype_like, write_blocks
from .timeline import NO_SPEECH, EmotionSegment
from .timeline_files import write_timeline

if TYPE_CHECKING:
    from matplotlib.figure import Figure

# What a page holds of a long recording: more would make it slow.
PLAYED_S = 300.0
_TEMPLATE = jinja2.Environment(
    loader=jinja2.PackageLoader("speechbrain_merit.inference"),
    undefined=jinja2.StrictUndefined,
    autoescape=True,
    trim_blocks=True,
    lstrip_blocks=True,
).get_template("recording.html")


@dataclasses.dataclass(repr=False)
class ProcessedRecording:
    """Enhanced speech and emotions; what the model does not do is None.

    In a notebook, it shows itself: a player to switch between the original
    and the enhanced speech, the emotions, and spectrograms.

    Arguments
    ---------
    source : str or Path or file object
        The recording.
    enhanced : numpy.ndarray or None
        Enhanced samples, float32, `[time]`; `[channel, time]` where the
        channels were kept.
    sample_rate_hz : int
        Sample rate of the enhanced speech.
    emotion : str or None
        What the speaker sounds like most.
    probabilities : dict or None
        Probability of every emotion by its name.
    timeline : list of EmotionSegment or None
        Emotions over time.
    """

    source: Source
    enhanced: np.ndarray | None
    sample_rate_hz: int
    emotion: str | None
    probabilities: dict[str, float] | None
    timeline: list[EmotionSegment] | None

    def save(self, path: str | Path) -> None:
        """Writes the enhanced speech.

        Arguments
        ---------
        path : str or Path
            File to write; its extension tells the format. It is as deep as
            the recording: 24 bits and floats are kept.

        Raises
        ------
        ValueError
            If the model does not enhance, or the file cannot be written.
        """
        write_blocks(
            path,
            [torch.from_numpy(found(self.enhanced))],
            self.sample_rate_hz,
            subtype_like(self.source, path),
        )

    def save_timeline(self, path: str | Path) -> None:
        """Writes the emotions over time.

        Arguments
        ---------
        path : str or Path
            File to write: .csv, .TextGrid for Praat, or .rttm.

        Raises
        ------
        ValueError
            If the model names no emotions, or there is no such format.
        """
        name = Path(name_of(self.source)).stem
        write_timeline(path, found(self.timeline), name)

    def figure(self) -> "Figure":
        """Draws spectrograms before and after, and the emotions over time.

        Returns
        -------
        matplotlib.figure.Figure
            For `savefig`.

        Raises
        ------
        ValueError
            If the model does not enhance, or the recording is gone.
        """
        # matplotlib takes long to import.
        from .spectrograms import compare

        rate_hz, title = self.sample_rate_hz, str(self)
        after = as_source(found(self.enhanced), rate_hz)
        return compare(self.source, after, self.timeline, rate_hz, title)

    def __repr__(self) -> str:
        if self.emotion == NO_SPEECH:
            return NO_SPEECH
        chances = (self.probabilities or {}).items()
        return ", ".join(f"{name} {chance:.0%}" for name, chance in chances)

    def _repr_html_(self) -> str:
        if self.enhanced is None:
            return f"<p>{self}</p>"
        picture = io.BytesIO()
        self.figure().savefig(picture, format="png", dpi=110)
        return _TEMPLATE.render(
            probabilities=self.probabilities,
            emotion=self.emotion,
            sound=base64.b64encode(self._both()).decode(),
            picture=base64.b64encode(picture.getvalue()).decode(),
            played_s=PLAYED_S,
            is_whole=self.enhanced.shape[-1] <= PLAYED_S * self.sample_rate_hz,
        )

    def _both(self) -> bytes:
        """Original and enhanced speech as the two channels of one file."""
        rate_hz, heard = self.sample_rate_hz, []
        for source in (self.source, as_source(self.enhanced, rate_hz)):
            blocks = read_mono_blocks(source, rate_hz, PLAYED_S)
            # Where it is resampled, the first blocks may be short.
            samples = torch.cat(list(islice(blocks, 2)))
            heard.append(samples[: round(PLAYED_S * rate_hz)].clamp(-1, 1))
        both, _ = batch_pad_right(heard)
        file = io.BytesIO()
        soundfile.write(file, both.T.numpy(), rate_hz, format="FLAC")
        return file.getvalue()
