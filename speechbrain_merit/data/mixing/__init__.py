"""Noisy speech as a function of seed, epoch and utterance.

Authors
 * The speechbrain-merit developers 2026
"""

from .evaluation_plan import EvaluationMixer, plan_mixtures
from .given_pair import read_pair
from .mixture import Mixture, mix_at_snr
from .noise_source import NoiseSource
from .seeding import generator_for, seeded
from .training_mixer import TrainingMixer

__all__ = [
    "EvaluationMixer",
    "Mixture",
    "NoiseSource",
    "TrainingMixer",
    "generator_for",
    "mix_at_snr",
    "plan_mixtures",
    "read_pair",
    "seeded",
]
