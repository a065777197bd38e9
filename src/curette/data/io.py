"""Files as sources of volumes. Who can read a file is decided by its suffix, through registry kind ``reader``.

A reader is a function ``(path, dims, label) -> Volume`` with the array [channels, *S], registered with the `suffixes`
it takes and a `header` function ``(path, dims) -> (Geometry, channels)`` that loads no voxels:

    @register("reader", "mine", suffixes=(".xyz",), header=xyz_header)
    def xyz(path: Path, dims: int | None, label: bool) -> Volume: ...

A file that holds image and label both has a `label_header` for the latter as well. A format that keeps voxels in another
file than the header has `beside`, a function ``(path) -> [path, …]`` that names such files.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from curette.data import metaimage as _metaimage
from curette.data import nifti as _nifti
from curette.data import npz as _npz
from curette.data import pictures as _pictures
from curette.data.case import Geometry, Volume
from curette.data.nifti import canonical_shape, to_native, write_nifti
from curette.data.values import finite, whole
from curette.errors import CuretteError, DataError
from curette.files import file_stamp
from curette.registry import Component, components

__all__ = [
    "FileSource",
    "canonical_shape",
    "ignored",
    "reader",
    "split_suffix",
    "suffixes",
    "to_native",
    "write_nifti",
]
_BUILT_IN = (_metaimage, _nifti, _npz, _pictures)  # imported because they register themselves
_JUNK = {"thumbs.db", "desktop.ini"}
_LUMINANCE = np.array([0.299, 0.587, 0.114], np.float32)  # ITU-R BT.601
_T = TypeVar("_T")


def suffixes() -> list[str]:
    """All file suffixes that some reader takes."""
    return sorted({s for component in components("reader").values() for s in component.info["suffixes"]})


def split_suffix(path: Path) -> tuple[str, str]:
    """Split a file name into stem and known suffix (``.nii.gz`` is one); the suffix is empty when no reader takes it."""
    lower = path.name.lower()
    found = max((s for s in suffixes() if lower.endswith(s)), key=len, default="")
    return path.name[: len(path.name) - len(found)], found


def reader(path: Path) -> Component:
    """The reader for a file. Raises `DataError` that lists the known suffixes."""
    suffix = split_suffix(path)[1]
    for component in components("reader").values():
        if suffix and suffix in component.info["suffixes"]:
            return component
    raise DataError(f"{path} has a suffix that no reader takes. Known: {', '.join(suffixes())}.")


def ignored(path: Path) -> bool:
    """True for what operating systems leave behind: hidden files (``._x``, ``.DS_Store``), ``Thumbs.db``."""
    return path.name.startswith(".") or path.name.lower() in _JUNK


def _decode(path: Path, read: Callable[[], _T]) -> _T:
    if not path.is_file():
        raise DataError(f"{path} does not exist.")
    try:
        return read()
    except (CuretteError, MemoryError):
        raise
    except Exception as problem:  # decoders raise whatever they like on a damaged file, SyntaxError included
        reason = str(problem).strip().rstrip(".") or type(problem).__name__
        raise DataError(
            f"{path} cannot be read: {reason}. It may be truncated or damaged; replace it."
        ) from problem


@dataclass(frozen=True)
class FileSource:
    """A file as a `Source`: an image [channels, *S] or, with `label`, a map [*S] of raw integer label values.

    `dims` is the number of spatial axes it must have. `colour` makes mixed folders alike: ``grey`` turns colour images
    into luminance, ``rgb`` repeats grey ones three times, empty keeps what is there.
    """

    path: Path
    dims: int
    label: bool = False
    colour: str = ""

    @property
    def name(self) -> str:
        return str(self.path)

    @property
    def stamp(self) -> str:
        beside = reader(self.path).info.get("beside")
        more = _decode(self.path, lambda: beside(self.path)) if beside else []
        return f"{':'.join(map(file_stamp, [self.path, *more]))}:{self.colour}"

    def header(self) -> tuple[Geometry, int]:
        """Geometry and number of channels, without loading voxels. Raises `DataError` naming the file."""
        component = reader(self.path)
        header = (self.label and component.info.get("label_header")) or component.info["header"]
        geometry, channels = _decode(self.path, lambda: header(self.path, self.dims))
        if self.colour and not self.label:
            channels = 1 if self.colour == "grey" else 3
        return geometry, channels

    def read(self) -> Volume:
        """Load it. Raises `DataError` naming the file: missing, damaged, no real
        numbers, NaN or infinite voxels (as 32-bit floats), fractional labels."""
        component = reader(self.path)
        volume: Volume = _decode(self.path, lambda: component.function(self.path, self.dims, self.label))
        if self.label:
            return Volume(whole(self._one_map(volume.array), self.name), volume.geometry)
        return Volume(self._coloured(finite(volume.array, self.name)), volume.geometry)

    def _one_map(self, array: NDArray[Any]) -> NDArray[Any]:
        """One map out of [channels, *S]; a picture with equal channels counts as one map."""
        if (
            len(array) == 3
            and self.dims == 2
            and (array[0] == array[1]).all()
            and (array[0] == array[2]).all()
        ):
            array = array[:1]
        if len(array) != 1:
            raise DataError(
                f"{self.path} has {len(array)} channels where a label map has one value a "
                f"{'pixel' if self.dims == 2 else 'voxel'}. Save the label as a one-channel file."
            )
        one: NDArray[Any] = array[0]
        return one

    def _coloured(self, array: NDArray[Any]) -> NDArray[Any]:
        if self.colour == "grey" and len(array) == 3:
            grey: NDArray[np.float32] = np.tensordot(_LUMINANCE, array.astype(np.float32), axes=1)
            return grey[None]
        if self.colour == "rgb" and len(array) == 1:
            return np.repeat(array, 3, axis=0)
        return array
