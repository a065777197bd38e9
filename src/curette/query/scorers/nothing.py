"""The scorer of strategies that do not look at predictions."""

from __future__ import annotations

from array_api_compat import array_namespace

from curette.learn.prediction import Array, Prediction
from curette.registry import register


@register("scorer", "none")
def none(prediction: Prediction) -> Array:
    """No score: 0 everywhere.

    For selectors that decide by chance, position or features alone.
    """
    return array_namespace(prediction.mean).zeros_like(prediction.mean[:, 0, ...])
