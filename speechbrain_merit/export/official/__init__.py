"""Checkpoints in the format of the published code, as folders of ours.

Authors
 * The speechbrain-merit developers 2026
"""

from .importing import import_official

__all__ = ["import_official"]
