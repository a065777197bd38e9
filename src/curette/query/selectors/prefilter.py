"""The best scores first, then another selector among them."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from curette.errors import SettingError
from curette.query.candidates import Candidates, Labelled
from curette.query.selectors.nested import among, check_inner, unwanted_last
from curette.query.selectors.ranking import highest
from curette.registry import Bound, register


@register(
    "selector",
    "prefilter",
    scores=True,
    examples=("prefilter(k_center)", "prefilter(k_center, keep=12, chance=0)", "prefilter(random, factor=2)"),
)
def prefilter(
    candidates: Candidates,
    budget: int,
    rng: np.random.Generator,
    labelled: Labelled,
    *,
    selector: Bound,
    keep: int = 0,
    factor: float = 20.0,
    chance: float = 0.1,
) -> NDArray[np.int64]:
    """Another selector among the regions of highest score, and a few drawn at random.

    `keep` regions are kept, or `factor` times the budget where `keep` is 0; never fewer than the budget. Of these, the
    share `chance` is drawn at random from the rest of the pool, so that regions which the score overlooks are not lost
    for good; 0 keeps the highest scores only. A `factor` of 1 without chance is the highest scores themselves, a large
    one the inner selector alone. This is how methods too slow for the whole pool run on a million regions. Raises
    `SettingError` for a negative `keep`, a `factor` below 1 and a `chance` outside [0, 1].
    """
    check_inner("prefilter", selector=selector)
    if keep < 0:
        raise SettingError(
            f"Selector 'prefilter': keep is {keep}, but must be a number of regions, or 0 to use factor."
        )
    if not factor >= 1:
        raise SettingError(
            f"Selector 'prefilter': factor is {factor:g}, but must be 1 or more times the budget."
        )
    if not 0 <= chance <= 1:
        raise SettingError(f"Selector 'prefilter': chance is {chance:g}, but is a share in [0, 1].")

    def choose(pool: Candidates, count: int) -> NDArray[np.int64]:
        n = len(pool)
        size = min(n, max(count, keep or math.ceil(min(factor * count, n))))
        drawn = int(size * chance)
        kept = np.zeros(n, bool)
        kept[highest(pool.score, size - drawn)] = True
        kept[rng.choice(np.flatnonzero(~kept), drawn, replace=False)] = True
        return among(selector, pool, np.flatnonzero(kept), count, rng, labelled)

    return unwanted_last(candidates, budget, choose, scored=True)
