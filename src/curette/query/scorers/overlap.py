"""Disagreement of masks as a whole: by Dice, so that a small structure counts as much as a large one. One number a region.

An image's class, or what is averaged over an image, is a mask of one pixel here.
"""

from __future__ import annotations

from array_api_compat import array_namespace

from curette.learn.prediction import Array, Prediction
from curette.registry import register


@register(
    "scorer",
    "dice_disagreement",
    needs={"pair_dice"},
    min_passes=2,
    paper="Seung, Opper & Sompolinsky 1992, Query by committee; here by the Dice of masks",
)
def dice_disagreement(prediction: Prediction) -> Array:
    """One minus the Dice of two passes' masks, averaged over all pairs and foreground classes [B]: 0 where all agree.

    Two empty masks agree (Dice 1), an empty one and another do not at all (Dice 0), so a structure that some passes miss
    counts in full whatever its size; where structures are often absent this jumps, and `mutual_information` is the
    calmer choice. Class 0, the background, is left out. Needs no dense map of any pass: a few bits a pixel each.
    """
    return _disagreement(prediction.pair_dice)


@register(
    "scorer",
    "expected_dice",
    needs={"soft_dice"},
    paper="nnActive 2025, expected Dice query of the released code",
)
def expected_dice(prediction: Prediction) -> Array:
    """One minus the soft Dice to be expected, averaged over passes and foreground classes [B]: 0 to 1.

    The soft Dice 2 Σ p q / Σ (p + q) of each pass p with the mean q of all. Unlike the other scores here it is not 0
    where passes agree: doubt alone lowers a soft Dice, so one pass is enough. A class with no probability anywhere
    counts as agreement. The passes are run twice, first for their mean.
    """
    return _disagreement(prediction.soft_dice)


def _disagreement(dice: Array) -> Array:
    """Dice [B, C] → one minus its mean over foreground classes [B]."""
    return 1 - array_namespace(dice).mean(dice[:, 1:], axis=1)
