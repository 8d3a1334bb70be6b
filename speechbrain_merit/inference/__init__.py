"""Trained models, ready to use."""

from .joint import JointEnhancementClassifier

__all__ = ["JointEnhancementClassifier"]
