"""All that the page shows of a recording.

Authors
 * The speechbrain-merit developers 2026
"""

import dataclasses
import tempfile
from itertools import islice
from pathlib import Path

import numpy as np
import torch
from PIL import Image

from speechbrain_merit.data.audio import read_mono_blocks
from speechbrain_merit.inference import NO_SPEECH, JointEnhancementClassifier
from speechbrain_merit.inference.output_files import write_blocks
from speechbrain_merit.inference.spectrograms import plot_files
from speechbrain_merit.metrics.routing_plots import plot_expert_timeline

# More would be too small to see, and too long for some encoders.
ROUTED_S = 20.0
TITLE = "Spectrograms and emotions over time"


@dataclasses.dataclass
class DemoResult:
    """What became of a recording.

    Arguments
    ---------
    sample_rate_hz : int
        Sample rate of the enhanced speech.
    enhanced : numpy.ndarray
        Enhanced samples, int16, `[time]`.
    posteriors : dict or None
        Probability of every emotion by its name, if the model names them, or
        of `no speech`.
    spectrograms : PIL.Image.Image
        Before and after, with the emotions over time.
    experts : PIL.Image.Image or None
        The expert of every frame, if the model has experts.
    """

    sample_rate_hz: int
    enhanced: np.ndarray
    posteriors: dict[str, float] | None
    spectrograms: Image.Image
    experts: Image.Image | None


def analyse(
    model: JointEnhancementClassifier, path: str | Path, step_s: float
) -> DemoResult:
    """Enhances a recording, names its emotions and draws all of it.

    Arguments
    ---------
    model : JointEnhancementClassifier
        One that enhances.
    path : str or Path
        Any audio file that soundfile reads.
    step_s : float
        As `timeline_step_s` of `process_file`.

    Returns
    -------
    DemoResult
        For the page.

    Raises
    ------
    ValueError
        If the file cannot be read.

    Example
    -------
    >>> analyse(None, "nowhere.wav", 4.0)  # doctest: +SKIP
    """
    result = model.process_file(path, timeline=True, timeline_step_s=step_s)
    if result.enhanced is None:
        raise ValueError("The demonstration needs a model that enhances.")
    rate_hz = model.hparams.sample_rate_hz
    posteriors = None
    if result.log_posteriors is not None:
        probabilities = result.log_posteriors[0].exp().tolist()
        posteriors = dict(zip(result.emotions, probabilities, strict=True))
        if result.labels == [NO_SPEECH]:
            posteriors = {NO_SPEECH: 1.0}
    with tempfile.TemporaryDirectory() as folder:
        enhanced = Path(folder) / "enhanced.wav"
        write_blocks(enhanced, [result.enhanced[0]], rate_hz)
        figure = Path(folder) / "spectrograms.png"
        plot_files(path, enhanced, result.timeline, rate_hz, TITLE, figure)
        spectrograms = _read_image(figure)
        experts = _draw_experts(model, path, Path(folder) / "experts.png")
    samples = result.enhanced[0].clamp(-1, 1).cpu().numpy() * 32767
    return DemoResult(
        rate_hz,
        samples.round().astype(np.int16),
        posteriors,
        spectrograms,
        experts,
    )


def _draw_experts(
    model: JointEnhancementClassifier, path: str | Path, figure: Path
) -> Image.Image | None:
    """Draws where the gates send the beginning of a recording."""
    rate_hz = model.hparams.sample_rate_hz
    blocks = read_mono_blocks(str(path), rate_hz, ROUTED_S)
    # Where it is resampled, the first blocks may be short.
    samples = torch.cat(list(islice(blocks, 2)))[: round(ROUTED_S * rate_hz)]
    network = model.mods.model
    with torch.no_grad():
        output = network(samples.unsqueeze(0).to(model.device))
    routing = output.integration.routing
    if not routing or output.spectrum is None:
        return None
    frontend = getattr(network, "enhancer", network).frontend
    plot_expert_timeline(
        output.spectrum.log1p[0].cpu().numpy(),
        {
            task: found.experts[0, :, 0].cpu().numpy()
            for task, found in routing.items()
        },
        hop_s=frontend.hop_length / rate_hz,
        frame_s=network.encoder.samples_per_frame / rate_hz,
        sample_rate_hz=rate_hz,
        title=f"Expert of every frame, first {ROUTED_S:.0f} s",
        path=figure,
    )
    return _read_image(figure)


def _read_image(path: Path) -> Image.Image:
    with Image.open(path) as image:
        return image.convert("RGB")
