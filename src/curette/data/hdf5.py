"""Volumes and slices in HDF5 files, an array ``image`` and an array ``label`` each, read with h5py.

This is how data for semi-supervised segmentation are passed around (Yu et al., UA-MT, 2019; Luo et al., SSL4MIS, 2020).
Such files hold neither spacing nor orientation, so whoever knows the layout must say the spacing.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from curette.data.case import Geometry, Volume
from curette.data.values import check_type, finite, whole
from curette.errors import DataError, MissingExtraError
from curette.files import file_stamp


@dataclass(frozen=True)
class Hdf5Source:
    """Array `key` of a file as a `Source`: an image [1, *S] or, with `label`, a map [*S] of integers.

    `spacing` is mm per voxel along the axes of what is read, `spaced` whether that is known. `turned` is for volumes that were
    stored as [z, y, x]: they are read as [x, y, z].
    """

    path: Path
    key: str
    spacing: tuple[float, ...]
    label: bool = False
    turned: bool = False
    spaced: bool = True

    @property
    def name(self) -> str:
        return f"{self.path} [{self.key}]"

    @property
    def stamp(self) -> str:
        return f"{file_stamp(self.path)}:{self.key}:{self.spacing}:{self.turned}"

    def header(self) -> tuple[Geometry, int]:
        """Geometry and number of channels, without loading voxels. Raises `DataError` naming file and array."""
        with self._opened() as array:
            check_type(array.dtype, self.name)
            return self._geometry(tuple(int(n) for n in array.shape)), 1

    def read(self) -> Volume:
        """Load it. Raises `DataError` naming file and array: missing, damaged, not finite, fractional labels."""
        with self._opened() as stored:
            geometry, array = self._geometry(stored.shape), np.asarray(stored[()])
        array = np.ascontiguousarray(array.T if self.turned else array)
        if self.label:
            return Volume(whole(array, self.name), geometry)
        return Volume(finite(array, self.name)[None], geometry)

    def _geometry(self, stored: tuple[int, ...]) -> Geometry:
        shape, dims = (tuple(reversed(stored)) if self.turned else tuple(stored)), len(self.spacing)
        if len(shape) != dims or 0 in shape:
            raise DataError(f"{self.name} has shape {tuple(stored)} where {dims} axes are expected.")
        affine = np.diag([*self.spacing, *[1.0] * (4 - dims)])
        return Geometry(affine, affine, shape, spaced=self.spaced)

    @contextmanager
    def _opened(self) -> Iterator[Any]:
        library = _library()
        if not self.path.is_file():
            raise DataError(f"{self.path} does not exist.")
        try:
            with library.File(self.path, "r") as file:
                if not isinstance(file.get(self.key), library.Dataset):
                    raise DataError(
                        f"{self.path} has no array '{self.key}'; it holds {', '.join(sorted(file)) or 'nothing'}."
                    )
                yield file[self.key]
        except (DataError, MemoryError):
            raise
        except (
            Exception
        ) as problem:  # h5py raises OSError, KeyError and RuntimeError, depending on where it broke
            raise DataError(
                f"{self.name} cannot be read: {str(problem).rstrip('.')}. It may be truncated or damaged; replace it."
            ) from problem


def _library() -> Any:
    try:
        import h5py
    except ImportError:
        raise MissingExtraError(
            "HDF5 files need h5py, which is not installed. Run: pip install 'curette[formats]'"
        ) from None
    return h5py
