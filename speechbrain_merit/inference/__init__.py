"""Trained models, ready to use.

Authors
 * The speechbrain-merit developers 2026
"""

from .joint import JointEnhancementClassifier

__all__ = ["JointEnhancementClassifier"]
