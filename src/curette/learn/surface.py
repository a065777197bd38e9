"""Hausdorff distances between the boundaries of two masks, in millimetres, exact and fast on small structures.

The boundary of a mask are its voxels with at least one face neighbour outside the mask; what lies beyond the array is
outside, as in MONAI and medpy. So a mask touching the frame has boundary there, and cropping to the box around both
masks changes nothing.

A percentile needs no voxel beyond its rank. Voxels are therefore looked up in growing order of distance around each
boundary voxel, all at once, until enough have met the other boundary; most do within a voxel or two. Where many are
left, a map of whole squared distances up to `FAR` voxels costs less than looking each of them up (voxels as long as wide
only), and on small boundaries so do the distances of all pairs. Whatever remains is answered by pairs or a KD-tree.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import find_objects
from scipy.spatial import KDTree
from scipy.spatial.distance import cdist

from curette.errors import DataError, SettingError

Definition = Literal["monai", "medpy"]
Box = tuple[slice, ...]
REACH = {1: 64, 2: 8, 3: 4}
"""Radius of the look-up by dimensions, in edges of the smallest voxel: at most 257 voxels. Measured: less is slower."""
FAR = 8
"""Radius of the map of distances, in voxels."""
_BLOCKS = (1, 7, 27, 93)
_NEAR = 35  # voxels looked up around each point before another way is thought of: the first three blocks
# seconds: to look up a voxel, to change one in a map, to begin a pass over the map, for a pair of points; to put a point
# into a tree, to ask it
_LOOK, _PASS, _CALL, _PAIR, _PLANT, _ASK = 5e-9, 1e-10, 2e-6, 2e-9, 2e-7, 2e-6


def hausdorff(
    prediction: NDArray[Any],
    truth: NDArray[Any],
    spacing: Sequence[float] | None = None,
    *,
    percentile: float = 95.0,
    definition: Definition = "monai",
) -> float:
    """Hausdorff distance of two masks [*S] in mm (voxels without `spacing`); 0 is perfect, always finite.

    `monai` is the larger of the two directed percentiles, `medpy` the percentile of both sets of distances together;
    ``percentile=100`` makes both the classical Hausdorff distance. Percentiles interpolate linearly, as NumPy's do.
    Two empty masks have distance 0; one empty mask costs the diagonal of the array.
    """
    masks = (np.asarray(prediction, dtype=bool), np.asarray(truth, dtype=bool))
    codes = (masks[0].view(np.uint8), masks[1].view(np.uint8))
    return float(
        hausdorff_by_class(*codes, classes=2, spacing=spacing, percentile=percentile, definition=definition)[
            0
        ]
    )


def hausdorff_by_class(
    prediction: NDArray[Any],
    truth: NDArray[Any],
    *,
    classes: int,
    spacing: Sequence[float] | None = None,
    percentile: float = 95.0,
    definition: Definition = "monai",
) -> NDArray[np.float64]:
    """`hausdorff` of each foreground class of two class maps [*S]: float64 [classes - 1], index 0 is class 1."""
    if prediction.shape != truth.shape:
        raise DataError(f"A prediction of shape {prediction.shape} cannot be compared to {truth.shape}.")
    edges = (1.0,) * truth.ndim if spacing is None else tuple(float(s) for s in spacing)
    if truth.ndim not in REACH:
        raise SettingError(
            f"Hausdorff distances are for 1 to 3 dimensions, not for an image of shape {truth.shape}."
        )
    if len(edges) != truth.ndim or not all(0 < s < np.inf for s in edges):
        raise SettingError(
            f"Spacing {edges} does not fit an image of shape {truth.shape}: a length > 0 per axis."
        )
    if definition not in ("monai", "medpy"):
        raise SettingError(
            f"Unknown definition '{definition}' of the Hausdorff distance. Known: medpy, monai."
        )
    if not 0 <= percentile <= 100:
        raise SettingError(f"A percentile lies between 0 and 100, not at {percentile}.")
    diagonal = float(np.linalg.norm(np.multiply(truth.shape, edges)))
    distances = np.zeros(classes - 1)
    boxes = zip(_boxes(prediction, classes), _boxes(truth, classes), strict=True)
    for index, (predicted, true) in enumerate(boxes):
        if predicted is None or true is None:
            distances[index] = 0.0 if predicted is true else diagonal
            continue
        box = _union(predicted, true)
        masks = (prediction[box] == index + 1, truth[box] == index + 1)
        distances[index] = _hausdorff(masks, _shells(edges), percentile, definition)
    return distances


def _boxes(labels: NDArray[Any], classes: int) -> list[Box | None]:
    """The tightest box around each foreground class, None where it is absent."""
    # scipy's search is one pass over all classes, but knows no unsigned 16-bit and no boolean maps
    plain = labels if labels.dtype in (np.uint8, np.int16, np.int32, np.int64) else labels.astype(np.int32)
    return list(find_objects(plain, max_label=classes - 1))


def _union(a: Box, b: Box) -> Box:
    return tuple(slice(min(p.start, q.start), max(p.stop, q.stop)) for p, q in zip(a, b, strict=True))


@dataclass(frozen=True)
class _Shells:
    """Steps to all voxels within the look-up's radius, nearest first: [n, ndim] voxels, and their lengths in mm."""

    steps: NDArray[np.int64]
    lengths: NDArray[np.float64]
    margin: tuple[int, ...]
    spacing: NDArray[np.float64]

    @property
    def even(self) -> bool:
        """Whether voxels are as long as wide: squared distances are then whole numbers of squared edges."""
        return bool((self.spacing == self.spacing[0]).all())


