"""Between a case's canonical grid and prepared units: resample, cut into slices, pad or crop, and all the way back."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from curette.errors import ContractError
from curette.region import Box


def interpolate(array: NDArray[Any], shape: Sequence[int]) -> NDArray[np.float32]:
    """Resample the last axes of an image to `shape`, linearly; when shrinking, over a triangle as wide as a new voxel.

    Voxels are areas: the outer edges of the first and last voxel stay where they are.
    """
    out = np.asarray(array, np.float32)
    for axis, new in zip(range(-len(shape), 0), shape, strict=True):
        old = out.shape[axis]
        if new != old:
            out = np.moveaxis(np.moveaxis(out, axis, -1) @ _triangle(old, new), -1, axis)
    return out


def _triangle(old: int, new: int) -> NDArray[np.float32]:
    """Weights [old, new] of each old sample in each new one; columns sum to 1."""
    step = old / new
    centre = np.clip((np.arange(new) + 0.5) * step - 0.5, 0, old - 1)
    distance = np.abs(np.arange(old)[:, None] - centre) / max(step, 1.0)
    weights = np.clip(1 - distance, 0, None)
    columns: NDArray[np.float32] = (weights / weights.sum(axis=0)).astype(np.float32)
    return columns


def nearest(array: NDArray[Any], shape: Sequence[int]) -> NDArray[Any]:
    """Resample the last axes of a label map to `shape`, each new voxel taking the value at its centre."""
    for axis, new in zip(range(-len(shape), 0), shape, strict=True):
        old = array.shape[axis]
        if new != old:
            picks = np.minimum(((np.arange(new) + 0.5) * old / new).astype(np.int64), old - 1)
            array = np.take(array, picks, axis=axis)
    return array


def _place(inside: int, outside: int) -> tuple[slice, slice]:
    """Centred: which part of `inside` elements goes to which part of `outside` elements (a pad or a crop)."""
    length = min(inside, outside)
    start, target = (inside - length) // 2, (outside - length) // 2
    return slice(start, start + length), slice(target, target + length)


def nonzero(image: NDArray[Any]) -> Box:
    """The smallest box outside of which an image [channels, *S] is 0 everywhere; all of it for one without any value."""
    any_channel, box = (image != 0).any(axis=0), []
    for axis in range(any_channel.ndim):
        others = tuple(i for i in range(any_channel.ndim) if i != axis)
        found = np.flatnonzero(any_channel.any(axis=others))
        box.append((int(found[0]), int(found[-1]) + 1) if len(found) else (0, any_channel.shape[axis]))
    return tuple(box)


def cut(box: Box) -> tuple[slice, ...]:
    """The index of a box in the last axes of an array that has no others before them."""
    return tuple(slice(start, stop) for start, stop in box)


def lengths(box: Box) -> tuple[int, ...]:
    return tuple(stop - start for start, stop in box)


@dataclass(frozen=True)
class Grid:
    """How one case's array becomes units and back.

    shape    the canonical grid of the case [*S]
    sampled  the same after resampling to the wanted spacing, or stretching to the wanted size
    axis     the axis slices are cut along; None when the whole image or volume is the unit
    size     size of a unit, [*S] without the axis that is cut
    box      the part of the canonical grid that is resampled, (start, stop) along each axis; None for all of it
    """

    shape: tuple[int, ...]
    sampled: tuple[int, ...]
    axis: int | None
    size: tuple[int, ...]
    box: Box | None = None

    @property
    def inner(self) -> Box:
        """The part of the canonical grid that becomes units, (start, stop) along each axis."""
        return self.box or tuple((0, n) for n in self.shape)

    @property
    def units(self) -> int:
        return 1 if self.axis is None else self.sampled[self.axis]

    @property
    def plane(self) -> tuple[int, ...]:
        """Size of a unit before padding or cropping."""
        return plane(self.sampled, self.axis)

    @property
    def filled(self) -> tuple[slice, ...]:
        """The part of a unit that shows the case, along each axis; the rest is padding."""
        return tuple(_place(have, want)[1] for have, want in zip(self.plane, self.size, strict=True))

    def image(self, array: NDArray[Any], out: NDArray[np.float32]) -> None:
        """Fill `out` [units, channels, *size] (zeros) with an image [channels, *S] of the part that is resampled."""
        self._cut(interpolate(array, self.sampled), out)

    def label(self, array: NDArray[np.uint8], out: NDArray[np.uint8]) -> None:
        """Fill `out` [units, *size] (zeros) with a label map [*shape]."""
        self._cut(nearest(array[cut(self.inner)], self.sampled), out)

    def _cut(self, array: NDArray[Any], out: NDArray[Any]) -> None:
        stack = array[None] if self.axis is None else np.moveaxis(array, self.axis - len(self.shape), 0)
        part, to = self._places()
        out[to] = stack[part]

    def restore(self, stack: NDArray[Any]) -> NDArray[Any]:
        """Integer maps [units, *size] back on the canonical grid [*shape]; what was cut off becomes background 0.

        Raises `ContractError` for a stack of another shape.
        """
        if stack.shape != (self.units, *self.size):
            raise ContractError(
                f"A stack of {(self.units, *self.size)} is needed to restore, not {stack.shape}."
            )
        whole = np.zeros((self.units, *self.plane), stack.dtype)
        part, to = self._places()
        whole[part] = stack[to]
        array = whole[0] if self.axis is None else np.moveaxis(whole, 0, self.axis)
        inner = np.ascontiguousarray(nearest(array, lengths(self.inner)))
        if inner.shape == self.shape:
            return inner
        out = np.zeros(self.shape, stack.dtype)
        out[cut(self.inner)] = inner
        return out

    def _places(self) -> tuple[Any, Any]:
        """Indices of what is kept: in an array before padding or cropping, and in one after it."""
        places = [_place(have, want) for have, want in zip(self.plane, self.size, strict=True)]
        return (..., *(part for part, _ in places)), (..., *(to for _, to in places))


def plane(shape: Sequence[int], axis: int | None) -> tuple[int, ...]:
    """The lengths of a unit: those of a shape whose slices are cut along `axis`, all of them with None."""
    return tuple(n for i, n in enumerate(shape) if i != axis)
