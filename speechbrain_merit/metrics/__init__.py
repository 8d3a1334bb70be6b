"""What a test run measures, and the files that it writes about it.

Authors
 * The speechbrain-merit developers 2026
"""

from speechbrain_merit.metrics.calibration import (
    calibration_dictionary,
    expected_calibration_error,
    fit_temperature,
)
from speechbrain_merit.metrics.emotion import EmotionStats
from speechbrain_merit.metrics.enhancement import (
    EnhancementStats,
    pesq_wb,
    segmental_snr_db,
    si_sdr_db,
    stoi,
)
from speechbrain_merit.metrics.merging import MergeableStats, merge_ids
from speechbrain_merit.metrics.plots import plot_confusion, plot_reliability
from speechbrain_merit.metrics.results import (
    Condition,
    ConditionStats,
    TestStats,
    markdown_table,
    results_dictionary,
    write_results,
)
