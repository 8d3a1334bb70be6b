"""Speech from eSpeak NG, the same bytes for the same seed and requests.

The library comes with the package `espeakng_loader`. It keeps its whole state
in C globals: it can be initialised once per process, and the random numbers,
echoes and glottal phases of one utterance leak into the next, even across
`espeak_Terminate`. `Espeak` therefore runs it in a process of its own, this
very file as a script, and talks to it through pipes: every `with` block
starts from the same state, and the calling process stays clean. The file
needs nothing but the standard library, so that such a process starts at once.

The C functions are those of eSpeak NG's `speak_lib.h` and `espeak_ng.h`
(https://github.com/espeak-ng/espeak-ng/tree/1.52.0/src/include/espeak-ng).

Authors
 * The speechbrain-merit developers 2026
"""

import array
import ctypes
import importlib.util
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

# Values of enums and flags in speak_lib.h and espeak_ng.h.
AUDIO_OUTPUT_SYNCHRONOUS = 2
INITIALIZE_DONT_EXIT = 0x8000
CHARACTERS_UTF8 = 1
PARAMETERS = {"rate_wpm": 1, "volume": 2, "pitch": 3, "pitch_range": 4}
# The library cuts paths at 160 bytes, and appends to this one the names of
# dictionaries and voices.
MAX_DATA_PATH_BYTES = 120


class Espeak:
    """A speech synthesiser to use in a `with` block.

    Arguments
    ---------
    seed : int
        Seed of the synthesiser's own random numbers (breath, roughness).

    Raises
    ------
    ImportError
        If the package `espeakng_loader` is missing.

    Example
    -------
    >>> with Espeak(seed=1) as synthesiser:
    ...     samples = synthesiser.say("Good morning.", "en-us+f2", 160, 50, 50)
    >>> samples.typecode, synthesiser.sample_rate_hz
    ('h', 22050)
    """

    def __init__(self, seed: int):
        if importlib.util.find_spec("espeakng_loader") is None:
            raise ImportError(
                "The package espeakng_loader, which brings the eSpeak NG "
                "library, is missing: pip install espeakng-loader"
            )
        self.seed = seed
        self.sample_rate_hz = None
        self._process = None

    def __enter__(self) -> "Espeak":
        self._process = subprocess.Popen(
            [sys.executable, str(Path(__file__).resolve()), str(self.seed)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        )
        try:
            self.sample_rate_hz = self._read_header()["sample_rate_hz"]
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *exception: Any) -> None:
        # communicate closes the pipe that the process reads, which ends it.
        self._process.communicate()

    def say(
        self,
        text: str,
        voice: str,
        rate_wpm: int,
        pitch: int,
        pitch_range: int,
    ) -> array.array:
        """Renders a text at eSpeak's normal volume.

        Arguments
        ---------
        text : str
            What to say.
        voice : str
            Language and variant, e.g. `en-us+f2`.
        rate_wpm : int
            Speaking rate in words per minute, 80 to 450.
        pitch : int
            Mean pitch within what the voice offers, 0 to 100; 50 is its own.
        pitch_range : int
            How far pitch moves, 0 (monotone) to 100; 50 is the voice's own.

        Returns
        -------
        array.array
            Samples at `sample_rate_hz` in int16 (`numpy.asarray` takes them
            as they are), `[time]`.

        Raises
        ------
        ValueError
            If there is no such voice, or the text gives no sound.

        Example
        -------
        >>> with Espeak(seed=1) as synthesiser:
        ...     fast = synthesiser.say("Good morning.", "en+m3", 200, 50, 50)
        ...     slow = synthesiser.say("Good morning.", "en+m3", 120, 50, 50)
        >>> len(fast) < len(slow)
        True
        """
        request = {
            "text": text,
            "voice": voice,
            "parameters": {
                "rate_wpm": rate_wpm,
                "volume": 100,
                "pitch": pitch,
                "pitch_range": pitch_range,
            },
        }
        self._process.stdin.write(json.dumps(request).encode() + b"\n")
        self._process.stdin.flush()
        num_bytes = self._read_header()["num_bytes"]
        return array.array("h", self._process.stdout.read(num_bytes))

    def _read_header(self) -> dict[str, Any]:
        line = self._process.stdout.readline()
        if not line:
            raise RuntimeError(
                "The eSpeak NG process ended early with status "
                f"{self._process.wait()}; its own messages are above."
            )
        header = json.loads(line)
        if "error" in header:
            raise ValueError(header["error"])
        return header


