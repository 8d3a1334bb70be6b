"""An integrator without experts: a projection of the last layer per task.

Authors
 * The speechbrain-merit developers 2026
"""

from torch import nn

from speechbrain_merit.lobes import Integration


class LastLayer(nn.Module):
    """Projects the encoder's last layer, once for every task.

    Arguments
    ---------
    input_size : int
        Width of a hidden state.
    output_size : int
        Width of the features.
    tasks : sequence of str
        Tasks to make features for.
    """

    def __init__(self, input_size, output_size, tasks):
        super().__init__()
        self.output_size = output_size
        # Without a bias, padding stays zero.
        self.projections = nn.ModuleDict(
            {t: nn.Linear(input_size, output_size, bias=False) for t in tasks}
        )

    def forward(self, hidden_states, lengths=None, tasks=None):
        """Projects `[layer, batch, time, channel]` for the asked tasks."""
        asked = self.projections if tasks is None else tasks
        return Integration(
            {task: self.projections[task](hidden_states[-1]) for task in asked}
        )
