"""Among the most wanted regions, those that resemble as much of the pool as possible."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from curette.errors import SettingError
from curette.query.candidates import Candidates, Labelled
from curette.query.selectors.ranking import highest
from curette.query.space import blocks, features, finite, squared_length, unit, warn_of
from curette.registry import register

_AT_ONCE = 16  # candidates whose gain is brought up to date in one reading of the pool


@register(
    "selector",
    "max_cover",
    needs={"embedding"},
    scores=True,
    examples=("max_cover(12)", "max_cover(with_labelled=false)"),
    paper="Yang et al. 2017, Suggestive annotation",
)
def max_cover(
    candidates: Candidates,
    budget: int,
    rng: np.random.Generator,
    labelled: Labelled,
    *,
    keep: int = 0,
    with_labelled: bool = True,
) -> NDArray[np.int64]:
    """Greedy maximum of Σ over the pool of the largest cosine similarity to a pick, among the `keep` highest scores.

    ``keep=0`` keeps twice the budget, as the paper does with 16 for 8; a smaller `keep` than the budget counts as the
    budget. Negative similarities add nothing. The sum reached is at least 1 - 1/e of the largest possible. The labelled
    set counts as picked before; the paper leaves it out (``with_labelled=false``).

    The descriptor of a region is the mean over space of each channel of the encoder, as in the paper. A known
    re-implementation averages over channels and keeps space, so that its descriptor depends on where things lie, and
    sums the uncertainty over pixels instead of averaging it.

    Regions with a score of -inf or features that are not finite come last. Similarities are computed block by block and
    gains are only brought up to date where they could win (Minoux 1978), with the same picks. Time O(N d keep) at
    most twice over in practice, extra memory O(N). No chance is involved. Raises `SettingError` if `keep` is negative.
    """
    if keep < 0:
        raise SettingError(f"Selector 'max_cover': keep is {keep}, but must be 0 (twice the budget) or more.")
    points, seen = features(candidates, labelled)
    good = finite(points)
    warn_of(~good)
    score = np.where(good, candidates.score, -np.inf)
    kept = highest(score, max(keep or 2 * budget, budget))
    kept = np.sort(kept[np.isfinite(score[kept])])
    cover = Cover(points, good, seen if with_labelled else seen[:0])
    picks = kept[cover.greedy(unit(points[kept]), min(budget, len(kept)))]
    left = np.where(np.isfinite(candidates.score), 0.0, -1.0) - ~good  # unwanted and broken ones last
    left[picks] = -np.inf
    return np.concatenate([picks, highest(left, budget - len(picks))])


class Cover:
    """How well each point of the pool is covered: its largest cosine similarity to what is chosen, at least 0.

    Points keep their lengths l: a gain Σ max(cos - covered, 0) is Σ max(x·r - l covered, 0) / l.
    """

    def __init__(
        self, points: NDArray[np.float32], good: NDArray[np.bool_], seen: NDArray[np.float32]
    ) -> None:
        self.points, self.good = points, good
        length = np.sqrt(squared_length(points))
        self.weight = np.zeros(len(points), np.float32)
        np.divide(1, length, out=self.weight, where=good & (length > 0))
        self.reached = np.zeros(len(points), np.float32)  # length × how well it is covered
        self._raise(unit(seen))

    @property
    def covered(self) -> NDArray[np.float32]:
        """The largest similarity [N]."""
        return self.reached * self.weight

    def greedy(self, rows: NDArray[np.float32], budget: int) -> NDArray[np.int64]:
        """Positions in pick order of those rows [K, d], of length 1, that add most; the first one wins ties."""
        bound, known = self.gains(rows), np.ones(len(rows), bool)
        picks = np.empty(budget, np.int64)
        for i in range(budget):
            best = int(bound.argmax())
            while not known[best]:
                several = highest(np.where(known, -np.inf, bound), min(_AT_ONCE, int((~known).sum())))
                bound[several], known[several] = self.gains(rows[several]), True
                best = int(bound.argmax())
            picks[i] = best
            self._raise(rows[best : best + 1])
            bound[best], known[:] = -np.inf, False
            known[picks[: i + 1]] = True
        return picks

    def gains(self, rows: NDArray[np.float32]) -> NDArray[np.float64]:
        """How much the sum over the pool would rise by each of the rows [K]."""
        total = np.zeros(len(rows))
        for block in blocks(len(self.points), len(rows) + self.points.shape[1]):
            more = self._products(block, rows)
            more -= self.reached[block, None]
            np.maximum(more, 0, out=more)
            total += self.weight[block] @ more
        return total

    def _raise(self, rows: NDArray[np.float32]) -> None:
        if not len(rows):
            return
        for block in blocks(len(self.points), len(rows) + self.points.shape[1]):
            best = self._products(block, rows).max(axis=1)
            np.maximum(self.reached[block], best, out=self.reached[block])

    def _products(self, block: slice, rows: NDArray[np.float32]) -> NDArray[np.float32]:
        """Inner products of a block with the rows; 0 for broken points."""
        here, sound = self.points[block], self.good[block]
        return (here if sound.all() else np.where(sound[:, None], here, 0)) @ rows.T
