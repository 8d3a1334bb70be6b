"""Reverberation whose impulse response depends on the seed alone.

Authors
 * The speechbrain-merit developers 2026
"""

import torch

from speechbrain.augment.time_domain import AddReverb


class SeededAddReverb(AddReverb):
    """SpeechBrain's `AddReverb`, drawing afresh at every call.

    Upstream keeps an iterator over the impulse responses, so that its draw
    depends on all calls before. Arguments are those of `AddReverb`.
    """

    def _load_rir(self, waveforms: torch.Tensor) -> torch.Tensor:
        self.__dict__.pop("data_loader", None)
        return super()._load_rir(waveforms)
