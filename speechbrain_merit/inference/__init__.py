"""Trained models, ready to use.

Authors
 * The speechbrain-merit developers 2026
"""

from .batch_processing import ProcessedSpeech
from .joint import JointEnhancementClassifier
from .stream import SpeechStream
from .timeline import EmotionSegment

__all__ = [
    "EmotionSegment",
    "JointEnhancementClassifier",
    "ProcessedSpeech",
    "SpeechStream",
]
