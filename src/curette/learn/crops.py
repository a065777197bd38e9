"""Training samples: whole units held in memory, or units and crops that are read from the prepared arrays as they are drawn."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from curette.errors import DataError, SettingError
from curette.learn.learner import Images, Labels, image_window, label_window, unit_shape
from curette.recipe import Train
from curette.region import Box, Region
from curette.seeds import spawn
from curette.task import Task

PLACES = 10_000
"""Voxels of a class remembered of each unit, drawn by chance, as crops are centred on them."""
_KNOWN = -1  # in place of a class: voxels that are labelled, in a unit of which not all are


class Samples(Protocol):
    """What training draws batches from."""

    def __len__(self) -> int:
        """Number of units."""
        ...

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape [channels, *S] of a sample, of the largest where they differ."""
        ...

    @property
    def counts(self) -> NDArray[np.int64]:
        """Known voxels, or in classification units, of each class [C]."""
        ...

    def draw(self, chosen: Tensor, rng: np.random.Generator) -> tuple[Tensor, Tensor]:
        """Images [B, channels, *S] and labels [B, *S] or [B] of the units with these numbers."""
        ...


class Whole:
    """Whole units: images [N, channels, *S] and labels, all in memory."""

    def __init__(self, images: Tensor, labels: Tensor, task: Task) -> None:
        self.images, self.labels = images, labels
        known = labels[labels != task.ignore].long()
        self.counts = torch.bincount(known, minlength=len(task.classes)).cpu().numpy()
        self.shape = tuple(images.shape[1:])

    def __len__(self) -> int:
        return len(self.images)

    def draw(self, chosen: Tensor, rng: np.random.Generator) -> tuple[Tensor, Tensor]:
        chosen = chosen.to(self.images.device)
        return self.images[chosen], self.labels[chosen]


class Read:
    """Whole units that are read when they are drawn, for more of them than memory holds; their batches are those of `Whole`."""

    def __init__(self, images: Images, labels: Labels, task: Task, shape: tuple[int, ...]) -> None:
        self.images, self.labels, self.shape = images, labels, shape
        self.regions = sorted(labels)
        self.counts = np.zeros(len(task.classes), np.int64)
        for region in self.regions:
            label = checked(region, labels, self.shape, task)
            self.counts += np.bincount(label[label != task.ignore].ravel(), minlength=len(self.counts))

    def __len__(self) -> int:
        return len(self.regions)

    def draw(self, chosen: Tensor, rng: np.random.Generator) -> tuple[Tensor, Tensor]:
        regions = [self.regions[row] for row in chosen.tolist()]
        labels = np.stack([np.asarray(self.labels[region]) for region in regions]).astype(np.int16)
        return torch.from_numpy(padded(self.images, regions, self.shape)), torch.from_numpy(labels)


