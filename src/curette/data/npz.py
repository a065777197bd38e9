"""Arrays in an NPZ archive, one image an entry (MedMNIST layout): loaded once a process, when first asked for."""

from __future__ import annotations

import functools
import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from curette.data.case import Geometry, Volume
from curette.data.values import check_type, finite
from curette.errors import DataError
from curette.files import file_stamp
from curette.registry import register


@functools.lru_cache(maxsize=3)
def _load(path: Path, key: str, stamp: str) -> NDArray[Any] | DataError:
    # A failure is remembered as well: a broken archive is not unpacked again for each of its images.
    try:
        with np.load(path, allow_pickle=False) as archive:
            return np.asarray(archive[key])
    except MemoryError:
        raise
    except Exception as problem:
        return DataError(f"{path} [{key}] cannot be read: {problem}. Download it again.")


def load(path: Path, key: str) -> NDArray[Any]:
    """One array of an archive, shared by all who ask in this process. Raises `DataError` naming file and array."""
    found = _load(path, key, file_stamp(path))
    if isinstance(found, DataError):
        raise DataError(str(found))
    return found


def headers(path: Path) -> dict[str, tuple[tuple[int, ...], np.dtype[Any]]]:
    """Shapes and types of all arrays in an archive, without loading them. Raises `DataError` when it is no NPZ archive."""
    file_stamp(path)
    found: dict[str, tuple[tuple[int, ...], np.dtype[Any]]] = {}
    try:
        with zipfile.ZipFile(path) as archive:
            for name in archive.namelist():
                with archive.open(name) as member:
                    version = np.lib.format.read_magic(member)
                    read = np.lib.format.read_array_header_1_0
                    if version >= (2, 0):
                        read = np.lib.format.read_array_header_2_0
                    shape, _, dtype = read(member)
                    found[name.removesuffix(".npy")] = shape, dtype
    except MemoryError:
        raise
    # Damage shows as zlib.error, struct.error, KeyError …, depending on where it is.
    except Exception as problem:
        raise DataError(f"{path} is not a complete NPZ archive: {problem}. Download it again.") from problem
    return found


@dataclass(frozen=True)
class NpzSource:
    """Entry `index` of array `key`: [N, height, width] or [N, height, width, 3]; with `dims` 3, [N, *S]."""

    path: Path
    key: str
    index: int
    dims: int = 2

    @property
    def name(self) -> str:
        return f"{self.path} [{self.key}][{self.index}]"

    @property
    def stamp(self) -> str:
        return f"{file_stamp(self.path)}:{self.key}:{self.index}"

    def read(self) -> Volume:
        """The image as [channels, *S]. Raises `DataError` naming file, array and entry."""
        array = load(self.path, self.key)[self.index]
        array = array[None] if array.ndim == self.dims else np.moveaxis(array, -1, 0)
        array = finite(np.ascontiguousarray(array), self.name)
        return Volume(array, Geometry(np.eye(4), np.eye(4), array.shape[1:], spaced=False))


_IMAGES, _LABELS = ("image", "images", "img", "data"), ("label", "labels", "mask", "seg")


def _array(path: Path, names: tuple[str, ...]) -> str:
    """The array of one case's archive that has one of the names, or the only one there is."""
    there = [name for name in headers(path) if name != "spacing"]
    found = [name for name in names if name in there] or (there if len(there) == 1 else [])
    if not found:
        raise DataError(
            f"{path} holds the arrays {', '.join(there) or 'none'}; curette looks for {' or '.join(names)}."
        )
    return found[0]


def case_header(path: Path, dims: int | None) -> tuple[Geometry, int]:
    """Geometry and number of channels of the image in one case's archive, without loading it."""
    return _header(path, dims, _array(path, _IMAGES))


def label_header(path: Path, dims: int | None) -> tuple[Geometry, int]:
    """The same of the label."""
    return _header(path, dims, _array(path, _LABELS))


def _header(path: Path, dims: int | None, key: str) -> tuple[Geometry, int]:
    there = headers(path)
    shape, dtype = there[key]
    check_type(dtype, f"{path} [{key}]")
    dims = dims or min(3, len(shape))
    if len(shape) not in (dims, dims + 1) or 0 in shape:
        raise DataError(f"{path} [{key}] has shape {shape} where {dims} spatial axes are expected.")
    space, channels = (shape, 1) if len(shape) == dims else (shape[1:], shape[0])
    affine = np.eye(4)
    if "spacing" in there:
        spacing = load(path, "spacing")
        check_type(spacing.dtype, f"{path} [spacing]")
        if spacing.shape != (dims,) or not (np.isfinite(spacing) & (spacing > 0)).all():
            raise DataError(
                f"{path} [spacing] must be {dims} positive numbers of mm, not {spacing.tolist()}."
            )
        affine[range(dims), range(dims)] = spacing
    return Geometry(affine, affine, space, spaced="spacing" in there), channels


@register("reader", "npz", suffixes=(".npz",), header=case_header, label_header=label_header)
def npz(path: Path, dims: int | None, label: bool) -> Volume:
    """One case in an archive: ``image`` [*S] or [channels, *S], ``label`` [*S], and ``spacing`` in mm, if known."""
    key = _array(path, _LABELS if label else _IMAGES)
    geometry, _ = _header(path, dims, key)
    array = load(path, key)
    return Volume(array[None] if array.ndim == len(geometry.shape) else array, geometry)
