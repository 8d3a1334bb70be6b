"""train.py as its users run it, on the embedded corpus made small.

Authors
 * The speechbrain-merit developers 2026
"""

import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from warm_process import ROOT, warm_process

from speechbrain_merit.config import compose

OVERRIDES = {
    "prepare_options": (
        "{num_train: 24, num_valid: 4, num_test: 8, noise_duration_s: 4.0}"
    ),
    "test_snrs_db": "[-5]",
    "valid_snrs_db": "[0]",
    "number_of_epochs": "2",
    "batch_size": "8",
    "mask_hidden_size": "16",
    "num_metric_jobs": "1",
    "num_averaged_checkpoints": "1",
    # PESQ takes longer than the training.
    "enhancement_metrics": "[stoi, ssnr_db, si_sdr_db]",
}


def command(
    folder: Path,
    data: Path,
    *flags: str,
    launcher: Sequence[str] = (),
    variant: str = "sparse_merit",
    **overrides,
) -> list[str]:
    """Makes the command of a small training.

    Arguments
    ---------
    folder : Path
        For the experiment.
    data : Path
        For the corpus, which is made once.
    *flags : str
        Such as `--debug`.
    launcher : sequence of str
        Module that starts the script, with its options.
    variant : str
        Name of the YAML file.
    **overrides
        Of keys of the YAML, or of SpeechBrain's options.

    Returns
    -------
    list of str
        For subprocess.
    """
    keys = compose(ROOT / "hparams" / f"{variant}.yaml").tree
    options = {"device": "cpu", "output_folder": folder, "data_folder": data}
    # A variant without a mask estimator has no size for it.
    options.update({key: OVERRIDES[key] for key in OVERRIDES if key in keys})
    options.update(overrides)
    arguments = [f"--{name}={value}" for name, value in options.items()]
    script = [*launcher, "train.py", f"hparams/{variant}.yaml"]
    return [sys.executable, *script, "--noprogressbar", *flags, *arguments]


def run(*args, draw=False, **kwargs) -> subprocess.CompletedProcess:
    """Runs `command` to its end: in a warm process, unless it has a launcher.

    Arguments
    ---------
    *args
        As for `command`.
    draw : bool
        Whether figures are drawn, or empty files.
    **kwargs
        As for `command`.

    Returns
    -------
    subprocess.CompletedProcess
        With all that was printed in `stdout`.
    """
    line = command(*args, **kwargs)
    if not kwargs.get("launcher"):
        before = "" if draw else "small_run.draw_nothing"
        # Without the interpreter.
        warm_process().start(line[1:], before)
        return subprocess.CompletedProcess(line, *warm_process().wait())
    return subprocess.run(
        line,
        cwd=ROOT,
        text=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        check=False,
    )


def draw_nothing() -> None:
    """Makes empty files of all figures, which take long otherwise."""
    from matplotlib.figure import Figure

    Figure.savefig = lambda self, path, **options: Path(path).touch()
