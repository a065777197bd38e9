"""Distances between the features of a million regions, without ever holding a scaled copy of them.

`Space` is Euclidean, each feature scaled; `unit` puts rows on the unit sphere for cosine distances. Rows with a feature
that is not finite, or too large to be squared, are `broken`: no distance to them means anything, and selectors pick them
last.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from curette.errors import CuretteWarning
from curette.query.candidates import Candidates, Labelled

CELLS = 1 << 20  # numbers in the largest temporary array: 4 MiB in float32, whatever the pool's size
_CONSTANT = 1e-4  # a feature that varies by less than this share of its mean holds rounding noise only
LARGEST = np.float32(1e36)  # squared lengths above this could overflow when they are added up
_FUSED = 1 << 15  # rows whose distances stay in cache from one elementwise pass to the next


class Rows(Protocol):
    """Points in the geometry of a strategy, read block by block."""

    @property
    def good(self) -> NDArray[np.bool_]:
        """Which of the N points are finite."""
        ...

    def rows(self, which: Any) -> NDArray[np.float32]:
        """Points at a slice or an array of positions."""
        ...


class Distances(Protocol):
    """Squared distances from all points to one of them."""

    @property
    def good(self) -> NDArray[np.bool_]:
        """Which of the N points are finite."""
        ...

    @property
    def length(self) -> NDArray[np.float32]:
        """Squared distance [N] of every point to the origin of the geometry; NaN where it is not finite."""
        ...

    def to(self, position: int) -> NDArray[np.float32]:
        """Squared distances [N] to one point, in an array that the next call overwrites. NaN for broken points."""
        ...


class Space:
    """Squared Euclidean distances between features, each scaled to unit variance over pool and labelled set.

    With scales s, Σ (s(x-c))² = Σ (s(x-μ))² + Σ (s(c-μ))² - 2 Σ s²(x-μ)(c-μ). The first sum is kept as `length` [N];
    the last is one product with the raw features. A feature that is constant but for rounding counts nothing.
    """

    def __init__(
        self,
        points: NDArray[np.float32],
        seen: NDArray[np.float32] | None = None,
        *,
        standardise: bool = True,
    ) -> None:
        self.points = points
        mean, variance = _moments(points) if seen is None else _moments(points, seen)
        used = variance > (_CONSTANT * mean) ** 2
        scale = (
            np.where(used, 1 / np.sqrt(np.where(used, variance, 1)), 0.0)
            if standardise
            else np.ones(len(used))
        )
        # Any origin near the mean serves, and one that float32 holds exactly is the same for every formula below.
        self._origin, self._scale = mean.astype(np.float32), scale.astype(np.float32)
        self.length = np.empty(len(points), np.float32)
        with np.errstate(invalid="ignore", over="ignore"):  # in rows that are not finite
            for block in blocks(len(points), points.shape[1]):
                scaled = self.rows(block)
                self.length[block] = np.einsum("ij,ij->i", scaled, scaled)
            self.good = self.length < LARGEST
        self.length[~self.good] = np.nan
        self._room = np.empty(len(points), np.float32)

    def rows(self, which: Any) -> NDArray[np.float32]:
        """Centred and scaled features of the pool at a slice or an array of positions."""
        return self.scaled(self.points[which])

    def scaled(self, raw: NDArray[np.float32]) -> NDArray[np.float32]:
        """Raw features [n, d] centred and scaled; the same origin for all."""
        centred = raw - self._origin
        centred *= self._scale
        return centred

    def to(self, position: int) -> NDArray[np.float32]:
        """Squared distances [N] to one region of the pool, in an array that the next call overwrites."""
        origin = self._origin.astype(np.float64)
        shifted = self.points[position] - origin
        along = self._scale.astype(np.float64) ** 2 * shifted
        with np.errstate(invalid="ignore", over="ignore"):  # in broken rows
            room = np.matmul(self.points, (-2 * along).astype(np.float32), out=self._room)
        constant = np.float32(along @ shifted + 2 * along @ origin)
        for block in blocks(len(room), 1, _FUSED):
            part = room[block]
            part += self.length[block]
            part += constant
            np.maximum(part, 0, out=part)
        return room

    def nearest(self, seen: NDArray[np.float32]) -> NDArray[np.float32]:
        """Squared distance [N] to the nearest of M raw feature rows; inf if M is 0, NaN for broken points."""
        seen = self.scaled(seen[finite(seen)])
        found = nearest(self, seen)[0]
        found[~self.good] = np.nan
        return found


def nearest(points: Rows, centres: NDArray[np.float32]) -> tuple[NDArray[np.float32], NDArray[np.int32]]:
    """Squared distance [N] to the nearest of M centres in the same geometry, and which one it is; (inf, -1) if M is 0.

    Never N × M at once. The first centre wins ties.
    """
    n = len(points.good)
    distance, index = np.full(n, np.inf, np.float32), np.full(n, -1, np.int32)
    if not len(centres):
        return distance, index
    with np.errstate(invalid="ignore", over="ignore"):
        for block in blocks(n, len(centres) + centres.shape[1]):
            distance[block], index[block] = closest(points.rows(block), centres)
    return distance, index


def closest(
    rows: NDArray[np.float32], centres: NDArray[np.float32]
) -> tuple[NDArray[np.float32], NDArray[np.intp]]:
    """`nearest` for one block of rows that is small enough to be compared with all centres at once."""
    product = rows @ (-2 * centres.T)
    product += np.einsum("ij,ij->i", centres, centres)
    index = product.argmin(axis=1)
    least = np.take_along_axis(product, index[:, None], axis=1)[:, 0]
    return np.maximum(least + np.einsum("ij,ij->i", rows, rows), 0), index


def unit(raw: NDArray[np.float32]) -> NDArray[np.float32]:
    """Rows scaled to length 1; rows of zeros stay zeros."""
    largest = np.abs(raw).max(axis=1, keepdims=True, initial=0)
    shrunk = raw / np.where(largest > 0, largest, 1)  # so that no square overflows
    length = np.sqrt(np.einsum("ij,ij->i", shrunk, shrunk))[:, None]
    return np.asarray(shrunk / np.where(length > 0, length, 1), np.float32)


def features(candidates: Candidates, labelled: Labelled) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Embeddings of the pool [N, d] and of the finite ones of the labelled set [M, d], the latter in region order.

    Warns if embeddings of the pool are not finite.
    """
    assert candidates.embedding is not None, "`select` checks it"
    points = np.asarray(candidates.embedding)
    if not len(labelled):
        return points, np.empty((0, points.shape[1]), np.float32)
    order = sorted(range(len(labelled)), key=lambda i: labelled.regions[i])
    seen = np.asarray(labelled.embedding)[order]
    return points, seen[finite(seen)]


