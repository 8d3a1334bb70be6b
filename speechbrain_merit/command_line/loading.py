"""The model that a subcommand names.

Authors
 * The speechbrain-merit developers 2026
"""

from speechbrain_merit.inference import JointEnhancementClassifier


def load(
    model: str, safe: bool, device: str | None = None
) -> JointEnhancementClassifier:
    """Loads a model in the way that is asked for.

    Arguments
    ---------
    model : str
        Its folder, or its name on the hub.
    safe : bool
        Whether to run nothing of it.
    device : str, optional
        Such as `cuda:0`; the best there is by default.

    Returns
    -------
    JointEnhancementClassifier
        Ready to use.

    Example
    -------
    >>> load(str(getfixture("tmpdir")), safe=True)
    Traceback (most recent call last):
    ...
    FileNotFoundError: ...lacks hyperparams.yaml: ...
    """
    run_opts = {"device": device} if device else None
    if safe:
        return JointEnhancementClassifier.from_plain(model, run_opts=run_opts)
    return JointEnhancementClassifier.from_hparams(model, run_opts=run_opts)
