"""Time lines as CSV, TextGrid of Praat and RTTM."""

import csv
import re

import pytest

from speechbrain_merit.inference import EmotionSegment
from speechbrain_merit.inference.timeline_files import write_timeline

ANGRY, SAD = {"angry": 0.75, "sad": 0.25}, {"angry": 0.1, "sad": 0.9}
# Twice angry, a pause, and a last step that is shorter.
SEGMENTS = [
    EmotionSegment(0.0, 1.0, ANGRY, 0.8),
    EmotionSegment(1.0, 2.0, ANGRY, 1.0),
    EmotionSegment(2.0, 3.0, SAD, 0.0),
    EmotionSegment(3.0, 3.5, SAD, 0.25),
]
TEXT_GRID = """\
File type = "ooTextFile"
Object class = "TextGrid"

xmin = 0.0
xmax = 3.5
tiers? <exists>
size = 1
item []:
    item [1]:
        class = "IntervalTier"
        name = "emotion"
        xmin = 0.0
        xmax = 3.5
        intervals: size = 3
        intervals [1]:
            xmin = 0.0
            xmax = 2.0
            text = "angry"
        intervals [2]:
            xmin = 2.0
            xmax = 3.0
            text = ""
        intervals [3]:
            xmin = 3.0
            xmax = 3.5
            text = "sad"
"""


def written(tmp_path, name):
    path = tmp_path / "new" / name
    write_timeline(path, SEGMENTS, "my talk")
    return path.read_text(encoding="utf-8")


def test_csv_has_every_step(tmp_path):
    rows = list(csv.DictReader(written(tmp_path, "a.csv").splitlines()))
    assert [row["emotion"] for row in rows] == [
        "angry",
        "angry",
        "no speech",
        "sad",
    ]
    assert float(rows[3]["start_s"]) == 3.0 and float(rows[3]["end_s"]) == 3.5
    assert float(rows[0]["speech_s"]) == 0.8
    assert float(rows[0]["angry"]) == 0.75 and float(rows[3]["sad"]) == 0.9


def test_text_grid_is_as_praat_writes_it(tmp_path):
    assert written(tmp_path, "a.TextGrid") == TEXT_GRID


def test_rttm_has_ten_fields_and_no_pause(tmp_path):
    lines = written(tmp_path, "a.rttm").splitlines()
    fields = [line.split(" ") for line in lines]
    assert [len(line) for line in fields] == [10, 10]
    assert fields[0][:5] == ["SPEAKER", "my_talk", "1", "0.000", "2.000"]
    assert fields[1][3:8] == ["3.000", "0.500", "<NA>", "<NA>", "sad"]


def test_other_formats_are_refused(tmp_path):
    with pytest.raises(ValueError, match=re.escape(".csv, .TextGrid, .rttm")):
        written(tmp_path, "a.srt")
