"""What a test run measures, and the files that it writes about it.

Authors
 * The speechbrain-merit developers 2026
"""

from speechbrain_merit.metrics.calibration import fit_temperature
from speechbrain_merit.metrics.condition_stats import TestStats
from speechbrain_merit.metrics.conditions import Condition
from speechbrain_merit.metrics.emotion import EmotionStats
from speechbrain_merit.metrics.enhancement import (
    pesq_wb,
    segmental_snr_db,
    si_sdr_db,
    stoi,
)
from speechbrain_merit.metrics.results import results_dictionary, write_results
from speechbrain_merit.metrics.results_table import markdown_table
from speechbrain_merit.metrics.utterance_scorer import UtteranceScorer
