"""Neural building blocks; none of them depends on the rest of the package.

Authors
 * The speechbrain-merit developers 2026
"""

from .attentive_pooling import AttentiveStatisticsPooling
from .bidirectional_lstm import BidirectionalLSTM
from .emotion_head import EmotionHead
from .enhancement_head import SpectralMaskHead
from .hidden_state_statistics import HiddenStateStandardization
from .integration import Integration, Routing
from .joint_model import JointModel, JointOutput
from .sparse_moe import Expert, Gate, SparseMoE
from .spectral_frontend import SpectralFrontend, Spectrum
from .speech_encoder import EncodedSpeech, SpeechEncoder
from .waveform_normalization import WaveformNormalization, WaveformStatistics

__all__ = [
    "AttentiveStatisticsPooling",
    "BidirectionalLSTM",
    "EmotionHead",
    "EncodedSpeech",
    "Expert",
    "Gate",
    "HiddenStateStandardization",
    "Integration",
    "JointModel",
    "JointOutput",
    "Routing",
    "SparseMoE",
    "SpectralFrontend",
    "SpectralMaskHead",
    "Spectrum",
    "SpeechEncoder",
    "WaveformNormalization",
    "WaveformStatistics",
]
