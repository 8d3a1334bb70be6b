"""Files of audio of every kind, through one interface.

soundfile reads what it knows the length of, and finds every stretch of it at
once. The rest goes through PyAV, whose wheels bring FFmpeg.

Authors
 * The speechbrain-merit developers 2026
"""

import contextlib
import math
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO, TypeAlias, TypeGuard

import av
import numpy as np
import soundfile

from speechbrain.dataio import audio_io

from .atomic_write import is_device

Source: TypeAlias = str | os.PathLike[str] | BinaryIO

# What a folder's recordings end with. Raw samples are none: nothing tells
# their rate.
AUDIO_SUFFIXES = frozenset(
    f".{name.lower()}"
    for name in (
        *(soundfile.available_formats().keys() - {"RAW"}),
        *("AIF", "AIFC", "OGA", "OPUS", "SND", "SPH"),
        *("3GP", "AAC", "AC3", "AMR", "APE", "AVI", "M4A", "M4B", "MKA", "MKV"),
        *("MOV", "MP2", "MP4", "TTA", "WEBM", "WMA", "WV"),
    )
)
# Their headers tell too little of what is joined or of a varying bit rate.
_UNSURE_FORMATS = ("MP3", "OGG")
# Samples that encoders add around what they are given, two frames of MP3.
_MOST_PADDING = 2**12
# What soundfile takes for the length of a stream, from so many samples on.
_NO_LENGTH = 2**48
# FFmpeg's formats that lie in one file: others open what they name, whether
# files or addresses.
_ONE_FILE_FORMATS = (
    "aac,ac3,aiff,amr,ape,asf,au,avi,caf,flac,matroska,mov,mp3,nistsphere,ogg,"
    "tta,w64,wav,wv"
)
_GIT_LFS = b"version https://git-lfs.github.com/spec/"
_BLOCK_SIZE = 2**16


class UnusableAudio(ValueError):
    """A file's contents are in the way, and its name is still to be told."""


class FFmpegFile:
    """Sound that FFmpeg decodes, with what is needed of soundfile's interface.

    Packets that are damaged are passed over, as players do. What changes its
    rate or channels on the way, as joined files may, is brought to those of
    its beginning.

    Arguments
    ---------
    source : str or Path or file object
        A file, maybe with pictures, too.

    Raises
    ------
    UnusableAudio
        If there is no sound in it.
    av.FFmpegError
        If it cannot be opened.

    Example
    -------
    >>> path = str(getfixture("tmpdir") / "silence.wav")
    >>> soundfile.write(path, np.zeros((800, 2)), 16000)
    >>> with FFmpegFile(path) as file:
    ...     file.samplerate, file.read(500).shape, file.read(500).shape
    (16000, (500, 2), (300, 2))
    """

    format = "FFMPEG"

    def __init__(self, source: Source) -> None:
        self._container = _open_container(source)
        stream = self._container.streams.best("audio")
        if stream is None:
            raise UnusableAudio("there is no sound in it")
        self.samplerate, self.channels, self.subtype = 0, 0, "PCM_16"
        self._blocks = self._decode(stream)
        # Only what is decoded tells rate and channels for sure.
        first = next(self._blocks, None)
        if first is None:
            raise UnusableAudio("nothing in it can be decoded")
        self._rest = first

    def _decode(self, stream: Any) -> Iterator[np.ndarray]:
        resampler, known = None, None
        for packet in self._container.demux(stream):
            try:
                frames = packet.decode()
            except av.InvalidDataError:
                continue
            for frame in frames:
                kind = (frame.format.name, frame.layout.name, frame.sample_rate)
                if resampler is None:
                    layout, self.samplerate = frame.layout, frame.sample_rate
                    self.channels = layout.nb_channels
                    if frame.format.name in ("s32", "s32p"):
                        self.subtype = "PCM_24"
                if kind != known:
                    yield from self._resampled(resampler, None)
                    known = kind
                    resampler = av.AudioResampler(
                        "flt", layout, self.samplerate
                    )
                yield from self._resampled(resampler, frame)
        yield from self._resampled(resampler, None)

    def _resampled(self, resampler: Any, frame: Any) -> Iterator[np.ndarray]:
        if resampler is not None:
            for given in resampler.resample(frame):
                yield given.to_ndarray().reshape(-1, self.channels)

    def read(
        self, frames: int = -1, dtype: str = "float32", always_2d: bool = True
    ) -> np.ndarray:
        """Gives the next samples, as soundfile does.

        Arguments
        ---------
        frames : int
            How many of each channel; all by default.
        dtype : str
            Always float32.
        always_2d : bool
            Always.

        Returns
        -------
        numpy.ndarray
            Fewer at the end of the file, `[time, channel]`.
        """
        parts, count = [self._rest], len(self._rest)
        while frames < 0 or count < frames:
            block = next(self._blocks, None)
            if block is None:
                break
            parts.append(block)
            count += len(block)
        joined = np.concatenate(parts)
        stop = count if frames < 0 else frames
        self._rest = joined[stop:]
        return joined[:stop]

    def seek(self, frames: int) -> None:
        """Goes on from the beginning, where it has to be.

        Arguments
        ---------
        frames : int
            How many samples of each channel to pass over.
        """
        while frames and len(passed := self.read(min(frames, _BLOCK_SIZE))):
            frames -= len(passed)

    def __enter__(self) -> "FFmpegFile":
        return self

    def __exit__(self, *error: object) -> None:
        self._container.close()


