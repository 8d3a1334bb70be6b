"""Weights of an ONNX file as 8-bit integers.

Only the weights are rounded: they are multiplied back to floating point where
they are used, so that there is nothing to calibrate. A smaller file is what it
is for, not speed.

Authors
 * The speechbrain-merit developers 2026
"""

from pathlib import Path
from typing import Any

import numpy as np

from speechbrain_merit.data.atomic_write import atomic_write

from .requirements import import_package

# By operator, the input that holds the weight and its output channels' axis.
_WEIGHTS = {
    "MatMul": {1: -1},
    "Gemm": {1: 0},
    "Conv": {1: 0},
    "LSTM": {1: 1, 2: 1},
}
# Below this, a scale for every channel is not worth it.
MINIMUM_SIZE = 1024


def quantize_weights(source: str | Path, destination: str | Path) -> None:
    """Rounds the weights of an ONNX file to 8 bits, channel by channel.

    The largest weight of every output channel becomes 127 or -127.

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
    onnx = import_package("onnx")
    model = onnx.load(source)
    graph = model.graph
    weights = {tensor.name: tensor for tensor in graph.initializer}
    nodes = []
    for name, axis in _find_weights(graph, weights).items():
        tensor = weights.pop(name)
        array = onnx.numpy_helper.to_array(tensor)
        rounded, scale = round_to_int8(array, axis)
        graph.initializer.remove(tensor)
        graph.initializer.extend(
            [
                onnx.numpy_helper.from_array(rounded, f"{name}.int8"),
                onnx.numpy_helper.from_array(scale, f"{name}.scale"),
            ]
        )
        nodes.append(
            onnx.helper.make_node(
                "DequantizeLinear",
                [f"{name}.int8", f"{name}.scale"],
                [name],
                axis=axis,
            )
        )
    for node in reversed(nodes):
        graph.node.insert(0, node)
    onnx.checker.check_model(model)
    with atomic_write(destination) as partial:
        onnx.save(model, partial)


def _find_weights(graph: Any, weights: dict[str, Any]) -> dict[str, int]:
    """Axis of the output channels of every weight to round."""
    found: dict[str, int] = {}
    for node in graph.node:
        for position, axis in _WEIGHTS.get(node.op_type, {}).items():
            name = node.input[position]
            tensor = weights.get(name)
            # The transforms of the spectrum are constants, no initializers.
            if tensor is None or len(tensor.dims) < 2:
                continue
            if np.prod(tensor.dims) < MINIMUM_SIZE:
                continue
            if node.op_type == "Gemm" and not _is_transposed(node):
                axis = 1
            found[name] = axis % len(tensor.dims)
    return found


def _is_transposed(node: Any) -> bool:
    """Whether a Gemm's weight is `[output, input]`."""
    return any(a.name == "transB" and a.i for a in node.attribute)


def round_to_int8(
    weight: np.ndarray, axis: int
) -> tuple[np.ndarray, np.ndarray]:
    """Rounds a weight, with a scale for every channel.

    Arguments
    ---------
    weight : numpy.ndarray
        In floating point.
    axis : int
        Of the channels.

    Returns
    -------
    tuple of numpy.ndarray
        The rounded weight, int8, and the scales, `[channel]`, float32: their
        product is the weight, but for half a scale at most.

    Example
    -------
    >>> weight = np.array([[0.5, -1.0], [127.0, 0.4]], dtype=np.float32)
    >>> rounded, scale = round_to_int8(weight, axis=0)
    >>> rounded.tolist(), scale.round(4).tolist()
    ([[64, -127], [127, 0]], [0.007899999618530273, 1.0])
    """
    others = tuple(n for n in range(weight.ndim) if n != axis)
    largest = np.abs(weight).max(axis=others, keepdims=True)
    scale = np.where(largest > 0, largest / 127, 1.0).astype(np.float32)
    rounded = np.rint(weight / scale).clip(-127, 127).astype(np.int8)
    return rounded, scale.reshape(-1)
