"""Writing an ONNX file and comparing it with PyTorch.

Authors
 * The speechbrain-merit developers 2026
"""

import json
import warnings
from pathlib import Path

import numpy as np
import torch

from speechbrain_merit.data.atomic_write import atomic_write
from speechbrain_merit.inference import JointEnhancementClassifier
from speechbrain_merit.lobes.joint_model import EMOTION, ENHANCE

from .requirements import import_package
from .traceable_model import traceable

# The oldest that has all that is needed.
OPSET = 17
INPUT = "waveform"
OUTPUTS = {ENHANCE: "enhanced", EMOTION: "log_posteriors"}
# Long enough for every encoder, and no multiple of a frame.
EXAMPLE_SAMPLES = 20011
# The shortest that there may be, whole frames, and anything in between.
CHECKED_SAMPLES = (1, 16000, 16161, 31999)
# Those whose integers ONNX Runtime is fast with.
QUANTIZED = ("MatMul", "Gemm", "LSTM")
# Rounding may send a frame to another expert where two are about as good.
TOLERANCES = {OUTPUTS[ENHANCE]: 1e-3, OUTPUTS[EMOTION]: 1e-2}


def export_onnx(
    model: JointEnhancementClassifier, path: str | Path
) -> dict[str, float]:
    """Writes a model as ONNX, for one utterance of any length at a time.

    The graph takes `waveform`, `[1, time]`, and gives `enhanced`, `[1, time]`,
    and `log_posteriors`, `[1, class]`, as far as the model has these tasks.
    The metadata hold `emotions` in JSON, `sample_rate_hz` and
    `minimum_samples`, below which an utterance must be padded with zeros.
    Whisper's encoder takes 30 s at most.

    Arguments
    ---------
    model : JointEnhancementClassifier
        Trained.
    path : str or Path
        File to write; it appears when it is whole, and agrees with PyTorch.

    Returns
    -------
    dict
        How far it agrees, as of `largest_differences`.

    Raises
    ------
    ValueError
        If the model is none that can be exported, or the result another one.
    ImportError
        If the extra `onnx` is not installed.

    Example
    -------
    >>> export_onnx(None, "model.onnx")  # doctest: +SKIP
    """
    onnx = import_package("onnx")
    network = traceable(model.mods.model)
    with atomic_write(path) as partial:
        _export(network, partial)
        graph = onnx.load(partial)
        metadata = {
            "emotions": json.dumps(model.emotions),
            "sample_rate_hz": str(model.hparams.sample_rate_hz),
            "minimum_samples": str(network.minimum_samples),
        }
        onnx.helper.set_model_props(graph, metadata)
        onnx.save(graph, partial)
        found = largest_differences(model, partial)
        # Nor is NaN within a tolerance.
        if not all(found[name] <= TOLERANCES[name] for name in found):
            raise ValueError(
                f"{path} is not written: it differs from PyTorch by {found}, "
                f"and by no more than {TOLERANCES} may it."
            )
    return found


def _export(network: torch.nn.Module, path: Path) -> None:
    outputs = [OUTPUTS[task] for task in network.tasks]
    axes = {name: {1: "time"} for name in (INPUT, OUTPUTS[ENHANCE])}
    # Gradients stay on, though nothing has any: without them, `WideLinear`
    # would put its weights into the graph in pieces.
    with warnings.catch_warnings():
        # PyTorch's newer exporter has no LSTM of dynamic length, so that its
        # notice is of no use; and what is constant here is meant to be.
        warnings.simplefilter("ignore")
        torch.onnx.export(
            network,
            (_noise(EXAMPLE_SAMPLES),),
            path,
            input_names=[INPUT],
            output_names=outputs,
            dynamic_axes={
                name: axes[name] for name in (INPUT, *outputs) if name in axes
            },
            opset_version=OPSET,
            dynamo=False,
        )


def quantize_weights(source: str | Path, destination: str | Path) -> None:
    """Rounds weights to 8 bits, and what they are multiplied with as it comes.

    ONNX Runtime's dynamic quantization: there is nothing to calibrate.

    Arguments
    ---------
    source : str or Path
        What `export_onnx` wrote.
    destination : str or Path
        File to write; it appears when it is whole.

    Raises
    ------
    ImportError
        If the extra `onnx` is not installed.

    Example
    -------
    >>> quantize_weights("model.onnx", "model_int8.onnx")  # doctest: +SKIP
    """
    quantization = import_package("onnxruntime.quantization")
    with atomic_write(destination) as partial:
        quantization.quantize_dynamic(
            source,
            partial,
            op_types_to_quantize=QUANTIZED,
            per_channel=True,
            weight_type=quantization.QuantType.QInt8,
        )


def _noise(num_samples: int) -> torch.Tensor:
    generator = torch.Generator().manual_seed(num_samples)
    swell = 1 + (torch.arange(num_samples) / 800).sin()
    return 0.05 * swell * torch.randn(1, num_samples, generator=generator)


def largest_differences(
    model: JointEnhancementClassifier, path: str | Path
) -> dict[str, float]:
    """Compares an ONNX file with its model on noises of several lengths.

    Arguments
    ---------
    model : JointEnhancementClassifier
        The model.
    path : str or Path
        What `export_onnx` or `quantize_weights` made of it.

    Returns
    -------
    dict
        Largest absolute difference by the name of the output; that of
        `enhanced` relative to the largest sample.

    Raises
    ------
    ImportError
        If the extra `onnx` is not installed.

    Example
    -------
    >>> largest_differences(None, "model.onnx")  # doctest: +SKIP
    """
    session = import_package("onnxruntime").InferenceSession(
        str(path), providers=["CPUExecutionProvider"]
    )
    names = [output.name for output in session.get_outputs()]
    metadata = session.get_modelmeta().custom_metadata_map
    found = dict.fromkeys(names, 0.0)
    for num_samples in CHECKED_SAMPLES:
        noisy = _noise(max(num_samples, int(metadata["minimum_samples"])))
        outputs = session.run(names, {INPUT: noisy.numpy()})
        expected = model.process_batch(noisy)
        for name, output in zip(names, outputs, strict=True):
            reference = getattr(expected, name).cpu().numpy()
            error = np.abs(output - reference).max()
            if name == OUTPUTS[ENHANCE]:
                error /= np.abs(reference).max()
            # Unlike max, it lets NaN through.
            found[name] = float(np.maximum(found[name], error))
    return found
