"""`speechbrain-merit demo`: a trained model in the browser.

Authors
 * The speechbrain-merit developers 2026
"""

import argparse
from typing import Any

from speechbrain_merit.inference.demo import make_demo, serve

from .loading import add_model_options, load


def add_parser(commands: Any) -> None:
    """Adds the subcommand.

    Arguments
    ---------
    commands : Any
        What `ArgumentParser.add_subparsers` gave.

    Example
    -------
    >>> parser = argparse.ArgumentParser()
    >>> add_parser(parser.add_subparsers())
    >>> parser.parse_args(["demo", "--model", "folder"]).port
    7860
    """
    parser = commands.add_parser(
        "demo",
        help="try a model in the browser",
        description="Starts a page, on this machine alone, to drop or record "
        "speech and hear it enhanced. Needs pip install "
        "'speechbrain-merit[demo]'.",
    )
    parser.set_defaults(run=run)
    add = parser.add_argument
    add_model_options(parser)
    add("--device", help="e.g. cpu or cuda:0; the best there is by default")
    add(
        "--host",
        default="127.0.0.1",
        help="address to listen at; 0.0.0.0 lets other machines in "
        "(default: %(default)s)",
    )
    add(
        "--port",
        type=int,
        default=7860,
        help="port to listen at (default: %(default)s)",
    )


def run(arguments: argparse.Namespace) -> int:
    """Serves the page until it is interrupted.

    Arguments
    ---------
    arguments : argparse.Namespace
        Of this subcommand.

    Returns
    -------
    int
        Exit status: zero.

    Raises
    ------
    ImportError
        If the extra `demo` is not installed.
    ValueError
        If the model cannot be loaded, or the port is taken.

    Example
    -------
    >>> run(
    ...     argparse.Namespace(
    ...         model=str(getfixture("tmpdir")), safe=True, device="cpu"
    ...     )
    ... )
    Traceback (most recent call last):
    ...
    FileNotFoundError: ...lacks model.json: ...
    """
    model = load(arguments.model, arguments.safe, arguments.device)
    page = make_demo(model)
    try:
        serve(page, arguments.host, arguments.port)
    except OSError as error:
        raise ValueError(
            f"The page cannot be served at {arguments.host}, port "
            f"{arguments.port}: {error}"
        ) from error
    return 0
