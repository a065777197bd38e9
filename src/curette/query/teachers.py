"""What the model of one cycle teaches that of the next, besides labels.

A component of kind ``teacher`` is a pure function ``(probabilities, cycle, ignore) -> class maps`` of probabilities
[B, C, *S] or [B, C]: uint8 [B, *S] or [B] with `ignore` wherever it trusts nothing. What it says is made anew in every
cycle, never a label of the ledger, and counted in its record.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from curette.errors import unknown
from curette.learn.learner import Learner, Model
from curette.query.arrays import entropy_of, to_numpy
from curette.query.ceal import pseudo_labels, threshold
from curette.region import Region
from curette.registry import Bound, bind, register

_LEVELS = ("image", "marginal", "pixel")


def taught(
    teacher: Bound,
    learner: Learner,
    model: Model,
    units: Sequence[Region],
    *,
    cycle: int,
    ignore: int,
    seed: int,
) -> dict[Region, NDArray[np.uint8]]:
    """Class maps of those units of which the teacher trusts something, from one plain pass of the model."""
    found: dict[Region, NDArray[np.uint8]] = {}
    passes = bind("passes", "single")
    for prediction in learner.predict(model, units, passes, frozenset({"mean"}), seed=seed):
        maps = teacher(to_numpy(prediction.mean), cycle, ignore)
        pairs = zip(prediction.regions, maps, strict=True)
        found |= {region: trusted for region, trusted in pairs if (trusted != ignore).any()}
    return found


def counted(found: Mapping[Region, NDArray[np.uint8]], ignore: int) -> dict[str, int]:
    """What the record of a training says of its pseudo-labels: the units that have any, and the voxels of these."""
    return {"units": len(found), "voxels": sum(int((m != ignore).sum()) for m in found.values())}


@register(
    "teacher", "ceal", paper="Wang et al. 2017, Cost-effective active learning for deep image classification"
)
def ceal(
    probabilities: NDArray[Any],
    cycle: int,
    ignore: int,
    *,
    start: float = 0.05,
    decay: float = 0.0033,
    level: str = "image",
    falling: str = "linear",
) -> NDArray[np.uint8]:
    """The prediction of whatever has an entropy below a threshold that falls from query to query, in nats.

    Before query c = 1, 2 … the threshold is `start` - `decay` · (c - 1); with ``falling=quadratic`` `decay` · c more is
    subtracted after query c, as in DeepAL+ and PAAL (2024), where it is gone with the 18th; it is never below 0.

    level  ``image``: whole images whose pixels have a low entropy on average. ``marginal``: whole images of which the
           probabilities averaged over space have one, as in PAAL, which is to say nearly all of one class. ``pixel``:
           single pixels, of which background soon passes any threshold, and teaches that there is nothing else

    In classification the levels are one. Raises `SettingError` for another level or way to fall.
    """
    if level not in _LEVELS:
        raise unknown("level of ceal", level, _LEVELS)
    if falling not in ("linear", "quadratic"):
        raise unknown("way to fall of ceal", falling, ("linear", "quadratic"))
    queries = max(0, cycle - 1)
    limit = threshold(queries if falling == "linear" else queries * (queries + 1) // 2, start, decay)
    if probabilities.ndim == 2 or level == "pixel":
        return pseudo_labels(probabilities, limit, ignore=ignore)
    space = tuple(range(2, probabilities.ndim))
    if level == "marginal":
        doubt = entropy_of(probabilities.astype(np.float64).mean(axis=space))
    else:
        doubt = entropy_of(probabilities.astype(np.float64)).mean(axis=tuple(a - 1 for a in space))
    maps = probabilities.argmax(axis=1).astype(np.uint8)
    maps[doubt >= limit] = ignore
    return np.asarray(maps)
