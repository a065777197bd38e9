"""PNG, JPEG, BMP and TIFF: grey or colour to [channels, height, width]; palette masks keep their indices."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import tifffile
from numpy.typing import NDArray
from PIL import Image, ImageOps

from curette.data.case import Geometry, Volume
from curette.errors import DataError
from curette.registry import register

_GREY = {"1", "L", "I", "F", "I;16", "I;16B", "I;16L", "I;16N"}
_ORIENTATION = 0x0112  # EXIF tag; values from 5 on exchange width and height


def _flat(shape: tuple[int, ...]) -> Geometry:
    """Pixel coordinates: resolution tags of pictures describe print or screen, not the patient."""
    return Geometry(np.eye(4), np.eye(4), shape, spaced=False)


def _check(path: Path, dims: int | None) -> None:
    if dims == 3:
        raise DataError(f"{path} is a flat picture where a volume is expected.")


def header(path: Path, dims: int | None) -> tuple[Geometry, int]:
    """Geometry and number of channels, without decoding pixels."""
    _check(path, dims)
    with Image.open(path) as picture:
        width, height = picture.size
        if picture.getexif().get(_ORIENTATION, 1) >= 5:
            width, height = height, width
        grey = picture.mode in _GREY or picture.mode in ("LA", "La")
        return _flat((height, width)), 1 if grey else 3


@register("reader", "picture", suffixes=(".png", ".jpg", ".jpeg", ".bmp"), header=header)
def picture(path: Path, dims: int | None, label: bool) -> Volume:
    """PNG, JPEG and BMP. Transparency is dropped; an EXIF rotation is applied; 16 bits are kept."""
    return _pillow(path, dims, label)


def _pillow(path: Path, dims: int | None, label: bool) -> Volume:
    _check(path, dims)
    with Image.open(path) as opened:
        if getattr(opened, "n_frames", 1) > 1:
            raise DataError(
                f"{path} holds {getattr(opened, 'n_frames', 1)} frames. Save each as a file of its own."
            )
        upright = ImageOps.exif_transpose(opened)
        if upright.mode in _GREY or (upright.mode == "P" and label):
            array = np.asarray(upright)
        elif upright.mode in ("LA", "La"):
            array = np.asarray(upright)[..., 0]
        elif upright.mode in (
            "RGBA",
            "RGBX",
        ):  # not convert("RGB"): it keeps the colours and costs a copy more
            array = np.asarray(upright)[..., :3]
        else:
            array = np.asarray(upright.convert("RGB"))
    if array.dtype == bool:
        array = array.astype(np.uint8)
    array = array[None] if array.ndim == 2 else np.moveaxis(array, -1, 0)
    return Volume(np.ascontiguousarray(array), _flat(array.shape[1:]))


def _page(path: Path, dims: int | None, tiff: tifffile.TiffFile) -> Any:
    _check(path, dims)
    if len(tiff.pages) != 1:
        raise DataError(f"{path} holds {len(tiff.pages)} pages. Save each page as a file of its own.")
    return tiff.pages[0]


def tiff_header(path: Path, dims: int | None) -> tuple[Geometry, int]:
    """Geometry and number of channels, without decoding pixels."""
    with tifffile.TiffFile(path) as tiff:
        page = _page(path, dims, tiff)
        colour = page.photometric == tifffile.PHOTOMETRIC.PALETTE
        samples = page.samplesperpixel - len(page.extrasamples)
        return _flat((page.imagelength, page.imagewidth)), 3 if colour else samples


@register("reader", "tiff", suffixes=(".tif", ".tiff"), header=tiff_header)
def tiff(path: Path, dims: int | None, label: bool) -> Volume:
    """TIFF with one page, any depth. Alpha is dropped; white-is-zero images are inverted."""
    with tifffile.TiffFile(path) as opened:
        page = _page(path, dims, opened)
        try:
            array = page.asarray()
        except ValueError as problem:
            if "imagecodecs" not in str(problem):
                raise
            return _pillow(path, dims, label)  # decodes LZW and JPEG without a further package
        height, width = page.imagelength, page.imagewidth
        samples = page.samplesperpixel - len(page.extrasamples)
        array = _channels_first(array, height, width)[: max(1, samples)]
        if page.photometric == tifffile.PHOTOMETRIC.PALETTE and not label:
            array = (page.colormap[:, array[0]] >> 8).astype(np.uint8)
        if page.photometric == tifffile.PHOTOMETRIC.MINISWHITE and not label:
            array = (1 - array) if array.dtype == bool else array.max() - array
    if array.dtype == bool:
        array = array.astype(np.uint8)
    return Volume(np.ascontiguousarray(array), _flat((height, width)))


def _channels_first(array: NDArray[Any], height: int, width: int) -> NDArray[Any]:
    if array.ndim == 2:
        return array[None]
    return array if array.shape[1:] == (height, width) else np.moveaxis(array, -1, 0)
