"""The best scores after noise: chance in proportion to the score, from plain random to plain top by one number.

Adding Gumbel noise to β times a log-weight and taking the highest keys draws without replacement with probabilities
in proportion to weight^β (Gumbel-top-k; Kool, van Hoof & Welling 2019). The three selectors differ in the weight: the
score, its exponential, or one over its rank.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from curette.errors import SettingError
from curette.query.candidates import Candidates, Labelled
from curette.query.selectors.apportion import groups
from curette.query.selectors.positive import above, origin
from curette.query.selectors.ranking import highest
from curette.registry import register

_BLOCK = 1 << 18  # candidates whose keys are held at a time
_TINY = float(np.finfo(np.float32).tiny)
_PAPER = "Kirsch et al. 2023, Stochastic batch acquisition: a simple baseline for deep active learning"

LogWeight = Callable[[slice], NDArray[np.float64]]


@register(
    "selector", "power", scores=True, examples=("power(8)", "power(inf)", "power(zero=-1)"), paper=_PAPER
)
def power(
    candidates: Candidates,
    budget: int,
    rng: np.random.Generator,
    labelled: Labelled,
    *,
    beta: float = 1.0,
    zero: float | None = None,
) -> NDArray[np.int64]:
    """Drawn without replacement in proportion to score^beta.

    `beta` 0 is chance alone, infinity the highest scores; with 1, a region of twice the score is twice as likely. The
    score must count up from nothing, as uncertainties do. Where it does not, say with `zero` which score means "not
    wanted": for ``margin`` that is -1. Without `zero`, scores that rounding took just below 0 count as 0; if the
    lowest lies further down, it is taken for the zero, with a warning, so the chances depend on the worst region of
    the pool. Regions at or below zero come after all others, by chance; those of score -inf last.

    The paper leaves negative scores undefined, and one released library samples the certain regions where the
    uncertain ones score low; curette's scores all count up, and the zero is the only choice left. Where a paper counts
    temperature, as the same library does, that is 1/beta. Time O(N), memory of one block. Raises `SettingError` for a
    negative `beta`.
    """
    start = 0.0 if beta == np.inf else origin(candidates.score, zero, "power")  # the highest need no zero

    def log_weight(rows: slice) -> NDArray[np.float64]:
        height = above(candidates.score[rows], start)
        return np.where(np.isneginf(height), height, np.log(np.maximum(height, _TINY)))

    return _drawn("power", log_weight, candidates, budget, rng, beta)


@register("selector", "softmax", scores=True, examples=("softmax(50)", "softmax(inf)"), paper=_PAPER)
def softmax(
    candidates: Candidates,
    budget: int,
    rng: np.random.Generator,
    labelled: Labelled,
    *,
    beta: float = 1.0,
) -> NDArray[np.int64]:
    """Drawn without replacement in proportion to exp(beta · score).

    `beta` 0 is chance alone, infinity the highest scores. Only differences of scores count, so they may be negative;
    but a beta that suits one scorer does nothing for another: mutual information of a few thousandths needs a beta of
    hundreds to differ from chance at all. Time O(N), memory of one block. Raises `SettingError` for a negative `beta`.
    """
    return _drawn(
        "softmax", lambda rows: candidates.score[rows].astype(np.float64), candidates, budget, rng, beta
    )


@register("selector", "softrank", scores=True, examples=("softrank(4)", "softrank(inf)"), paper=_PAPER)
def softrank(
    candidates: Candidates,
    budget: int,
    rng: np.random.Generator,
    labelled: Labelled,
    *,
    beta: float = 1.0,
) -> NDArray[np.int64]:
    """Drawn without replacement in proportion to rank^-beta, where the highest score has rank 1.

    `beta` 0 is chance alone, infinity the highest scores. Only the order of scores counts, so any scorer will do and
    a few huge scores do not take over. The released code ranks equal scores by their place in the list, which favours
    the first patients of the pool where many scores saturate; curette ranks them by chance. Time O(N log N). Raises
    `SettingError` for a negative `beta`.
    """
    wanted = len(candidates) - int(np.isneginf(candidates.score).sum())

    def log_weight(rows: slice) -> NDArray[np.float64]:
        rank = np.arange(rows.start + 1, rows.stop + 1)
        return np.where(rank <= wanted, -np.log(rank), -np.inf)

    drawn = _drawn("softrank", log_weight, candidates, budget, rng, beta)
    return drawn if np.isinf(beta) else _at_ranks(candidates.score, drawn, rng)


def _at_ranks(
    score: NDArray[np.float32], ranks: NDArray[np.int64], rng: np.random.Generator
) -> NDArray[np.int64]:
    """Positions of the candidates at distinct ranks, 0 for the highest score; chance ranks equal scores.

    A sort of the scores alone and a look-up, which take a third of the time of ranking every candidate.
    """
    value = np.sort(score)[len(score) - 1 - ranks]
    distinct, which = np.unique(value, return_inverse=True)
    at = np.minimum(np.searchsorted(distinct, score), len(distinct) - 1)
    holders = np.flatnonzero(distinct[at] == score)
    found = np.empty(len(ranks), np.int64)
    for members in groups(at[holders]):
        asked = np.flatnonzero(which == at[holders[members[0]]])
        found[asked] = rng.choice(holders[members], len(asked), replace=False)
    return found


def keys(log_weight: NDArray[np.float64], beta: float, noise: NDArray[np.float64]) -> NDArray[np.float64]:
    """Keys [N] whose highest are the sample, from standard Gumbel `noise` [N]; -inf where the weight is 0.

    They are log-weight + noise/β, or β times that where β is below 1, so that neither 0 nor infinity overflows.
    """
    found = log_weight + noise / beta if beta >= 1 else np.maximum(log_weight, -1e300) * beta + noise
    return np.where(np.isneginf(log_weight), -np.inf, found)


def _drawn(
    name: str,
    log_weight: LogWeight,
    candidates: Candidates,
    budget: int,
    rng: np.random.Generator,
    beta: float,
) -> NDArray[np.int64]:
    """Positions of the `budget` highest keys, falling, in one pass over the pool."""
    if not beta >= 0:
        raise SettingError(
            f"Selector '{name}': beta is {beta:g}, but must be 0 (chance alone) or more, up to inf (the highest scores)."
        )
    if np.isinf(beta):
        return highest(candidates.score, budget)
    best, held = np.empty(0, np.int64), np.empty(0)
    for start in range(0, len(candidates), _BLOCK):
        rows = slice(start, min(start + _BLOCK, len(candidates)))
        new = keys(log_weight(rows), beta, rng.gumbel(size=rows.stop - rows.start))
        first = highest(new, min(budget, len(new)))
        best, held = np.concatenate([best, start + first]), np.concatenate([held, new[first]])
        kept = highest(held, min(budget, len(held)))
        best, held = best[kept], held[kept]
    return best
