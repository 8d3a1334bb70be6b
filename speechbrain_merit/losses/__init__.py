"""Balancing the losses of several tasks that share parameters.

Authors
 * The speechbrain-merit developers 2026
"""

from .base import TaskBalancing
from .factory import KINDS, task_balancing
from .fixed import FixedBalancing
from .gradient_balancing import GradientBalancing
from .gradnorm import GradNorm
from .pcgrad import PCGrad
from .uncertainty import UncertaintyBalancing

__all__ = [
    "KINDS",
    "FixedBalancing",
    "GradNorm",
    "GradientBalancing",
    "PCGrad",
    "TaskBalancing",
    "UncertaintyBalancing",
    "task_balancing",
]
