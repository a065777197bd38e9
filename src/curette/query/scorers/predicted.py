"""How badly the model is expected to do, by a companion that was trained along with it. One number a region."""

from __future__ import annotations

from array_api_compat import array_namespace, device

from curette.errors import SettingError, unknown
from curette.learn.prediction import Array, Prediction
from curette.registry import register

_LEAST = 1e-6


@register(
    "scorer",
    "predicted_loss",
    needs={"predicted_loss"},
    paper="Yoo & Kweon 2019, Learning loss for active learning",
)
def predicted_loss(prediction: Prediction) -> Array:
    """The loss that the companion `learning_loss` expects of each region [B], in a unit of its own.

    Only the order means anything, and only within one query. One released toolkit picks the lowest; here the highest
    is wanted, as in the paper.
    """
    return prediction.columns["predicted_loss"]


@register(
    "scorer",
    "predicted_accuracy",
    needs={"predicted_accuracy"},
    examples=('predicted_accuracy("mean")', "predicted_accuracy(foreground=true)"),
    paper="PAAL 2024, Predictive accuracy-based active learning",
)
def predicted_accuracy(
    prediction: Prediction,
    *,
    how: str = "log",
    class_weights: tuple[float, ...] = (),
    foreground: bool = False,
) -> Array:
    """How far the Dice that the companion `accuracy_predictor` expects of a region falls short of 1 [B].

    `how` is ``log``, the mean over classes of minus its logarithm, in which one class that is lost counts much, or
    ``mean``, one minus its mean. Background counts as a class, as in the released code; with `foreground` it does not.
    `class_weights`, one a class with background first, multiply the predicted Dice before the logarithm. It is kept
    within 1e-6 and 1, where half precision would give infinity.

    The paper prints a score whose highest is wanted, the code one whose lowest is: the order is the same.
    """
    if how not in ("log", "mean"):
        raise unknown("way of averaging", how, ("log", "mean"))
    found = prediction.columns["predicted_accuracy"]
    xp = array_namespace(found)
    if class_weights:
        if len(class_weights) != found.shape[1]:
            raise SettingError(
                f"predicted_accuracy: class_weights has {len(class_weights)} numbers for {found.shape[1]} classes."
            )
        found = found * xp.asarray(class_weights, dtype=found.dtype, device=device(found))
    found = xp.clip(found[:, 1:] if foreground else found, _LEAST, 1.0)
    return xp.mean(-xp.log(found), axis=1) if how == "log" else 1 - xp.mean(found, axis=1)
