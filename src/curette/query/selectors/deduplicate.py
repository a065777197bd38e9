"""No two regions of a batch that look almost the same to the network."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from curette.errors import SettingError
from curette.query.candidates import Candidates, Labelled
from curette.query.selectors.nested import admitted, check_inner, unwanted_last
from curette.query.space import Space, blocks, features
from curette.registry import Bound, register


@register(
    "selector",
    "deduplicate",
    needs={"embedding"},
    examples=("deduplicate(top)", "deduplicate(cap(top), within=0.5)"),
)
def deduplicate(
    candidates: Candidates,
    budget: int,
    rng: np.random.Generator,
    labelled: Labelled,
    *,
    selector: Bound,
    within: float = 0.1,
) -> NDArray[np.int64]:
    """Another selector, passing over near-duplicates of what is labelled or picked already.

    Two regions are near-duplicates if the distance between their embeddings, each feature scaled to unit variance over
    pool and labelled set, is at most `within` times the root mean square distance between two regions of the pool. So
    0.1 means ten times nearer than usual, whatever the network; 0 means equal. The selector's picks are taken in order,
    and it is asked for the rest without the duplicates, knowing the picks so far as if they were labelled. Where
    nothing but duplicates is left, they fill the batch. Regions whose embedding is not finite are nobody's duplicates.
    Time O(N d) for each region that has duplicates among the picks, extra memory O(N). Raises `SettingError` for a
    negative `within`.
    """
    check_inner("deduplicate", selector=selector)
    if not within >= 0:
        raise SettingError(f"Selector 'deduplicate': within is {within:g}, but must be 0 or more.")
    return unwanted_last(
        candidates,
        budget,
        lambda pool, count: admitted(
            selector, pool, count, rng, labelled, _Distinct(pool, labelled, within, count)
        ),
        selector.says("scores"),
    )


class _Distinct:
    """Keeps the places of everything labelled or picked, and looks around those that have duplicates."""

    def __init__(self, pool: Candidates, labelled: Labelled, within: float, budget: int) -> None:
        points, seen = features(pool, labelled)
        self.space = Space(points, seen)
        good = self.space.good
        spread = float(self.space.length[good].mean(dtype=np.float64)) if good.any() else 0.0
        self.limit = within**2 * 2 * spread  # the mean squared distance of two points is twice their variance
        self.places = np.concatenate(
            [self.space.scaled(seen), np.empty((budget, points.shape[1]), np.float32)]
        )
        self.used = len(seen)
        self.crowded: set[int] = set()  # places that have duplicates, and are still to be looked around
        self._barred = np.zeros(len(points), bool)

    def admits(self, position: int) -> bool:
        if not self.space.good[position]:
            return True
        point = self.space.rows(slice(position, position + 1))
        distance = _squared(self.places[: self.used], point)
        if self.used and distance.min() <= self.limit:
            self.crowded.add(int(distance.argmin()))
            return False
        self.places[self.used] = point
        self.used += 1
        return True

    def barred(self) -> NDArray[np.bool_]:
        with np.errstate(invalid="ignore", over="ignore"):  # in rows that are not finite
            for rows in blocks(len(self._barred), self.places.shape[1]):
                scaled = self.space.rows(rows)
                for place in self.crowded:
                    self._barred[rows] |= _squared(scaled, self.places[place]) <= self.limit
        self.crowded.clear()
        return self._barred

    def relax(self) -> None:
        self.limit = -1.0
        self._barred[:] = False


def _squared(rows: NDArray[np.float32], place: NDArray[np.float32]) -> NDArray[np.float32]:
    """Squared distances [n] of rows to a place, by differences: equal rows are exactly 0 apart."""
    difference = rows - place
    return np.asarray(np.einsum("ij,ij->i", difference, difference), np.float32)
