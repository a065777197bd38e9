"""What may be in the arrays of files: real numbers that 32 bits can hold in images, whole numbers in labels."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray

from curette.errors import DataError

_LARGEST = 1 << 53  # beyond it not every whole number has a float of its own


def check_type(dtype: DTypeLike, name: str) -> None:
    """Raise `DataError` naming the array when its elements are no real numbers: text, complex, records, dates."""
    if np.dtype(dtype).kind not in "biuf":
        raise DataError(
            f"{name} holds elements of type {np.dtype(dtype)} where real numbers are expected. "
            "Save it with one number a voxel and channel."
        )


def real(array: NDArray[Any], name: str) -> NDArray[Any]:
    """An array of real numbers; true and false become 1 and 0. Raises `DataError` for any other."""
    check_type(array.dtype, name)
    return array.astype(np.uint8) if array.dtype == bool else array


def finite(array: NDArray[Any], name: str) -> NDArray[Any]:
    """An image of real numbers, all of them finite as 32-bit floats, in which images are kept and computed with.

    Raises `DataError` that counts those that are not.
    """
    array = real(array, name)
    if array.dtype.kind != "f":
        return array
    with np.errstate(over="ignore"):
        fits = np.isfinite(array.astype(np.float32, copy=False))
    if not fits.all():
        nan, bad = int(np.isnan(array).sum()), int((~np.isfinite(array)).sum())
        large = int((~fits).sum()) - bad
        also = f" and {large} beyond the range of 32-bit floats" if large else ""
        raise DataError(
            f"{name} holds {nan} NaN and {bad - nan} infinite values{also} among {array.size}. "
            "Repair it or leave it out."
        )
    return array


def whole(array: NDArray[Any], name: str) -> NDArray[Any]:
    """A label map as integers. Raises `DataError` for other than whole numbers."""
    array = real(array, name)
    if array.dtype.kind != "f":
        return array
    near = np.rint(array)
    with np.errstate(invalid="ignore"):
        broken = ~(np.abs(array - near) < 1e-3)
    if broken.any():
        raise DataError(
            f"{name} holds {int(broken.sum())} label values that are not whole numbers, "
            f"such as {array[broken].flat[0]:g}. Resample labels with nearest-neighbour interpolation."
        )
    if (largest := float(np.abs(near).max(initial=0))) > _LARGEST:
        raise DataError(f"{name} holds label values as large as {largest:g}. Repair it.")
    found: NDArray[np.int64] = near.astype(np.int64)
    return found
