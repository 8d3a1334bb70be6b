"""Sparse MERIT for SpeechBrain: enhanced speech and the speaker's emotion.

One model takes noisy speech and returns both the enhanced speech and the
emotion, by routing every frame of self-supervised features through a shared
pool of experts with one gate per task.

Reference: J.-T. Tzeng, C. Busso, C.-C. Lee, "Joint Learning using
Mixture-of-Expert-Based Representation for Speech Enhancement and Robust
Emotion Recognition", IEEE TASLP vol. 34, 2026, arXiv 2509.08470.

Authors
 * The speechbrain-merit developers 2026
"""

import importlib
import sys
from types import ModuleType
from typing import Any

# Saved folders name classes by the modules that they once lay in.
_MOVED = {
    "audio_cache": "data.audio_cache",
    "checkpoints": "training.checkpoints",
    "distributed": "training.distributed",
    "dynamic_batching": "data.batches",
    "mixing": "data.mixing",
    "plain": "pretrained.weights",
    "pretrained_folder": "pretrained.folder",
    "task_balancing": "losses",
}


class _MovedModule(ModuleType):
    """Has what is in another module, which is imported when it is needed."""

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_"):
            raise AttributeError(name)
        _, _, old = self.__name__.rpartition(".")
        module = importlib.import_module(f"{__name__}.{_MOVED[old]}")
        return getattr(module, name)


for _old in _MOVED:
    _name = f"{__name__}.{_old}"
    globals()[_old] = sys.modules[_name] = _MovedModule(_name)
