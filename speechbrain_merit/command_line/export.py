"""`speechbrain-merit export`: a trained model as a folder to hand on.

Authors
 * The speechbrain-merit developers 2026
"""

from collections.abc import Sequence
from pathlib import Path


def run(
    experiment: Path,
    destination: Path,
    *,
    license: str = "other",
    half_precision: bool = False,
    language: Sequence[str] = (),
    samples: Sequence[Path] = (),
    push: str | None = None,
) -> int:
    """Makes a folder with a trained model and its card.

    The model loads from it without the experiment.

    Arguments
    ---------
    experiment : Path
        Output folder of train.py, with the test's results.
    destination : Path
        Folder to make.
    license : str
        The hub's identifier of the licence of the weights, which the training
        data have a say in, e.g. cc-by-nc-sa-4.0.
    half_precision : bool
        Store the weights as float16: half the size.
    language : sequence of str
        The hub's identifiers of the languages of the training data, e.g. en.
    samples : sequence of Path
        Recordings that the card lets hear before and after: such as you may
        publish.
    push : str, optional
        Put the folder on the Hugging Face hub too, as USER/NAME; log in before
        by: hf auth login.

    Returns
    -------
    int
        Exit status: zero.

    Raises
    ------
    FileNotFoundError
        If the experiment is not finished.
    ValueError
        If the destination exists, or a weight exceeds half precision.

    Example
    -------
    >>> run(Path("nowhere"), Path("to"))
    Traceback (most recent call last):
    ...
    FileNotFoundError: nowhere lacks pretrained/hyperparams.yaml: give the ...
    """
    # Here, so that its help does not wait for PyTorch.
    from speechbrain_merit.export.trained_folder import export_experiment

    export_experiment(
        experiment,
        destination,
        license,
        half_precision,
        language,
        samples,
        push,
    )
    return 0
