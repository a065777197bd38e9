"""How numbers and metrics are worded in a report."""

from __future__ import annotations

import math

VALIDATION = "_val"
"""Ends the names of metrics that were measured on validation patients."""
_METRICS = {
    "dice_3d": ("Dice per volume", 3),
    "dice_2d": ("Dice per slice", 3),
    "dice_pooled": ("Dice, all volumes pooled", 3),
    "pixel_accuracy": ("Pixel accuracy", 3),
    "class_pixel_accuracy": ("Pixel accuracy of each class, all cases pooled", 3),
    "hd95_mm": ("Hausdorff distance, 95th percentile, mm", 2),
    "hd95_one_empty": ("Volumes where prediction or truth lacks the class", 1),
    "accuracy": ("Accuracy", 3),
    "balanced_accuracy": ("Balanced accuracy", 3),
    "auroc": ("Area under the ROC curve", 3),
}


def label(metric: str) -> tuple[str, int]:
    """What to call a metric, and with how many decimals to print it."""
    if metric.endswith(VALIDATION):
        name, digits = label(metric.removesuffix(VALIDATION))
        return f"{name}, validation", digits
    return _METRICS.get(metric, (metric.replace("_", " "), 3))


def counted(n: int, what: str) -> str:
    """A number of things: ``1 slice``, ``3 patches``."""
    return f"{n} {what if n == 1 else plural(what)}"


def plural(what: str) -> str:
    """More than one of a thing."""
    return f"{what}es" if what.endswith("ch") else f"{what}s"


def signed(value: float, digits: int) -> str:
    """A difference, always with its sign."""
    return f"{value:+.{digits}f}".replace("-", "−")


def p_value(p: float) -> str:
    """A p value, or a dash where there is none."""
    if not math.isfinite(p):
        return "–"
    return f"{p:.3f}".rstrip("0").rstrip(".") if p >= 0.001 else f"{p:.1g}"


def seconds(value: float) -> str:
    """A duration to the precision that matters."""
    if value >= 600:
        return f"{value / 60:.0f} min"
    if value < 0.1:
        return "< 0.1 s"
    return f"{value:.0f} s" if value >= 10 else f"{value:.1f} s"
