"""The page, made with Gradio.

Authors
 * The speechbrain-merit developers 2026
"""

import os
from pathlib import Path
from typing import Any

import numpy as np

from speechbrain.utils.logger import get_logger
from speechbrain_merit.data.decoding import audio_info
from speechbrain_merit.inference import JointEnhancementClassifier
from speechbrain_merit.inference.timeline import TIMELINE_STEP_S
from speechbrain_merit.lobes.joint_model import ENHANCE

logger = get_logger(__name__)

_INTRODUCTION = """\
# Enhanced speech and its emotion

Drop a recording of noisy speech, or record one. It stays on the machine that
this page runs on. The emotions are those that the model's training data name,
as its speakers acted them: what somebody feels cannot be told from it.
"""
SHORTEST_STEP_S = 0.5
LONGEST_STEP_S = 10.0
# Seconds between two looks for files to delete, and how old these must be.
DELETE_EVERY_S = 600


def make_demo(
    model: JointEnhancementClassifier, max_duration_s: float = 600.0
) -> Any:
    """Makes the page for a model.

    Arguments
    ---------
    model : JointEnhancementClassifier
        One that enhances.
    max_duration_s : float
        Longest recording that is processed, in seconds.

    Returns
    -------
    gradio.Blocks
        For `serve`.

    Raises
    ------
    ImportError
        If the extra `demo` is not installed.
    ValueError
        If the model does not enhance.

    Example
    -------
    >>> make_demo(model)  # doctest: +SKIP
    """
    gradio = _import_gradio()
    tasks = model.mods.model.tasks
    if ENHANCE not in tasks:
        raise ValueError(
            "The demo needs a model that enhances; this one has the tasks "
            f"{list(tasks)} only."
        )

    def show(path: str | None, step_s: float) -> tuple[Any, ...]:
        if path is None:
            raise gradio.Error("Drop or record speech first.")
        try:
            # A few bytes may last for hours.
            duration_s = audio_info(path).duration
            if duration_s > max_duration_s:
                raise ValueError(
                    f"It takes {duration_s:.0f} s; {max_duration_s:g} s are "
                    "the most here."
                )
            result = model(path, timeline_step_s=step_s)
        except Exception as error:
            logger.exception("%s failed.", path)
            # Where things are is nobody's business elsewhere.
            text = str(error).replace(str(Path(path).parent) + os.sep, "")
            text = "See the log." if os.sep in text else text
            raise gradio.Error(text) from error
        # As a file has them: of floats, Gradio changes the level.
        samples = 32767 * np.clip(result.enhanced, -1, 1)
        return (
            result._repr_html_(),
            (result.sample_rate_hz, samples.round().astype(np.int16)),
        )

    with gradio.Blocks(
        title="speechbrain-merit",
        analytics_enabled=False,
        delete_cache=(DELETE_EVERY_S, DELETE_EVERY_S),
    ) as page:
        gradio.Markdown(_INTRODUCTION)
        with gradio.Row():
            with gradio.Column():
                # Without the button that shares what is heard.
                noisy = gradio.Audio(
                    type="filepath", label="Original", buttons=["download"]
                )
                step = gradio.Slider(
                    SHORTEST_STEP_S,
                    LONGEST_STEP_S,
                    value=TIMELINE_STEP_S,
                    step=0.5,
                    label="Step of the time line, seconds",
                    info="Each emotion is judged from the 4 s around it.",
                )
                button = gradio.Button("Process", variant="primary")
                enhanced = gradio.Audio(
                    label="Enhanced", interactive=False, buttons=["download"]
                )
            with gradio.Column(scale=2):
                # As in a notebook: both versions in one player.
                shown = gradio.HTML()
        gradio.on(
            [button.click, noisy.upload, noisy.stop_recording],
            show,
            inputs=[noisy, step],
            outputs=[shown, enhanced],
            api_name="process",
        )
    return page


def serve(
    page: Any,
    host: str,
    port: int,
    block: bool = True,
    max_upload_mb: float = 100.0,
) -> str:
    """Serves the page.

    Nothing is fetched from elsewhere, and nothing sent.

    Arguments
    ---------
    page : gradio.Blocks
        What `make_demo` gave.
    host : str
        Address to listen at.
    port : int
        Port to listen at.
    block : bool
        Whether to wait until it is interrupted.
    max_upload_mb : float
        Largest file that is taken, in megabytes.

    Returns
    -------
    str
        Where the page is.

    Raises
    ------
    OSError
        If the port is taken.

    Example
    -------
    >>> serve(page, "127.0.0.1", 7860)  # doctest: +SKIP
    """
    gradio = _import_gradio()
    _, address, _ = page.launch(
        server_name=host,
        server_port=port,
        share=False,
        prevent_thread_lock=not block,
        quiet=not block,
        max_file_size=round(1e6 * max_upload_mb),
        # Fonts that every system has, rather than ones to be fetched.
        theme=gradio.themes.Default(
            font=["system-ui", "sans-serif"], font_mono=["monospace"]
        ),
    )
    return address


def _import_gradio() -> Any:
    try:
        import gradio
    except ImportError as error:
        raise ImportError(
            "The demo needs gradio: pip install '.[demo]' in the project's "
            "folder."
        ) from error
    return gradio
