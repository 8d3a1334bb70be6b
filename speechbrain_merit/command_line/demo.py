"""`speechbrain-merit demo`: a trained model in the browser.

Authors
 * The speechbrain-merit developers 2026
"""

from speechbrain_merit import load


def run(
    *,
    model: str = "merit-base",
    safe: bool = False,
    device: str | None = None,
    host: str = "127.0.0.1",
    port: int = 7860,
    max_duration_s: float = 600.0,
    max_upload_mb: float = 100.0,
) -> int:
    """Lets a model be tried in the browser.

    Starts a page, on this machine alone, to drop or record speech and hear it
    enhanced, until it is interrupted. Needs pip install
    '.[demo]' in the project's folder.

    Arguments
    ---------
    model : str
        Folder of a trained model or experiment, or a name on the hub; without
        --safe it runs code, so it must be trusted; merit-base is the model
        that comes with this package.
    safe : bool
        Run nothing of the model's folder: build only parts of this package.
    device : str, optional
        Such as cpu or cuda:0; the best there is by default.
    host : str
        Address to listen at; 0.0.0.0 lets other machines in.
    port : int
        Port to listen at.
    max_duration_s : float
        Longest recording that is processed, in seconds.
    max_upload_mb : float
        Largest file that is taken, in megabytes.

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
    >>> run(model=str(getfixture("tmpdir")), safe=True, device="cpu")
    Traceback (most recent call last):
    ...
    FileNotFoundError: ...lacks hyperparams.yaml: ...
    """
    # Here, so that its help does not wait for PyTorch.
    from speechbrain_merit.inference.demo import make_demo, serve

    page = make_demo(load(model, device, safe), max_duration_s)
    try:
        serve(page, host, port, max_upload_mb=max_upload_mb)
    except OSError as error:
        raise ValueError(
            f"The page cannot be served at {host}, port {port}: {error}"
        ) from error
    return 0
