"""Choosing points by chance, the more likely the farther they are from everything chosen before."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from curette.errors import unknown
from curette.query.space import Distances

STARTS = ("centre", "largest", "uniform")
_BLOCK = 1 << 13


def first(space: Distances, start: str, rng: np.random.Generator) -> int:
    """The point to begin with where nothing is chosen yet: nearest to the origin, farthest from it, or by chance.

    Where all points are at the origin, ``largest`` is by chance too.
    Raises `SettingError` for an unknown start. Where no point is finite, position 0.
    """
    if start not in STARTS:
        raise unknown("start", start, STARTS)
    good = np.flatnonzero(space.good)
    if not len(good):
        return 0
    if start == "uniform":
        return int(rng.choice(good))
    length = space.length[good]
    if start == "largest" and not length.max() > 0:
        return int(rng.choice(good))
    return int(good[length.argmin() if start == "centre" else length.argmax()])


def by_squared_distance(
    space: Distances, nearest: NDArray[np.float32], budget: int, rng: np.random.Generator, *, begin: int = -1
) -> NDArray[np.int64]:
    """Again and again a point with a probability proportional to its squared distance to all that is chosen.

    Where all distances are 0, each point left with the same probability; broken points come last.

    nearest  squared distance [N] to what is chosen already, 0 for points that must not be picked; overwritten
    begin    the first pick; -1: by chance
    """
    good = space.good
    nearest[~good] = 0
    picks = np.empty(budget, np.int64)
    for i in range(budget):
        pick = begin if i == 0 and begin >= 0 else draw(nearest, rng)
        if pick < 0:
            picks[i:] = _anyone(good, picks[:i], budget - i, rng)
            break
        picks[i] = pick
        if good[pick]:
            np.fmin(nearest, space.to(pick), out=nearest)
        nearest[pick] = 0
    return picks


def draw(weight: NDArray[np.float32], rng: np.random.Generator) -> int:
    """A position with a probability proportional to its weight [N]; -1 if all weights are 0."""
    starts = np.arange(0, len(weight), _BLOCK)
    sums = np.cumsum(np.add.reduceat(weight, starts, dtype=np.float64))
    if not sums[-1] > 0:
        return -1
    level = rng.random() * sums[-1]
    block = min(int(np.searchsorted(sums, level, side="right")), len(sums) - 1)
    inside = weight[starts[block] : starts[block] + _BLOCK].astype(np.float64).cumsum()
    offset = level - (sums[block - 1] if block else 0.0)
    position = int(np.searchsorted(inside, offset, side="right"))
    if position == len(inside) or not weight[starts[block] + position] > 0:  # rounding at the end of a block
        position = int(np.searchsorted(inside, inside[-1], side="left"))
    return int(starts[block]) + position


def _anyone(
    good: NDArray[np.bool_], picked: NDArray[np.int64], budget: int, rng: np.random.Generator
) -> NDArray[np.int64]:
    """Any of the points left, broken ones last."""
    left = np.ones(len(good), bool)
    left[picked] = False
    order = np.concatenate([rng.permutation(np.flatnonzero(left & good)), np.flatnonzero(left & ~good)])
    return order[:budget].astype(np.int64)
