"""Losses and gradients that are not finite: left out, named, and counted.

SpeechBrain counts losses that are not finite and stops after
`nonfinite_patience` of them in an epoch, but steps with them all the same,
after which no weight is finite.

Authors
 * The speechbrain-merit developers 2026
"""

from collections.abc import Iterable, Sequence

import torch
from torch import nn

from speechbrain.utils.logger import get_logger

logger = get_logger(__name__)


def drop_nonfinite_gradients(parameters: Iterable[nn.Parameter]) -> bool:
    """Removes all gradients where their norm is not finite.

    An optimizer then leaves everything as it is. Processes whose gradients
    are averaged agree about it.

    Arguments
    ---------
    parameters : iterable of torch.nn.Parameter
        All that are trained.

    Returns
    -------
    bool
        Whether they were removed.

    Example
    -------
    >>> weight = nn.Parameter(torch.ones(2))
    >>> weight.grad = torch.tensor([1.0, float("nan")])
    >>> drop_nonfinite_gradients([weight]), weight.grad
    (True, None)
    """
    found = [p for p in parameters if p.grad is not None]
    if not found:
        return False
    norm = nn.utils.get_total_norm([p.grad for p in found])
    if bool(torch.isfinite(norm)):
        return False
    for parameter in found:
        parameter.grad = None
    return True


class NonfiniteSteps:
    """Names the utterances of steps that are left out, and ends too many.

    Example
    -------
    >>> steps = NonfiniteSteps()
    >>> steps.add(["a", "b"])
    >>> steps.report("The loss is nan", count=4, patience=3)
    Traceback (most recent call last):
    ...
    ValueError: The loss is nan for the utterances a, b; ...
    """

    def __init__(self) -> None:
        self.start()

    def start(self) -> None:
        """Begins another step."""
        self.ids: list[str] = []
        self.is_reported = False

    def add(self, ids: Sequence[str]) -> None:
        """Takes note of a batch of the step.

        Arguments
        ---------
        ids : sequence of str
            Identity of every utterance.
        """
        self.batch_ids = list(ids)
        self.ids += ids

    def report(
        self, what: str, count: int, patience: int, of_batch: bool = True
    ) -> None:
        """Says what is not finite, and for which utterances.

        Arguments
        ---------
        what : str
            Beginning of a sentence.
        count : int
            How many steps of the epoch were left out, with this one.
        patience : int
            How many may be.
        of_batch : bool
            Whether it is the last batch's, or that of the whole step.

        Raises
        ------
        ValueError
            If there are too many of them.
        """
        self.is_reported = True
        ids = self.batch_ids if of_batch else self.ids
        message = f"{what} for the utterances {', '.join(ids)}"
        if count > patience:
            raise ValueError(
                f"{message}; {count} steps of this epoch had to be left out, "
                f"and nonfinite_patience is {patience}. Look at these files; "
                "if they are sound, lower lr or --max_grad_norm, or give "
                "--precision=fp32. No such step was taken: the same command "
                "continues from the last checkpoint."
            )
        logger.warning(
            "%s: this step is left out, %d of at most %d in an epoch",
            message,
            count,
            patience,
        )
