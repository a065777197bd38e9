"""How much passes contradict each other: 0 where all agree, however unsure each of them is."""

from __future__ import annotations

from array_api_compat import array_namespace

from curette.learn.prediction import Array, Prediction
from curette.query.arrays import entropy_of
from curette.registry import register


@register(
    "scorer",
    "mutual_information",
    needs={"member_entropy"},
    paper="Houlsby et al. 2011; with dropout: Gal et al. 2017",
    min_passes=2,
)
def mutual_information(prediction: Prediction) -> Array:
    """Entropy of the mean minus mean entropy of the passes, in nats: 0 where passes agree, at most ln min(passes, C).

    The same as the Jensen-Shannon divergence of the passes (JSD) and as BALD per pixel.
    """
    xp = array_namespace(prediction.mean)
    gain = entropy_of(prediction.mean) - prediction.member_entropy
    return xp.maximum(gain, xp.zeros_like(gain))  # rounding may take it just below 0


@register("scorer", "variance", needs={"second_moment"}, paper="PCDAL 2023", min_passes=2)
def variance(prediction: Prediction) -> Array:
    """Variance of the probabilities over passes, averaged over classes: 0 where passes agree, at most 1/4.

    With the passes ``flips`` this is the perturbation consistency of PCDAL.
    """
    xp = array_namespace(prediction.mean)
    second: Array = prediction.second_moment
    spread = second - prediction.mean**2
    # The difference of two float32 numbers is known to a few units in the last place only; below that it is noise,
    # which must not rank regions on which all passes agree.
    known = spread > 4 * float(xp.finfo(second.dtype).eps) * second
    return xp.mean(xp.where(known, spread, xp.zeros_like(spread)), axis=1)
