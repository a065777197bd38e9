"""Volumes for people to look at: of each pick one axial slice, as pictures are flat."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from curette.region import Region

AXIS = 2
"""The axis volumes are shown along: axial in canonical orientation."""


def telling(region: Region, label: NDArray[Any], ignore: int) -> int:
    """The slice of a volume that shows most of a pick: of a part, its largest slice; of a whole volume, the slice with most
    of the foreground in `label` [X, Y, Z]. Of equals, the one nearest the middle."""
    if region.box:
        counts, first = region.mask.sum(axis=(0, 1)), region.box[AXIS][0]
    else:
        counts, first = ((label > 0) & (label != ignore)).sum(axis=(0, 1)), 0
    best = np.flatnonzero(counts == counts.max())
    return first + int(best[np.abs(best - (len(counts) - 1) / 2).argmin()])


def stacked(planes: Sequence[NDArray[Any]]) -> NDArray[Any]:
    """Planes [..., X, Y] of different sizes in one array, each with zeros behind its last row and column; or classes."""
    if not planes[0].ndim:
        return np.stack(planes)
    size = np.array([plane.shape[-2:] for plane in planes]).max(axis=0)
    out = np.zeros((len(planes), *planes[0].shape[:-2], *size), planes[0].dtype)
    for place, plane in zip(out, planes, strict=True):
        place[..., : plane.shape[-2], : plane.shape[-1]] = plane
    return out
