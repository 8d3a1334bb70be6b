"""Comparing runs: tables with intervals, significance, figures, one page.

Authors
 * The speechbrain-merit developers 2026
"""

from .comparable import check_comparable, common_folds
from .report import write_report
from .runs import Run, find_runs, read_run
from .scores import Scores, score_systems
from .significance import Comparison, compare, holm
