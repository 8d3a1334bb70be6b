"""Errors of reading a file of strangers, which may break anything.

Authors
 * The speechbrain-merit developers 2026
"""

import contextlib
from collections.abc import Iterator
from pathlib import Path

_MOST_CHARACTERS = 1000


@contextlib.contextmanager
def naming_file(path: str | Path, advice: str = "") -> Iterator[None]:
    """Makes every error of reading a file name it.

    No list of what a parser may raise is complete: deep JSON ends in a
    RecursionError, a list in place of a text in an AttributeError.

    Arguments
    ---------
    path : str or Path
        The file.
    advice : str
        A sentence that tells what to do about it.

    Yields
    ------
    None
        Once.

    Raises
    ------
    FileNotFoundError
        If it is not there, as it was raised.
    ValueError
        In place of any other error.

    Example
    -------
    >>> with naming_file("results.json", "Test the model again."):
    ...     {}["system"]
    Traceback (most recent call last):
    ...
    ValueError: results.json cannot be read: KeyError: 'system'. Test the ...
    """
    try:
        yield
    except Exception as error:
        if type(error) is FileNotFoundError:
            raise
        kind = "" if type(error) is ValueError else f"{type(error).__name__}: "
        reason = str(error)[:_MOST_CHARACTERS].removesuffix(".")
        raise ValueError(
            f"{path} cannot be read: {kind}{reason}. {advice}".rstrip()
        ) from error
