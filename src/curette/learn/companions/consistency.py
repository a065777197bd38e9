"""Columns of SBC-AL: how far distance maps and segmentations of a region contradict each other.

They hold what every form of the scores is made of, so that a sweep serves all of them.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from array_api_compat import array_namespace, device, is_torch_array
from numpy.typing import NDArray
from scipy.spatial import KDTree

from curette.learn.columns import Pass
from curette.learn.prediction import Array
from curette.registry import register

PRODUCT, SQUARE, REGRESSED_SQUARE, SUM, REGRESSED_SUM, LARGEST, REGRESSED_LARGEST = range(7)
"""Order of the numbers in `structure_inconsistency`."""

_SBC = "Zhou et al. 2024, SBC-AL: structure and boundary consistency-based active learning"


@register(
    "column", "structure_inconsistency", outputs=("distances", "structure"), combine="stack", paper=_SBC
)
def structure_inconsistency(seen: Pass) -> Array:
    """What cosine and Dice of two distance maps are made of, by class: [B, T, C, 7] for T passes.

    The maps are s, the distances in the predicted segmentation (output ``structure``), and d, those that the companion
    regresses (``distances``). The numbers are Σ s·d, Σ s², Σ d², Σ s, Σ d, max s, max d, over valid pixels.
    """
    xp = array_namespace(seen.outputs["distances"])
    s, d = (
        xp.reshape(maps, (*maps.shape[:2], -1))
        for maps in (seen.outputs["structure"], seen.outputs["distances"])
    )
    if seen.valid is not None:
        inside = xp.astype(xp.reshape(seen.valid, (d.shape[0], 1, -1)), d.dtype)
        s, d = s * inside, d * inside
    sums = [xp.sum(term, axis=2) for term in (s * d, s * s, d * d, s, d)]
    return xp.stack([*sums, xp.max(s, axis=2), xp.max(d, axis=2)], axis=2)


@register("column", "boundary_inconsistency", outputs=("coarse",), combine="stack", paper=_SBC)
def boundary_inconsistency(seen: Pass) -> Array:
    """Hausdorff distance between the boundaries of the refined and the network's own segmentation, [B, T, 2].

    In pixels, and as a share of the image's diagonal. The mean over foreground classes that are in either map, 0 if there
    is none; a class that is in one of them alone has the diagonal. See `boundary_distance`.
    """
    xp = array_namespace(seen.probabilities)
    maps = [_numpy(xp.argmax(scores, axis=1)) for scores in (seen.logits, seen.outputs["coarse"])]
    valid = None if seen.valid is None else _numpy(seen.valid)
    classes, size = seen.logits.shape[1], seen.logits.shape[2:]
    found = [
        _over_classes(a, b, classes, None if valid is None else valid[i])
        for i, (a, b) in enumerate(zip(*maps, strict=True))
    ]
    pixels = np.asarray(found, np.float32)
    both = np.stack([pixels, pixels / np.linalg.norm(size)], axis=1).astype(np.float32)
    return xp.asarray(both, device=device(seen.logits))


def boundary_distance(
    a: NDArray[np.bool_], b: NDArray[np.bool_], valid: NDArray[np.bool_] | None = None
) -> float:
    """Hausdorff distance (100 %) in pixels between the boundaries of two masks [*S].

    The boundary of a mask are its pixels with a face neighbour outside of it; beyond the image, and where pixels are not
    valid, nothing is known to be outside. 0 for equal or two empty masks; the image's diagonal where one is empty, or one
    alone has a boundary.
    """
    if np.array_equal(a, b):
        return 0.0
    points = [np.argwhere(_boundary(mask, valid)) for mask in (a, b)]
    if not (len(points[0]) and len(points[1])):
        nothing_to_compare = a.any() and b.any() and not len(points[0]) and not len(points[1])
        return 0.0 if nothing_to_compare else float(np.linalg.norm(a.shape))
    trees = [KDTree(p) for p in points]
    directed = (trees[1].query(points[0])[0], trees[0].query(points[1])[0])
    return float(max(np.max(ways) for ways in directed))


def _over_classes(a: NDArray[Any], b: NDArray[Any], classes: int, valid: NDArray[np.bool_] | None) -> float:
    """Mean of `boundary_distance` over the foreground classes in either class map."""
    if valid is not None:
        a, b = np.where(valid, a, 0), np.where(valid, b, 0)
    pairs = [(a == c, b == c) for c in range(1, classes)]
    found = [boundary_distance(p, q, valid) for p, q in pairs if p.any() or q.any()]
    return float(np.mean(found)) if found else 0.0


def _boundary(mask: NDArray[np.bool_], valid: NDArray[np.bool_] | None) -> NDArray[np.bool_]:
    outside = ~mask if valid is None else ~mask & valid
    near = np.zeros_like(mask)
    for axis in range(mask.ndim):
        low, high = ((slice(None),) * axis + (part,) for part in (slice(None, -1), slice(1, None)))
        near[low] |= outside[high]
        near[high] |= outside[low]
    return mask & near


def _numpy(array: Array) -> NDArray[Any]:
    return np.asarray(array.detach().cpu().numpy() if is_torch_array(array) else array)
