"""Prepared data: memory maps over a finished cache folder, and the way from regions to rows and back to cases."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from curette.data.cache import MANIFEST
from curette.data.case import Dataset, Geometry
from curette.data.grid import Grid, lengths
from curette.errors import DataError
from curette.region import Box, Region
from curette.task import Task

NO_TARGET = -1


class Prepared:
    """All units of a data set: images, labels for the oracle, truth for the evaluator.

    Slices and images have one size; whole volumes have their own, unless `prepare.size` gives them one.

    Opens its files when first used and pickles as a path, so worker processes share the system's page cache.
    An `Images` (see `curette.learn.learner`): a learner is given `batch` and never sees the labels.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def __reduce__(self) -> tuple[type[Prepared], tuple[Path]]:
        return Prepared, (self.folder,)

    def __repr__(self) -> str:
        return f"Prepared({str(self.folder)!r})"

    # Facts -----------------------------------------------------------------------------------------------------------

    @cached_property
    def facts(self) -> dict[str, Any]:
        """What the cache folder says about itself."""
        try:
            facts: dict[str, Any] = json.loads((self.folder / MANIFEST).read_text(encoding="utf-8"))
        except (OSError, ValueError) as problem:
            raise DataError(
                f"The prepared data {self.folder} are gone or damaged. Prepare them again."
            ) from problem
        return facts

    @property
    def digest(self) -> str:
        """Hash of the files and settings the data were made from."""
        return str(self.facts["digest"])

    @cached_property
    def task(self) -> Task:
        return Task.model_validate(self.facts["task"])

    @property
    def unit_task(self) -> Task:
        """The task as a learner meets it: the units of a volume cut into slices have two dimensions."""
        return self.task.model_copy(update={"dims": len(self.size)})

    @cached_property
    def size(self) -> tuple[int, ...]:
        """Shape [*S] of a unit; where volumes have sizes of their own, the largest along each axis."""
        return tuple(self.facts["size"])

    @property
    def volumes(self) -> bool:
        """Whether the units are whole volumes."""
        return self.facts["axis"] is None and self.task.dims == 3

    @property
    def channels(self) -> int:
        return int(self.facts["channels"])

    @cached_property
    def dropped(self) -> tuple[str, ...]:
        """Cases left out because their files are bad (`Data.skip_bad`)."""
        return tuple(self.facts["dropped"])

    @cached_property
    def case_ids(self) -> tuple[str, ...]:
        return tuple(self._index["id"].tolist())

    def kept(self, dataset: Dataset) -> Dataset:
        """`dataset` without the cases that were dropped; what to split and to count patients in."""
        return replace(dataset, cases=tuple(c for c in dataset.cases if c.id not in set(self.dropped)))

    # Units -----------------------------------------------------------------------------------------------------------

    def regions(self, case_ids: Sequence[str]) -> list[Region]:
        """All units of these cases, in region order."""
        axis, out = self.facts["axis"], []
        for case in sorted(set(case_ids)):
            count = int(self._index["count"][self._row(case)])
            if axis is None:
                out.append(Region(case))
            else:
                out.extend(Region(case, axis, i) for i in range(count))
        return out

    def batch(self, regions: Sequence[Region]) -> tuple[NDArray[np.float32], NDArray[np.bool_] | None]:
        """Images [B, channels, *S] of the regions, and where they are not padding [B, *S] (None: everywhere).

        Volumes of different sizes are padded with zeros behind their last voxel, to the largest of them along each axis.
        """
        units = self._units(regions)
        rows = [self._row(r.case) for r in regions]
        shapes = {self._sizes[row] for row in rows}
        size = tuple(max(lengths) for lengths in zip(*shapes, strict=True)) or self.size
        images: NDArray[np.float32]
        if self.volumes:
            images = np.zeros((len(regions), self.channels, *size), np.float32)
            for image, region, row in zip(images, regions, rows, strict=True):
                image[(slice(None), *(slice(n) for n in self._sizes[row]))] = self._volume(region)
        else:
            images = np.take(self._images, units, axis=0)
        if len(shapes) <= 1 and self._full[rows].all():
            return images, None
        valid = np.zeros((len(regions), *size), np.bool_)
        for mask, row in zip(valid, rows, strict=True):
            mask[self._grid(row).filled] = True
        return images, valid

    def unit_shape(self, unit: Region) -> tuple[int, ...]:
        """Shape [*S] of this unit."""
        return self._sizes[self._row(unit.case)]

    def window(self, unit: Region, place: tuple[slice, ...]) -> NDArray[np.float32]:
        """The part of a unit's image [channels, *part] at `place`, one slice an axis; only its pages are read."""
        if self.volumes:
            return np.array(self._volume(unit)[(slice(None), *place)])
        return np.array(self._images[self._units([unit])[0]][(slice(None), *place)])

    def labels(self, regions: Sequence[Region]) -> Mapping[Region, NDArray[np.uint8]]:
        """What an oracle would answer, read when asked for: maps [*S] of training indices (padding is background), of a
        box the map inside it, of a shape the map inside its box with the ignore value around it, or 0-d arrays for
        classification. Raises `DataError` naming a case that has no label, or a box that is no part of a unit.
        """
        for region in regions:
            if not self.has_label(region.case):
                raise DataError(f"Case '{region.case}' has no label, so it cannot answer for '{region}'.")
        return _Labels(self, regions)

    def extent(self, unit: Region) -> Box:
        """The box of a unit that shows an image; the rest is padding."""
        case = self._row(unit.case)
        if self._full[case]:
            return tuple((0, n) for n in self._sizes[case])
        return tuple((part.start, part.stop) for part in self._grid(case).filled)

    def unit_spacing(self, unit: Region) -> tuple[float, ...]:
        """Distance between pixels of the prepared unit along each of its axes, in millimetres where the file tells."""
        row, axis = self._row(unit.case), self.facts["axis"]
        grid = self._grid(row)
        sides = zip(self.spacing(unit.case), lengths(grid.inner), grid.sampled, strict=False)
        found = [float(mm * length / now) for mm, length, now in sides]
        return tuple(mm for i, mm in enumerate(found) if i != axis)

    # Cases -----------------------------------------------------------------------------------------------------------

    def has_label(self, case_id: str) -> bool:
        return bool(self._index["labelled"][self._row(case_id)])

    def patient(self, case_id: str) -> str:
        return str(self._index["patient"][self._row(case_id)])

    def group(self, case_id: str) -> str:
        """The hospital, scanner or source the case came from; '' where the data set does not tell."""
        row = self._row(case_id)
        return str(self._index["group"][row]) if "group" in self._index else ""

    def shape(self, case_id: str) -> tuple[int, ...]:
        """Spatial shape of the case's canonical grid."""
        return self._grid(self._row(case_id)).shape

    def spacing(self, case_id: str) -> tuple[float, ...]:
        """Millimetres per voxel along each axis of the canonical grid."""
        return self.geometry(case_id).spacing

    def geometry(self, case_id: str) -> Geometry:
        """Where the case's voxels lie, and the way back to its file's own grid."""
        row, index = self._row(case_id), self._index
        dims = self.task.dims
        flips = index["flips"][row]
        return Geometry(
            affine=index["affine"][row],
            native=index["native"][row],
            shape=tuple(int(n) for n in index["native_shape"][row][:dims]),
            flips=None if np.isnan(flips).any() else flips,
        )

    def restore(self, case_id: str, stack: NDArray[Any]) -> NDArray[Any]:
        """Integer maps [n_units, *S] of a case's units, in order, back on its canonical grid.

        Undoes padding, cropping, stretching and resampling (nearest); outside of a crop is background 0.
        """
        return self._grid(self._row(case_id)).restore(np.asarray(stack))

    def truth(self, case_id: str) -> NDArray[np.uint8] | int:
        """Training indices on the case's canonical grid, never resampled (the ignore value is kept); for
        classification the class index. Raises `DataError` when the case has no label."""
        row = self._row(case_id)
        if not self.has_label(case_id):
            raise DataError(f"Case '{case_id}' has no label to compare with.")
        if self.task.kind == "classification":
            return int(self._index["target"][row])
        shape, start = self._grid(row).shape, int(self._index["truth_start"][row])
        return np.array(self._truth[start : start + int(np.prod(shape))]).reshape(shape)

    # Files -----------------------------------------------------------------------------------------------------------

    @cached_property
    def _index(self) -> dict[str, NDArray[Any]]:
        with np.load(self.folder / "index.npz", allow_pickle=False) as stored:
            return {name: stored[name] for name in stored.files}

    @cached_property
    def _images(self) -> NDArray[np.float32]:
        images: NDArray[np.float32] = np.load(self.folder / "images.npy", mmap_mode="r")
        return images

    @cached_property
    def _maps(self) -> NDArray[np.uint8]:
        maps: NDArray[np.uint8] = np.load(self.folder / "labels.npy", mmap_mode="r")
        return maps

    @cached_property
    def _truth(self) -> NDArray[np.uint8]:
        return np.memmap(self.folder / "truth.bin", np.uint8, "r")

    @cached_property
    def _rows(self) -> dict[str, int]:
        return {case: row for row, case in enumerate(self.case_ids)}

    @cached_property
    def _full(self) -> NDArray[np.bool_]:
        """Which cases fill their units, without padding."""
        axis, lengths = self.facts["axis"], self._index["sampled"]
        planes = lengths if axis is None else np.delete(lengths, axis, axis=1)
        return np.asarray((planes >= np.array(self._sizes)).all(axis=1))

    @cached_property
    def _sizes(self) -> list[tuple[int, ...]]:
        """Shape [*S] of the units of every case."""
        if "size" not in self._index:  # a cache of an earlier version, which knew one size only
            return [self.size] * len(self.case_ids)
        return [tuple(size) for size in self._index["size"].tolist()]

    def _volume(self, unit: Region) -> NDArray[np.float32]:
        """The image [channels, *S] of a whole volume, as it lies in its file."""
        start, shape = self._units([unit])[0], self.unit_shape(unit)
        stop = start + math.prod(shape)
        volume = self._images[start * self.channels : stop * self.channels]
        return volume.reshape(self.channels, *shape)

    def _map(self, unit: Region) -> NDArray[np.uint8]:
        """The label map [*S] of a unit, as it lies in its file."""
        start = self._units([unit])[0]
        if not self.volumes:
            return np.asarray(self._maps[start])
        shape = self.unit_shape(unit)
        return self._maps[start : start + math.prod(shape)].reshape(shape)

    def _row(self, case_id: str) -> int:
        try:
            return self._rows[case_id]
        except KeyError:
            why = (
                "was left out because its files are bad"
                if case_id in self.dropped
                else "is not in the data set"
            )
            raise DataError(f"Case '{case_id}' {why}.") from None

    def _grid(self, row: int) -> Grid:
        shape, sampled = (tuple(self._index[name][row].tolist()) for name in ("shape", "sampled"))
        box: Box | None = None
        if "box" in self._index:  # not in a cache of an earlier version
            box = tuple((start, stop) for start, stop in self._index["box"][row].tolist())
        return Grid(shape, sampled, self.facts["axis"], self._sizes[row], box)

    def _units(self, regions: Iterable[Region]) -> NDArray[np.int64]:
        """Positions of regions in the arrays of units. Raises `DataError` for one that is no unit of this data set."""
        axis, start, count = self.facts["axis"], self._index["start"], self._index["count"]
        out = []
        for region in regions:
            row = self._row(region.case)
            whole = axis is None and region.axis < 0 and not region.box
            part = region.axis == axis and region.index < count[row] and not region.box
            if not whole and not part:
                raise DataError(
                    f"Region '{region}' is no unit of the prepared data, e.g. {self.regions([region.case])[0]}."
                )
            out.append(int(start[row]) + max(region.index, 0))
        return np.array(out, np.int64)


