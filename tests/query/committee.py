"""Four regions seen by three members, with three classes: the fixture that worked numbers of committees refer to."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pools import pool_of

from curette.query.candidates import Candidates

MEMBERS = np.array(
    [
        [[0.90, 0.05, 0.05], [0.88, 0.07, 0.05], [0.92, 0.04, 0.04]],
        [[0.40, 0.30, 0.30], [0.34, 0.33, 0.33], [0.30, 0.36, 0.34]],
        [[0.90, 0.05, 0.05], [0.05, 0.90, 0.05], [0.10, 0.10, 0.80]],
        [[0.50, 0.49, 0.01], [0.48, 0.51, 0.01], [0.52, 0.46, 0.02]],
    ]
)


def asked(members: Any, embedding: Any = None) -> Candidates:
    """Candidates with the column ``members`` [N, T, C] in float32, as a sweep gives it, and score 0."""
    column = np.asarray(members, np.float32)
    return replace(pool_of(np.zeros(len(column)), embedding=embedding), columns={"members": column})


def random_members(n: int, t: int, c: int, seed: int = 0, sharp: float = 1.0) -> NDArray[np.float64]:
    """Probabilities [n, t, c] of members that disagree."""
    return np.random.default_rng(seed).dirichlet(np.full(c, 1 / sharp), (n, t))
