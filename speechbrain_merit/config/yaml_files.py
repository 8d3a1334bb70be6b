"""Reading YAML files that people write.

Authors
 * The speechbrain-merit developers 2026
"""

from collections.abc import Callable
from pathlib import Path
from typing import Any

from ruamel.yaml.error import YAMLError


def read_yaml(path: str | Path, read: Callable[[Any], Any]) -> Any:
    """Reads a YAML file, with errors that name it.

    Arguments
    ---------
    path : str or Path
        The file.
    read : callable
        Takes the open file, such as `ruamel.yaml.YAML().load`.

    Returns
    -------
    Any
        What `read` gives.

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    ValueError
        If it is no YAML.

    Example
    -------
    >>> import ruamel.yaml
    >>> path = Path(getfixture("tmpdir")) / "made.yaml"
    >>> _ = path.write_text("a: [1")
    >>> read_yaml(path, ruamel.yaml.YAML().load)
    Traceback (most recent call last):
    ...
    ValueError: ...made.yaml cannot be read as YAML: ...
    """
    if not Path(path).is_file():
        raise FileNotFoundError(
            f"{path} does not exist: name a YAML file, such as "
            "hparams/sparse_merit.yaml."
        )
    try:
        with Path(path).open(encoding="utf-8") as stream:
            return read(stream)
    except (YAMLError, UnicodeDecodeError) as error:
        raise ValueError(f"{path} cannot be read as YAML: {error}") from error
