"""What becomes of each case, from its shape and spacing alone: its grid, what is spooled of it, and the room that takes."""

from __future__ import annotations

import math
import shutil
from collections.abc import Sequence
from pathlib import Path

from curette.data.case import Case, Source
from curette.data.grid import Grid, plane
from curette.data.nifti import canonical_shape
from curette.errors import DataError, SettingError
from curette.recipe import Prepare
from curette.task import Task

MULTIPLE = 16  # networks halve the size up to four times

Lengths = tuple[int, ...]
Spacing = tuple[float, ...]


def plan(shapes: Sequence[Lengths], spacings: Sequence[Spacing], axis: int | None, to: Prepare) -> list[Grid]:
    """The grid of each case. Units share one size, that of the largest if none is set; whole volumes may keep theirs."""
    spaced = [_resampled(shape, have, to.spacing) for shape, have in zip(shapes, spacings, strict=True)]
    if to.size:
        size = tuple(to.size)
    elif axis is None and len(shapes[0]) == 3 and to.fit == "pad":
        return [Grid(shape, s, None, s) for shape, s in zip(shapes, spaced, strict=True)]
    else:
        planes = [plane(shape, axis) for shape in spaced]
        size = tuple(-(-max(lengths) // MULTIPLE) * MULTIPLE for lengths in zip(*planes, strict=True))
    if to.fit == "resize":
        spaced = [_stretched(shape, axis, size) for shape in spaced]
    return [Grid(shape, s, axis, size) for shape, s in zip(shapes, spaced, strict=True)]


def spooled(shape: Lengths, spacing: Spacing, axis: int | None, to: Prepare) -> Lengths:
    """The shape an image is spooled with: shrunk to what it will have, if that is known before the largest case is."""
    sampled = _resampled(shape, spacing, to.spacing)
    if to.fit == "resize":
        if not to.size:
            return shape
        sampled = _stretched(sampled, axis, to.size)
    return sampled if math.prod(sampled) < math.prod(shape) else shape


def _resampled(shape: Lengths, have: Spacing, want: Spacing | None) -> Lengths:
    if want is None:
        return shape
    return tuple(
        max(1, round(n * old / new)) if new else n for n, old, new in zip(shape, have, want, strict=True)
    )


def _stretched(shape: Lengths, axis: int | None, size: Lengths) -> Lengths:
    lengths = iter(size)
    return tuple(n if i == axis else next(lengths) for i, n in enumerate(shape))


def check_before(cases: Sequence[Case], task: Task, axis: int | None, to: Prepare, folder: Path) -> None:
    """Estimate from headers what preparing takes, so that a full disk is told before hours of reading, not after.

    Sources that tell no header count as nothing, and so do files that cannot be read; with `crop_nonzero` no header tells
    what is left, and the room is looked at later. Raises `SettingError`.
    """
    if to.crop_nonzero:
        return
    told = [found for case in cases if (found := _header(case.images[0], task.dims))]
    if not told:
        return
    shapes, spacings, channels = [s for s, _ in told], [s for _, s in told], len(task.channels)
    grids = plan(shapes, spacings, axis, to)
    values = sum(math.prod(spooled(shape, spacing, axis, to)) for shape, spacing in told)
    check_room(grids, channels, folder, 4 * channels * values)


def check_room(grids: Sequence[Grid], channels: int, folder: Path, spool: int = 0) -> None:
    """Raise `SettingError` when the units, and `spool` bytes for as long as they are made, do not fit on the disk."""
    needed = 4 * channels * sum(grid.units * math.prod(grid.size) for grid in grids)
    free = shutil.disk_usage(folder).free
    if needed + spool > free:
        also = f", and {spool / 1e9:.1f} GB more while they are made" if spool else ""
        raise SettingError(
            f"{sum(grid.units for grid in grids)} units of {'×'.join(map(str, grids[0].size))} take "
            f"{needed / 1e9:.1f} GB{also}, but {folder.parent} has {free / 1e9:.1f} GB free. "
            "Set a smaller prepare.size, or prepare.cache to another disk."
        )


def _header(source: Source, dims: int) -> tuple[Lengths, Spacing] | None:
    header = getattr(source, "header", None)
    if header is None:
        return None
    try:
        geometry, _ = header()
    except DataError:  # reading the file will say so, together with all others
        return None
    shape = canonical_shape(geometry)
    return (shape, geometry.spacing) if len(shape) == dims else None
