"""The few array operations that scorers and granularities share, for NumPy arrays and torch tensors alike."""

from __future__ import annotations

from typing import Any

import array_api_compat
import numpy as np
from numpy.typing import NDArray

from curette.learn.prediction import Array


def to_numpy(array: Array) -> NDArray[Any]:
    """Bring an array of any library to NumPy, from whatever device it is on."""
    if array_api_compat.is_torch_array(array):
        return np.asarray(array.detach().cpu().numpy())
    return np.asarray(array)


def entropy_of(p: Array) -> Array:
    """Entropy over axis 1 in nats, [B, C, *S] → [B, *S]; a probability of 0 adds 0."""
    xp = array_api_compat.array_namespace(p)
    total = xp.zeros_like(p[:, 0, ...])
    for c in range(p.shape[1]):  # class by class: copies of a volume's whole map would not fit
        one = p[:, c, ...]
        # Below 1e-30 the true summand is under 1e-28, so the clip changes nothing that float32 can hold.
        total = total - one * xp.log(xp.clip(one, 1e-30, 1.0))
    return total