@lru_cache(maxsize=64)
def _shells(spacing: tuple[float, ...]) -> _Shells:
    radius = REACH[len(spacing)] * min(spacing)
    margin = tuple(max(1, int(radius / s)) for s in spacing)
    grid = np.stack(np.meshgrid(*(np.arange(-m, m + 1) for m in margin), indexing="ij"), axis=-1)
    steps = grid.reshape(-1, len(spacing))
    if len(set(spacing)) == 1:  # as from the map of distances, to the last bit
        lengths = np.sqrt((steps**2).sum(axis=1)) * spacing[0]
    else:
        lengths = np.sqrt(((steps * np.array(spacing)) ** 2).sum(axis=1))
    order = np.argsort(lengths, kind="stable")
    order = order[lengths[order] <= radius]
    return _Shells(steps[order], lengths[order], margin, np.array(spacing))


def _hausdorff(
    masks: tuple[NDArray[np.bool_], NDArray[np.bool_]],
    shells: _Shells,
    percentile: float,
    definition: Definition,
) -> float:
    # Zeros around the crop as wide as the look-up reaches: then every step, and every face neighbour, is one fixed
    # offset in the flat array.
    padded = [np.pad(mask, [(m, m) for m in shells.margin]) for mask in masks]
    shape = padded[0].shape
    flat = [mask.ravel() for mask in padded]
    boundaries = [_boundary(mask, shape) for mask in flat]
    points = [np.flatnonzero(boundary) for boundary in boundaries]
    strides = np.array([int(np.prod(shape[axis + 1 :])) for axis in range(len(shape))])
    offsets = shells.steps @ strides
    directed = []
    for here, there in ((0, 1), (1, 0)):
        n = len(points[here])
        # medpy's rank runs over both sets together, so either set may have to be complete
        needed = _rank(n, percentile) + 1 if definition == "monai" else n
        directed.append(
            _nearest(points[here], boundaries[there], points[there], offsets, shells, shape, needed)
        )
    if definition == "medpy":
        return _percentile(np.concatenate(directed), percentile)
    return max(_percentile(distances, percentile) for distances in directed)


def _boundary(mask: NDArray[np.bool_], shape: tuple[int, ...]) -> NDArray[np.bool_]:
    """Voxels of a flat, zero-padded mask that have a face neighbour outside it."""
    inside = mask.copy()
    stride = 1
    for length in reversed(shape):
        inside[stride:] &= mask[:-stride]
        inside[:-stride] &= mask[stride:]
        stride *= length
    return mask & ~inside


