"""Scores as amounts: how far each lies above the score that means "not wanted"."""

from __future__ import annotations

import warnings

import numpy as np
from numpy.typing import NDArray

from curette.errors import CuretteWarning

_ROUNDING = 1e-3  # a lowest score that is negative by less than this share of the highest is noise around 0


def origin(score: NDArray[np.float32], zero: float | None, who: str) -> float:
    """The score that counts as nothing: `zero` if given, 0 for scores that count up from there, else the lowest.

    Warns in the last case, in the name of the selector `who`.
    """
    if zero is not None:
        return float(zero)
    finite = score[np.isfinite(score)]
    if not len(finite):
        return 0.0
    low, high = float(finite.min()), float(finite.max())
    if low >= -_ROUNDING * max(high, 0.0):
        return 0.0
    warnings.warn(
        f"Selector '{who}' needs scores that count up from 0, but they start at {low:g}: the lowest of the pool is "
        f"taken for 0. Say which score means \"not wanted\", for example '{who}(zero={low:.2g})'.",
        CuretteWarning,
        stacklevel=4,
    )
    return low


def above(score: NDArray[np.float32], start: float) -> NDArray[np.float64]:
    """How far scores [N] lie above `start`, 0 for those below, in float64; -inf stays."""
    height = score.astype(np.float64) - start
    return np.where(np.isneginf(height), height, np.maximum(height, 0.0))
