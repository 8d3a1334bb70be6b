"""`speechbrain-merit export-onnx`: a trained model for use without PyTorch.

Authors
 * The speechbrain-merit developers 2026
"""

import argparse
from pathlib import Path
from typing import Any

from tqdm import tqdm

from speechbrain_merit.export.onnx import export_onnx, quantize_weights
from speechbrain_merit.export.onnx.exporting import largest_differences

from .loading import add_safe_option, load


def add_parser(commands: Any) -> None:
    """Adds the subcommand.

    Arguments
    ---------
    commands : Any
        What `ArgumentParser.add_subparsers` gave.

    Example
    -------
    >>> parser = argparse.ArgumentParser()
    >>> add_parser(parser.add_subparsers())
    >>> parser.parse_args(["export-onnx", "folder", "model.onnx"]).destination
    PosixPath('model.onnx')
    """
    parser = commands.add_parser(
        "export-onnx",
        help="write a model as ONNX, for use without PyTorch",
        description="Writes a trained model as ONNX, for one utterance of any "
        "length at a time, and compares it with PyTorch. Needs pip install "
        "'speechbrain-merit[onnx]'.",
    )
    parser.set_defaults(run=run)
    add = parser.add_argument
    add("model", help="folder of a trained model, or its name on the hub")
    add("destination", type=Path, help="file to write, such as model.onnx")
    add(
        "--int8",
        action="store_true",
        help="write a second file, beside the first, with the weights rounded "
        "to 8 bits: about a third of the size, and a little worse",
    )
    add_safe_option(parser)


def run(arguments: argparse.Namespace) -> int:
    """Exports the model.

    Arguments
    ---------
    arguments : argparse.Namespace
        Of this subcommand.

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
    >>> run(
    ...     argparse.Namespace(
    ...         model=str(getfixture("tmpdir")),
    ...         safe=True,
    ...         destination=Path("model.onnx"),
    ...     )
    ... )
    Traceback (most recent call last):
    ...
    FileNotFoundError: ...lacks model.json: ...
    """
    model = load(arguments.model, arguments.safe, "cpu")
    path = arguments.destination
    _report(path, export_onnx(model, path))
    if arguments.int8:
        smaller = path.with_name(f"{path.stem}_int8{path.suffix}")
        quantize_weights(path, smaller)
        _report(smaller, largest_differences(model, smaller))
    return 0


def _report(path: Path, differences: dict[str, float]) -> None:
    found = ", ".join(
        f"{name} {value:.1e}" for name, value in differences.items()
    )
    size_mb = path.stat().st_size / 1e6
    tqdm.write(f"{path}  {size_mb:.1f} MB  largest differences: {found}")
