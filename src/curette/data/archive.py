"""Archives unpacked into a folder that appears whole or not at all; nothing in them can reach outside of it."""

from __future__ import annotations

import os
import shutil
import tarfile
import zipfile
import zlib
from collections.abc import Callable
from pathlib import Path, PurePosixPath, PureWindowsPath

from curette.errors import DataError

BLOCK = 1 << 20


def unpack(
    archive: Path, folder: Path, inside: str, progress: Callable[[int, int], None] | None = None
) -> Path:
    """Unpack the folder `inside` of a tar or zip archive to ``folder / inside``, unless that is there already.

    A zip archive of files without any folder is taken for the content of `inside`.

    Files lie in a hidden folder beside it until all are written, so a folder that is there is complete. Links, devices
    and names that lead out of the folder are refused; what lies outside of `inside` (``__MACOSX``, for example) is left
    out. `progress` is called with (bytes unpacked, bytes in all). Raises `DataError` naming the archive: damaged,
    unsafe, without `inside`, or too large for the disk.
    """
    target = folder / inside
    if target.is_dir():
        return target
    draft = folder / f".{inside}.{os.getpid()}.part"
    shutil.rmtree(draft, ignore_errors=True)
    try:
        draft.mkdir(parents=True)
        if zipfile.is_zipfile(archive):
            _unzip(archive, draft, inside, progress)
        else:
            _untar(archive, draft, inside, progress)
        if not (draft / inside).is_dir():
            raise DataError(f"{archive} holds no folder '{inside}'. It is another archive than expected.")
        (draft / inside).replace(target)
    except (tarfile.TarError, zipfile.BadZipFile, zlib.error, EOFError) as problem:
        raise DataError(f"{archive} is damaged: {problem}. Delete it and download it again.") from problem
    except OSError as problem:
        raise DataError(f"{archive} cannot be unpacked to {folder}: {problem}.") from problem
    finally:
        shutil.rmtree(draft, ignore_errors=True)
    return target


def _unzip(archive: Path, draft: Path, inside: str, progress: Callable[[int, int], None] | None) -> None:
    with zipfile.ZipFile(archive) as opened:
        files = [m for m in opened.infolist() if not m.is_dir()]
        flat = not any("/" in m.filename for m in files if not m.filename.startswith("__MACOSX/"))
        top = draft / inside if flat else draft
        members = [m for m in files if _wanted(m.filename, "" if flat else inside, archive)]
        for member in members:
            if member.external_attr >> 16 & 0o170000 == 0o120000:
                raise DataError(f"{archive} holds the link '{member.filename}', which is not unpacked.")
        total = _room(sum(m.file_size for m in members), archive, draft)
        done = 0
        for member in members:
            place = top / member.filename
            place.parent.mkdir(parents=True, exist_ok=True)
            with opened.open(member) as source, place.open("wb") as file:
                shutil.copyfileobj(source, file, BLOCK)
            done += member.file_size
            if progress:
                progress(done, total)


def _untar(archive: Path, draft: Path, inside: str, progress: Callable[[int, int], None] | None) -> None:
    size = archive.stat().st_size
    with tarfile.open(archive) as opened:  # one walk: going back would unpack a compressed archive twice
        for member in opened:
            if not _wanted(member.name, inside, archive) or member.isdir():
                continue
            if not member.isfile():
                raise DataError(f"{archive} holds '{member.name}', a link or device, which is not unpacked.")
            _room(member.size, archive, draft)
            place = draft / member.name
            place.parent.mkdir(parents=True, exist_ok=True)
            source = opened.extractfile(member)
            assert source is not None  # it is a regular file
            with source, place.open("wb") as file:
                shutil.copyfileobj(source, file, BLOCK)
            if place.stat().st_size != member.size:
                raise DataError(f"{archive} is damaged: it ends within '{member.name}'. Download it again.")
            if progress:
                progress(min(member.offset_data + member.size, size), size)


def _wanted(name: str, inside: str, archive: Path) -> bool:
    """Whether a member lies in the wanted folder, "" for all of them. Raises `DataError` for a name that leads elsewhere on the disk."""
    path = PurePosixPath(name)
    if path.is_absolute() or ".." in path.parts or "\\" in name or PureWindowsPath(name).drive:
        raise DataError(
            f"{archive} holds '{name}', a name that leads out of the folder it is unpacked to. Nothing was unpacked; do "
            "not use this archive."
        )
    parts = [part for part in path.parts if part != "."]
    wanted = list(PurePosixPath(inside).parts)
    return parts[: len(wanted)] == wanted and not parts[-1].startswith("._")


def _room(size: int, archive: Path, draft: Path) -> int:
    free = shutil.disk_usage(draft).free
    if size > free:
        raise DataError(
            f"{archive} takes {size / 1e9:.1f} GB unpacked, but {draft.parent} has {free / 1e9:.1f} GB free."
        )
    return size
