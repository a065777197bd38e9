"""MetaImage volumes (``.mha``, or ``.mhd`` beside its ``.raw``), read with SimpleITK into canonical orientation."""

from __future__ import annotations

import math
import zlib
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from curette.data.case import Geometry, Volume
from curette.data.nifti import oriented, to_canonical
from curette.errors import DataError, MissingExtraError
from curette.registry import register

_LPS_TO_RAS = np.diag(
    [-1.0, -1.0, 1.0, 1.0]
)  # ITK counts x and y towards left and posterior, NIfTI the other way
_BYTES = {"CHAR": 1, "SHORT": 2, "INT": 4, "LONG": 4, "LONG_LONG": 8, "FLOAT": 4, "DOUBLE": 8}
_LONGEST = 64 << 10  # bytes of a text header; .mha files go on with voxels
_BLOCK = 1 << 20
_ANY_WRAPPER = 47  # of zlib: 32 KiB window, and both its own header and that of gzip


def header(path: Path, dims: int | None) -> tuple[Geometry, int]:
    """Geometry and number of channels, without loading voxels.

    The size of the file with the voxels is compared with what the header announces. Raises `DataError` naming the file
    that is missing, cut short, flat, of more than three axes, or without spacing.
    """
    fields, _ = _fields(path)
    axes = fields.get("NDims", "?")
    if axes != "3" or dims == 2:
        raise DataError(f"{path} has {axes} axes where {'2 are' if dims == 2 else '3 are'} expected.")
    if "ElementSpacing" not in fields and "ElementSize" not in fields:
        raise DataError(
            f"{path} has no ElementSpacing, so lengths in mm are unknown. Add the line to its header."
        )
    _check_size(path)
    facts = _library().ImageFileReader()
    facts.SetFileName(str(path))
    facts.ReadImageInformation()
    turn = np.array(facts.GetDirection()).reshape(3, 3)
    affine = np.eye(4)
    affine[:3, :3], affine[:3, 3] = turn * facts.GetSpacing(), facts.GetOrigin()
    shape = tuple(int(n) for n in facts.GetSize())
    return oriented(path, _LPS_TO_RAS @ affine, shape), int(facts.GetNumberOfComponents())


def beside(path: Path) -> list[Path]:
    """The file beside a header that holds its voxels, if there is one; lists and patterns of files are not followed."""
    name = _fields(path)[0]["ElementDataFile"]
    return [] if _inside(name) or _several(name) else [path.parent / name]


@register("reader", "metaimage", suffixes=(".mhd", ".mha"), header=header, beside=beside)
def metaimage(path: Path, dims: int | None, label: bool) -> Volume:
    """MetaImage volumes; components of a voxel are channels. Returns [channels, *S] in canonical orientation.

    Raises `DataError` naming the file whose compressed voxels are damaged, `MissingExtraError` without SimpleITK.
    """
    geometry, channels = header(path, dims)
    _check_compressed(path)
    library = _library()
    stored: NDArray[Any] = library.GetArrayFromImage(
        library.ReadImage(str(path))
    )  # [z, y, x] or [z, y, x, channels]
    stored = stored.reshape(*reversed(geometry.shape), channels)
    return to_canonical(stored.transpose(2, 1, 0, 3), geometry)


def _inside(name: str) -> bool:
    return name.upper() == "LOCAL"


def _several(name: str) -> bool:
    return name.upper().startswith("LIST") or "%" in name


def _fields(path: Path) -> tuple[dict[str, str], int]:
    """The text header and its length in bytes. ``ElementDataFile`` is its last line by definition."""
    fields: dict[str, str] = {}
    end = 0
    with path.open("rb") as file:
        for line in file.read(_LONGEST).split(b"\n"):
            key, found, value = line.decode("latin-1").partition("=")
            end += len(line) + 1
            if not found:
                break
            fields[key.strip()] = value.strip()
            if key.strip() == "ElementDataFile":
                return fields, end
    raise DataError(
        f"{path} has no line ElementDataFile, which ends a MetaImage header. It may be truncated."
    )


def _voxels(path: Path, fields: dict[str, str], end: int) -> tuple[Path, int] | None:
    """File with the voxels and the byte they begin at; None where they are spread over several files."""
    name = fields["ElementDataFile"]
    if _several(name):
        return None
    if _inside(name):
        return path, end
    voxels = path.parent / name
    if not voxels.is_file():
        raise DataError(f"{path} keeps its voxels in {voxels}, which does not exist.")
    return voxels, max(0, int(fields.get("HeaderSize", 0)))


def _compressed(fields: dict[str, str]) -> bool:
    return fields.get("CompressedData", "")[:1].upper() in ("T", "1")


def _needed(fields: dict[str, str]) -> int | None:
    """Bytes of all voxels, not compressed; None for types of elements that are not known here."""
    width = _BYTES.get(fields.get("ElementType", "").removeprefix("MET_").removeprefix("U"))
    if width is None:
        return None
    count = math.prod(int(n) for n in fields["DimSize"].split())
    return count * width * int(fields.get("ElementNumberOfChannels", 1))


def _check_size(path: Path) -> None:
    """Compare the length of the file with the voxels, and no more of it, with what the header announces."""
    fields, end = _fields(path)
    place = _voxels(path, fields, end)
    announced = fields.get("CompressedDataSize")
    needed = (int(announced) if announced else None) if _compressed(fields) else _needed(fields)
    if place is None or needed is None:
        return
    voxels, start = place
    found = max(0, voxels.stat().st_size - start)
    if found < needed:
        raise DataError(
            f"{voxels} has {found} bytes{' of voxels' if start else ''} where {path.name} announces {needed}: "
            "it is truncated. Replace it."
        )


def _check_compressed(path: Path) -> None:
    """Decompress the voxels to the end, where their checksum is: ITK goes on with what it has when that fails."""
    fields, end = _fields(path)
    place = _voxels(path, fields, end)
    if place is None or not _compressed(fields):
        return
    voxels, start = place
    try:
        with voxels.open("rb") as file:
            file.seek(start)
            found, whole = _inflated(file)
    except zlib.error as problem:
        raise DataError(
            f"{voxels} is damaged: its compressed voxels cannot be unpacked ({problem}). Replace it."
        ) from problem
    if not whole:
        raise DataError(f"{voxels} is truncated: its compressed voxels end too early. Replace it.")
    needed = _needed(fields)
    if needed is not None and found != needed:
        raise DataError(
            f"{voxels} holds {found} bytes of voxels once unpacked where {path.name} announces {needed}. Replace both."
        )


def _inflated(file: BinaryIO) -> tuple[int, bool]:
    """Length of what a compressed stream holds, in little memory, and whether the stream has an end."""
    work, length = zlib.decompressobj(_ANY_WRAPPER), 0
    block = file.read(_BLOCK)
    while block and not work.eof:
        length += len(work.decompress(block, _BLOCK))
        block = work.unconsumed_tail or file.read(_BLOCK)
    return length + len(work.flush()), work.eof


def _library() -> Any:
    try:
        import SimpleITK
    except ImportError:
        raise MissingExtraError(
            "MetaImage files need SimpleITK, which is not installed. Run: pip install 'curette[formats]'"
        ) from None
    return SimpleITK
