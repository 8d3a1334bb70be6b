"""Noises from a few lines of arithmetic, for the embedded corpus.

Every noise draws its own constants (rates, pitches, cut-offs) from the random
generator it is given, so that two recordings of a type differ as two real
ones do. All are functions of `(rng, num_samples, sample_rate_hz)` and return
samples `[time]` of no particular level; `at_level` sets one.

Authors
 * The speechbrain-merit developers 2026
"""

from collections.abc import Callable

import numpy as np


def white(
    rng: np.random.Generator, num_samples: int, sample_rate_hz: int
) -> np.ndarray:
    """Gaussian noise of the same power at every frequency.

    Arguments
    ---------
    rng : np.random.Generator
        Where the randomness comes from.
    num_samples : int
        Length of the result.
    sample_rate_hz : int
        Its sample rate.

    Returns
    -------
    np.ndarray
        Samples, `[time]`.

    Example
    -------
    >>> white(np.random.default_rng(1), 16000, 16000).shape
    (16000,)
    """
    return rng.standard_normal(num_samples)


def pink(
    rng: np.random.Generator, num_samples: int, sample_rate_hz: int
) -> np.ndarray:
    """Noise whose power falls as 1/f, by 3 dB per octave.

    Arguments
    ---------
    rng : np.random.Generator
        Where the randomness comes from.
    num_samples : int
        Length of the result.
    sample_rate_hz : int
        Its sample rate.

    Returns
    -------
    np.ndarray
        Samples, `[time]`.

    Example
    -------
    >>> pink(np.random.default_rng(1), 16000, 16000).shape
    (16000,)
    """
    return _shaped(rng, num_samples, sample_rate_hz, lambda f: f**-0.5)


def hum(
    rng: np.random.Generator, num_samples: int, sample_rate_hz: int
) -> np.ndarray:
    """The mains and their harmonics, over a faint hiss.

    Arguments
    ---------
    rng : np.random.Generator
        Where the randomness comes from.
    num_samples : int
        Length of the result.
    sample_rate_hz : int
        Its sample rate.

    Returns
    -------
    np.ndarray
        Samples, `[time]`.

    Example
    -------
    >>> hum(np.random.default_rng(1), 16000, 16000).shape
    (16000,)
    """
    mains_hz = rng.choice([50.0, 60.0]) * rng.uniform(0.998, 1.002)
    phase = mains_hz * np.arange(num_samples) / sample_rate_hz
    tones = _harmonics(rng, phase, num_harmonics=24, falling=0.7)
    return tones + 0.05 * rng.standard_normal(num_samples)


def rain(
    rng: np.random.Generator, num_samples: int, sample_rate_hz: int
) -> np.ndarray:
    """Drops at random times, each a short burst, over a hiss.

    Arguments
    ---------
    rng : np.random.Generator
        Where the randomness comes from.
    num_samples : int
        Length of the result.
    sample_rate_hz : int
        Its sample rate.

    Returns
    -------
    np.ndarray
        Samples, `[time]`.

    Example
    -------
    >>> rain(np.random.default_rng(1), 16000, 16000).shape
    (16000,)
    """
    drops_per_s = rng.uniform(100.0, 400.0)
    burst_s = rng.uniform(0.002, 0.006)
    falls = rng.random(num_samples) < drops_per_s / sample_rate_hz
    strengths = falls * rng.lognormal(0.0, 0.5, num_samples)
    time_s = np.arange(round(5 * burst_s * sample_rate_hz)) / sample_rate_hz
    burst = rng.standard_normal(len(time_s)) * np.exp(-time_s / burst_s)
    drops = np.convolve(strengths, burst)[:num_samples]
    hiss = rng.uniform(0.1, 0.3) * rng.standard_normal(num_samples)
    return drops + hiss


def engine(
    rng: np.random.Generator, num_samples: int, sample_rate_hz: int
) -> np.ndarray:
    """A rumble in the rhythm of an engine whose speed wanders.

    Arguments
    ---------
    rng : np.random.Generator
        Where the randomness comes from.
    num_samples : int
        Length of the result.
    sample_rate_hz : int
        Its sample rate.

    Returns
    -------
    np.ndarray
        Samples, `[time]`.

    Example
    -------
    >>> engine(np.random.default_rng(1), 16000, 16000).shape
    (16000,)
    """
    wander = _slow_curve(rng, num_samples, sample_rate_hz, fastest_hz=0.5)
    firing_hz = rng.uniform(25.0, 70.0) * (1.0 + 0.06 * wander)
    phase = np.cumsum(firing_hz) / sample_rate_hz
    tones = _harmonics(rng, phase, num_harmonics=12, falling=0.9)
    corner_hz = rng.uniform(150.0, 500.0)
    rumble = _shaped(
        rng, num_samples, sample_rate_hz, lambda f: 1 / (1 + f / corner_hz)
    )
    beat = 1.0 + 0.7 * np.sin(2 * np.pi * phase)
    return tones / tones.std() + beat * rumble / rumble.std()


