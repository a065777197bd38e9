"""NIfTI files: read in canonical orientation (closest to RAS+), written back on the file's own grid and verified."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
from nibabel import orientations
from nibabel.fileholders import FileHolder
from nibabel.openers import Opener
from nibabel.spatialimages import HeaderDataError
from numpy.typing import DTypeLike, NDArray

from curette.data.case import Geometry, Volume
from curette.data.values import check_type
from curette.errors import DataError
from curette.files import replacing
from curette.registry import register

_BLOCK = 1 << 20


def header(path: Path, dims: int | None) -> tuple[Geometry, int]:
    """Geometry and number of channels, without loading voxels. `dims` None: 2 for flat images, else 3."""
    image: Any = nib.load(path)
    check_type(image.get_data_dtype(), str(path))
    _check_spacing(path)
    _check_forms(path, image)
    shape, native = tuple(int(n) for n in image.shape), np.asarray(image.affine, np.float64)
    if len(shape) == 5 and shape[3] == 1:  # the standard puts vector components on the fifth axis
        shape = (*shape[:3], shape[4])
    if not 2 <= len(shape) <= 4 or 0 in shape:
        raise DataError(f"{path} has shape {shape}; 2 or 3 spatial axes and one of channels can be read.")
    channels = shape[3] if len(shape) == 4 else 1
    flat = len(shape) == 2 or shape[2] == 1
    if dims == 2 or (dims is None and flat):
        if not flat:
            raise DataError(f"{path} is a volume of shape {shape[:3]} where a flat image is expected.")
        return Geometry(native, native, shape[:2]), channels
    if len(shape) == 2:
        raise DataError(f"{path} is a flat image of shape {shape} where a volume is expected.")
    shape = shape[:3]
    return oriented(path, native, shape), channels


def _check_spacing(path: Path) -> None:
    """Raise `DataError` for a file that says nowhere how far apart its voxels are: it would be read as 1 mm."""
    opened: Any = Opener(str(path))  # type: ignore[no-untyped-call, unused-ignore]
    with opened as file:
        start = file.read(540)  # the longer of the two headers
    kind: Any = (
        nib.Nifti2Header if start[:4] in (b"\x1c\x02\x00\x00", b"\x00\x00\x02\x1c") else nib.Nifti1Header
    )
    raw = kind(start[: kind.sizeof_hdr], check=False)
    if int(raw["sform_code"]) > 0 or int(raw["qform_code"]) > 0:
        return  # an affine says it
    axes = min(3, max(0, int(raw["dim"][0])))
    spacing = [float(mm) for mm in raw["pixdim"][1 : 1 + axes]]
    if not all(np.isfinite(mm) and mm > 0 for mm in spacing):
        raise DataError(
            f"{path}: its header has the voxel spacing {spacing} mm and no affine, so how far apart voxels are is unknown. "
            "Write the spacing into the header."
        )


def _check_forms(path: Path, image: Any) -> None:
    """Raise `DataError` where both affines of a header are set and contradict each other: one of them is wrong.

    Only roughly compared (axes more than 60 degrees apart, voxels half as long again) are two different spaces, of which their
    codes tell, as one may be an atlas that the head was scaled to; and an sform with a shear, as of a tilted gantry, which a
    qform cannot tell.
    """
    head, close = image.header, image.header.copy()
    try:
        (sform, space), (qform, other) = head.get_sform(coded=True), head.get_qform(coded=True)
        if sform is None or qform is None:
            return
        with np.errstate(all="ignore"):
            close.set_qform(sform, 1)
            steps = sform[:3, :3] / np.linalg.norm(sform[:3, :3], axis=0)
        rough = space != other or (np.abs(steps.T @ steps - np.eye(3)) > 1e-3).any()
        sform = close.get_qform()
    except (ValueError, HeaderDataError):
        return  # one of them is none: if that is the sform, its use will say so
    far = np.array([*image.shape, 1, 1][:3]) - 1
    sizes, others = (np.linalg.norm(affine[:3, :3], axis=0) for affine in (sform, qform))
    corners = np.array(np.meshgrid(*((0, n) for n in far), 1)).reshape(4, -1)
    away = float(np.linalg.norm(((sform - qform) @ corners)[:3], axis=0).max())
    turned = (sform[:3, :3] * qform[:3, :3]).sum(axis=0) < 0.5 * sizes * others
    longer = np.maximum(sizes, others) > 1.5 * np.minimum(sizes, others)
    if not rough:
        longer = np.abs(sizes - others) * np.maximum(far, 1) > others
    if turned.any() or longer.any() or (not rough and away > np.linalg.norm(others)):
        told = [
            f"{'×'.join(f'{mm:.4g}' for mm in mms)} mm and axes {''.join(map(str, nib.aff2axcodes(affine)))}"
            for mms, affine in ((sizes, sform), (others, qform))
        ]
        raise DataError(
            f"{path}: its header contradicts itself. By the sform voxels have {told[0]}, by the qform {told[1]}, and a "
            f"corner lies {away:.4g} mm elsewhere. Correct the one that is wrong, or set its code to 0."
        )


def oriented(path: Path, native: NDArray[np.float64], shape: tuple[int, ...]) -> Geometry:
    """Geometry of a volume of `shape` whose file places voxels by `native` [4, 4], voxel → world (mm, RAS+).

    Raises `DataError` naming the file when the affine is not invertible.
    """
    if not np.isfinite(native).all() or abs(np.linalg.det(native[:3, :3])) < 1e-9:
        raise DataError(
            f"{path}: its affine is not invertible, so orientation and spacing are unknown. Repair the header."
        )
    turn = orientations.io_orientation(native)
    if np.array_equal(turn, [[0, 1], [1, 1], [2, 1]]):
        return Geometry(native, native, shape)
    affine = native @ orientations.inv_ornt_aff(turn, shape)
    return Geometry(affine, native, shape, turn)


@register("reader", "nifti", suffixes=(".nii", ".nii.gz"), header=header)
def nifti(path: Path, dims: int | None, label: bool) -> Volume:
    """NIfTI-1/2 volumes and flat images; a fourth axis holds channels. Returns [channels, *S] in canonical orientation."""
    geometry, channels = header(path, dims)
    array = _voxels(path)
    return to_canonical(array.reshape(*geometry.shape, channels), geometry)


def _voxels(path: Path) -> NDArray[Any]:
    """The array as stored. The file is read to its end, where gzip keeps the checksum: nibabel stops before it."""
    kind: Any = type(nib.load(path))
    opened: Any = Opener(str(path))  # type: ignore[no-untyped-call, unused-ignore]
    with opened as file:
        holder = FileHolder(fileobj=file.fobj)  # type: ignore[no-untyped-call, unused-ignore]
        array: NDArray[Any] = np.asanyarray(kind.from_file_map({"image": holder}, mmap=False).dataobj)
        while file.read(_BLOCK):
            pass
    return array


def to_canonical(array: NDArray[Any], geometry: Geometry) -> Volume:
    """Turn an array [*S, channels], in the file's axis order and directions, to [channels, *S] in canonical ones."""
    if geometry.flips is not None:
        array = orientations.apply_orientation(array, geometry.flips)
    return Volume(np.ascontiguousarray(np.moveaxis(array, -1, 0)), geometry)


