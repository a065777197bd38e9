"""Sharing a budget out to groups."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise, zip_longest

import numpy as np
from numpy.typing import NDArray

from curette.errors import unknown
from curette.region import Region

SHARES = ("equal", "proportional")


def quotas(sizes: NDArray[np.int64], budget: int, share: str, rng: np.random.Generator) -> NDArray[np.int64]:
    """How many of `budget` picks each group of `sizes` [G] gets, never more than it has; budget at most their sum.

    `share` is ``equal`` or ``proportional`` to size. Shares are rounded by largest remainder, and chance decides
    between equal remainders. What a group is too small for is shared out among the others, equally again. Raises
    `SettingError` for another `share`.
    """
    if share not in SHARES:
        raise unknown("share", share, SHARES)
    order = rng.permutation(len(sizes))
    if share == "proportional":
        return largest_remainder(sizes, budget, order)  # no group is too small for it
    quota = np.zeros(len(sizes), np.int64)
    while left := budget - int(quota.sum()):
        room = quota < sizes
        each = left // int(room.sum())
        if each:
            quota = np.where(room, np.minimum(quota + each, sizes), quota)
        else:
            quota[np.argsort(np.where(room, order, len(sizes)))[:left]] += 1
    return quota


def largest_remainder(
    weights: NDArray[np.int64], total: int, order: NDArray[np.int64] | None = None
) -> NDArray[np.int64]:
    """`total` things in whole numbers [G] as near to proportional to positive `weights` [G] as rounding allows.

    Each gets its share rounded down, and the largest remainders one more; among equal ones the lowest of `order` [G]
    first, by default the first group. Exact: whole numbers throughout.
    """
    share, remainder = np.divmod(weights * total, weights.sum())
    rank = np.arange(len(weights)) if order is None else order
    more = np.lexsort((rank, -remainder))[: total - int(share.sum())]
    share[more] += 1
    return share.astype(np.int64)


def groups(labels: NDArray[np.integer]) -> list[NDArray[np.int64]]:
    """Positions of each distinct label [N], rising, in the order of the labels."""
    order = np.argsort(labels, kind="stable").astype(np.int64)
    return np.split(order, np.flatnonzero(np.diff(labels[order])) + 1)


def cases(regions: Sequence[Region]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """First position of each case and one past its last, in regions in region order."""
    names = [region.case for region in regions]
    changes = [i for i, (a, b) in enumerate(pairwise(names), 1) if a != b]
    return np.array([0, *changes], np.int64), np.array([*changes, len(names)], np.int64)


def in_turn(parts: Sequence[NDArray[np.int64]]) -> NDArray[np.int64]:
    """The first of each part, then the second of each, and so on, so that a batch cut short is shared out too."""
    turns = zip_longest(*(part.tolist() for part in parts))
    return np.array([pick for turn in turns for pick in turn if pick is not None], np.int64)