def _nearest(
    points: NDArray[np.int64],
    boundary: NDArray[np.bool_],
    others: NDArray[np.int64],
    offsets: NDArray[np.int64],
    shells: _Shells,
    shape: tuple[int, ...],
    needed: int,
) -> NDArray[np.float64]:
    """Distances of `points` to the other boundary, ascending in blocks; the `needed` smallest are exact, others inf."""
    distances = np.full(len(points), np.inf)
    done, start = 0, 0
    for size in (*_BLOCKS, len(offsets)):
        block = slice(start, start + size)
        hit = boundary[points[:, None] + offsets[block]]
        first = hit.argmax(axis=1)
        met = hit[np.arange(len(points)), first]
        count = int(np.count_nonzero(met))
        distances[done : done + count] = shells.lengths[block][first[met]]
        points = points[~met]
        done, start = done + count, start + size
        if done >= needed:
            return distances
        if start >= len(offsets):
            break
        if start < _NEAR:
            continue
        look = len(points) * (len(offsets) - start) * _LOOK
        if len(points) * len(others) * _PAIR < look:
            break
        if shells.even and _mapping(shape) < look:
            lengths = np.sqrt(_squares(boundary, shape)[points], dtype=np.float64)
            met = lengths <= FAR
            count = int(np.count_nonzero(met))
            distances[done : done + count] = lengths[met] * shells.spacing[0]
            points, done = points[~met], done + count
            if done >= needed:
                return distances
            break
    edges, unit = (np.ones(len(shape)), shells.spacing[0]) if shells.even else (shells.spacing, 1.0)
    far, near = (np.stack(np.unravel_index(p, shape), axis=1) * edges for p in (points, others))
    distances[done:] = _to_nearest(far, near) * unit
    return distances


def _to_nearest(points: NDArray[np.float64], others: NDArray[np.float64]) -> NDArray[np.float64]:
    """Distance of each of `points` [n, ndim] to the nearest of `others` [m, ndim]."""
    n, m = len(points), len(others)
    if n * m * _PAIR < m * _PLANT + n * _ASK:
        return np.asarray(np.sqrt(cdist(points, others, "sqeuclidean").min(axis=1)))
    return np.asarray(KDTree(others, balanced_tree=False, compact_nodes=False).query(points)[0])


def _mapping(shape: tuple[int, ...]) -> float:
    """Seconds that a map of all distances takes."""
    return 3 * FAR * len(shape) * (_CALL + _PASS * math.prod(shape))


def _squares(boundary: NDArray[np.bool_], shape: tuple[int, ...]) -> NDArray[np.uint8]:
    """Squared distances to the nearest voxel of a flat, padded boundary, in edges; right up to `FAR`, larger beyond.

    Axis by axis, the least of the squared distances of the voxels in line plus the square of how far off they are. All
    that holds for the voxels inside the padding only: lines go on in the next one, but not into its inside, since the
    padding of both is as wide as `FAR`.
    """
    squares = np.where(
        boundary, np.uint8(0), np.uint8(255 - FAR**2)
    )  # "beyond": no sum below leaves the byte
    stride = 1
    for length in reversed(shape):
        before, squares = squares, squares.copy()
        for step in range(1, min(FAR, length - 1) + 1):
            shifted, by = before + np.uint8(step * step), step * stride
            np.minimum(squares[by:], shifted[:-by], out=squares[by:])
            np.minimum(squares[:-by], shifted[by:], out=squares[:-by])
        stride *= length
    return squares


def _rank(n: int, percentile: float) -> int:
    """The highest rank of n sorted values that the percentile's linear interpolation looks at."""
    return min(int(np.ceil((n - 1) * percentile / 100)), n - 1)


def _percentile(values: NDArray[np.float64], percentile: float) -> float:
    position = (len(values) - 1) * percentile / 100
    low, high = int(position), _rank(len(values), percentile)
    ordered = np.partition(values, (low, high))
    return float(ordered[low] + (ordered[high] - ordered[low]) * (position - low))
