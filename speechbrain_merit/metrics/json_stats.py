"""Scores whose summary is written as JSON.

Authors
 * The speechbrain-merit developers 2026
"""

import json
from typing import TextIO

from speechbrain.utils.logger import get_logger
from speechbrain.utils.metric_stats import MetricStats

logger = get_logger(__name__)


class JsonStats(MetricStats):
    """SpeechBrain's `MetricStats` for a summary of one's own.

    Arguments are those of `MetricStats`; `summarize` is to be given.

    Example
    -------
    >>> import io
    >>> class Count(JsonStats):
    ...     def summarize(self, field=None):
    ...         return {"count": len(self.ids)}
    >>> stream = io.StringIO()
    >>> Count(metric=None).write_stats(stream)
    >>> stream.getvalue()
    '{\\n "count": 0\\n}\\n'
    """

    def write_stats(self, filestream: TextIO, verbose: bool = False) -> None:
        """Writes the summary as JSON.

        Arguments
        ---------
        filestream : file-like object
            Where to write.
        verbose : bool
            Whether to log it too.
        """
        text = json.dumps(self.summarize(), indent=1)
        filestream.write(text + "\n")
        if verbose:
            logger.info(text)
