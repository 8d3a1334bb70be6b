"""Balancing the losses of several tasks that share parameters.

Authors
 * The speechbrain-merit developers 2026
"""

from .base import TaskBalancing, UncertaintyBalancing
from .factory import KINDS, task_balancing
from .gradient_balancing import WEIGHTINGS, GradientBalancing
