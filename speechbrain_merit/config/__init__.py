"""A variant's YAML composed with a corpus and the command line, and checked.

`composing` makes one HyperPyYAML of all files, `hyperparameters` says what
every key may be and `relations` what must hold between them; `checking` puts
all of it together; `restarting` refuses another training in the same folder.
Nothing that the YAML names is built.

Authors
 * The speechbrain-merit developers 2026
"""

from .arguments import parse_arguments
from .checking import check_hyperparameters
from .composing import Composition, compose
from .names import suggestion
from .reading import read_mapping, read_overrides
from .restarting import TrainingRecord, file_sums, training_settings

__all__ = [
    "Composition",
    "TrainingRecord",
    "check_hyperparameters",
    "compose",
    "file_sums",
    "parse_arguments",
    "read_mapping",
    "read_overrides",
    "suggestion",
    "training_settings",
]
