"""The packages that only ONNX needs, imported when they are.

Authors
 * The speechbrain-merit developers 2026
"""

from types import ModuleType

_HINT = "ONNX needs {name}: pip install 'speechbrain-merit[onnx]'."


def import_onnx() -> ModuleType:
    """Imports onnx.

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
    >>> import_onnx().__name__  # doctest: +SKIP
    'onnx'
    """
    try:
        import onnx
    except ImportError as error:
        raise ImportError(_HINT.format(name="onnx")) from error
    return onnx


def import_onnxruntime() -> ModuleType:
    """Imports onnxruntime.

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
    >>> import_onnxruntime().__name__  # doctest: +SKIP
    'onnxruntime'
    """
    try:
        import onnxruntime
    except ImportError as error:
        raise ImportError(_HINT.format(name="onnxruntime")) from error
    return onnxruntime
