"""Comparing runs: tables with intervals, significance, figures, one page.

Authors
 * The speechbrain-merit developers 2026
"""

from .comparable import check_comparable, common_folds
from .runs import Run, find_runs, read_run
from .writing import write_report