class Crops:
    """Crops of `size` of labelled units, read when they are drawn; of all that is labelled only places are in memory.

    A share `foreground` of the crops is centred on a voxel of a foreground class: one of the classes its unit holds, each
    as likely, then one of its voxels. The others start anywhere in a unit that is labelled throughout, every start as
    likely as the others, and in a unit of which parts are labelled they are centred on one of the labelled voxels. A centre
    is that voxel as far as the crop stays in the unit, as in nnU-Net (Isensee et al., 2021), which oversamples
    foreground in a third of a batch; there at least one crop of each batch is, here each is drawn by itself.

    Where a unit is smaller than the crop, it is in the middle of zeros that carry the `ignore` value. Without a size crops
    are whole units, padded to the largest of their batch.

    counts  int64 [classes], known voxels of each class in all units
    """

    def __init__(
        self,
        images: Images,
        labels: Labels,
        task: Task,
        size: Sequence[int] | None,
        foreground: float,
        *,
        channels: int,
    ) -> None:
        self.images, self.labels, self.task = images, labels, task
        self.regions = sorted(labels)
        self.size, self.foreground = tuple(size) if size else None, foreground
        self.counts = np.zeros(len(task.classes), np.int64)
        self.shapes: list[tuple[int, ...]] = []
        self.places: list[dict[int, NDArray[np.int64]]] = []
        for region in self.regions:
            self._look(region)
        self.shape = (channels, *(self.size or self._largest(range(len(self)))))

    def __len__(self) -> int:
        return len(self.regions)

    def draw(self, chosen: Tensor, rng: np.random.Generator) -> tuple[Tensor, Tensor]:
        rows = chosen.tolist()
        size = self.size or self._largest(rows)
        parts = [self.cut(row, self.box(row, rng), size) for row in rows]
        images, labels = (np.stack(arrays) for arrays in zip(*parts, strict=True))
        return torch.from_numpy(images), torch.from_numpy(labels)

    def box(self, row: int, rng: np.random.Generator) -> Box:
        """Where the next crop of a unit lies, as far as it is inside."""
        shape = self.shapes[row]
        if self.size is None:
            return tuple((0, n) for n in shape)
        sides = [min(n, w) for n, w in zip(shape, self.size, strict=True)]
        classes = [c for c in self.places[row] if c != _KNOWN]
        if classes and rng.random() < self.foreground:
            starts = self._around(row, classes[int(rng.integers(len(classes)))], sides, rng)
        elif _KNOWN in self.places[row]:
            starts = self._around(row, _KNOWN, sides, rng)
        else:
            starts = [int(rng.integers(n - w + 1)) for n, w in zip(shape, sides, strict=True)]
        return tuple((a, a + w) for a, w in zip(starts, sides, strict=True))

    def cut(self, row: int, box: Box, size: Sequence[int]) -> tuple[NDArray[np.float32], NDArray[np.int16]]:
        """Image [channels, *size] and label [*size] of a box, in the middle of padding where it is smaller."""
        unit, place = self.regions[row], tuple(slice(a, b) for a, b in box)
        image, label = image_window(self.images, unit, place), label_window(self.labels, unit, place)
        gap = [w - n for n, w in zip(label.shape, size, strict=True)]
        sides = [(g // 2, g - g // 2) for g in gap]
        return (
            np.pad(np.asarray(image, np.float32), [(0, 0), *sides]),
            np.pad(label.astype(np.int16), sides, constant_values=self.task.ignore),
        )

    def _largest(self, rows: Iterable[int]) -> tuple[int, ...]:
        return tuple(max(n) for n in zip(*(self.shapes[row] for row in rows), strict=True))

    def _around(self, row: int, cls: int, sides: Sequence[int], rng: np.random.Generator) -> list[int]:
        """Start of the crop around one of the voxels of a class, or of those that are known."""
        found, shape = self.places[row][cls], self.shapes[row]
        voxel = np.unravel_index(int(found[rng.integers(len(found))]), shape)
        places = zip(map(int, voxel), sides, shape, strict=True)
        return [min(max(v - w // 2, 0), n - w) for v, w, n in places]

    def _look(self, region: Region) -> None:
        """Check one unit's label, and remember where its classes are."""
        label, shape = np.asarray(self.labels[region]), unit_shape(self.images, region)
        check_label(region, label, shape, self.task)
        flat = label.ravel()
        known = np.flatnonzero(flat != self.task.ignore)
        self.counts += np.bincount(flat[known], minlength=len(self.counts))
        self.shapes.append(shape)
        places = {cls: known[flat[known] == cls] for cls in range(1, len(self.counts))}
        if len(known) < len(flat):
            places[_KNOWN] = known
        rng = spawn(0, len(self.places), "places")
        self.places.append({cls: _some(found, rng) for cls, found in places.items() if len(found)})


def _some(found: NDArray[np.int64], rng: np.random.Generator) -> NDArray[np.int64]:
    return rng.choice(found, PLACES, replace=False) if len(found) > PLACES else found


def largest(images: Images, regions: Sequence[Region]) -> tuple[int, ...]:
    """Shape [*S] that all units fit into."""
    asked = regions if hasattr(images, "unit_shape") else regions[:1]  # without it all have one size
    shapes = {unit_shape(images, region) for region in asked}
    return tuple(max(lengths) for lengths in zip(*shapes, strict=True))


def padded(images: Images, regions: Sequence[Region], shape: tuple[int, ...]) -> NDArray[np.float32]:
    """Images of units [B, *shape], smaller ones with zeros behind their last voxel."""
    found = images.batch(regions)[0]
    if found.shape[1:] == shape:
        return found
    whole = np.zeros((len(regions), *shape), np.float32)
    whole[(slice(None), *(slice(n) for n in found.shape[1:]))] = found
    return whole


def checked(region: Region, labels: Labels, shape: Sequence[int], task: Task) -> NDArray[np.integer]:
    """The label of a unit whose image is [channels, *S]. Raises `DataError` as `check_label` does."""
    label = np.asarray(labels[region])
    check_label(region, label, shape[1:] if task.kind == "segmentation" else (), task)
    return label


def check_label(region: Region, label: NDArray[np.integer], shape: Sequence[int], task: Task) -> None:
    """Raise `DataError` naming a region whose label has another shape than its image, or values that are no class."""
    if label.shape != tuple(shape):
        raise DataError(f"The label of {region} has shape {label.shape}, but the image has {tuple(shape)}.")
    values = np.unique(label)
    bad = values[(values != task.ignore) & ((values < 0) | (values >= len(task.classes)))]
    if bad.size:
        raise DataError(
            f"The label of {region} holds {bad[:3].tolist()}; the classes are 0 to {len(task.classes) - 1}."
        )


def check_crop(settings: Train, task: Task) -> None:
    """Raise `SettingError` for a `train.crop` that is no size of a part of a unit of this task."""
    if settings.crop is None:
        return
    if task.kind != "segmentation":
        raise SettingError("train.crop cuts units up, but a class belongs to a whole one. Remove it.")
    if len(settings.crop) != task.dims or min(settings.crop) < 1:
        raise SettingError(
            f"train.crop = {list(settings.crop)} must be {task.dims} positive numbers of pixels, one for each axis of a unit."
        )