class _Library:
    """The C library, once per process: only the script below makes one."""

    def __init__(self, data_path: str, seed: int):
        import espeakng_loader

        self._c = ctypes.CDLL(espeakng_loader.get_library_path())
        self.data_path = data_path
        self.sample_rate_hz = self._c.espeak_Initialize(
            AUDIO_OUTPUT_SYNCHRONOUS,
            0,
            data_path.encode(),
            INITIALIZE_DONT_EXIT,
        )
        if self.sample_rate_hz <= 0:
            raise ValueError(
                f"eSpeak NG cannot use its voices in {data_path}: reinstall "
                "them with pip install --force-reinstall espeakng-loader"
            )
        # Left alone, it seeds itself with the time of day.
        self._c.espeak_ng_SetRandSeed(ctypes.c_long(seed))
        self._chunks: list[bytes] = []
        # C keeps a bare pointer to the callback; Python must keep the object.
        self._callback = ctypes.CFUNCTYPE(
            ctypes.c_int,
            ctypes.POINTER(ctypes.c_short),
            ctypes.c_int,
            ctypes.c_void_p,
        )(self._collect)
        self._c.espeak_SetSynthCallback(self._callback)

    def _collect(self, samples: Any, num_samples: int, events: Any) -> int:
        if num_samples > 0:
            num_bytes = num_samples * ctypes.sizeof(ctypes.c_short)
            self._chunks.append(ctypes.string_at(samples, num_bytes))
        return 0  # go on

    def say(self, text: str, voice: str, parameters: dict[str, int]) -> bytes:
        """Renders a text, int16 samples in the machine's byte order."""
        self._set_voice(voice)
        # After the voice, which sets them all to its own values.
        for name, value in parameters.items():
            self._c.espeak_SetParameter(PARAMETERS[name], value, 0)
        self._chunks.clear()
        encoded = text.encode()
        status = self._c.espeak_Synth(
            encoded,
            ctypes.c_size_t(len(encoded) + 1),
            ctypes.c_uint(0),
            ctypes.c_int(1),
            ctypes.c_uint(0),
            ctypes.c_uint(CHARACTERS_UTF8),
            None,
            None,
        )
        self._c.espeak_Synchronize()
        if status != 0 or not self._chunks:
            raise ValueError(f"eSpeak NG renders no sound for {text!r}.")
        return b"".join(self._chunks)

    def _set_voice(self, voice: str) -> None:
        # The library itself passes over a variant that it does not know.
        variant = voice.partition("+")[2]
        variants = Path(self.data_path) / "voices" / "!v"
        known = not variant or (variants / variant).is_file()
        if not known or self._c.espeak_SetVoiceByName(voice.encode()) != 0:
            raise ValueError(
                f"eSpeak NG has no voice {voice!r}: use a language such as "
                f"en-us, + and one of the variants in {variants}"
            )


def _short_data_path(data_path: str, short_folder: str) -> str:
    if len(os.fsencode(data_path)) <= MAX_DATA_PATH_BYTES:
        return data_path
    link = Path(short_folder) / "espeak-ng-data"
    if len(os.fsencode(link)) > MAX_DATA_PATH_BYTES:
        raise ValueError(
            f"eSpeak NG cannot use its voices in {data_path}, a path beyond "
            f"{MAX_DATA_PATH_BYTES} bytes, and the temporary folder "
            f"{short_folder} is as long: name a shorter one in TMPDIR."
        )
    link.symlink_to(data_path, target_is_directory=True)
    return str(link)


def _reply(header: dict[str, Any], samples: bytes = b"") -> None:
    sys.stdout.buffer.write(json.dumps(header).encode() + b"\n" + samples)
    sys.stdout.buffer.flush()


def _serve(seed: int) -> None:
    """Answers each line of the input, a request, by a header and samples."""
    import espeakng_loader

    with tempfile.TemporaryDirectory() as short_folder:
        try:
            data_path = _short_data_path(
                espeakng_loader.get_data_path(), short_folder
            )
            library = _Library(data_path, seed)
        except (OSError, ValueError) as error:
            _reply({"error": str(error)})
            return
        _reply({"sample_rate_hz": library.sample_rate_hz})
        for line in sys.stdin.buffer:
            try:
                samples = library.say(**json.loads(line))
            except ValueError as error:
                _reply({"error": str(error)})
            else:
                _reply({"num_bytes": len(samples)}, samples)


if __name__ == "__main__":
    _serve(int(sys.argv[1]))
