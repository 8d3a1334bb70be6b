"""Trained models, ready to use.

Authors
 * The speechbrain-merit developers 2026
"""

from .chunking import EmotionSegment
from .joint import JointEnhancementClassifier, ProcessedSpeech

__all__ = ["EmotionSegment", "JointEnhancementClassifier", "ProcessedSpeech"]
