"""Where the gates send the frames of a recording, as a picture.

Authors
 * The speechbrain-merit developers 2026
"""

import io
from itertools import islice

import torch
from PIL import Image

from speechbrain_merit.data.audio import read_mono_blocks
from speechbrain_merit.inference import JointEnhancementClassifier
from speechbrain_merit.metrics.routing_plots import plot_expert_timeline

# More would be too small to see, and too long for some encoders.
ROUTED_S = 20.0


def draw_experts(
    model: JointEnhancementClassifier, path: str
) -> Image.Image | None:
    """Draws where the gates send the beginning of a recording.

    Arguments
    ---------
    model : JointEnhancementClassifier
        One that enhances.
    path : str
        Any audio file.

    Returns
    -------
    PIL.Image.Image or None
        The expert of every frame, if the model has experts.

    Raises
    ------
    ValueError
        If the file cannot be read.

    Example
    -------
    >>> draw_experts(model, "noisy.wav")  # doctest: +SKIP
    """
    rate_hz = model.hparams.sample_rate_hz
    blocks = read_mono_blocks(path, rate_hz, ROUTED_S)
    # Where it is resampled, the first blocks may be short.
    samples = torch.cat(list(islice(blocks, 2)))[: round(ROUTED_S * rate_hz)]
    network = model.mods.model
    with torch.no_grad():
        output = network(samples.unsqueeze(0).to(model.device))
    routing = output.integration.routing
    if not routing or output.spectrum is None:
        return None
    picture = io.BytesIO()
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
        path=picture,
    )
    return Image.open(picture).convert("RGB")
