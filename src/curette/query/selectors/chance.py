"""Controls that look at no prediction: chance alone, and chance spread evenly over patients and slices."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from curette.errors import SettingError
from curette.query.candidates import Candidates, Labelled
from curette.registry import register


@register("selector", "random", even=True)
def random(
    candidates: Candidates, budget: int, rng: np.random.Generator, labelled: Labelled
) -> NDArray[np.int64]:
    """Each region with the same probability, without replacement."""
    return rng.choice(len(candidates), budget, replace=False).astype(np.int64)


@register("selector", "strided", examples=("strided(0.5)",))
def strided(
    candidates: Candidates,
    budget: int,
    rng: np.random.Generator,
    labelled: Labelled,
    *,
    offset: float | None = None,
) -> NDArray[np.int64]:
    """Every (N/budget)-th region in the order patient, case, position, from a random start.

    Neighbouring slices are near-duplicates, so this is a stronger control than plain chance. `offset` in [0, 1) fixes
    the start as a share of the stride (0.5: the middle). Raises `SettingError` for an offset outside.
    """
    if offset is not None and not 0 <= offset < 1:
        raise SettingError(
            f"Selector 'strided': offset is {offset:g}, but is a share of the stride in [0, 1)."
        )
    n = len(candidates)
    start = int(rng.integers(n)) if offset is None else int(offset * n)
    # floor((i + u) N / b), in whole numbers so that no rounding makes two picks equal.
    stops = (np.arange(budget, dtype=np.int64) * n + start) // budget
    return np.argsort(_patient_rank(candidates.patient), kind="stable")[stops].astype(np.int64)


def _patient_rank(patient: NDArray[np.int32]) -> NDArray[np.int64]:
    """Patients counted by first appearance: the numbers they were given are arbitrary and must not matter."""
    _, first, inverse = np.unique(patient, return_index=True, return_inverse=True)
    rank = np.empty(len(first), np.int64)
    rank[np.argsort(first, kind="stable")] = np.arange(len(first))
    return rank[inverse]
