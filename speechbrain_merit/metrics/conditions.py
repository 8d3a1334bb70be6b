"""The conditions that a test is made under.

Authors
 * The speechbrain-merit developers 2026
"""

import math
from dataclasses import dataclass
from numbers import Real

NOISES = ("clean", "given", "seen", "unseen")
# These have no SNR: nothing was mixed, or the corpus did it.
WITHOUT_SNR = ("clean", "given")


# The order of the fields sorts as a table should: the names of NOISES happen
# to be in alphabetical order, and snr_db is None for all of a kind or for none.
@dataclass(frozen=True, order=True)
class Condition:
    """What speech was mixed with: nothing, or noise at some SNR.

    Arguments
    ---------
    noise : str
        `clean`, `given` (the noise of a corpus of noisy and clean files),
        `seen` (noise of types that occur in training) or `unseen`.
    snr_db : float, optional
        Signal-to-noise ratio in dB; None for `clean` and `given`, and only
        there.

    Raises
    ------
    ValueError
        If the noise is unknown or the SNR does not go with it.

    Example
    -------
    >>> sorted(
    ...     [Condition("seen", 5), Condition("seen", -5), Condition("clean")]
    ... )
    [Condition(noise='clean', snr_db=None), Condition(noise='seen', snr_db=-5...
    >>> Condition("unseen", -5).name
    'unseen_-5dB'
    """

    noise: str
    snr_db: float | None = None

    def __post_init__(self) -> None:
        if self.noise not in NOISES:
            raise ValueError(
                f"Noise {self.noise!r} is unknown; use one of {NOISES}."
            )
        if self.noise in WITHOUT_SNR:
            if self.snr_db is not None:
                raise ValueError(
                    f"{self.noise.capitalize()} speech has no SNR, so snr_db "
                    f"must be None, not {self.snr_db}."
                )
        elif not isinstance(self.snr_db, Real) or not math.isfinite(
            self.snr_db
        ):
            raise ValueError(
                f"snr_db of {self.noise} noise must be a finite number, not "
                f"{self.snr_db!r}."
            )

    @property
    def name(self) -> str:
        """Name for tables and files.

        Returns
        -------
        str
            Such as `clean` or `seen_-5dB`.
        """
        if self.snr_db is None:
            return self.noise
        return f"{self.noise}_{self.snr_db:g}dB"
