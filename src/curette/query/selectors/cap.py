"""At most so many picks of one patient."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from curette.errors import SettingError
from curette.query.candidates import Candidates, Labelled
from curette.query.selectors.nested import admitted, check_inner, unwanted_last
from curette.registry import Bound, register


@register(
    "selector",
    "cap",
    examples=(
        "cap(top)",
        "cap(patient=1, per_class(k_center))",
        "cap(selector=stochastic_batches, patient=3)",
    ),
)
def cap(
    candidates: Candidates,
    budget: int,
    rng: np.random.Generator,
    labelled: Labelled,
    *,
    selector: Bound,
    patient: int = 2,
) -> NDArray[np.int64]:
    """Another selector, with at most `patient` picks of one patient in a batch.

    The selector's picks are taken in order until a patient is full; then it is asked for the rest among the patients
    that are not, knowing the picks so far as if they were labelled. Where that cannot fill the batch, every patient
    may have one more, and so on, so the batch stays as even as the pool allows. The selector runs once for each round;
    one that follows a single patient's scores down needs up to budget / `patient` rounds. Raises `SettingError` for a
    cap below 1.
    """
    check_inner("cap", selector=selector)
    if patient < 1:
        raise SettingError(f"Selector 'cap': patient is {patient}, but must be 1 or more.")
    return unwanted_last(
        candidates,
        budget,
        lambda pool, count: admitted(selector, pool, count, rng, labelled, _Cap(pool, patient)),
        selector.says("scores"),
    )


class _Cap:
    """Counts the picks of each patient."""

    def __init__(self, pool: Candidates, limit: int) -> None:
        _, self.group = np.unique(pool.patient, return_inverse=True)
        self.count = np.zeros(int(self.group.max()) + 1, np.int64)
        self.limit = limit

    def admits(self, position: int) -> bool:
        group = self.group[position]
        free = bool(self.count[group] < self.limit)
        self.count[group] += free
        return free

    def barred(self) -> NDArray[np.bool_]:
        full: NDArray[np.bool_] = self.count >= self.limit
        return full[self.group]

    def relax(self) -> None:
        self.limit += 1
