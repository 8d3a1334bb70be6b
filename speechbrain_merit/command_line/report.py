"""`speechbrain-merit report`: systems compared, with statistics.

Authors
 * The speechbrain-merit developers 2026
"""

from collections.abc import Sequence
from pathlib import Path

from tqdm import tqdm


def run(
    results: Sequence[str],
    *,
    out: Path,
    baseline: str | None = None,
    common_folds: bool = False,
    resamples: int = 10000,
    seed: int = 0,
) -> int:
    """Compares tested systems over folds and seeds.

    Writes tables in Markdown and LaTeX, figures as PNG and PDF, and one HTML
    page with everything.

    Arguments
    ---------
    results : sequence of str
        Output folders of train.py, or folders above them; NAME=FOLDER shows a
        system under another name.
    out : Path
        Folder to write.
    baseline : str, optional
        Test the other systems against this one for significance.
    common_folds : bool
        Leave out folds that a system was not tested on.
    resamples : int
        Test sets to draw for intervals.
    seed : int
        Seed of the drawing.

    Returns
    -------
    int
        Exit status: zero.

    Raises
    ------
    FileNotFoundError
        If there are no results.
    ValueError
        If they cannot be compared.

    Example
    -------
    >>> run(["nowhere"], out=Path("report"))
    Traceback (most recent call last):
    ...
    FileNotFoundError: nowhere holds no results.json: give the output ...
    """
    # Here, so that its help does not wait for PyTorch.
    from speechbrain_merit.experiments import report

    runs = report.find_runs(results)
    if common_folds:
        runs = report.common_folds(runs)
    page = report.write_report(runs, out, baseline, resamples, seed)
    tqdm.write(f"{len(runs)} runs compared in {page}")
    return 0
