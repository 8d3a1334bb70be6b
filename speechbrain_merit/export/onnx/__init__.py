"""The joint model as an ONNX file, for use without PyTorch.

Authors
 * The speechbrain-merit developers 2026
"""

from .exporting import export_onnx, quantize_weights

__all__ = ["export_onnx", "quantize_weights"]
