"""Trained models as plain data, loaded without running anything of a folder.

Authors
 * The speechbrain-merit developers 2026
"""

from .folder import PlainModel, read_plain_folder, write_plain_folder
from .pretrainer import PlainPretrainer

__all__ = [
    "PlainModel",
    "PlainPretrainer",
    "read_plain_folder",
    "write_plain_folder",
]