def warn_of(broken: NDArray[np.bool_]) -> None:
    """Say how many embeddings are not finite, if any."""
    if broken.any():
        warnings.warn(
            f"{int(broken.sum())} of {len(broken)} embeddings are not finite; their regions are picked last.",
            CuretteWarning,
            stacklevel=3,
        )


def finite(points: NDArray[np.float32]) -> NDArray[np.bool_]:
    """Which rows [N] are not broken."""
    return squared_length(points) < LARGEST


def squared_length(points: NDArray[np.float32]) -> NDArray[np.float32]:
    """Squared length [N] of every row as it is; NaN or inf where it is not finite."""
    with np.errstate(invalid="ignore", over="ignore"):
        return np.asarray(np.einsum("ij,ij->i", points, points))


def blocks(n: int, width: int, cells: int = CELLS) -> Iterator[slice]:
    """Slices that cut n rows up so that rows × width stays small."""
    height = max(1, cells // max(width, 1))
    return (slice(start, min(start + height, n)) for start in range(0, n, height))


def _moments(*arrays: NDArray[np.float32]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Mean and variance [d] over the rows of all arrays that are not broken, exact enough for any offset."""
    count, mean, square = 0, np.zeros(arrays[0].shape[1]), np.zeros(arrays[0].shape[1])
    for array in arrays:
        for block in blocks(len(array), array.shape[1], CELLS // 8):
            sound = squared_length(array[block]) < LARGEST
            x = array[block] if sound.all() else array[block][sound]
            x = x.astype(np.float64)
            if not len(x):
                continue
            # Chan, Golub & LeVeque 1979: moments of blocks merge without cancellation.
            here = x.mean(axis=0)
            x -= here
            total, step = count + len(x), here - mean
            square += np.einsum("ij,ij->j", x, x) + step**2 * count * len(x) / total
            mean += step * len(x) / total
            count = total
    return mean, square / max(count, 1)


def projected(
    points: NDArray[np.float32], seen: NDArray[np.float32], count: int, standardise: bool
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """The first `count` principal components of pool and labelled set, [N, count] and [M, count]."""
    space = Space(points, seen, standardise=standardise)
    d = points.shape[1]
    total, spread = np.zeros(d), np.zeros((d, d))
    for block in blocks(len(points), d):
        z = space.rows(block)[space.good[block]].astype(np.float64)
        total += z.sum(axis=0)
        spread += z.T @ z
    known = space.scaled(seen).astype(np.float64)
    total += known.sum(axis=0)
    n = max(int(space.good.sum()) + len(seen), 1)
    spread += known.T @ known - np.outer(total, total) / n
    axes = np.linalg.eigh(spread)[1][:, ::-1][:, :count].astype(np.float32)
    found = np.empty((len(points), axes.shape[1]), np.float32)
    with np.errstate(invalid="ignore", over="ignore"):
        for block in blocks(len(points), d):
            found[block] = space.rows(block) @ axes
    return found, space.scaled(seen) @ axes
