"""`speechbrain-merit listen`: a microphone, live.

Authors
 * The speechbrain-merit developers 2026
"""

import queue
from collections import deque
from typing import Any

from speechbrain_merit import load

# So much silence goes before what is played, in case that it comes late.
SPARE_S = 0.2


def run(
    *,
    model: str = "merit-base",
    safe: bool = False,
    device: str | None = None,
    chunk_s: float = 1.0,
    overlap_s: float = 0.25,
    microphone: str | None = None,
    loudspeaker: str | None = None,
    mute: bool = False,
) -> int:
    """Enhances a microphone and names the emotion, live.

    Plays the enhanced speech, with headphones best, and shows the emotion in
    the terminal, until Ctrl-C. Needs pip install '.[listen]' in the project's
    folder.

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
    chunk_s : float
        Seconds that are heard at once, by which the sound is late.
    overlap_s : float
        Seconds that two of these share.
    microphone : str, optional
        A part of its name, as python -m sounddevice lists it.
    loudspeaker : str, optional
        The same of the loudspeaker.
    mute : bool
        Play nothing.

    Returns
    -------
    int
        Exit status: zero.

    Raises
    ------
    ImportError
        If the extra `listen` is not installed.
    OSError
        If PortAudio is missing.
    ValueError
        If the model cannot be loaded, or there is no such microphone.

    Example
    -------
    >>> run(mute=True)  # doctest: +SKIP
    """
    try:
        import sounddevice
    except ImportError as error:
        raise ImportError(
            "The microphone needs sounddevice: pip install '.[listen]' in the "
            "project's folder."
        ) from error
    # Here, so that its help does not wait for PyTorch.
    from .file_worker import label

    stream = load(model, device, safe).stream(chunk_s, overlap_s)
    rate_hz = stream.sample_rate_hz
    heard: queue.SimpleQueue[Any] = queue.SimpleQueue()
    ready: deque[float] = deque()

    def exchange(incoming: Any, outgoing: Any, *_: Any) -> None:
        heard.put(incoming[:, 0].copy())
        if not mute:
            for place in range(len(outgoing)):
                outgoing[place] = ready.popleft() if ready else 0.0

    kind = sounddevice.InputStream if mute else sounddevice.Stream
    devices = microphone if mute else (microphone, loudspeaker)
    try:
        with kind(
            samplerate=rate_hz,
            channels=1,
            dtype="float32",
            device=devices,
            callback=exchange,
        ):
            while True:
                enhanced = stream.push(heard.get()).tolist()
                if enhanced and not ready:
                    ready.extend([0.0] * round(SPARE_S * rate_hz))
                ready.extend(enhanced)
                for now in stream.timeline.segments()[-1:]:
                    named = label({**now._asdict(), "emotion": now.emotion})
                    text = f"{now.end_s:7.1f} s  {named}"
                    print(f"\r{text:<40}", end="", flush=True)
    except KeyboardInterrupt:
        print()
    except sounddevice.PortAudioError as error:
        raise ValueError(
            f"The sound devices cannot be used: {error} python -m sounddevice "
            "lists what there is."
        ) from error
    return 0
