"""Columns of what companions say of regions."""

from __future__ import annotations

from curette.learn.columns import Pass
from curette.learn.prediction import Array
from curette.registry import register


@register("column", "predicted_loss", outputs=("predicted_loss",))
def predicted_loss(seen: Pass) -> Array:
    """What the companion `learning_loss` says of each region [B]: the higher, the worse the network is taken to do."""
    return seen.outputs["predicted_loss"]


@register("column", "predicted_accuracy", outputs=("predicted_accuracy",))
def predicted_accuracy(seen: Pass) -> Array:
    """The Dice of each class that the companion `accuracy_predictor` expects of the network's answer [B, C]."""
    return seen.outputs["predicted_accuracy"]
