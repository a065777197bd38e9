"""A part of the budget by one selector, the rest by another."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from curette.errors import SettingError
from curette.query.candidates import Candidates, Labelled
from curette.query.selectors.nested import among, check_inner, unwanted_last, with_picks
from curette.registry import Bound, register


@register(
    "selector",
    "split",
    examples=("split(top, random)", "split(k_center, per_class(top), share=0.25)"),
)
def split(
    candidates: Candidates,
    budget: int,
    rng: np.random.Generator,
    labelled: Labelled,
    *,
    first: Bound,
    second: Bound,
    share: float = 0.5,
) -> NDArray[np.int64]:
    """A part of the budget by one selector, the rest by another among what the first left.

    `share` of the budget goes to `first`, rounded to the nearest whole number (a half: up). The second sees the picks
    of the first as if they were labelled. ``split(top, random, share=0.9)`` keeps a tenth for exploration. Raises
    `SettingError` for a share outside [0, 1].
    """
    check_inner("split", first=first, second=second)
    if not 0 <= share <= 1:
        raise SettingError(f"Selector 'split': share is {share:g}, but is a part of the budget in [0, 1].")

    def choose(pool: Candidates, count: int) -> NDArray[np.int64]:
        everything = np.arange(len(pool))
        start = among(first, pool, everything, int(count * share + 0.5 + 1e-9), rng, labelled)
        left = np.delete(everything, start)
        seen = with_picks(labelled, pool, start, second)
        return np.concatenate([start, among(second, pool, left, count - len(start), rng, seen)])

    return unwanted_last(candidates, budget, choose, first.says("scores") or second.says("scores"))
