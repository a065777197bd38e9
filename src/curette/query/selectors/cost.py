"""Score per cost."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from curette.errors import DataError
from curette.query.candidates import Candidates, Labelled
from curette.query.selectors.nested import check_inner
from curette.query.selectors.positive import above, origin
from curette.registry import Bound, register


@register(
    "selector",
    "cost_aware",
    scores=True,
    examples=("cost_aware(top)", "cost_aware(power(8), zero=-4)"),
    paper="Settles, Craven & Friedland 2008, Active learning with real annotation costs",
)
def cost_aware(
    candidates: Candidates,
    budget: int,
    rng: np.random.Generator,
    labelled: Labelled,
    *,
    selector: Bound,
    zero: float | None = None,
) -> NDArray[np.int64]:
    """Another selector that sees score divided by annotation cost: the most wanted per hour of work.

    The budget still counts regions, whatever they cost. A quotient means something only for scores that count up from
    nothing: say with `zero` which score means "not wanted" where that is not 0 (-1 for ``margin``; divided as they are,
    negative scores would make the dearest regions the best). Without `zero`, scores that rounding took just below 0
    count as 0; if the lowest lies further down, it is taken for the zero, with a warning. Without a cost model every
    region costs 1 and the order of scores stays. Raises `DataError` naming a region whose cost is not a positive
    number.
    """
    check_inner("cost_aware", selector=selector)
    cost = candidates.cost
    if not (np.isfinite(cost) & (cost > 0)).all():
        bad = int(np.flatnonzero(~(np.isfinite(cost) & (cost > 0)))[0])
        raise DataError(
            f"Region '{candidates.regions[bad]}' costs {cost[bad]:g}, but a cost must be a positive number."
        )
    worth = above(candidates.score, origin(candidates.score, zero, "cost_aware")) / cost
    score = np.minimum(worth, np.finfo(np.float32).max).astype(np.float32)
    picks: NDArray[np.int64] = selector(candidates.rescored(score), budget, rng, labelled)
    return picks
