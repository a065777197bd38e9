"""Again and again the point farthest from everything chosen before."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from curette.query.space import Space, nearest

_FRONT = 1 << 14  # points watched at every pick; the others wait until one of them could be the farthest
_FEW = 4  # picks that are compared one by one with all points rather than together


def farthest_first(
    space: Space, distance: NDArray[np.float32], budget: int, *, skip: int = 0, begin: int = -1
) -> NDArray[np.int64]:
    """Positions [budget] in pick order; the first position wins ties, and broken points come last.

    distance  squared distance [N] to what is chosen already, -inf for points that must not be picked; overwritten
    skip      how many points that are farther still are passed over at each pick
    begin     the first pick; -1: the farthest

    Distances to the chosen only ever fall. So the answer is found among the points that were farthest a while ago, until
    none of these is above the best of the others: mostly a few milliseconds a pick for a million points.
    """
    distance[~space.good & (distance != -np.inf)] = -1
    left = int(np.count_nonzero(distance >= 0))
    front = _Front(space, distance, skip)
    picks = np.empty(budget, np.int64)
    for i in range(budget):
        picks[i] = begin if i == 0 and begin >= 0 else front.farthest(max(min(skip, left - 1), 0))
        left -= int(space.good[picks[i]])
        front.choose(int(picks[i]))
    return picks


class _Front:
    """The points that can be the farthest, with true distances; those of all others are upper bounds, at most `level`."""

    def __init__(self, space: Space, distance: NDArray[np.float32], skip: int) -> None:
        self.space, self.distance = space, distance
        self.size = max(_FRONT, 4 * (skip + 1))
        self.waiting: list[int] = []  # chosen points that only the front has been compared with
        self.fresh = False
        self.members = np.empty(0, np.int64)

    def farthest(self, skip: int) -> int:
        """The position with the highest distance but `skip`."""
        if len(self.members) <= skip:
            self._renew()
        rank, value = _ranked(self.values, skip)
        # At the level itself a point outside could tie with an earlier position, unless nothing has changed since.
        if not self.fresh and value <= self.level:
            self._renew()
            rank, value = _ranked(self.values, skip)
        return int(self.members[rank])

    def choose(self, position: int) -> None:
        """Take a point: it is out, and the others are at most as far as it is from them."""
        self.fresh = False
        self.distance[position] = -np.inf
        if len(self.members):
            self.values[self.members == position] = -np.inf
        if self.space.good[position]:
            self.waiting.append(position)
            if len(self.members):
                np.fmin(self.values, self._to_front(position), out=self.values)

    def _to_front(self, position: int) -> NDArray[np.float32]:
        centre = self.space.rows(np.array([position]))[0]
        found = self.rows @ (-2 * centre)
        found += self.length
        found += centre @ centre
        return np.asarray(np.maximum(found, 0, out=found))

    def _renew(self) -> None:
        """Bring all points up to date and watch those that are farthest now."""
        if len(self.waiting) <= _FEW:
            for position in self.waiting:
                np.fmin(self.distance, self.space.to(position), out=self.distance)
        else:
            found = nearest(self.space, self.space.rows(np.array(self.waiting)))[0]
            np.fmin(self.distance, found, out=self.distance)
        n = len(self.distance)
        if self.size < n:
            self.level = np.partition(self.distance, n - self.size)[n - self.size]
            above = np.flatnonzero(self.distance > self.level)
            tied = np.flatnonzero(self.distance == self.level)[: self.size - len(above)]
            self.members = np.sort(np.concatenate([above, tied]))
        else:
            self.level, self.members = np.float32(-np.inf), np.arange(n)
        self.values = self.distance[self.members]
        self.rows, self.length = self.space.rows(self.members), self.space.length[self.members]
        self.waiting, self.fresh = [], True


def _ranked(values: NDArray[np.float32], skip: int) -> tuple[int, float]:
    """Index and value of the highest but `skip`; the first index wins ties."""
    if not skip:
        best = int(values.argmax())
        return best, float(values[best])
    value = np.partition(values, len(values) - 1 - skip)[len(values) - 1 - skip]
    above = int(np.count_nonzero(values > value))
    return int(np.flatnonzero(values == value)[skip - above]), float(value)