class _Labels(Mapping[Region, NDArray[np.uint8]]):
    def __init__(self, prepared: Prepared, regions: Sequence[Region]) -> None:
        self._prepared = prepared
        prepared._units(region.unit for region in regions)  # refuses what is no unit
        self._regions = dict.fromkeys(regions)
        for region in regions:
            shape = prepared.unit_shape(region)
            if region.box and not _fits(region.box, shape, prepared.task):
                raise DataError(f"Region '{region}' is no part of a unit of {shape}.")

    def __getitem__(self, region: Region) -> NDArray[np.uint8]:
        if region not in self._regions:
            raise KeyError(region)
        if self._prepared.task.kind == "classification":
            return np.array(self._prepared.truth(region.case), np.uint8)
        label = np.array(self._prepared._map(region.unit)[region.slices])
        if region.runs:
            label[~region.mask] = self._prepared.task.ignore
        return label

    def window(self, unit: Region, place: tuple[slice, ...]) -> NDArray[np.uint8]:
        """The part at `place` of the label of a whole unit; only its pages are read."""
        if unit not in self._regions:
            raise KeyError(unit)
        return np.array(self._prepared._map(unit)[place])

    def __iter__(self) -> Iterator[Region]:
        return iter(self._regions)

    def __len__(self) -> int:
        return len(self._regions)


def _fits(box: Box, size: Sequence[int], task: Task) -> bool:
    """Whether a box lies inside a unit that can be labelled in parts."""
    return (
        task.kind == "segmentation"
        and len(box) == len(size)
        and all(stop <= length for (_, stop), length in zip(box, size, strict=True))
    )
