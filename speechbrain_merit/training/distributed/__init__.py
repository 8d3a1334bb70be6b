"""Training and testing on several processes as if on one.

The processes are those that `torchrun` starts; SpeechBrain joins them and
wraps the model in `DistributedDataParallel`. What is here makes their result
that of one process with all of their batches, but for rounding and for dropout,
which draws other numbers in each: losses are those of the whole batch, every mixture of an evaluation is scored by exactly one process, and a
resumed process continues its own random numbers. In one process nothing here
does anything.

Authors
 * The speechbrain-merit developers 2026
"""

from .evaluation import gather, gather_rows, mean_over_processes, share_data
from .processes import num_processes, set_timeout
from .random_state import ProcessRandomState, seed_apart
from .whole_batch import average_over_processes, whole_batch_losses
