"""Neural building blocks; none of them depends on the rest of the package.

Authors
 * The speechbrain-merit developers 2026
"""

from .bidirectional_lstm import BidirectionalLSTM
from .cascade import EnhanceThenClassify
from .emotion_head import EmotionHead
from .enhancement_head import SpectralMaskHead
from .experts import Expert, LayerSumExpert
from .gates import Gate
from .hidden_state_cache import HiddenStateCache
from .hidden_state_statistics import HiddenStateStandardization
from .integration import Integration, Routing
from .joint_model import JointModel, JointOutput
from .layer_concatenation import LayerConcatenation
from .pooling import AttentiveStatisticsPooling, MeanPooling, make_pooling
from .shortcut_integrator import ShortcutIntegrator
from .sparse_moe import SparseMoE
from .spectral_frontend import SpectralFrontend, Spectrum
from .speech_encoder import EncodedSpeech, SpeechEncoder
from .subband_head import SubbandHead
from .waveform_normalization import WaveformNormalization, WaveformStatistics
from .weighted_layer_sum import WeightedLayerSum
from .weighted_sum_integrator import WeightedSumIntegrator

# Models of strangers may name whatever is listed here: nothing that fetches,
# reads or runs something else.
__all__ = [
    "AttentiveStatisticsPooling",
    "BidirectionalLSTM",
    "EmotionHead",
    "EncodedSpeech",
    "EnhanceThenClassify",
    "Expert",
    "Gate",
    "HiddenStateCache",
    "HiddenStateStandardization",
    "Integration",
    "JointModel",
    "JointOutput",
    "LayerConcatenation",
    "LayerSumExpert",
    "Routing",
    "MeanPooling",
    "ShortcutIntegrator",
    "SparseMoE",
    "SpectralFrontend",
    "SpectralMaskHead",
    "Spectrum",
    "SpeechEncoder",
    "SubbandHead",
    "WaveformNormalization",
    "WaveformStatistics",
    "WeightedLayerSum",
    "WeightedSumIntegrator",
    "make_pooling",
]