def siren(
    rng: np.random.Generator, num_samples: int, sample_rate_hz: int
) -> np.ndarray:
    """A tone with overtones that sweeps up and down, over a faint hiss.

    Arguments
    ---------
    rng : np.random.Generator
        Where the randomness comes from.
    num_samples : int
        Length of the result.
    sample_rate_hz : int
        Its sample rate.

    Returns
    -------
    np.ndarray
        Samples, `[time]`.

    Example
    -------
    >>> siren(np.random.default_rng(1), 16000, 16000).shape
    (16000,)
    """
    time_s = np.arange(num_samples) / sample_rate_hz
    low_hz = rng.uniform(400.0, 700.0)
    octaves = rng.uniform(0.6, 1.2)
    sweeps_per_s = rng.uniform(0.2, 3.0)
    turn = 2 * np.pi * (sweeps_per_s * time_s + rng.random())
    pitch_hz = low_hz * 2.0 ** (octaves * (1.0 - np.cos(turn)) / 2)
    phase = np.cumsum(pitch_hz) / sample_rate_hz
    tones = _harmonics(rng, phase, num_harmonics=4, falling=1.5)
    return tones + 0.05 * rng.standard_normal(num_samples)


def wind(
    rng: np.random.Generator, num_samples: int, sample_rate_hz: int
) -> np.ndarray:
    """Low noise whose power falls as 1/f^2 above a corner, in gusts.

    Arguments
    ---------
    rng : np.random.Generator
        Where the randomness comes from.
    num_samples : int
        Length of the result.
    sample_rate_hz : int
        Its sample rate.

    Returns
    -------
    np.ndarray
        Samples, `[time]`.

    Example
    -------
    >>> wind(np.random.default_rng(1), 16000, 16000).shape
    (16000,)
    """
    corner_hz = rng.uniform(150.0, 400.0)
    air = _shaped(
        rng, num_samples, sample_rate_hz, lambda f: 1 / (1 + f / corner_hz)
    )
    gusts = _slow_curve(rng, num_samples, sample_rate_hz, fastest_hz=1.0)
    # 0.4 nepers for each standard deviation: about 7 dB from lull to gust.
    return air * np.exp(0.4 * gusts)


NOISES: dict[str, Callable[[np.random.Generator, int, int], np.ndarray]] = {
    "white": white,
    "pink": pink,
    "hum": hum,
    "rain": rain,
    "engine": engine,
    "siren": siren,
    "wind": wind,
}


def at_level(
    samples: np.ndarray, level_dbfs: float, max_peak: float
) -> np.ndarray:
    """Sets the root mean square, or less where the peak forbids it.

    Arguments
    ---------
    samples : np.ndarray
        Samples, not all zero, `[time]`.
    level_dbfs : float
        Root mean square of the result, in dB relative to 1.0.
    max_peak : float
        Largest absolute value allowed.

    Returns
    -------
    np.ndarray
        Scaled samples, `[time]`.

    Raises
    ------
    ValueError
        If all samples are zero.

    Example
    -------
    >>> at_level(np.array([3.0, -3.0]), level_dbfs=-20.0, max_peak=0.9)
    array([ 0.1, -0.1])
    """
    peak = np.abs(samples).max()
    if peak == 0.0:
        raise ValueError("Silence cannot be brought to a level.")
    rms = np.sqrt(np.mean(samples**2))
    return samples * min(10.0 ** (level_dbfs / 20) / rms, max_peak / peak)


def _shaped(
    rng: np.random.Generator,
    num_samples: int,
    sample_rate_hz: int,
    gain: Callable[[np.ndarray], np.ndarray],
) -> np.ndarray:
    """Gaussian noise times an amplitude gain given by frequency in Hz."""
    spectrum = np.fft.rfft(rng.standard_normal(num_samples))
    frequencies_hz = np.fft.rfftfreq(num_samples, 1 / sample_rate_hz)
    # Below 20 Hz nobody hears it, yet 1/f would put most of the power there.
    audible = frequencies_hz >= 20.0
    spectrum[~audible] = 0.0
    spectrum[audible] *= gain(frequencies_hz[audible])
    return np.fft.irfft(spectrum, num_samples)


def _harmonics(
    rng: np.random.Generator,
    phase: np.ndarray,
    num_harmonics: int,
    falling: float,
) -> np.ndarray:
    """Sines at multiples of a phase in turns; amplitude ~ 1 / k**falling."""
    total = np.zeros_like(phase)
    for k in range(1, num_harmonics + 1):
        amplitude = rng.uniform(0.3, 1.0) / k**falling
        total += amplitude * np.sin(2 * np.pi * (k * phase + rng.random()))
    return total


def _slow_curve(
    rng: np.random.Generator,
    num_samples: int,
    sample_rate_hz: int,
    fastest_hz: float,
) -> np.ndarray:
    """A smooth curve through standard normal points, evenly spaced."""
    duration_s = num_samples / sample_rate_hz
    points = rng.standard_normal(int(2 * fastest_hz * duration_s) + 3)
    places = np.linspace(0, len(points) - 1, num_samples)
    left = np.minimum(places.astype(int), len(points) - 2)
    # A raised cosine between neighbours has no kink that one could hear.
    weight = (1 - np.cos(np.pi * (places - left))) / 2
    return (1 - weight) * points[left] + weight * points[left + 1]
