"""A quota for each class, filled from scores of its own."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from curette.errors import SettingError
from curette.query.candidates import Candidates, Labelled
from curette.query.selectors.ranking import highest
from curette.registry import register

COLUMN = "class_score"


@register(
    "selector",
    "class_quota",
    scores=True,
    needs={COLUMN},
    examples=("class_quota(0.33)", "class_quota(0)", "class_quota(1)"),
    paper="ClaSP PE, 2026; nnActive, 2025",
)
def class_quota(
    candidates: Candidates,
    budget: int,
    rng: np.random.Generator,
    labelled: Labelled,
    *,
    share: float = 0.66,
) -> NDArray[np.int64]:
    """The part `share` of the budget by class, the best of each class's own scores; the rest by the whole score.

    With F classes, floor(budget · share) picks go to classes: as many to each as divide evenly, and one more to as many
    classes, drawn at random, as are left over. So with a budget below F some classes get none in a query; at least F is
    advised. Classes are served in random order, then the best of what is left by the whole score. Reads ``class_score``
    [N, 1 + F] (the whole score, then one a class), which `unit_by_class` and `patch_by_class` make; an entry of -inf
    means that the candidate is not for that class.

    A class with fewer candidates than its quota leaves the rest to the whole score, that to the classes in the same
    order; candidates for none come last. The released code fails where a list is too short. A class the model never
    predicts has scores of almost 0, and with noise its picks are drawn by chance. Raises `SettingError` for a share
    outside [0, 1].
    """
    if not 0 <= share <= 1:
        raise SettingError(
            f"Selector 'class_quota': share is {share:g}, but is a part of the budget in [0, 1]."
        )
    score = np.nan_to_num(candidates.columns[COLUMN], nan=-np.inf, posinf=-np.inf, neginf=-np.inf)
    order = 1 + rng.permutation(score.shape[1] - 1)
    by_class = int(budget * share + 1e-9)
    each, more = divmod(by_class, len(order)) if len(order) else (0, 0)
    free = np.ones(len(candidates), np.bool_)
    picks: list[NDArray[np.int64]] = []
    for rank, channel in enumerate(order.tolist()):
        picks.append(_best(score[:, channel], free, each + (rank < more)))
    for channel in (0, *order.tolist()):
        picks.append(_best(score[:, channel], free, budget - sum(map(len, picks))))
    rest = np.flatnonzero(free)[: budget - sum(map(len, picks))]
    return np.concatenate([*picks, rest]).astype(np.int64)


def _best(score: NDArray[np.floating], free: NDArray[np.bool_], count: int) -> NDArray[np.int64]:
    """Take up to `count` free candidates of the highest finite score; of equal ones the first."""
    able = np.flatnonzero(free & np.isfinite(score))
    chosen = able[highest(score[able], min(count, len(able)))]
    free[chosen] = False
    return chosen
