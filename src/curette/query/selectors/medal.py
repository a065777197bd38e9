"""Among the most wanted regions, those far from everything labelled on average."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from curette.errors import SettingError, unknown
from curette.query.candidates import Candidates, Labelled
from curette.query.selectors.ranking import highest
from curette.query.space import Space, blocks, features, warn_of
from curette.registry import register

_RULES = ("mean_distance", "centroid")


@register(
    "selector",
    "medal",
    needs={"embedding"},
    scores=True,
    examples=('medal("centroid", keep=12)', "medal(standardise=false)"),
    paper="Smailagic et al. 2018 (MedAL) and 2020 (O-MedAL)",
)
def medal(
    candidates: Candidates,
    budget: int,
    rng: np.random.Generator,
    labelled: Labelled,
    *,
    rule: str = "mean_distance",
    keep: int = 0,
    standardise: bool = True,
) -> NDArray[np.int64]:
    """Again and again the one of the `keep` highest scores that is farthest from the labelled set and earlier picks.

    Far means by the mean Euclidean distance to all of them (``rule="mean_distance"``), as MedAL is described, or by the
    distance to their centroid (``"centroid"``), which is what the released code of O-MedAL computes: not the same, as a
    region between two distant groups is near the centroid and far from both. ``keep=0`` keeps twice the budget, as the
    papers do with 20 for 10 and 50 for 20; a smaller `keep` than the budget counts as the budget. Where nothing is
    labelled the first pick is the highest score.

    The papers compare features as they are (``standardise=false``); by default each is scaled to unit variance over pool
    and labelled set. Both rules like outliers, and may pick near-duplicates on the same side. O-MedAL's online training,
    on the new labels and a share of the old, is not part of this: curette trains anew in each cycle.

    Regions with a score of -inf or features that are not finite come last. Time O(N d + keep d (M + budget)), extra
    memory O(N). No chance is involved. Raises `SettingError` for an unknown rule or a negative `keep`.
    """
    if rule not in _RULES:
        raise unknown("rule", rule, _RULES)
    if keep < 0:
        raise SettingError(f"Selector 'medal': keep is {keep}, but must be 0 (twice the budget) or more.")
    points, seen = features(candidates, labelled)
    space = Space(points, seen, standardise=standardise)
    warn_of(~space.good)
    score = np.where(space.good, candidates.score, -np.inf)
    kept = highest(score, max(keep or 2 * budget, budget))
    kept = kept[np.isfinite(score[kept])]
    begin = kept[:1]
    kept = np.sort(kept)
    first = -1 if len(seen) or not len(kept) else int(np.flatnonzero(kept == begin)[0])
    rows, known = space.rows(kept).astype(np.float64), space.scaled(seen).astype(np.float64)
    farthest = _from_all if rule == "mean_distance" else _from_centroid
    picks = kept[farthest(rows, known, min(budget, len(kept)), first)]
    left = np.where(np.isfinite(candidates.score), 0.0, -1.0) - ~space.good  # unwanted and broken ones last
    left[picks] = -np.inf
    return np.concatenate([picks, highest(left, budget - len(picks))])


def _from_all(
    rows: NDArray[np.float64], known: NDArray[np.float64], budget: int, first: int
) -> NDArray[np.int64]:
    """Picks by the sum of distances, which orders as their mean does."""
    total = np.zeros(len(rows))
    for block in blocks(len(known), len(rows) + 1):
        total += _distances(rows, known[block]).sum(axis=1)
    picks = np.empty(budget, np.int64)
    for i in range(budget):
        picks[i] = first if i == 0 and first >= 0 else total.argmax()
        total += np.linalg.norm(rows - rows[picks[i]], axis=1)
        total[picks[i]] = -np.inf
    return picks


def _from_centroid(
    rows: NDArray[np.float64], known: NDArray[np.float64], budget: int, first: int
) -> NDArray[np.int64]:
    total, count = known.sum(axis=0), len(known)
    left = np.zeros(len(rows))
    picks = np.empty(budget, np.int64)
    for i in range(budget):
        distance = np.linalg.norm(rows - total / max(count, 1), axis=1) + left
        picks[i] = first if i == 0 and first >= 0 else distance.argmax()
        total, count = total + rows[picks[i]], count + 1
        left[picks[i]] = -np.inf
    return picks


def _distances(rows: NDArray[np.float64], others: NDArray[np.float64]) -> NDArray[np.float64]:
    product = rows @ (-2 * others.T)
    product += (rows**2).sum(axis=1)[:, None]
    product += (others**2).sum(axis=1)
    return np.sqrt(np.maximum(product, 0))
