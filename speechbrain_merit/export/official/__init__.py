"""Checkpoints in the format of the published code, to our folders and back.

Authors
 * The speechbrain-merit developers 2026
"""

from .exporting import export_official
from .importing import import_official

__all__ = ["export_official", "import_official"]
