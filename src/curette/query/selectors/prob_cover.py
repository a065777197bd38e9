"""ProbCover: balls of one radius around the picks, covering as much of the pool as possible."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from curette.errors import SettingError
from curette.query.candidates import Candidates, Labelled
from curette.query.clustering import Given, cluster
from curette.query.farthest import farthest_first
from curette.query.selectors.typiclust import Together
from curette.query.space import CELLS, Space, blocks, closest, features, nearest, warn_of
from curette.registry import register

_TRIED = 2000  # points on which a radius is tried out
_HALVINGS = 20


@register(
    "selector",
    "prob_cover",
    needs={"embedding"},
    examples=(
        "prob_cover(0.5)",
        "prob_cover(purity=0.95, classes=3)",
        "prob_cover(normalise=false, sample=10)",
    ),
    paper="Yehuda et al. 2022, Active learning through a covering lens",
)
def prob_cover(
    candidates: Candidates,
    budget: int,
    rng: np.random.Generator,
    labelled: Labelled,
    *,
    delta: float = 0.0,
    coverage: float = 0.7,
    purity: float = 0.0,
    classes: int = 10,
    normalise: bool = True,
    sample: int = 50_000,
) -> NDArray[np.int64]:
    """For tiny budgets: again and again the region whose ball of radius `delta` holds most regions not yet covered.

    Balls around labelled regions cover from the start. Once everything is covered, the regions farthest from all that is
    labelled or picked fill the batch, with features scaled as `k_center` does. Features are scaled to length 1 (``normalise=false``: as they are).

    The radius, where ``delta=0`` leaves it open: by default the one with which this batch and the labelled set cover the
    share `coverage` of the pool, by bisection, as for masks there are no classes. With `purity` above 0, the paper's rule:
    the largest radius with which at least this share (the paper: 0.95) of all balls hold a single cluster, of k-means
    with `classes` clusters. Both are tried out on up to 2,000 regions. The paper tries a grid of radii where curette finds
    the exact one; the released code's default of 0.6 and its documentation's 0.75 are for other features.

    The released code leaves the last incomplete block of 500 regions out of the graph, so that these can never be picked,
    and goes on picking the first region once all is covered; curette does neither.

    Of pools larger than `sample`, a random sample of that size is covered and picked from, `budget` times ten at least.
    Degrees are counted block by block and no graph is stored: time O(n² d) for n sampled regions, memory O(N + n d).
    Raises `SettingError` for options out of range.
    """
    _check(delta, coverage, purity, classes, sample)
    points, seen = features(candidates, labelled)
    both = Together(points, seen, normalise)
    warn_of(~both.good[: len(points)])
    usable = np.flatnonzero(both.good[: len(points)])
    limit = max(sample, 10 * budget)
    if len(usable) > limit:
        usable = np.sort(rng.choice(usable, limit, replace=False))
    if not len(usable):
        return np.arange(budget)
    rows, known = both.rows(usable), both.rows(slice(len(points), len(both.good)))
    distance = nearest(Given(rows), known)[0]
    tried = np.arange(len(rows))
    if len(rows) > max(_TRIED, 10 * budget):
        tried = np.sort(rng.choice(len(rows), max(_TRIED, 10 * budget), replace=False))
    if delta:
        radius = delta**2
    elif purity:
        radius = pure_radius(rows[tried], purity, classes, rng)
    else:
        radius = covering_radius(rows[tried], distance[tried], coverage, budget)
    picks = usable[cover(rows, distance, radius, budget)[0]]
    if len(picks) == budget:
        return picks
    space = Space(points, seen)
    left = space.nearest(np.concatenate([seen, points[picks]]))
    left[picks] = -np.inf
    return np.concatenate([picks, farthest_first(space, left, budget - len(picks))])


def cover(
    rows: NDArray[np.float32], known: NDArray[np.float32], radius: float, budget: int
) -> tuple[NDArray[np.int64], float]:
    """Greedy picks by how many uncovered rows have a squared distance below `radius`, and the share covered by then.

    rows    [n, d]
    known   squared distance [n] to what covers from the start, inf where nothing does

    At most `budget` picks; fewer where everything is covered before. The first row wins ties.
    """
    n = len(rows)
    balls = Balls(rows)
    covered = known < radius
    degree = balls.near(rows[~covered], radius)
    picks: list[int] = []
    while len(picks) < min(budget, n):
        pick = int(degree.argmax())
        if degree[pick] <= 0:
            break
        picks.append(pick)
        new = ~covered & (balls.near(rows[pick : pick + 1], radius) > 0)
        new[pick] = not covered[pick]
        covered |= new
        degree -= balls.near(rows[new], radius)
        degree[pick] = -n
    return np.array(picks, np.int64), float(covered.mean())


class Balls:
    """A graph on rows [n, d] whose edges are looked up rather than stored."""

    def __init__(self, rows: NDArray[np.float32]) -> None:
        self.rows, self.length = rows, np.einsum("ij,ij->i", rows, rows)

    def near(self, others: NDArray[np.float32], radius: float) -> NDArray[np.int64]:
        """How many of the others have a squared distance below the radius to each row [n]."""
        count = np.zeros(len(self.rows), np.int64)
        limit = np.float32(radius) - self.length
        for block in blocks(len(others), max(len(self.rows), CELLS // 255)):  # so that a byte can count them
            part = others[block]
            product = (-2 * part) @ self.rows.T
            product += np.einsum("ij,ij->i", part, part)[:, None]
            count += (product < limit).view(np.uint8).sum(axis=0, dtype=np.uint8)
        return count


def covering_radius(
    rows: NDArray[np.float32], known: NDArray[np.float32], coverage: float, budget: int
) -> float:
    """The smallest squared radius with which `budget` balls cover the share `coverage` of the rows, by bisection."""
    least = _smallest(rows)
    low, high = 0.0, 2 * float(np.sqrt(closest(rows, rows[:1])[0].max())) * 1.001 + least**0.5
    for _ in range(_HALVINGS):
        middle = (low + high) / 2
        if cover(rows, known, middle**2, budget)[1] >= coverage:
            high = middle
        else:
            low = middle
    return float(max(high**2, least))


def pure_radius(rows: NDArray[np.float32], purity: float, classes: int, rng: np.random.Generator) -> float:
    """The largest squared radius with which the share `purity` of all balls hold one cluster of k-means only."""
    of = cluster(Given(rows), classes, rng).of
    other = np.full(len(rows), np.inf)
    for c in range(classes):
        inside, outside = rows[of == c], rows[of != c]
        if len(inside) and len(outside):
            other[of == c] = nearest(Given(inside), outside)[0]
    # A ball is pure up to the distance of the first row of another cluster; that many balls must be.
    return max(float(np.sort(other)[::-1][math.ceil(purity * len(rows)) - 1]), _smallest(rows))


def _smallest(rows: NDArray[np.float32]) -> float:
    """The squared distance below which rows are equal but for rounding."""
    return 1e-6 * float(np.einsum("ij,ij->i", rows, rows).max()) + 1e-30


def _check(delta: float, coverage: float, purity: float, classes: int, sample: int) -> None:
    if delta < 0:
        raise SettingError(
            f"Selector 'prob_cover': delta is {delta:g}, but must be 0 (found by itself) or more."
        )
    for name, value, low in (("coverage", coverage, "above 0"), ("purity", purity, "0 (unused)")):
        if not 0 <= value <= 1 or (name == "coverage" and not value):
            raise SettingError(f"Selector 'prob_cover': {name} is {value:g}, but is a share from {low} to 1.")
    for name, number in (("classes", classes), ("sample", sample)):
        if number < 1:
            raise SettingError(f"Selector 'prob_cover': {name} is {number}, but must be 1 or more.")
