"""k-means for any number of points, also around centres that must not move."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from curette.query.seeding import draw
from curette.query.space import Rows, nearest

SMALL = 1_000_000  # points × clusters up to which every point is looked at in every round
_FEW = 100_000  # and so many points at most, as they are copied
_BATCH = 10_000
_SEEDS = 10_000  # points among which the first centres are drawn, at least
_SETTLED = 1e-6  # a round that improves the sum of squares by a smaller share is the last
_EPOCHS, _FEWEST, _MOST = 3, 30, 400  # how many mini-batches: about three rounds of the pool, within bounds


@dataclass(frozen=True)
class Clusters:
    """k clusters of N points.

    centres   float32 [k, d], in the geometry of the points
    of        int32 [N], the cluster of each point; -1 for broken points and those nearer to a fixed centre
    distance  float32 [N], squared distance to the nearest of the k centres
    """

    centres: NDArray[np.float32]
    of: NDArray[np.int32]
    distance: NDArray[np.float32]


@dataclass(frozen=True)
class Given:
    """Finite rows in memory."""

    array: NDArray[np.float32]

    @property
    def good(self) -> NDArray[np.bool_]:
        return np.ones(len(self.array), bool)

    def rows(self, which: slice) -> NDArray[np.float32]:
        return self.array[which]


def cluster(
    points: Rows,
    k: int,
    rng: np.random.Generator,
    *,
    fixed: NDArray[np.float32] | None = None,
    restarts: int = 10,
    rounds: int = 300,
) -> Clusters:
    """k-means with squared Euclidean distances, first centres drawn by squared distance (Arthur & Vassilvitskii 2007).

    Up to `SMALL` points × clusters: Lloyd's algorithm, the best of `restarts` by the sum of squared distances, each of
    at most `rounds` rounds. Beyond: mini-batches of 10,000 points (Sculley 2010), once. Time then O(N d k), memory O(N).

    fixed   squared distance [N] to the nearest of centres that stay where they are, the labelled set for example. Points
            nearer to these belong to no cluster and pull at none.
    """
    usable = np.flatnonzero(points.good if fixed is None else points.good & (fixed > 0))
    if not len(usable):
        n = len(points.good)
        return Clusters(
            np.empty((0, 0), np.float32), np.full(n, -1, np.int32), np.full(n, np.inf, np.float32)
        )
    limit = np.full(len(points.good), np.inf, np.float32) if fixed is None else fixed
    if len(usable) * k <= SMALL and len(usable) <= _FEW:
        rows = points.rows(usable)
        centres = _best(rows, limit[usable], k, rng, restarts, rounds)
    else:
        centres = _mini_batches(points, usable, limit, k, rng)
    distance, of = nearest(points, centres)
    of[~points.good | (distance > limit)] = -1
    return Clusters(centres, of, distance)


def _best(
    rows: NDArray[np.float32],
    limit: NDArray[np.float32],
    k: int,
    rng: np.random.Generator,
    restarts: int,
    rounds: int,
) -> NDArray[np.float32]:
    """Lloyd's algorithm from several starts; the centres with the smallest sum of squared distances."""
    best, least = np.empty((0, rows.shape[1]), np.float32), np.inf
    for _ in range(restarts):
        centres, loss = _lloyd(rows, limit, _seeds(rows, limit, k, rng), rounds)
        if loss < least:
            best, least = centres, loss
    return best


def _lloyd(
    rows: NDArray[np.float32], limit: NDArray[np.float32], centres: NDArray[np.float32], rounds: int
) -> tuple[NDArray[np.float32], float]:
    loss = np.inf
    for _ in range(rounds):
        distance, of = _compared(rows, centres)
        free = distance < limit
        before, loss = loss, float(np.where(free, distance, limit).sum(dtype=np.float64))
        if not loss < before * (1 - _SETTLED):
            break
        sums, counts = _sums(rows[free], of[free], len(centres))
        held = counts > 0  # a cluster without points keeps its centre
        centres = centres.copy()
        centres[held] = sums[held] / counts[held, None]
    return centres, loss


def _mini_batches(
    points: Rows, usable: NDArray[np.int64], limit: NDArray[np.float32], k: int, rng: np.random.Generator
) -> NDArray[np.float32]:
    """Each centre is the running mean of the points that mini-batches have given it."""
    n = len(usable)
    sample = np.sort(rng.choice(usable, min(n, max(_SEEDS, 5 * k)), replace=False))
    centres = _seeds(points.rows(sample), limit[sample], k, rng).astype(np.float64)
    weight = np.zeros(k)
    size = min(n, max(_BATCH, 2 * k))
    for _ in range(min(max(_FEWEST, _EPOCHS * n // size), _MOST)):
        batch = np.sort(usable[rng.integers(n, size=size)])  # in order, as the pool may lie on disk
        rows = points.rows(batch)
        distance, of = _compared(rows, centres.astype(np.float32))
        free = distance < limit[batch]
        sums, counts = _sums(rows[free], of[free], k)
        weight += counts
        held = counts > 0
        centres[held] += (sums[held] - counts[held, None] * centres[held]) / weight[held, None]
    return centres.astype(np.float32)


def _seeds(
    rows: NDArray[np.float32], limit: NDArray[np.float32], k: int, rng: np.random.Generator
) -> NDArray[np.float32]:
    """k rows drawn by squared distance to the fixed centres and the rows drawn before."""
    distance = limit.copy()
    chosen = np.empty(k, np.int64)
    length = np.einsum("ij,ij->i", rows, rows)
    for i in range(k):
        weighed = draw(distance, rng) if np.isfinite(distance[0]) else -1
        chosen[i] = weighed if weighed >= 0 else rng.integers(len(rows))
        centre = rows[chosen[i]]
        found = rows @ (-2 * centre)
        found += length
        found += length[chosen[i]]
        np.minimum(distance, np.maximum(found, 0, out=found), out=distance)
        distance[chosen[i]] = 0
    return rows[chosen]


def _compared(
    rows: NDArray[np.float32], centres: NDArray[np.float32]
) -> tuple[NDArray[np.float32], NDArray[np.int32]]:
    return nearest(Given(rows), centres)


def _sums(
    rows: NDArray[np.float32], of: NDArray[np.int32], k: int
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Sum of the rows [k, d] and number of them [k] in each cluster."""
    from scipy.sparse import csr_matrix  # not at the top: half of what `curette --help` may take

    n = len(rows)
    gather = csr_matrix((np.ones(n), of, np.arange(n + 1)), shape=(n, k)).T
    return np.asarray(gather @ rows, np.float64), np.bincount(of, minlength=k).astype(np.float64)
