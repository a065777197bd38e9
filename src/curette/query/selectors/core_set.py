"""Core-set selection: cover the pool's features with as small a radius as possible."""

from __future__ import annotations

import warnings
from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from curette.errors import CuretteWarning, SettingError
from curette.query.candidates import Candidates, Labelled
from curette.query.selectors.ranking import highest
from curette.registry import register

_CELLS = 1 << 22  # numbers in the largest temporary array: 32 MiB in float64, whatever the pool's size
_CONSTANT = 1e-4  # a feature that varies by less than this share of its mean holds rounding noise only


@register(
    "selector",
    "k_center",
    needs={"embedding"},
    examples=("k_center(standardise=false, outliers=2)",),
    paper="Sener & Savarese 2018, Active learning for convolutional neural networks: a core-set approach",
)
def k_center(
    candidates: Candidates,
    budget: int,
    rng: np.random.Generator,
    labelled: Labelled,
    *,
    standardise: bool = True,
    outliers: int = 0,
) -> NDArray[np.int64]:
    """Greedy k-center: again and again the region farthest from everything labelled or picked so far.

    Euclidean distance between embeddings, by default each feature scaled to unit variance over pool and labelled set.
    Starts from the labelled set, or from a random region if there is none. `outliers` regions that are farther still
    are passed over at each pick, as odd scans otherwise win. Time O(N d (M + budget)), extra memory O(N). Raises
    `SettingError` if `outliers` is negative.
    """
    if outliers < 0:
        raise SettingError(f"Selector 'k_center': outliers is {outliers}, but must be 0 or more.")
    assert candidates.embedding is not None, "`select` checks it"
    points = np.asarray(candidates.embedding)
    seen = np.empty((0, points.shape[1]), np.float32) if not len(labelled) else np.asarray(labelled.embedding)
    space = _Space(points, seen, standardise)
    good = np.isfinite(space.norm)
    if not good.all():
        warnings.warn(
            f"{int((~good).sum())} of {len(points)} embeddings are not finite; their regions are picked last.",
            CuretteWarning,
            stacklevel=2,
        )
    with np.errstate(invalid="ignore", over="ignore"):  # in rows that are not finite
        nearest = np.where(good, space.nearest(seen), -1.0).astype(np.float32)
        picks = np.empty(budget, np.int64)
        for i in range(budget):
            if i == 0 and np.isinf(nearest).any():  # nothing labelled yet
                picks[i] = rng.choice(np.flatnonzero(good))
            else:
                picks[i] = _farthest(nearest, outliers)
            if good[picks[i]]:
                np.fmin(nearest, space.distances(points[picks[i]]), out=nearest)
            nearest[picks[i]] = -np.inf
    return picks


def _farthest(nearest: NDArray[np.float32], outliers: int) -> int:
    """The farthest point that is not among the `outliers` farthest; -1 marks non-finite points, -inf picks."""
    spare = min(outliers, int(np.count_nonzero(nearest >= 0)) - 1) if outliers else 0
    return int(highest(nearest, spare + 1)[-1]) if spare > 0 else int(np.argmax(nearest))


class _Space:
    """Squared Euclidean distances between scaled features, without a scaled copy of the pool.

    With weights w = 1/σ², Σ w (x-c)² = Σ w (x-μ)² + Σ w (c-μ)² - 2 Σ w (x-μ)(c-μ). The first sum is kept as `norm`
    [N], NaN for points that are not finite; the last is a product with the raw features.
    """

    def __init__(self, points: NDArray[np.float32], seen: NDArray[np.float32], standardise: bool) -> None:
        self.points = points
        self.mean, variance = _moments(points, seen)
        used = variance > (_CONSTANT * self.mean) ** 2
        self.weight = (
            np.where(used, 1 / np.where(used, variance, 1), 0.0) if standardise else np.ones(len(used))
        )
        self.norm = np.empty(len(points), np.float32)
        for rows in _blocks(points):
            self.norm[rows] = (points[rows] - self.mean) ** 2 @ self.weight
        self.norm[~np.isfinite(self.norm)] = np.nan
        self._room = np.empty(len(points), np.float32)

    def distances(self, centre: NDArray[np.float32]) -> NDArray[np.float32]:
        """Distances [N] to one point, in an array that the next call overwrites."""
        shifted = centre - self.mean
        along = self.weight * shifted
        room = np.matmul(self.points, along.astype(np.float32), out=self._room)
        room *= -2
        room += self.norm
        room += np.float32(along @ shifted + 2 * along @ self.mean)
        return np.maximum(room, 0, out=room)

    def nearest(self, centres: NDArray[np.float32]) -> NDArray[np.float32]:
        """Distance [N] to the nearest of M points, inf if M is 0. Never N × M at once."""
        nearest = np.full(len(self.points), np.inf, np.float32)
        centres = centres[np.isfinite(centres).all(axis=1)]
        for several in _blocks(centres):
            shifted = centres[several] - self.mean
            along = self.weight * shifted
            constant = (along * shifted).sum(axis=1) + 2 * along @ self.mean
            for rows in _blocks(self.points, len(shifted)):
                product = self.points[rows] @ along.T.astype(np.float32)
                distance = self.norm[rows, None] + (constant - 2 * product).astype(np.float32)
                np.minimum(nearest[rows], np.maximum(distance.min(axis=1), 0), out=nearest[rows])
        return nearest


def _moments(*arrays: NDArray[np.float32]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Mean and variance [d] over the finite rows of all arrays, exact enough for any offset."""
    count, mean, square = 0, np.zeros(arrays[0].shape[1]), np.zeros(arrays[0].shape[1])
    for array in arrays:
        for rows in _blocks(array):
            x = array[rows].astype(np.float64)
            x = x[np.isfinite(x).all(axis=1)]
            if not len(x):
                continue
            # Chan, Golub & LeVeque 1979: moments of blocks merge without cancellation.
            total, step = count + len(x), x.mean(axis=0) - mean
            square += ((x - x.mean(axis=0)) ** 2).sum(axis=0) + step**2 * count * len(x) / total
            mean += step * len(x) / total
            count = total
    return mean, square / max(count, 1)


def _blocks(array: NDArray[np.float32], width: int = 0) -> Iterator[slice]:
    """Slices of rows, so that rows × (the larger of `width` and the row length) stays small."""
    height = max(1, _CELLS // max(width, array.shape[1], 1))
    return (slice(start, start + height) for start in range(0, len(array), height))
