"""Randomness that is a function of what it is for.

Authors
 * The speechbrain-merit developers 2026
"""

import contextlib
import hashlib
import random
from collections.abc import Iterator

import torch


def generator_for(*purpose: int | str) -> torch.Generator:
    """Makes a generator whose draws depend on its purpose alone.

    Arguments
    ---------
    *purpose : int or str
        What the draws are for, e.g. seed, epoch and utterance.

    Returns
    -------
    torch.Generator
        On the CPU.

    Example
    -------
    >>> draw = torch.randint(100, (3,), generator=generator_for(1, "utterance"))
    >>> again = torch.randint(
    ...     100, (3,), generator=generator_for(1, "utterance")
    ... )
    >>> bool((draw == again).all())
    True
    """
    return torch.Generator().manual_seed(_digest(purpose))


@contextlib.contextmanager
def seeded(*purpose: int | str) -> Iterator[None]:
    """Seeds the global generators for a block and restores them after it.

    SpeechBrain's augmentations draw from PyTorch's and Python's global
    generators; within this block they too depend on their purpose alone.

    Arguments
    ---------
    *purpose : int or str
        What the draws are for, e.g. seed, epoch and utterance.

    Yields
    ------
    None

    Example
    -------
    >>> with seeded(1, "utterance"):
    ...     draw = torch.rand(3)
    >>> with seeded(1, "utterance"):
    ...     bool((torch.rand(3) == draw).all())
    True
    """
    python_state = random.getstate()
    with torch.random.fork_rng(devices=[]):
        seed = _digest(purpose)
        # Not torch.manual_seed: it would also reseed the accelerators.
        torch.default_generator.manual_seed(seed)
        random.seed(seed)
        try:
            yield
        finally:
            random.setstate(python_state)


def _digest(purpose: tuple[int | str, ...]) -> int:
    text = "\x1f".join(str(part) for part in purpose)
    digest = hashlib.blake2b(text.encode("utf-8"), digest_size=8).digest()
    return int.from_bytes(digest, "little") >> 1
