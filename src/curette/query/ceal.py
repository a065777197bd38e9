"""Pseudo-labels of CEAL: what the model is so sure of that it may teach itself.

Pure functions on predictions; `curette.query.teachers` trains on what they choose.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from curette.errors import SettingError
from curette.query.arrays import entropy_of


def threshold(cycle: int, start: float = 0.05, decay: float = 0.0033) -> float:
    """Entropy in nats below which a prediction is trusted in a cycle: `start` - `decay` · cycle, and 0 once below 0.

    Wang et al. 2017, Cost-effective active learning for deep image classification, with the constants of its Keras
    re-implementation. DeepAL+ starts at 5e-5 and subtracts the decay times the cycle from what is left each time, so that
    the threshold falls with the square of the cycle and is negative from cycle 17; PAAL keeps 5e-5 throughout.

    Raises `SettingError` for a negative cycle, start or decay.
    """
    if cycle < 0 or start < 0 or decay < 0:
        raise SettingError(f"CEAL: cycle {cycle}, start {start:g} and decay {decay:g} must all be 0 or more.")
    return max(0.0, start - decay * cycle)


def pseudo_labels(
    probabilities: NDArray[Any],
    threshold: float,
    *,
    queried: Sequence[int] | NDArray[np.integer] = (),
    most: Sequence[int] | None = None,
    ignore: int = 255,
) -> NDArray[np.uint8]:
    """Classes [N, *S] that the model may teach itself, `ignore` everywhere else, from probabilities [N, C, *S].

    Trusted is what has an entropy below `threshold`, in nats: images in classification, single pixels where images are
    segmented. Nothing is, if the threshold is 0.

    queried   positions of regions that people are asked about now; they teach nothing
    most      for each class, how many of its images or pixels are used at most, the surest first: background passes any
              threshold, and would otherwise teach that there is nothing else. Ten times the labelled ones is a start

    PAAL averages probabilities over the image before it takes the entropy, which measures how mixed an image is; here it
    is taken pixel by pixel. Raises `SettingError` if `most` has not one number a class, or `ignore` is a class.
    """
    p = np.asarray(probabilities, np.float64)
    classes = p.shape[1]
    if ignore < classes or ignore > 255:
        raise SettingError(
            f"CEAL: ignore is {ignore}, but must be a number from {classes} to 255 that is no class."
        )
    if most is not None and len(most) != classes:
        raise SettingError(f"CEAL: most has {len(most)} numbers for {classes} classes; give one for each.")
    doubt = entropy_of(p)
    trusted = doubt < threshold
    trusted[np.asarray(queried, np.int64)] = False
    found = np.where(trusted, p.argmax(axis=1), ignore).astype(np.uint8)
    flat = found.reshape(-1)
    for c, limit in enumerate(most or ()):
        own = np.flatnonzero(flat == c)
        flat[own[np.argsort(doubt.reshape(-1)[own], kind="stable")[limit:]]] = ignore
    return found
