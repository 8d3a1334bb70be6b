"""Checks of single values that come from a file nobody vouches for.

Authors
 * The speechbrain-merit developers 2026
"""

import math
from collections.abc import Callable, Mapping
from typing import Any

# Above all that a model has, and low enough that sizes which are no tensor's
# ask for no memory to speak of.
MOST = 1_000_000
MOST_PARTS = 4096


def is_count(value: Any) -> bool:
    """Tells whether a value is a whole number from 1 to a million.

    Arguments
    ---------
    value : Any
        From a JSON file, as in the other checks.

    Returns
    -------
    bool
        Whether it is.

    Example
    -------
    >>> is_count(3), is_count(0), is_count(True), is_count("3")
    (True, False, False, False)
    """
    return type(value) is int and 1 <= value <= MOST


def is_few(value: Any) -> bool:
    """Tells whether a value is a whole number from 1 to some thousands.

    For numbers of parts, and for sizes that no tensor of the model vouches
    for.

    Arguments
    ---------
    value : Any
        From a JSON file.

    Returns
    -------
    bool
        Whether it is.

    Example
    -------
    >>> is_few(400), is_few(0), is_few(10**6)
    (True, False, False)
    """
    return type(value) is int and 1 <= value <= MOST_PARTS


def is_number(value: Any) -> bool:
    """Tells whether a value is a finite number.

    Arguments
    ---------
    value : Any
        From a JSON file.

    Returns
    -------
    bool
        Whether it is.

    Example
    -------
    >>> is_number(-1), is_number(0.5), is_number(float("nan")), is_number("1")
    (True, True, False, False)
    """
    return type(value) in (int, float) and math.isfinite(value)


def is_flag(value: Any) -> bool:
    """Tells whether a value is true or false.

    Arguments
    ---------
    value : Any
        From a JSON file.

    Returns
    -------
    bool
        Whether it is.

    Example
    -------
    >>> is_flag(False), is_flag(0)
    (True, False)
    """
    return type(value) is bool


def is_name(value: Any) -> bool:
    """Tells whether a value is a name, and nothing that leads elsewhere.

    Arguments
    ---------
    value : Any
        From a JSON file.

    Returns
    -------
    bool
        Whether it is a short text of printable characters that begins with
        none of "." and space and has no slash, backslash or angle bracket:
        neither a path nor markup.

    Example
    -------
    >>> is_name("straight_through"), is_name("très content")
    (True, True)
    >>> is_name("../../etc"), is_name("a/b"), is_name("<b>"), is_name("")
    (False, False, False, False)
    """
    return (
        type(value) is str
        and 0 < len(value) <= 64
        and value.isprintable()
        and value[0] not in ". "
        and not set(value) & set("/\\<>")
    )


def is_list_of(
    check: Callable[[Any], bool],
) -> Callable[[Any], bool]:
    """Makes a check for lists out of one for what is in them.

    Arguments
    ---------
    check : callable
        For one value.

    Returns
    -------
    callable
        For a list with at least one value, and no more than some thousands.

    Example
    -------
    >>> counts = is_list_of(is_count)
    >>> counts([1, 2]), counts([1, "2"]), counts([]), counts(1)
    (True, False, False, False)
    """
    return lambda value: (
        type(value) is list
        and 0 < len(value) <= MOST_PARTS
        and all(map(check, value))
    )


def is_none_or(check: Callable[[Any], bool]) -> Callable[[Any], bool]:
    """Makes a check that lets None through.

    Arguments
    ---------
    check : callable
        For a value that is there.

    Returns
    -------
    callable
        For one that may be missing.

    Example
    -------
    >>> is_none_or(is_count)(None), is_none_or(is_count)(0)
    (True, False)
    """
    return lambda value: value is None or check(value)


def check_keys(found: Any, expected: Mapping[str, Any], place: str) -> None:
    """Refuses what is no mapping with exactly the expected keys.

    Arguments
    ---------
    found : Any
        From a JSON file.
    expected : Mapping
        With these keys.
    place : str
        What to call it in the error.

    Raises
    ------
    ValueError
        If a key is missing or not known.

    Example
    -------
    >>> check_keys({"a": 1, "x": 2}, {"a": 0, "b": 0}, "the model")
    Traceback (most recent call last):
    ...
    ValueError: the model lacks ['b'] and must not have ['x'].
    """
    if not isinstance(found, dict):
        raise ValueError(f"{place} must have the keys {sorted(expected)}.")
    missing = sorted(expected.keys() - found.keys())
    surplus = sorted(found.keys() - expected.keys())
    if missing or surplus:
        raise ValueError(
            f"{place} lacks {missing} and must not have {surplus}."
        )
