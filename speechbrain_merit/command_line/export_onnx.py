"""`speechbrain-merit export-onnx`: a trained model for use without PyTorch.

Authors
 * The speechbrain-merit developers 2026
"""

from pathlib import Path

from tqdm import tqdm

from speechbrain_merit import load


def run(
    model: str, destination: Path, *, int8: bool = False, safe: bool = False
) -> int:
    """Writes a model as ONNX, for use without PyTorch.

    It takes one utterance of any length at a time, and is compared with
    PyTorch. Needs pip install '.[onnx]' in the project's folder.

    Arguments
    ---------
    model : str
        Folder of a trained model, or its name on the hub.
    destination : Path
        File to write, such as model.onnx.
    int8 : bool
        Write a second file, beside the first, that multiplies in 8 bits: about
        a third of the size, faster on a CPU, and a little worse.
    safe : bool
        Run nothing of the model's folder: build only parts of this package.

    Returns
    -------
    int
        Exit status: zero.

    Raises
    ------
    ImportError
        If the extra `onnx` is not installed.
    ValueError
        If the model cannot be exported.

    Example
    -------
    >>> run(str(getfixture("tmpdir")), Path("model.onnx"), safe=True)
    Traceback (most recent call last):
    ...
    FileNotFoundError: ...lacks hyperparams.yaml: ...
    """
    # Here, so that its help does not wait for PyTorch.
    from speechbrain_merit.export.onnx import export_onnx, quantize_weights
    from speechbrain_merit.export.onnx.exporting import largest_differences

    loaded = load(model, "cpu", safe)
    _report(destination, export_onnx(loaded, destination))
    if int8:
        smaller = destination.with_stem(f"{destination.stem}_int8")
        quantize_weights(destination, smaller)
        _report(smaller, largest_differences(loaded, smaller))
    return 0


def _report(path: Path, differences: dict[str, float]) -> None:
    found = ", ".join(
        f"{name} {value:.1e}" for name, value in differences.items()
    )
    size_mb = path.stat().st_size / 1e6
    tqdm.write(f"{path}  {size_mb:.1f} MB  largest differences: {found}")
