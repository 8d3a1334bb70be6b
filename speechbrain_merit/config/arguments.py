"""The command line of train.py, whose texts are taken as they are.

Authors
 * The speechbrain-merit developers 2026
"""

import json
from collections.abc import Sequence

import speechbrain as sb
from speechbrain.utils.run_opts import RunOptions

from .hyperparameters import NULLABLE_TEXTS, TEXTS


def parse_arguments(
    arguments: Sequence[str],
) -> tuple[str, RunOptions, str]:
    """Does what `speechbrain.parse_arguments` does, and cuts no text.

    That joins the values into one YAML, where ` #` begins a comment, `: ` a
    mapping, and `=` ends a value. Here, what a key takes as a text is no YAML.

    Arguments
    ---------
    arguments : sequence of str
        As in `sys.argv`, without the script.

    Returns
    -------
    tuple
        File of hyperparameters, options of SpeechBrain, and all others as
        YAML, for `compose`.

    Raises
    ------
    ValueError
        If a value has a comment, and its key takes no text.

    Example
    -------
    >>> _, _, text = parse_arguments(["a.yaml", "--lr=0.1", "--corpus", "b #1"])
    >>> print(text)
    lr: 0.1
    corpus: "b #1"
    """
    file, options, others = sb.parse_arguments(list(arguments))
    known = {line.partition(":")[0] for line in others.splitlines()}
    given: list[list[str]] = [[""]]
    for argument in arguments:
        if argument.startswith("--"):
            given.append(argument[2:].split("=", 1))
        elif argument != file:
            # Several count as one, as upstream.
            given[-1].append(argument)
    lines = (
        f"{key}: {_as_yaml(key, ' '.join(values))}"
        for key, *values in given
        if key in known
    )
    return file, options, "\n".join(lines)


def _as_yaml(key: str, value: str) -> str:
    is_nothing = key in NULLABLE_TEXTS and value in ("", "null", "~")
    if key in TEXTS and not is_nothing:
        return json.dumps(value, ensure_ascii=False)
    if " #" in value and not {'"', "'"} & {*value}:
        raise ValueError(f"--{key}={value}: put what has a # into quotes.")
    return value
