"""Time lines as files that programs of this field open.

CSV has a row for every step. In a TextGrid of Praat (P. Boersma, D. Weenink,
https://praat.org) and in RTTM (NIST, Rich Transcription), steps of one emotion
are one stretch.

Authors
 * The speechbrain-merit developers 2026
"""

import csv
import io
from collections.abc import Iterator, Sequence
from itertools import groupby
from pathlib import Path

from speechbrain_merit.data.atomic_write import atomic_write

from .timeline import NO_SPEECH, EmotionSegment


def write_timeline(
    path: str | Path, segments: Sequence[EmotionSegment], recording: str
) -> None:
    """Writes emotions over time.

    Arguments
    ---------
    path : str or Path
        File to write, which ends with one of `FORMATS`.
    segments : sequence of EmotionSegment
        One after another, at least one.
    recording : str
        Name of the recording, for RTTM.

    Raises
    ------
    ValueError
        If there is no such format.

    Example
    -------
    >>> path = Path(getfixture("tmpdir")) / "a.rttm"
    >>> write_timeline(path, [EmotionSegment(0.0, 1.0, {"sad": 1}, 1.0)], "a")
    >>> path.read_text()
    'SPEAKER a 1 0.000 1.000 <NA> <NA> sad <NA> <NA>\\n'
    """
    path = Path(path)
    if path.suffix not in FORMATS:
        raise ValueError(
            f"{path} cannot be written: a time line ends with one of "
            f"{', '.join(FORMATS)}."
        )
    text = FORMATS[path.suffix](segments, recording)
    with atomic_write(path) as partial:
        partial.write_text(text, encoding="utf-8", newline="")


def _csv(segments: Sequence[EmotionSegment], recording: str) -> str:
    stream = io.StringIO(newline="")
    names = ["start_s", "end_s", "speech_s", "emotion", *segments[0].posteriors]
    table = csv.writer(stream, lineterminator="\n")
    table.writerow(names)
    for segment in segments:
        numbers = (segment.start_s, segment.end_s, segment.speech_s)
        chances = (f"{value:.4f}" for value in segment.posteriors.values())
        times = (f"{number:.3f}" for number in numbers)
        table.writerow([*times, segment.emotion, *chances])
    return stream.getvalue()


def _stretches(
    segments: Sequence[EmotionSegment],
) -> Iterator[tuple[float, float, str]]:
    """Joins steps of one emotion; what is no speech has no name."""
    for emotion, group in groupby(segments, key=lambda found: found.emotion):
        same = list(group)
        name = "" if emotion == NO_SPEECH else emotion
        yield same[0].start_s, same[-1].end_s, name


def _text_grid(segments: Sequence[EmotionSegment], recording: str) -> str:
    stretches = list(_stretches(segments))
    span = [f"xmin = {stretches[0][0]}", f"xmax = {stretches[-1][1]}"]
    lines = [
        'File type = "ooTextFile"',
        'Object class = "TextGrid"',
        "",
        *span,
        "tiers? <exists>",
        "size = 1",
        "item []:",
        "    item [1]:",
        '        class = "IntervalTier"',
        '        name = "emotion"',
        *(f"        {line}" for line in span),
        f"        intervals: size = {len(stretches)}",
    ]
    for number, (start_s, end_s, name) in enumerate(stretches, start=1):
        lines += [
            f"        intervals [{number}]:",
            f"            xmin = {start_s}",
            f"            xmax = {end_s}",
            f'            text = "{name.replace(chr(34), 2 * chr(34))}"',
        ]
    return "\n".join(lines) + "\n"


def _rttm(segments: Sequence[EmotionSegment], recording: str) -> str:
    recording = "_".join(recording.split())
    return "".join(
        f"SPEAKER {recording} 1 {start_s:.3f} {end_s - start_s:.3f} <NA> <NA> "
        f"{'_'.join(name.split())} <NA> <NA>\n"
        for start_s, end_s, name in _stretches(segments)
        if name
    )


FORMATS = {".csv": _csv, ".TextGrid": _text_grid, ".rttm": _rttm}
