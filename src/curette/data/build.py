"""Making the cache: read and check every file, scale intensities, resample, cut into units.

Two passes over the cases, one case in memory at a time. The first reads the files, collects whatever is wrong with any
of them and spools scaled images, shrunk already where the settings say to what; the second, which knows the largest
size, cuts units out of the spool. So no file is read twice, and the cache needs room for the images twice while it is
being made. Whether there is that room is estimated from headers before the first file is read.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from curette.data.case import Case, Dataset, Geometry
from curette.data.check import Problems
from curette.data.grid import Grid, cut, interpolate, lengths, nonzero
from curette.data.labels import encode
from curette.data.plan import check_before, check_room, plan, spooled
from curette.data.prepared import NO_TARGET
from curette.errors import DataError
from curette.recipe import Data, Prepare
from curette.region import Box

Progress = Callable[[int, int], None]


def scale(
    image: NDArray[Any], percentiles: tuple[float, float], window: tuple[float, float] | None = None
) -> NDArray[np.float32]:
    """Scale each channel of an image [channels, *S] so that its percentiles become 0 and 1, clipped to that range.

    Where the two percentiles coincide the channel's extremes take their place; a constant channel becomes 0. With a `window`
    its two values become 0 and 1, in every channel alike.
    """
    out = np.empty(image.shape, np.float32)
    for channel, values in zip(out, image, strict=True):
        low, high = window or (float(v) for v in np.percentile(values, percentiles))
        if high <= low:
            low, high = float(values.min()), float(values.max())
        channel[...] = 0 if high <= low else np.clip((values.astype(np.float32) - low) / (high - low), 0, 1)
    return out


def misses(image: NDArray[Any], window: tuple[float, float]) -> bool:
    """Whether a window leaves next to nothing of an image but 0 and 1: of the values that are not exactly its ends, fewer than
    one in a hundred lie between them."""
    low, high = window
    between = np.count_nonzero((image > low) & (image < high))
    beyond = np.count_nonzero((image < low) | (image > high))
    return 99 * int(between) < int(beyond)


@dataclass(frozen=True)
class _Read:
    """What the first pass keeps of a case."""

    case: Case
    geometry: Geometry
    shape: tuple[int, ...]
    box: Box | None  # of it, what is kept; None for all
    spooled: tuple[int, ...]  # the lengths of that, or less where the image was shrunk at once
    offset: int  # in the spool, float32 values
    truth: int  # in the truth, voxels


class Build:
    """One making of a cache folder."""

    def __init__(
        self,
        dataset: Dataset,
        data: Data,
        settings: Prepare,
        axis: int | None,
        draft: Path,
        progress: Progress | None,
    ) -> None:
        self.dataset, self.data, self.settings = dataset, data, settings
        self.axis, self.draft, self.progress = axis, draft, progress
        self.problems = Problems(f"Data set '{dataset.name}'")
        self.seen: set[int] = set()
        self.missed: list[str] = []  # images that the window misses
        self.channels = 0
        self.volumes = axis is None and dataset.task.dims == 3

    def run(self) -> dict[str, Any]:
        """Write all files; return the facts."""
        task = self.dataset.task
        read = self._read_all()
        shapes = [lengths(r.box) if r.box else r.shape for r in read]
        grids = plan(shapes, [r.geometry.spacing for r in read], self.axis, self.settings)
        grids = [replace(grid, shape=r.shape, box=r.box) for grid, r in zip(grids, read, strict=True)]
        self._write_units(read, grids)
        (self.draft / "spool.bin").unlink()
        self._write_index(read, grids)
        kept = {r.case.id for r in read}
        return {
            "dataset": self.dataset.name,
            "task": task.model_dump(),
            "axis": self.axis,
            "size": np.array([g.size for g in grids]).max(axis=0).tolist(),
            "channels": self.channels,
            "dropped": [c.id for c in self.dataset.cases if c.id not in kept],
            "warnings": self._warnings(),
        }

    def _read_all(self) -> list[_Read]:
        cases = sorted(self.dataset.cases, key=lambda c: c.id)
        if len({c.id for c in cases}) < len(cases):
            twice = next(a.id for a, b in itertools.pairwise(cases) if a.id == b.id)
            raise DataError(f"Data set '{self.dataset.name}' has two cases '{twice}'. Rename one.")
        labelled = any(_labelled(c) for c in cases)
        counted = [c for c in cases if _labelled(c)] if labelled else cases
        check_before(counted, self.dataset.task, self.axis, self.settings, self.draft)
        read: list[_Read] = []
        with (self.draft / "spool.bin").open("wb") as spool, (self.draft / "truth.bin").open("wb") as truth:
            for done, case in enumerate(cases):
                if labelled and not _labelled(case):
                    self.problems.add("case without label in a labelled set", case.images[0].name)
                else:
                    try:
                        read.append(self._read(case, spool, truth))
                    except DataError as problem:
                        self.problems.add("file that cannot be used", str(problem).removesuffix("."))
                if self.progress:
                    self.progress(done + 1, len(cases))
            if truth.tell() == 0:
                truth.write(b"\0")  # an empty file cannot be memory-mapped
        if self.problems.found and (not self.data.skip_bad or not read):
            self.problems.settle(skip_bad=False)
        return read

    def _read(self, case: Case, spool: BinaryIO, truth: BinaryIO) -> _Read:
        volumes = [source.read() for source in case.images]
        geometry, shape = volumes[0].geometry, volumes[0].array.shape[1:]
        if not geometry.spaced and any(self.settings.spacing or ()):
            raise DataError(
                f"{case.images[0].name} does not tell the spacing of its voxels, so it cannot be resampled to "
                "prepare.spacing. Set prepare.size, in voxels, in place of that, or save the spacing in mm with the image: "
                "NIfTI has it, .npz an array 'spacing'"
            )
        for source, volume in zip(case.images, volumes, strict=True):
            if volume.array.shape[1:] != shape:
                raise DataError(f"{source.name} has shape {volume.array.shape[1:]}, other channels {shape}")
        if len(shape) != self.dataset.task.dims:
            raise DataError(
                f"{case.images[0].name} has {len(shape)} spatial axes, not {self.dataset.task.dims}"
            )
        image = np.concatenate([v.array for v in volumes]) if len(volumes) > 1 else volumes[0].array
        channels = len(self.dataset.task.channels)
        if len(image) != channels:
            raise DataError(f"{case.images[0].name} has {len(image)} channels where the task has {channels}")
        indices = self._read_label(case, shape)  # before anything is written: a bad case leaves no trace
        self.channels = channels
        box = nonzero(image) if self.settings.crop_nonzero else None
        if box:
            image = image[(slice(None), *cut(box))]
        kept = spooled(image.shape[1:], geometry.spacing, self.axis, self.settings)
        if self.settings.window and misses(image, self.settings.window):
            self.missed.append(case.images[0].name)
        found = _Read(case, geometry, shape, box, kept, spool.tell() // 4, truth.tell())
        spool.write(
            interpolate(scale(image, self.settings.percentiles, self.settings.window), kept).tobytes()
        )
        if indices is not None:
            truth.write(indices.tobytes())
        return found

    def _read_label(self, case: Case, shape: tuple[int, ...]) -> NDArray[np.uint8] | None:
        task = self.dataset.task
        if task.kind == "classification":
            if case.target is not None and case.target not in range(len(task.classes)):
                raise DataError(
                    f"Case '{case.id}' has class index {case.target} of {len(task.classes)} classes"
                )
            self.seen.update([] if case.target is None else [case.target])
            return None
        if case.label is None:
            return None
        raw = case.label.read().array
        if raw.shape != shape:
            raise DataError(f"{case.label.name} has shape {raw.shape}, its image {shape}")
        indices = encode(raw, task, case.label.name)
        self.seen.update(np.flatnonzero(np.bincount(indices.ravel(), minlength=256)).tolist())
        return indices

    def _write_units(self, read: Sequence[_Read], grids: Sequence[Grid]) -> None:
        units, size = sum(g.units for g in grids), grids[0].size
        pixels = sum(g.units * math.prod(g.size) for g in grids)
        check_room(grids, self.channels, self.draft)
        # Volumes have sizes of their own, so they lie one behind the other in arrays of one dimension.
        shape = (pixels * self.channels,) if self.volumes else (units, self.channels, *size)
        images = np.lib.format.open_memmap(self.draft / "images.npy", "w+", np.float32, shape)
        segmented = self.dataset.task.kind == "segmentation"
        flat = (pixels,) if self.volumes else (units, *size)
        labels = np.lib.format.open_memmap(
            self.draft / "labels.npy", "w+", np.uint8, flat if segmented else (1,)
        )
        spool = np.memmap(self.draft / "spool.bin", np.float32, "r")
        truth = np.memmap(self.draft / "truth.bin", np.uint8, "r")
        start = 0
        for item, grid in zip(read, grids, strict=True):
            step = math.prod(grid.size) if self.volumes else grid.units
            stop, voxels, kept = start + step, math.prod(item.shape), math.prod(item.spooled)
            image = spool[item.offset : item.offset + kept * self.channels].reshape(
                self.channels, *item.spooled
            )
            place, unit = images[start:stop], labels[start:stop]
            if self.volumes:
                place = images[start * self.channels : stop * self.channels]
                place = place.reshape(1, self.channels, *grid.size)
                unit = unit.reshape(1, *grid.size) if segmented else unit
            grid.image(image, place)
            if segmented and item.case.label:
                grid.label(truth[item.truth : item.truth + voxels].reshape(item.shape), unit)
            start = stop
        images.flush()
        labels.flush()

    def _write_index(self, read: Sequence[_Read], grids: Sequence[Grid]) -> None:
        count = np.array([g.units for g in grids])
        step = np.array([math.prod(g.size) for g in grids]) if self.volumes else count
        flips = np.full((len(read), 3, 2), np.nan)
        for row, item in zip(flips, read, strict=True):
            if item.geometry.flips is not None:
                row[: len(item.geometry.flips)] = item.geometry.flips
        native_shape = np.ones((len(read), 3), np.int64)
        for row, item in zip(native_shape, read, strict=True):
            row[: len(item.geometry.shape)] = item.geometry.shape
        np.savez(
            self.draft / "index.npz",
            id=np.array([r.case.id for r in read]),
            patient=np.array([r.case.patient for r in read]),
            group=np.array([r.case.group for r in read]),
            labelled=np.array([_labelled(r.case) for r in read]),
            target=np.array([NO_TARGET if r.case.target is None else r.case.target for r in read]),
            start=np.concatenate([[0], np.cumsum(step)[:-1]]),
            count=count,
            truth_start=np.array([r.truth for r in read]),
            shape=np.array([r.shape for r in read]),
            sampled=np.array([g.sampled for g in grids]),
            box=np.array([g.inner for g in grids]),
            size=np.array([g.size for g in grids]),
            affine=np.array([r.geometry.affine for r in read]),
            native=np.array([r.geometry.native for r in read]),
            native_shape=native_shape,
            flips=flips,
        )

    def _warnings(self) -> list[str]:
        task, notes = self.dataset.task, []
        if self.problems.found:
            notes.append(f"{self.problems} Going on without them (data.skip_bad).")
        if self.settings.window and self.missed:
            notes.append(
                f"prepare.window = {list(self.settings.window)} leaves hardly a value but 0 and 1 in {len(self.missed)} images, such as "
                f"{self.missed[0]}. Give the range their values have, or leave it out: percentiles then decide."
            )
        missing = [name for name in task.foreground if task.names.index(name) not in self.seen]
        if self.seen and missing:
            also = (
                f" Value {task.ignore} does occur and is read as not annotated; if it means a class, "
                "give that class this value."
                if task.ignore in self.seen
                else ""
            )
            notes.append(
                f"Data set '{self.dataset.name}': class {', '.join(missing)} is in no label, so nothing can be learned "
                f"or measured for it.{also}"
            )
        return notes


def _labelled(case: Case) -> bool:
    return case.label is not None or case.target is not None
