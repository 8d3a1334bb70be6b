"""Options that several subcommands have for the model they load.

Authors
 * The speechbrain-merit developers 2026
"""

import argparse

from speechbrain_merit.inference import JointEnhancementClassifier
from speechbrain_merit.pretrained import MERIT_MINI


def add_model_options(parser: argparse.ArgumentParser) -> None:
    """Adds `--model` and `--safe`.

    Arguments
    ---------
    parser : argparse.ArgumentParser
        Of a subcommand.

    Example
    -------
    >>> parser = argparse.ArgumentParser()
    >>> add_model_options(parser)
    >>> parser.parse_args(["--safe"]).model.endswith("merit-mini")
    True
    """
    parser.add_argument(
        "--model",
        default=str(MERIT_MINI),
        help="folder of a trained model or experiment, or a name on the hub; "
        "without --safe it runs code, so it must be trusted (default: the "
        "small model merit-mini that comes with this package)",
    )
    add_safe_option(parser)


def add_safe_option(parser: argparse.ArgumentParser) -> None:
    """Adds `--safe`.

    Arguments
    ---------
    parser : argparse.ArgumentParser
        Of a subcommand.

    Example
    -------
    >>> parser = argparse.ArgumentParser()
    >>> add_safe_option(parser)
    >>> parser.parse_args(["--safe"]).safe
    True
    """
    parser.add_argument(
        "--safe",
        action="store_true",
        help="run nothing of the model's folder: load the plain data that "
        "`speechbrain-merit export` wrote there",
    )


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
    FileNotFoundError: ...lacks model.json: ...
    """
    run_opts = {"device": device} if device else None
    if safe:
        return JointEnhancementClassifier.from_plain(model, run_opts=run_opts)
    return JointEnhancementClassifier.from_hparams(model, run_opts=run_opts)
