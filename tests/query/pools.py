"""Candidates and random generators made by hand."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from curette.query.candidates import Candidates
from curette.region import Region


def pool_of(
    score: Any, *, patient: Any = None, embedding: Any = None, regions: Sequence[Region] | None = None
) -> Candidates:
    """Candidates in region order, each a patient of its own unless said otherwise."""
    score = np.asarray(score, np.float32)
    n = len(score)
    return Candidates(
        regions=[Region(f"c{i:07d}") for i in range(n)] if regions is None else regions,
        score=score,
        patient=np.arange(n, dtype=np.int32) if patient is None else np.asarray(patient, np.int32),
        predicted=np.zeros(n, np.int32),
        cost=np.ones(n, np.float32),
        embedding=None if embedding is None else np.asarray(embedding, np.float32),
    )


class Drawn(np.random.Generator):
    """A generator whose permutations and choices are given, so that tests do not depend on a stream of numbers."""

    def __init__(self, *draws: Sequence[int]) -> None:
        super().__init__(np.random.PCG64(0))
        self._draws = [np.array(d) for d in draws]

    def permutation(self, *_: Any, **__: Any) -> NDArray[Any]:
        return self._draws.pop(0)

    def choice(self, *_: Any, **__: Any) -> NDArray[Any]:
        return self._draws.pop(0)
