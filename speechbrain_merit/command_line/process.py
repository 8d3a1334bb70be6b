"""`speechbrain-merit process`: many files with a trained model.

Authors
 * The speechbrain-merit developers 2026
"""

from collections.abc import Sequence
from pathlib import Path


def run(
    inputs: Sequence[str],
    *,
    model: str = "merit-base",
    safe: bool = False,
    out: Path | None = None,
    json: Path | None = None,
    timeline: bool = False,
    timeline_files: Sequence[str] = (),
    timeline_step_s: float = 1.0,
    max_attenuation_db: float | None = None,
    device: str | None = None,
    keep_sample_rate: bool = False,
    keep_channels: bool = False,
    chunk_s: float = 4.0,
    overlap_s: float = 0.5,
    batch_size: int = 1,
    plot: bool = False,
    overwrite: bool = False,
    root: str = "",
    workers: int | None = None,
    ray: str | None = None,
    cpus: float = 1.0,
    gpus: float = 0.0,
) -> int:
    """Enhances recordings and names the speaker's emotion.

    A run that was interrupted goes on where it stopped when the command is
    given again: what was made of the same files by the same model with the
    same options stays.

    Arguments
    ---------
    inputs : sequence of str
        Recordings of any rate, length and number of channels, folders of
        them, lists of them (text with a path a line, or CSV, JSONL or Parquet
        with a column file, path or wav), or - for the standard input.
    model : str
        Folder of a trained model or experiment, or a name on the hub; without
        --safe it runs code, so it must be trusted; merit-base is the model
        that comes with this package.
    safe : bool
        Run nothing of the model's folder: build only parts of this package.
    out : Path, optional
        Folder for the enhanced speech, as WAV; without it, only the emotion
        is named.
    json : Path, optional
        File for the results, one line per file.
    timeline : bool
        Write the emotions over time as well, into the file of --json; without
        it, they are printed.
    timeline_files : sequence of str
        Write them into files beside the enhanced speech, too: some of csv,
        TextGrid (for Praat) and rttm.
    timeline_step_s : float
        Seconds from one emotion of the time line to the next; each is judged
        in a window of 4 s.
    max_attenuation_db : float, optional
        By how much noise is lowered at most; as far as the model can by
        default.
    device : str, optional
        Such as cpu or cuda:0, or several for workers to share, such as
        cuda:0,cuda:1; the best there is by default.
    keep_sample_rate : bool
        Write at the recording's sample rate, not at the model's.
    keep_channels : bool
        Enhance every channel for itself, rather than their mean.
    chunk_s : float
        Seconds that are processed at once.
    overlap_s : float
        Seconds that two of these share.
    batch_size : int
        How many files that are no longer than --chunk_s are processed at
        once, sorted by length.
    plot : bool
        Draw the spectrograms before and after and the emotions over time, as
        PNG beside the enhanced speech.
    overwrite : bool
        Process again what is finished.
    root : str
        Folder that paths are relative to, also in the results, where machines
        have it in different places; variables such as '$DATA' are looked up
        on each.
    workers : int, optional
        How many processes to share the files among, each on --cpus cores, or
        GPUs of --device; by default, this one does all by itself, in order.
    ray : str, optional
        Address of a Ray cluster to work on, such as auto.
    cpus : float
        Cores of each worker.
    gpus : float
        GPUs of each worker of --ray, such as 0.5.

    Returns
    -------
    int
        Exit status: one where a file could not be processed, else zero.

    Raises
    ------
    FileNotFoundError
        If there is nothing to process.
    ValueError
        If the options do not go together or with the model.

    Example
    -------
    >>> run(["noisy.wav"], plot=True)
    Traceback (most recent call last):
    ...
    ValueError: --plot and --timeline_files go into the folder of --out: ...
    """
    if (plot or timeline_files) and out is None:
        raise ValueError(
            "--plot and --timeline_files go into the folder of --out: give one."
        )
    if "" in inputs:
        raise ValueError("An input is empty: give files or folders.")
    if batch_size < 1:
        raise ValueError(f"--batch_size is {batch_size}: give at least 1.")
    if min(1 if workers is None else workers, cpus) <= 0 or gpus < 0:
        raise ValueError("--workers, --cpus and --gpus must be above 0.")
    # Here, so that its help and what is wrong with it do not wait for PyTorch.
    from speechbrain_merit.inference.timeline_files import FORMATS

    from .file_worker import Options
    from .processing import model_now, process_files

    if unknown := {f".{name}" for name in timeline_files} - FORMATS.keys():
        raise ValueError(
            f"--timeline_files {sorted(unknown)}: there are {', '.join(FORMATS)}."
        )
    options = Options(
        model,
        model_now(model),
        safe,
        device.split(",") if device else (),
        out is not None,
        timeline,
        plot,
        timeline_files,
        {
            "chunk_s": chunk_s,
            "overlap_s": overlap_s,
            "keep_sample_rate": keep_sample_rate,
            "keep_channels": keep_channels,
            "timeline_step_s": timeline_step_s,
            "max_attenuation_db": max_attenuation_db,
        },
    )
    return process_files(
        inputs,
        out,
        json,
        options,
        # Channels are a batch already.
        1 if keep_channels else batch_size,
        root,
        overwrite,
        count=workers or 1,
        # While the model is at one batch, others are read and written; where
        # nobody asked for workers, all is as in a loop.
        depth=3 if workers else 1,
        ray=ray,
        cpus=cpus,
        gpus=gpus,
        in_process=workers is None,
    )
