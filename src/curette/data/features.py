"""Features of regions that somebody else computed, such as a foundation model's: one row of numbers a region, in a file.

    dino.npz    arrays `ids` [N] (text) and `features` [N, d]; memory-mapped when the archive is not compressed
    dino.npy    features [N, d], memory-mapped; the ids stand in `dino.txt`, one a line, in the same order
    dino.csv    a line a region: its id, then d numbers; a heading is allowed

An id is the text of a region: ``case17`` for a whole image, ``case17@z=12`` for a slice.
"""

from __future__ import annotations

import array
import csv
import functools
import hashlib
import zipfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from curette.errors import DataError
from curette.region import Region

_ROWS = 65_536  # rows looked at together
_SHOWN = 3


@dataclass(frozen=True)
class FeatureFile:
    """Rows [N, d] of a file, possibly memory-mapped, and which of them belongs to which id."""

    path: Path
    row: dict[str, int]
    values: NDArray[Any]

    def take(self, regions: Sequence[Region]) -> NDArray[np.float32]:
        """The rows of these regions [len(regions), d] as float32; of a memory map a view where that is possible.

        Raises `DataError` naming file and region for one that has no row, and for a row that is not finite.
        """
        rows = np.fromiter((self.row.get(str(r), -1) for r in regions), np.int64, len(regions))
        if (rows < 0).any():
            raise DataError(self._missing([r for r, row in zip(regions, rows, strict=True) if row < 0]))
        together = len(rows) > 0 and bool((np.diff(rows) == 1).all()) and self.values.dtype == np.float32
        found = (
            self.values[rows[0] : rows[0] + len(rows)]
            if together
            else np.empty((len(rows), self.values.shape[1]), np.float32)
        )
        for start in range(0, len(rows), _ROWS):
            part = slice(start, start + _ROWS)
            if not together:
                with np.errstate(over="ignore"):  # told of below
                    found[part] = self.values[rows[part]]
            bad = np.flatnonzero(~np.isfinite(found[part]).all(axis=1))
            if len(bad):
                raise DataError(
                    f"{self.path}: the features of '{regions[start + int(bad[0])]}' hold NaN, infinite or huge values. "
                    "Compute them again, or leave the region out of the pool."
                )
        return found

    def _missing(self, regions: Sequence[Region]) -> str:
        first = regions[0]
        said = f"{self.path} has no features for {len(regions)} regions: "
        said += ", ".join(f"'{r}'" for r in regions[:_SHOWN]) + (" …" if len(regions) > _SHOWN else "") + ". "
        if str(first) != first.case and first.case in self.row:
            return said + (
                f"It has a row for the whole case '{first.case}', but a row a case cannot tell its slices apart. Compute "
                'features a slice, or annotate whole images (data.unit = "image").'
            )
        known = next(iter(self.row))
        return (
            said
            + f"Its ids look like '{known}'. Compute features for every unit of the pool, under those ids."
        )


def open_features(file: str, ids: str = "") -> FeatureFile:
    """Open a file of features; what was opened last stays open until it changes.

    `ids` names the file of ids of an NPY file, where it is not the one of the same name that ends in ``.txt``. Relative
    paths start at the working directory. Raises `DataError` naming the file for one that is missing, damaged, of another
    kind, without rows, or whose ids repeat or do not match the rows.
    """
    places = _places(file, ids)
    return _open(places, tuple((p.stat().st_size, p.stat().st_mtime_ns) for p in places))


def digest(file: str, ids: str = "") -> str:
    """Hash of the contents of a file of features and of its ids. Raises `DataError` when one of them is missing."""
    places = _places(file, ids)
    return _digest(places, tuple((p.stat().st_size, p.stat().st_mtime_ns) for p in places))


def _places(file: str, ids: str) -> tuple[Path, ...]:
    """The files that are read, all of them there."""
    path = Path(file).expanduser().absolute()
    if path.suffix not in _KINDS:
        raise DataError(f"{path} is no file of features. Give one that ends in {', '.join(_KINDS)}.")
    if ids and path.suffix != ".npy":
        raise DataError(f"{path} holds its ids itself; leave the option 'ids' out.")
    names = Path(ids).expanduser().absolute() if ids else path.with_suffix(".txt")
    places = (path, names) if path.suffix == ".npy" else (path,)
    for place, what in zip(
        places, ("file of features", "file of ids, one a line in the order of the rows"), strict=False
    ):
        if not place.is_file():
            raise DataError(f"There is no {what} {place}. Relative paths start at the working directory.")
    return places