def _open_container(source: Source) -> Any:
    return av.open(
        # As it is: without this, a name may be an address.
        f"file:{os.fspath(source)}" if _is_path(source) else _rewound(source),
        options={"format_whitelist": _ONE_FILE_FORMATS},
        metadata_errors="ignore",
    )


def open_audio(
    source: Source, end_s: float = math.inf
) -> soundfile.SoundFile | FFmpegFile:
    """Opens what any of the two libraries reads.

    Arguments
    ---------
    source : str or Path or file object
        A regular file, or one that can be rewound.
    end_s : float
        Up to where it will be read, in seconds; to its end by default.

    Returns
    -------
    soundfile.SoundFile or FFmpegFile
        At its beginning; to be closed, as a context manager does.

    Raises
    ------
    UnusableAudio
        If it is no regular file, or none that holds sound.

    Example
    -------
    >>> path = Path(getfixture("tmpdir")) / "joined.ogg"
    >>> soundfile.write(path, np.zeros(48000), 16000)
    >>> _ = path.write_bytes(2 * path.read_bytes())
    >>> for end_s in (3.0, math.inf):
    ...     with open_audio(path, end_s) as file:
    ...         type(file).__name__
    'SoundFile'
    'FFmpegFile'
    """
    if _is_path(source) and is_device(source):
        # Opening a pipe would wait for somebody to write into it.
        raise UnusableAudio("it is no regular file")
    try:
        file = soundfile.SoundFile(_rewound(source))
    # The second one for a name as of raw samples, whatever is in the file.
    except (soundfile.LibsndfileError, TypeError) as error:
        try:
            return FFmpegFile(source)
        except av.FFmpegError:
            raise UnusableAudio(str(error)) from error
    if end_s * file.samplerate <= file.frames:
        return file
    is_longer = _is_longer(source, file)
    file.close()
    if is_longer:
        with contextlib.suppress(av.FFmpegError, UnusableAudio):
            return FFmpegFile(source)
    # Anew, since who looked for more has read on in a file that was open.
    return soundfile.SoundFile(_rewound(source))


