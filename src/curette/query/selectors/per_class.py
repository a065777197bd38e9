"""A quota for each predicted class."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from curette.query.candidates import Candidates, Labelled
from curette.query.selectors.apportion import groups, in_turn, quotas
from curette.query.selectors.nested import among, check_inner, unwanted_last, with_picks
from curette.query.selectors.stratified import classes_of
from curette.registry import Bound, register


@register(
    "selector",
    "per_class",
    examples=("per_class(top)", "per_class(k_center)", 'per_class(stochastic_batches, share="proportional")'),
)
def per_class(
    candidates: Candidates,
    budget: int,
    rng: np.random.Generator,
    labelled: Labelled,
    *,
    selector: Bound,
    share: str = "equal",
) -> NDArray[np.int64]:
    """Another selector within each predicted class, so that no class is forgotten.

    Every class predicted in the pool, background among them, gets an ``equal`` share of the budget or one
    ``proportional`` to its regions, rounded by largest remainder; what a class has not enough regions for goes to the
    others. With more classes than picks, as many classes as there are picks get one each: by equal shares those are
    drawn at random, by proportional ones the largest. Classes are served in rising order; each sees the picks of those
    before it as if they were labelled, and the batch goes round the classes in turn. To spend only a part of the
    budget by class, write ``split(per_class(top), top, share=0.66)``. Raises `SettingError` for an unknown `share`,
    and where no model predicts classes.
    """
    check_inner("per_class", selector=selector)
    classes_of(candidates, f"per_class({selector})")

    def choose(pool: Candidates, count: int) -> NDArray[np.int64]:
        members = groups(pool.predicted)
        sizes = np.array([len(m) for m in members], np.int64)
        parts: list[NDArray[np.int64]] = []
        seen = labelled
        for positions, quota in zip(members, quotas(sizes, count, share, rng).tolist(), strict=True):
            parts.append(among(selector, pool, positions, quota, rng, seen))
            seen = with_picks(seen, pool, parts[-1], selector)
        return in_turn(parts)

    return unwanted_last(candidates, budget, choose, selector.says("scores"))
