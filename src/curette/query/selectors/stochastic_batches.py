"""Stochastic batches: score random batches instead of single regions."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from curette.errors import SettingError, unknown
from curette.query.candidates import Candidates, Labelled
from curette.query.selectors.ranking import highest
from curette.registry import register

_REDUCTIONS = {"mean": np.mean, "max": np.max, "sum": np.sum}
_REMAINDERS = ("drop", "keep_short")


@register(
    "selector",
    "stochastic_batches",
    scores=True,
    examples=("stochastic_batches(7)", 'stochastic_batches(reduce="max", remainder="keep_short")'),
    paper="Gaillochet, Desrosiers & Lombaert 2023, Active learning for medical image segmentation with stochastic batches",
)
def stochastic_batches(
    candidates: Candidates,
    budget: int,
    rng: np.random.Generator,
    labelled: Labelled,
    *,
    groups: int = 0,
    reduce: str = "mean",
    remainder: str = "drop",
) -> NDArray[np.int64]:
    """The best of many random groups of `budget` regions, by the mean score of the group.

    With ``groups=0`` the pool is permuted and cut into consecutive groups; the regions left over cannot be picked in
    this cycle (``remainder="drop"``), or form a short group that competes too and, if it wins, is filled up with the
    best of the others (``"keep_short"``). With ``groups=G``, G groups are drawn, each without replacement, and may
    overlap. `reduce` is ``mean``, ``max`` or ``sum``. A group with fewer regions of score -inf always beats one with
    more. Raises `SettingError` for impossible options.
    """
    if reduce not in _REDUCTIONS:
        raise unknown("reduction", reduce, _REDUCTIONS)
    if remainder not in _REMAINDERS:
        raise unknown("remainder", remainder, _REMAINDERS)
    if groups < 0:
        raise SettingError(
            f"Selector 'stochastic_batches': groups is {groups}, but must be 0 (cut up) or more."
        )
    n = len(candidates)
    if groups:
        drawn = np.stack([rng.choice(n, budget, replace=False) for _ in range(groups)])
        best, _ = best_group(candidates.score[drawn], reduce)
        return np.asarray(drawn[best], np.int64)
    order = rng.permutation(n).astype(np.int64)
    whole = n // budget * budget
    table = order[:whole].reshape(-1, budget)
    best, value = best_group(candidates.score[table], reduce)
    if remainder == "keep_short" and whole < n:
        short = order[whole:]
        if best_group(candidates.score[short][None], reduce)[1] > value:
            return _fill_up(short, candidates.score, budget)
    return np.asarray(table[best], np.int64)


def best_group(score: NDArray[np.float32], reduce: str) -> tuple[int, tuple[float, float]]:
    """The best row of scores [groups, size] and its value: (minus its share of -inf, its reduced finite scores).

    The first row wins ties.
    """
    bad = ~np.isfinite(score)
    finite = np.where(bad, 0.0, score.astype(np.float64))
    lost = bad.mean(axis=1)
    if reduce == "max":
        value = np.where(bad, -np.inf, finite).max(axis=1)
    else:
        value = finite.sum(axis=1)
        if reduce == "mean":
            value = value / np.maximum((~bad).sum(axis=1), 1)
    best = int(np.argmax(np.where(lost == lost.min(), value, -np.inf)))
    if lost[best] > lost.min():  # every group with the fewest losses has no finite score at all
        best = int(np.argmin(lost))
    return best, (-float(lost[best]), float(value[best]))


def _fill_up(short: NDArray[np.int64], score: NDArray[np.float32], budget: int) -> NDArray[np.int64]:
    others = np.setdiff1d(np.arange(len(score)), short)
    return np.concatenate([short, others[highest(score[others], budget - len(short))]])
