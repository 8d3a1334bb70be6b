"""Training and testing many variants with one command.

Authors
 * The speechbrain-merit developers 2026
"""

from .plan import PlannedRun, Variant, parse_variants, plan_runs, read_spec
from .trainer import Outcome, Trainer, chained
