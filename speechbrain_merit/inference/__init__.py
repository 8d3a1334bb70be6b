"""Trained models, ready to use.

Authors
 * The speechbrain-merit developers 2026
"""

from .joint import JointEnhancementClassifier, ProcessedSpeech
from .stream import SpeechStream
from .timeline import EmotionSegment

__all__ = [
    "EmotionSegment",
    "JointEnhancementClassifier",
    "ProcessedSpeech",
    "SpeechStream",
]
