"""Rooms that speech is heard in, by the image method.

Authors
 * The speechbrain-merit developers 2026
"""

import functools

import numpy as np
import torch
from torchaudio.functional import fftconvolve


def put_in_room(
    speech: torch.Tensor,
    generator: torch.Generator,
    sample_rate_hz: int,
    probability: float,
    seed: int,
) -> tuple[torch.Tensor, torch.Tensor]:
    """Lets speech sound in one of a hundred rooms, or leaves it as it is.

    What is to be restored is what comes within 50 ms of the direct sound: it
    makes speech louder and no less clear.

    Arguments
    ---------
    speech : torch.Tensor
        Without a room, `[time]`.
    generator : torch.Generator
        Source of all randomness.
    sample_rate_hz : int
        Sample rate.
    probability : float
        Share of the utterances that are put in a room.
    seed : int
        Of the rooms.

    Returns
    -------
    tuple of torch.Tensor
        What is heard, and what of it is to be restored, `[time]`.

    Example
    -------
    >>> speech = torch.ones(3)
    >>> heard, _ = put_in_room(speech, torch.Generator(), 16000, 0.0, seed=1)
    >>> heard is speech
    True
    """
    chance, place = torch.rand(2, generator=generator).tolist()
    if chance >= probability:
        return speech, speech
    response = room_response(sample_rate_hz, (seed, int(place * 100)))
    early = response[: round(0.05 * sample_rate_hz)]
    heard, wanted = (fftconvolve(speech, x) for x in (response, early))
    return heard[: len(speech)], wanted[: len(speech)]


@functools.lru_cache(maxsize=128)
def room_response(
    sample_rate_hz: int, seed: tuple[int, ...], t60_s: float | None = None
) -> torch.Tensor:
    """Simulates the way from a place in a room to another one.

    The room is a box of 2.5 x 2.5 x 2.3 to 9 x 7 x 4 m, with walls that are all
    alike; pyroomacoustics simulates it.

    Arguments
    ---------
    sample_rate_hz : int
        Sample rate.
    seed : tuple of int
        What all draws depend on.
    t60_s : float, optional
        Time in which sound decays by 60 dB, by Sabine's formula; drawn from
        0.15 to 0.8 s by default.

    Returns
    -------
    torch.Tensor
        Impulse response from the direct sound on, of magnitude 1 at most,
        `[time]`.

    Raises
    ------
    ImportError
        If pyroomacoustics is not installed.

    Example
    -------
    >>> import pytest
    >>> _ = pytest.importorskip("pyroomacoustics")
    >>> float(room_response(16000, (1, 2), t60_s=0.2).max())
    1.0
    """
    try:
        from pyroomacoustics import Material, ShoeBox, inverse_sabine
    except ImportError as error:
        raise ImportError(
            "Rooms are simulated by pyroomacoustics: pip install '.[rooms]' in "
            "the project's folder, or set rooms to null."
        ) from error
    random = np.random.default_rng(seed)
    t60_s = random.uniform(0.15, 0.8) if t60_s is None else t60_s
    size_m = random.uniform([2.5, 2.5, 2.3], [9, 7, 4])
    # No wall swallows so much that a large room is dry.
    volume, surface = size_m.prod(), 2 * (size_m.prod() / size_m).sum()
    t60_s = max(t60_s, 0.17 * volume / surface)
    absorption, order = inverse_sabine(t60_s, size_m)
    room = ShoeBox(
        size_m,
        fs=sample_rate_hz,
        materials=Material(absorption),
        max_order=min(order, 60),
    )
    for add in (room.add_source, room.add_microphone):
        add(random.uniform(0.3, size_m - 0.3))
    room.compute_rir()
    response = room.rir[0][0][np.abs(room.rir[0][0]).argmax() :]
    return torch.from_numpy(response / response[0]).float()
