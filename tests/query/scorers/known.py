"""Passes whose scores are known, and short ways to score them."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from curette.query.scoring import score
from curette.query.strategy import parse_strategy
from curette.registry import bind
from fakes import prediction_of

A = [
    [[0.90, 0.05, 0.05], [0.88, 0.07, 0.05], [0.92, 0.04, 0.04]],
    [[0.40, 0.30, 0.30], [0.34, 0.33, 0.33], [0.30, 0.36, 0.34]],
    [[0.90, 0.05, 0.05], [0.05, 0.90, 0.05], [0.10, 0.10, 0.80]],
    [[0.50, 0.49, 0.01], [0.48, 0.51, 0.01], [0.52, 0.46, 0.02]],
]
"""Four images, three passes, three classes."""

DENSE = [
    [[[0.9, 0.1], [0.1, 0.1]], [[0.8, 0.1], [0.2, 0.1]]],
    [[[0.5, 0.5], [0.01, 0.01]], [[0.6, 0.4], [0.01, 0.01]]],
    [[[0.999, 0.999], [0.001, 0.001]]] * 2,
]
"""Foreground probabilities of three images, two passes, 2 × 2 pixels."""


def binary(foreground: Any) -> NDArray[np.float64]:
    """Foreground probabilities [B, T, *S] → [B, T, 2, *S], background first."""
    p = np.asarray(foreground, float)
    return np.stack([1 - p, p], axis=2)


def scores(scorer: str, passes: Any, /, **options: Any) -> NDArray[np.float64]:
    """The map or the numbers that a scorer makes of passes [B, T, C, *S]."""
    return np.asarray(bind("scorer", scorer, **options)(prediction_of(passes)))


def images(
    scorer: str, passes: Any, reduce: str = "mean", valid: Any = None, **options: Any
) -> NDArray[np.float32]:
    """Scores of images, by a scorer's text and a reduction."""
    parts = parse_strategy(f"dropout(10) > {scorer} > unit({reduce}) > top")
    members = np.asarray(passes, float)
    inside = np.ones((len(members), *members.shape[3:])) if valid is None else np.asarray(valid, float)
    weights = inside[:, None, None]
    columns = {}
    if members.ndim > 3:
        axes = tuple(range(3, members.ndim))
        columns["members"] = (members * weights).sum(axis=axes) / weights.sum(axis=axes)
    prediction = prediction_of(members, valid=valid)
    prediction.columns.update(columns)
    return score(parts.scorer, bind("granularity", "unit", reduce, **options), prediction, frozenset()).score