def _is_longer(source: Source, file: soundfile.SoundFile) -> bool:
    """Tells whether there is more in a file than soundfile gives."""
    if not 0 < file.frames < _NO_LENGTH:
        return True
    if file.format not in _UNSURE_FORMATS:
        return False
    with (
        contextlib.suppress(av.FFmpegError),
        _open_container(source) as container,
    ):
        stream = container.streams.best("audio")
        durations = [packet.duration or 0 for packet in container.demux(stream)]
        # A last packet's that is negative looks huge.
        packed = sum(length for length in durations if length < 2**31)
        excess_s = packed * stream.time_base - file.frames / file.samplerate
        return excess_s * file.samplerate > _MOST_PADDING
    return False


def audio_info(source: Source) -> audio_io.AudioInfo:
    """Describes a file by its header, and counts samples where that is unsure.

    Of MP3, Ogg and what FFmpeg decodes, it decodes all, a thousand times as
    fast as it would play.

    Arguments
    ---------
    source : str or Path or file object
        As for `open_audio`.

    Returns
    -------
    AudioInfo
        SpeechBrain's, with what can be decoded as length.

    Raises
    ------
    ValueError
        If it cannot be read; the message names it.

    Example
    -------
    >>> path = str(getfixture("tmpdir") / "silence.wav")
    >>> soundfile.write(path, np.zeros(800), 16000)
    >>> audio_info(path).duration
    0.05
    """
    with naming(source), open_audio(source) as file:
        if isinstance(file, FFmpegFile) or file.format in _UNSURE_FORMATS:
            num_samples = sum(iter(lambda: len(file.read(_BLOCK_SIZE)), 0))
        else:
            num_samples = file.frames
        return audio_io.AudioInfo(
            file.samplerate,
            num_samples,
            file.channels,
            file.subtype,
            file.format,
        )


@contextlib.contextmanager
def naming(source: Source, advice: str = "") -> Iterator[None]:
    """Makes errors of reading a file name it and say why.

    Arguments
    ---------
    source : str or Path or file object
        The file.
    advice : str
        What to do about it.

    Yields
    ------
    None
        Once.

    Raises
    ------
    ValueError
        In place of the libraries' errors.

    Example
    -------
    >>> with naming("nowhere.wav"):
    ...     open_audio("nowhere.wav")
    Traceback (most recent call last):
    ...
    ValueError: nowhere.wav cannot be read as audio: there is no such file
    """
    try:
        yield
    except Exception as error:
        # Our own, which names it already.
        if type(error) is ValueError:
            raise
        reason = _reason(source, error)
        raise ValueError(
            f"{name_of(source)} cannot be read as audio: {reason}{advice}"
        ) from error


def name_of(source: Source) -> str:
    """Gives the name for a file in messages.

    Arguments
    ---------
    source : str or Path or file object
        The file.

    Returns
    -------
    str
        Its path, where it has one.

    Example
    -------
    >>> name_of(Path("a.wav"))
    'a.wav'
    """
    if _is_path(source):
        return os.fspath(source)
    return str(getattr(source, "name", "What was given"))


def _reason(source: Source, error: Exception) -> str:
    """Says why a file cannot be read, where the library does not."""
    if not _is_path(source):
        return str(error)
    path = Path(source)
    if path.is_dir():
        return "it is a folder"
    # Bytes that are no text become characters that no text has.
    if any("\udc80" <= letter <= "\udcff" for letter in str(path)):
        return "its name is not in UTF-8: rename it"
    if not path.exists():
        return "there is no such file"
    if not os.access(path, os.R_OK):
        return "nobody allows this program to read it"
    if path.is_file():
        with path.open("rb") as file:
            if file.read(len(_GIT_LFS)) == _GIT_LFS:
                return (
                    "only a pointer of Git LFS is there: run `git lfs pull` "
                    "in its repository"
                )
    return str(error)


def _is_path(source: Source) -> TypeGuard[str | os.PathLike[str]]:
    return isinstance(source, str | os.PathLike)


def _rewound(source: Any) -> Any:
    if not _is_path(source):
        source.seek(0)
    return source
