"""Training and testing many systems with one command.

Authors
 * The speechbrain-merit developers 2026
"""

from .plan import PlannedRun, System, parse_systems, plan_runs, read_spec
from .progress import Progress, summary_text
from .scheduler import Outcome, Scheduler
