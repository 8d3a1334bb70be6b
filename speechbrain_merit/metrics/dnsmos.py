"""DNSMOS, a listener's opinion that a network predicts, without a reference.

Reference: C. K. A. Reddy et al., "DNSMOS P.835: A Non-intrusive Perceptual
Objective Speech Quality Metric to Evaluate Noise Suppressors", ICASSP 2022.
The package `speechmos` brings the networks; the extra `dnsmos` installs it.

Authors
 * The speechbrain-merit developers 2026
"""

import importlib
import math
from types import ModuleType

import torch

DNSMOS_METRICS = ("dnsmos_sig", "dnsmos_bak", "dnsmos_ovrl")


def dnsmos_scores(
    estimate: torch.Tensor, sample_rate_hz: int = 16000
) -> dict[str, float]:
    """Predicts how listeners rate signal, background and the whole.

    Arguments
    ---------
    estimate : torch.Tensor
        Enhanced speech, `[time]`; samples beyond -1..1 are clipped.
    sample_rate_hz : int
        Its sample rate; the networks were trained at 16000.

    Returns
    -------
    dict
        `dnsmos_sig`, `dnsmos_bak` and `dnsmos_ovrl`, from 1 to 5; NaN where
        there is no sample or one is not finite.

    Raises
    ------
    ImportError
        If the package `speechmos` is missing, or one that it needs.

    Example
    -------
    >>> dnsmos_scores(torch.zeros(0))
    {'dnsmos_sig': nan, 'dnsmos_bak': nan, 'dnsmos_ovrl': nan}
    """
    if len(estimate) == 0 or not bool(estimate.isfinite().all()):
        return dict.fromkeys(DNSMOS_METRICS, math.nan)
    samples = estimate.float().clamp(-1, 1).numpy()
    found = load_dnsmos().run(samples, sample_rate_hz)
    return {
        name: float(found[f"{name.removeprefix('dnsmos_')}_mos"])
        for name in DNSMOS_METRICS
    }


def load_dnsmos() -> ModuleType:
    """Imports what computes DNSMOS.

    Returns
    -------
    ModuleType
        `speechmos.dnsmos`.

    Raises
    ------
    ImportError
        If the package `speechmos` is missing, or one that it needs.

    Example
    -------
    >>> load_dnsmos().__name__  # doctest: +SKIP
    'speechmos.dnsmos'
    """
    try:
        return importlib.import_module("speechmos.dnsmos")
    except ImportError as error:
        raise ImportError(
            f"DNSMOS needs {error.name}: pip install '.[dnsmos]' in the "
            "project's folder, or leave the dnsmos metrics out of "
            "enhancement_metrics."
        ) from error
