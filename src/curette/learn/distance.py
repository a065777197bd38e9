"""Distance maps of class maps: how far inside its region a voxel lies, for every region of a batch at once."""

from __future__ import annotations

import numpy as np
import torch
from scipy.ndimage import distance_transform_edt
from torch import Tensor
from torch.nn.functional import pad

_CELLS = 1 << 24
"""Numbers in a temporary of the exact transform on a GPU: 64 MiB."""


def inner_distances(
    labels: Tensor,
    classes: int,
    *,
    ignore: int | None = None,
    zero: str = "boundary",
    frame: bool = False,
    normalise: bool = True,
) -> Tensor:
    """Distance of each voxel to the end of its own region, one channel a class: labels [B, *S] → float32 [B, C, *S].

    0 outside of a region. Inside, the Euclidean distance in voxels to the nearest voxel of the region's boundary, which
    are its voxels with a face neighbour in another region (`zero` ``boundary``: 0 on the boundary itself); or to the
    nearest voxel of another region (``outside``: at least 1). With `frame` what lies beyond the image is another region,
    else nothing. An image that is all one region has no boundary: its voxels are as far inside as the image is long
    (its diagonal). With `normalise` each channel of each image is divided by its largest value.

    Voxels labelled `ignore` belong to no region and bound none: where they lie between, distances are to the nearest end
    of any region that is known.

    To the nearest boundary, one transform serves all classes: from a voxel to a boundary of another region one must step
    over the own one first, which is then nearer.
    """
    labels = labels.long()
    known = torch.ones_like(labels, dtype=torch.bool) if ignore is None else labels != ignore
    diagonal = float(np.linalg.norm(labels.shape[1:]))
    names = torch.arange(classes, device=labels.device).reshape(-1, *[1] * (labels.ndim - 1))
    inside = (labels.unsqueeze(1) == names) & known.unsqueeze(1)
    if zero == "boundary":
        found = _nearest(_boundary(labels, known, frame), diagonal).unsqueeze(1) * inside
    else:
        others = (known.unsqueeze(1) & ~inside).flatten(0, 1)
        found = _beyond(others, diagonal, frame).reshape(inside.shape) * inside
    if normalise:
        space = tuple(range(2, found.ndim))
        found = found / found.amax(space, keepdim=True).clamp_min(1e-6)
    return found


def _boundary(labels: Tensor, known: Tensor, frame: bool) -> Tensor:
    """Known voxels [B, *S] with a known face neighbour of another class, and those on the frame if it counts."""
    edge = torch.zeros_like(known)
    for axis in range(1, labels.ndim):
        length = labels.shape[axis]
        low, high = ((slice(None),) * axis + (part,) for part in (slice(None, -1), slice(1, None)))
        differ = (labels[low] != labels[high]) & known[low] & known[high]
        edge[low] |= differ
        edge[high] |= differ
        if frame:
            edge.narrow(axis, 0, 1).logical_or_(known.narrow(axis, 0, 1))
            edge.narrow(axis, length - 1, 1).logical_or_(known.narrow(axis, length - 1, 1))
    return edge


def _beyond(others: Tensor, diagonal: float, frame: bool) -> Tensor:
    """Distance to the nearest voxel of another region, and to beyond the image if that counts."""
    if not frame:
        return _nearest(others, diagonal)
    sides = [1] * (2 * (others.ndim - 1))
    wide = _nearest(pad(others, sides, value=True), diagonal)
    for axis in range(1, wide.ndim):
        wide = wide.narrow(axis, 1, wide.shape[axis] - 2)
    return wide


def _nearest(seeds: Tensor, none: float) -> Tensor:
    """Exact Euclidean distance [N, *S] of each voxel to the nearest seed of its image; `none` where there is no seed."""
    found = _parallel(seeds) if seeds.is_cuda else _one_by_one(seeds)
    empty = ~seeds.flatten(1).any(1)
    found[empty] = none
    return found


def _one_by_one(seeds: Tensor) -> Tensor:
    masks = seeds.numpy()
    found = np.empty(masks.shape, np.float32)
    for out, mask in zip(found, masks, strict=True):
        out[:] = distance_transform_edt(~mask)
    return torch.from_numpy(found)


def _parallel(seeds: Tensor) -> Tensor:
    """Axis by axis: the least, over all places along the axis, of what was found there plus the square of the way."""
    far = float(sum(n**2 for n in seeds.shape[1:]) + 1)
    squared = torch.where(seeds, 0.0, far)
    for axis in range(1, seeds.ndim):
        places = torch.arange(seeds.shape[axis], device=seeds.device, dtype=torch.float32)
        way = (places[:, None] - places).square()
        lines = squared.movedim(axis, -1)
        flat = lines.reshape(-1, len(places))
        step = max(1, _CELLS // way.numel())
        parts = [(part[:, None, :] + way).amin(-1) for part in torch.split(flat, step)]
        squared = torch.cat(parts).reshape(lines.shape).movedim(-1, axis)
    return squared.sqrt()