def canonical_shape(geometry: Geometry) -> tuple[int, ...]:
    """Spatial shape of the canonical array."""
    if geometry.flips is None:
        return tuple(geometry.shape)
    order = np.argsort(geometry.flips[:, 0])
    return tuple(int(geometry.shape[i]) for i in order)


def to_native(array: NDArray[Any], geometry: Geometry) -> NDArray[Any]:
    """Turn a canonical array [*S] back to the axis order and directions of the file it belongs to.

    Raises `DataError` when its shape is not the geometry's canonical shape.
    """
    if array.shape != canonical_shape(geometry):
        raise DataError(
            f"An array of shape {array.shape} does not lie on the grid {canonical_shape(geometry)} it is written to."
        )
    if geometry.flips is None:
        return array
    identity = np.array([[0, 1], [1, 1], [2, 1]])
    back = orientations.ornt_transform(identity, geometry.flips)
    native: NDArray[Any] = orientations.apply_orientation(array, back)
    return native


def write_nifti(
    path: Path, canonical_array: NDArray[Any], geometry: Geometry, dtype: DTypeLike = np.uint8
) -> None:
    """Write a canonical array [*S] on the original grid, read it back and compare; only then it gets its name.

    Raises `DataError` when `dtype` cannot hold the values, the folder cannot be written, or what was read back differs.
    """
    native = to_native(canonical_array, geometry)
    with np.errstate(invalid="ignore"):
        stored = native.astype(dtype)
    if not np.array_equal(stored, native):
        raise DataError(f"{path}: {np.dtype(dtype)} cannot hold the values. Write it with a wider type.")
    image: Any = nib.Nifti1Image(stored, geometry.native)  # type: ignore[no-untyped-call, unused-ignore]
    image.set_sform(geometry.native, code=1)
    image.set_qform(geometry.native, code=1)
    image.header.set_xyzt_units("mm")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with replacing(path, "".join(path.suffixes[-2:])) as draft:
            nib.save(image, draft)
            again: Any = nib.load(draft, mmap=False)
            same = np.array_equal(np.asanyarray(again.dataobj), stored)
            if not same or not np.allclose(again.affine, geometry.native, rtol=1e-5, atol=1e-4):
                raise DataError(f"{path}: what was read back after writing differs. The disk may be failing.")
    except OSError as problem:
        raise DataError(
            f"{path} cannot be written: {problem}. Choose a folder you may write to."
        ) from problem