@functools.lru_cache(maxsize=2)
def _open(places: tuple[Path, ...], _stamps: tuple[tuple[int, int], ...]) -> FeatureFile:
    path = places[0]
    try:
        ids, values = _KINDS[path.suffix](places)
    except DataError:
        raise
    except (OSError, ValueError, EOFError, UnicodeDecodeError, csv.Error, zipfile.BadZipFile) as problem:
        raise DataError(f"{path} cannot be read: {problem}. Write it again.") from None
    if values.ndim != 2 or values.dtype.kind not in "fiu" or 0 in values.shape:
        raise DataError(
            f"{path}: the features are {values.dtype} {list(values.shape)}, but must be numbers [regions, features], at "
            "least one of each."
        )
    if len(ids) != len(values):
        raise DataError(f"{path}: {len(ids)} ids for {len(values)} rows of features. There must be as many.")
    row = {name: i for i, name in enumerate(ids)}
    if len(row) != len(ids):
        twice = next(name for i, name in enumerate(ids) if row[name] != i)
        raise DataError(f"{path}: the id '{twice}' stands there twice. Leave one of its rows out.")
    return FeatureFile(path, row, values)


@functools.lru_cache(maxsize=4)
def _digest(places: tuple[Path, ...], _stamps: tuple[tuple[int, int], ...]) -> str:
    found = hashlib.sha256()
    for place in places:
        with place.open("rb") as file:
            while block := file.read(1 << 22):
                found.update(block)
    return found.hexdigest()[:16]


def _from_npy(places: tuple[Path, ...]) -> tuple[list[str], NDArray[Any]]:
    lines = places[1].read_text(encoding="utf-8").split("\n")
    return [line.strip() for line in lines if line.strip()], np.load(
        places[0], mmap_mode="r", allow_pickle=False
    )


def _from_npz(places: tuple[Path, ...]) -> tuple[list[str], NDArray[Any]]:
    path = places[0]
    with np.load(path, allow_pickle=False) as archive:
        if not {"ids", "features"} <= set(archive.files):
            raise DataError(
                f"{path} holds {', '.join(archive.files) or 'nothing'}, but must hold 'ids' and 'features'. Write it with "
                "np.savez(file, ids=np.array(ids, dtype=str), features=features)."
            )
        ids = archive["ids"]
        if ids.ndim != 1 or ids.dtype.kind not in "US":
            raise DataError(
                f"{path}: 'ids' is {ids.dtype} {list(ids.shape)}, but must be a list of texts: "
                "np.array(ids, dtype=str)."
            )
        mapped = _mapped(path, "features.npy")
        values = archive["features"] if mapped is None else mapped
    return [name.decode() if isinstance(name, bytes) else name for name in ids.tolist()], values


def _mapped(path: Path, name: str) -> NDArray[Any] | None:
    """An array of an archive as a memory map; None if it is compressed or not in C order."""
    with zipfile.ZipFile(path) as archive:
        entry = archive.getinfo(name)
        if entry.compress_type != zipfile.ZIP_STORED:
            return None
        with archive.open(entry) as member:
            version = np.lib.format.read_magic(member)
            read = (
                np.lib.format.read_array_header_1_0
                if version < (2, 0)
                else np.lib.format.read_array_header_2_0
            )
            shape, fortran, dtype = read(member)
            header = member.tell()
    if fortran or dtype.hasobject or 0 in shape:
        return None
    with path.open("rb") as file:
        file.seek(
            entry.header_offset + 26
        )  # a stored entry: 30 bytes, its name and extra field, then the array's file
        lengths = np.frombuffer(file.read(4), "<u2")
    offset = entry.header_offset + 30 + int(lengths.sum()) + header
    return np.memmap(path, dtype, "r", offset, shape)


def _from_csv(places: tuple[Path, ...]) -> tuple[list[str], NDArray[Any]]:
    path = places[0]
    ids: list[str] = []
    numbers = array.array("f")
    width = 0
    with path.open(newline="", encoding="utf-8-sig") as file:
        for line, cells in enumerate(csv.reader(file), start=1):
            if not any(cells) or (not ids and line == 1 and len(cells) > 1 and not _is_number(cells[1])):
                continue  # an empty line, or a heading
            width = width or len(cells) - 1
            if len(cells) - 1 != width or not width:
                raise DataError(
                    f"{path}, line {line} ('{cells[0]}'): {len(cells) - 1} numbers, where the first region has {width}. "
                    "Every region needs the same number of features, at least one."
                )
            bad = next((cell for cell in cells[1:] if not _is_number(cell)), None)
            if bad is not None:
                raise DataError(
                    f"{path}, line {line} ('{cells[0]}'): '{bad}' is not a number. Repair the line."
                )
            ids.append(cells[0].strip())
            numbers.extend(map(float, cells[1:]))
    return ids, np.frombuffer(numbers, np.float32).reshape(len(ids), width)


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


_Read = Callable[[tuple[Path, ...]], tuple[list[str], NDArray[Any]]]
_KINDS: dict[str, _Read] = {".npz": _from_npz, ".npy": _from_npy, ".csv": _from_csv}
