"""Trained models, ready to use.

Authors
 * The speechbrain-merit developers 2026
"""

from .batch_processing import ProcessedSpeech
from .joint import JointEnhancementClassifier
from .recording import ProcessedRecording
from .stream import SpeechStream
from .timeline import NO_SPEECH, EmotionSegment

__all__ = [
    "NO_SPEECH",
    "EmotionSegment",
    "JointEnhancementClassifier",
    "ProcessedRecording",
    "ProcessedSpeech",
    "SpeechStream",
]
