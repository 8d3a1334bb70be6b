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
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .inference import JointEnhancementClassifier

__version__ = "0.1.0"

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


def load(
    source: str | Path = "merit-base",
    device: str | None = None,
    safe: bool = False,
) -> "JointEnhancementClassifier":
    """Loads a trained model.

    Call it with a recording: `load()("noisy.wav")` gives the enhanced speech
    and the emotion, see `JointEnhancementClassifier`.

    Arguments
    ---------
    source : str or Path
        Name of a model that comes with the package; a folder that train.py or
        `speechbrain-merit export` made; or a model's name on the hub.
    device : str, optional
        Such as `cpu` or `cuda:0`; the best there is by default.
    safe : bool
        Whether to run nothing of the source, and build only parts of this
        package: for a model that you do not trust.

    Returns
    -------
    JointEnhancementClassifier
        Ready to use.

    Example
    -------
    >>> load(getfixture("tmpdir"), safe=True)
    Traceback (most recent call last):
    ...
    FileNotFoundError: ...lacks hyperparams.yaml: ...
    """
    # Takes seconds, which the import of the package should not.
    from .inference import JointEnhancementClassifier

    run_opts = {"device": device} if device else None
    if safe:
        return JointEnhancementClassifier.from_plain(source, run_opts=run_opts)
    return JointEnhancementClassifier.from_hparams(source, run_opts=run_opts)
