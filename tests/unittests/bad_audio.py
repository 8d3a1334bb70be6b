"""Recordings as they should not be, and as they may be.

Authors
 * The speechbrain-merit developers 2026
"""

from collections.abc import Callable
from pathlib import Path

import av
import numpy as np
import soundfile

RATE = 16000


def speech(num_samples: int = RATE) -> np.ndarray:
    """Noise at the level of speech, always the same.

    Arguments
    ---------
    num_samples : int
        How much.

    Returns
    -------
    numpy.ndarray
        Samples, `[time]`.
    """
    return 0.1 * np.random.default_rng(0).standard_normal(num_samples)


def encode(
    path: Path,
    samples: np.ndarray,
    codec: str,
    rate_hz: int = RATE,
    write_xing: str = "1",
    **options: str,
) -> Path:
    """Writes what soundfile cannot, by PyAV.

    Arguments
    ---------
    path : Path
        Its extension tells the container.
    samples : numpy.ndarray
        `[time]`, or `[channel, time]`.
    codec : str
        FFmpeg's name of it.
    rate_hz : int
        Sample rate.
    write_xing : str
        Of MP3: whether its header tells the length, `0` or `1`.
    **options : str
        Of the codec, as FFmpeg has them.

    Returns
    -------
    Path
        The file.
    """
    samples = np.atleast_2d(samples).astype(np.float32)
    layout = "mono" if len(samples) == 1 else "stereo"
    muxing = {"write_xing": write_xing} if path.suffix == ".mp3" else {}
    with av.open(path, "w", options=muxing) as container:
        stream = container.add_stream(
            codec, rate=rate_hz, layout=layout, options=options
        )
        frame = av.AudioFrame.from_ndarray(samples, "fltp", layout)
        frame.sample_rate, frame.pts = rate_hz, 0
        for part in (frame, None):
            container.mux(stream.encode(part))
    return path


def without_length(path: Path) -> Path:
    """Sets the sizes in a WAV file to 0, as where a recorder died.

    Arguments
    ---------
    path : Path
        The file.

    Returns
    -------
    Path
        The same.
    """
    contents = bytearray(path.read_bytes())
    for place in (4, contents.index(b"data") + 4):
        contents[place : place + 4] = bytes(4)
    path.write_bytes(contents)
    return path


def _with(value: float) -> np.ndarray:
    samples = speech()
    samples[5] = value
    return samples


def _writer(
    suffix: str, samples: np.ndarray, rate_hz: int = RATE, **options: str
) -> Callable[[Path], Path]:
    def write(folder: Path) -> Path:
        path = folder / f"sound{suffix}"
        soundfile.write(path, samples, rate_hz, **options)
        return path

    return write


def _bytes(suffix: str, content: bytes) -> Callable[[Path], Path]:
    def write(folder: Path) -> Path:
        path = folder / f"sound{suffix}"
        path.write_bytes(content)
        return path

    return write


def _cut(suffix: str, share: float) -> Callable[[Path], Path]:
    def write(folder: Path) -> Path:
        path = _writer(suffix, speech())(folder)
        content = path.read_bytes()
        path.write_bytes(content[: int(share * len(content))])
        return path

    return write


def _folder(folder: Path) -> Path:
    path = folder / "sound.wav"
    path.mkdir()
    return path


def _renamed(folder: Path) -> Path:
    path = _writer(".flac", speech())(folder)
    return path.rename(folder / "sound.wav")


# What cannot be used, with the reason that must be given.
UNUSABLE = {
    "no samples": (_writer(".wav", np.zeros(0)), "holds no samples"),
    "not a number": (_writer(".wav", _with(np.nan), subtype="FLOAT"), "finite"),
    "infinite": (_writer(".wav", _with(np.inf), subtype="FLOAT"), "finite"),
    "minus infinite": (
        _writer(".wav", _with(-np.inf), subtype="FLOAT"),
        "finite",
    ),
    "far too loud": (
        _writer(".wav", 1e30 * speech(), subtype="FLOAT"),
        "full scale is 1",
    ),
    "no bytes": (_bytes(".wav", b""), "cannot be read as audio"),
    "a text": (_bytes(".wav", b"no audio at all"), "cannot be read as audio"),
    "a picture": (
        _bytes(".wav", b"\x89PNG\r\n\x1a\n" + bytes(99)),
        "cannot be read as audio",
    ),
    "half a header": (_cut(".wav", 0.0006), "cannot be read as audio"),
    "half a FLAC": (_cut(".flac", 0.5), "cannot be read as audio"),
    "half an OGG": (_cut(".ogg", 0.5), "no samples"),
    "missing": (lambda folder: folder / "sound.wav", "there is no such file"),
    "a folder": (_folder, "it is a folder"),
}
# What can, with the number of samples at 16 kHz.
USABLE = {
    "clipped": (_writer(".wav", np.clip(30 * speech(), -1, 1)), RATE),
    "constant": (_writer(".wav", np.full(RATE, 0.5)), RATE),
    "8 kHz": (_writer(".wav", speech(8000), 8000), RATE),
    "44.1 kHz": (_writer(".wav", speech(44100), 44100), RATE),
    "stereo": (_writer(".wav", np.stack([speech()] * 2, axis=1)), RATE),
    "six channels": (_writer(".wav", np.stack([speech()] * 6, axis=1)), RATE),
    "8 bits": (_writer(".wav", speech(), subtype="PCM_U8"), RATE),
    "24 bits": (_writer(".wav", speech(), subtype="PCM_24"), RATE),
    "float": (_writer(".wav", speech(), subtype="FLOAT"), RATE),
    "double": (_writer(".wav", speech(), subtype="DOUBLE"), RATE),
    "numbers as of 16 bits": (
        _writer(".wav", 32768 * speech(), subtype="FLOAT"),
        RATE,
    ),
    "MP3": (_writer(".mp3", speech()), RATE),
    "OGG": (_writer(".ogg", speech()), RATE),
    "FLAC": (_writer(".flac", speech()), RATE),
    "FLAC named WAV": (_renamed, RATE),
    # libsndfile takes what there is.
    "half a WAV": (_cut(".wav", 0.5), 7989),
    "non-ASCII": (_writer("-日本 é ß.wav", speech()), RATE),
    "braces": (_writer("-{data_root}{0}.wav", speech()), RATE),
    **{
        f"{count} samples": (_writer(".wav", speech(count)), count)
        for count in (1, 2, 3, 40, 159, 160, 161, 319, 320, 399, 400)
    },
}
