"""What the preparation scripts of all corpora share.

Authors
 * The speechbrain-merit developers 2026
"""

from .corpus import prepare_corpus
from .durations import measure_durations
from .files import audio_files, find_audio, layout_error, read_sound
from .noise import prepare_noise
from .output import report_skipped, write_manifests
from .tables import number_or_none, read_table
from .utterances import Utterance, cyclic_split, select_utterances

__all__ = [
    "Utterance",
    "audio_files",
    "cyclic_split",
    "find_audio",
    "layout_error",
    "measure_durations",
    "number_or_none",
    "prepare_corpus",
    "prepare_noise",
    "read_sound",
    "read_table",
    "report_skipped",
    "select_utterances",
    "write_manifests",
]
