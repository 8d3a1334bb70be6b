"""Resampling of a test set: utterances are drawn anew for every speaker.

The speakers stay and what they said is drawn with replacement, so that an
interval says what other utterances of the same speakers would have given. See
B. Efron, R. J. Tibshirani, "An Introduction to the Bootstrap", 1993.

Authors
 * The speechbrain-merit developers 2026
"""

from collections.abc import Sequence

import numpy as np

from speechbrain_merit.data.mixing.seeding import generator_for


def random_generator(*purpose: int | str) -> np.random.Generator:
    """Makes a generator whose draws depend on its purpose alone.

    Arguments
    ---------
    *purpose : int or str
        What the draws are for.

    Returns
    -------
    numpy.random.Generator
        For use at one place.

    Example
    -------
    >>> draws = [random_generator(1, "speaker").integers(1000) for _ in "ab"]
    >>> bool(draws[0] == draws[1])
    True
    """
    return np.random.default_rng(generator_for(*purpose).initial_seed())


def resampled_sums(
    values: np.ndarray,
    speakers: Sequence[str],
    num_resamples: int,
    *purpose: int | str,
) -> np.ndarray:
    """Sums over the utterances of resampled test sets.

    Calls with the same speakers and purpose draw the same utterances, so that
    systems can be compared pair by pair.

    Arguments
    ---------
    values : numpy.ndarray
        What to sum up, `[utterance, ...]`.
    speakers : sequence of str
        Who said every utterance.
    num_resamples : int
        How often to draw.
    *purpose : int or str
        What the draws depend on.

    Returns
    -------
    numpy.ndarray
        `[resample, ...]`.

    Example
    -------
    >>> values = np.array([[1.0, 5.0], [1.0, 7.0]])
    >>> sums = resampled_sums(values, ["a", "a"], 4, "example")
    >>> bool((sums[:, 0] == 2).all()), sums.shape
    (True, (4, 2))
    """
    names = np.asarray(speakers)
    sums = np.zeros((num_resamples, *values.shape[1:]))
    # Speaker by speaker, so that memory does not grow with the test set.
    for speaker in np.unique(names):
        said = values[names == speaker]
        generator = random_generator(*purpose, str(speaker))
        shares = np.full(len(said), 1 / len(said))
        counts = generator.multinomial(len(said), shares, num_resamples)
        # An infinite score, as the SI-SDR of clean speech, times no count.
        with np.errstate(invalid="ignore"):
            sums += np.tensordot(counts, said, 1)
    return sums
