"""A check of all hyperparameters before any work is done.

`rules` says what every key may be and what must hold between them; `names`
finds misspelt keys, `checking` puts all of it together. Nothing that the YAML
names is built.

Authors
 * The speechbrain-merit developers 2026
"""

from .checking import check_hyperparameters
from .names import suggestion
from .reading import read_overrides, read_settings

__all__ = [
    "check_hyperparameters",
    "read_overrides",
    "read_settings",
    "suggestion",
]
