"""Cases: one study of one patient, with lazy images and label, and the geometry to go back to the original grid."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from curette.task import Task


@dataclass(frozen=True)
class Geometry:
    """Where voxels lie: the canonical grid that arrays use, and the file's own grid that outputs must return to.

    affine    [4, 4] voxel → world (mm, RAS+) of the canonical (closest to RAS+) array; identity scaled by the pixel
              size for 2D images
    native    the [4, 4] affine as stored in the file
    shape     the array shape as stored in the file, spatial axes only
    flips     for nibabel's orientation transforms: [ndim, 2] native → canonical; None when nothing was reordered
    spaced    False where a file does not tell the spacing, as no picture does: then it is 1 by default, not in mm
    """

    affine: NDArray[np.float64]
    native: NDArray[np.float64]
    shape: tuple[int, ...]
    flips: NDArray[np.float64] | None = None
    spaced: bool = True

    @property
    def spacing(self) -> tuple[float, ...]:
        """Millimetres per voxel along each canonical array axis."""
        lengths = np.sqrt((self.affine[:3, :3] ** 2).sum(axis=0))
        return tuple(float(v) for v in lengths[: len(self.shape)])


@dataclass(frozen=True)
class Volume:
    """An array in canonical orientation: an image [channels, *S] or a label map [*S], and its geometry."""

    array: NDArray[Any]
    geometry: Geometry


class Source(Protocol):
    """Something that yields a volume when asked: a file, an entry of an NPZ archive, a generator."""

    @property
    def name(self) -> str:
        """What to call it in an error message: the path, or what generates it."""
        ...

    @property
    def stamp(self) -> str:
        """A text that changes when the content does (path, size and modification time; or the generator's settings)."""
        ...

    def read(self) -> Volume:
        """Load it. Raises `DataError` that names the file when it is missing, truncated or not what it should be."""
        ...


@dataclass(frozen=True)
class Case:
    """One study of one patient. `images` are its channels' sources (or one source with several channels).

    Segmentation has a `label` source of raw label values; classification a `target`, the training index of its class.
    `split` is what the data set's makers assigned (``train``, ``val``, ``test``), if anything, and `group` the hospital,
    scanner or source the case came from, if they tell.
    """

    id: str
    patient: str
    images: tuple[Source, ...]
    label: Source | None = None
    target: int | None = None
    split: str | None = None
    group: str = ""


@dataclass(frozen=True)
class Dataset:
    """A task and its cases in id order, with licence and source for `curette datasets` and the report."""

    name: str
    task: Task
    cases: tuple[Case, ...]
    licence: str = "unknown"
    source: str = ""
    notes: tuple[str, ...] = field(default=())
