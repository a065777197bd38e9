"""How unsure the mean prediction is. These need one pass; with several they measure the averaged probabilities.

They cannot tell noise in the images from ignorance of the model: see `disagreement` for scores that can.
"""

from __future__ import annotations

from array_api_compat import array_namespace

from curette.learn.prediction import Array, Prediction
from curette.query.arrays import entropy_of
from curette.registry import register


@register("scorer", "entropy", paper="Shannon 1948; for queries: Settles & Craven 2008")
def entropy(prediction: Prediction) -> Array:
    """Entropy of the mean probabilities, in nats: 0 when certain, ln C when all C classes are equally likely."""
    return entropy_of(prediction.mean)


@register("scorer", "least_confidence", paper="Lewis & Gale 1994")
def least_confidence(prediction: Prediction) -> Array:
    """One minus the largest mean probability: 0 when certain, 1 - 1/C at most."""
    return 1 - array_namespace(prediction.mean).max(prediction.mean, axis=1)


@register("scorer", "margin", paper="Scheffer et al. 2001")
def margin(prediction: Prediction) -> Array:
    """Minus the lead of the most likely class over the second: -1 when certain, 0 when two classes tie at the top."""
    xp = array_namespace(prediction.mean)
    p = prediction.mean
    first, second = p[:, 0, ...], xp.zeros_like(p[:, 0, ...])
    for c in range(1, p.shape[1]):  # a running top two is several times faster than sorting the class axis
        second = xp.maximum(second, xp.minimum(first, p[:, c, ...]))
        first = xp.maximum(first, p[:, c, ...])
    return second - first
