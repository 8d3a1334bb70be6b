"""The packages that only ONNX needs, imported when they are.

Authors
 * The speechbrain-merit developers 2026
"""

import importlib
from typing import Any


def import_package(name: str) -> Any:
    """Imports a package of the extra `onnx`.

    Arguments
    ---------
    name : str
        `onnx` or `onnxruntime`.

    Returns
    -------
    module
        The package.

    Raises
    ------
    ImportError
        If it is not installed; the message says how to.

    Example
    -------
    >>> import_package("onyx")
    Traceback (most recent call last):
    ...
    ImportError: ONNX needs onyx: pip install '.[onnx]' in the project's folder.
    """
    try:
        return importlib.import_module(name)
    except ImportError as error:
        raise ImportError(
            f"ONNX needs {name}: pip install '.[onnx]' in the project's folder."
        ) from error
