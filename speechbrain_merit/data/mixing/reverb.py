"""Reverberation whose impulse response depends on the seed alone.

Authors
 * The speechbrain-merit developers 2026
"""

import torch

from speechbrain.augment.time_domain import AddReverb
from speechbrain.dataio.batch import PaddedBatch
from speechbrain.dataio.legacy import ExtendedCSVDataset


class SeededAddReverb(AddReverb):
    """SpeechBrain's `AddReverb`, drawing from the global generator.

    Upstream iterates over the impulse responses, so that its draw depends on
    all calls before. Arguments are those of `AddReverb`.
    """

    def _load_rir(self, waveforms: torch.Tensor) -> torch.Tensor:
        if not hasattr(self, "responses"):
            self.responses = ExtendedCSVDataset(
                csvpath=self.csv_file,
                sorting="original",
                replacements=self.replacements,
            )
        drawn = int(torch.randint(len(self.responses), (1,)))
        batch = PaddedBatch([self.responses[drawn]])
        # [1, time, channel], as upstream gives it
        return batch.at_position(0).data.unsqueeze(-1).to(waveforms)
