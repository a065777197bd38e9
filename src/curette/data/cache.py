"""A folder that is built once: under another name first, by one process at a time, and never found half-written."""

from __future__ import annotations

import json
import os
import shutil
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from curette.errors import SettingError

MANIFEST = "manifest.json"


def root(folder: Path | None) -> Path:
    """Where caches live: `folder`, else the environment's CURETTE_CACHE, else ``~/.cache/curette``."""
    return (
        folder or Path(os.environ.get("CURETTE_CACHE") or Path.home() / ".cache" / "curette")
    ).expanduser()


def complete(folder: Path) -> dict[str, Any] | None:
    """The facts stored with a finished folder, or None when it is missing or a file of it is not as it was written."""
    try:
        manifest: dict[str, Any] = json.loads((folder / MANIFEST).read_text(encoding="utf-8"))
        sizes = {name: (folder / name).stat().st_size for name in manifest["files"]}
    except (OSError, ValueError, KeyError, TypeError):
        return None
    return manifest if sizes == manifest["files"] else None


def build(folder: Path, fill: Callable[[Path], dict[str, Any]]) -> dict[str, Any]:
    """Return the facts of `folder`, building it when it is missing or damaged.

    `fill` writes the files into the empty folder it is given and returns the facts to store with them (JSON). Other
    processes that want the same folder wait. Raises `SettingError` naming the setting when it cannot be written.
    """
    if found := complete(folder):
        return found
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        with _alone(folder.with_name(f".{folder.name}.lock")):
            if found := complete(folder):  # another process was faster
                return found
            for left in folder.parent.glob(f".{folder.name}.*.part"):
                shutil.rmtree(left, ignore_errors=True)  # of builders that were killed: we hold their lock
            draft = folder.with_name(f".{folder.name}.{os.getpid()}.part")
            draft.mkdir()
            try:
                facts = fill(draft)
                files = {p.name: p.stat().st_size for p in sorted(draft.iterdir())}
                text = json.dumps({**facts, "files": files}, indent=1)
                (draft / MANIFEST).write_text(text, encoding="utf-8")
                if folder.exists():
                    shutil.rmtree(folder)
                draft.rename(folder)
            finally:
                shutil.rmtree(draft, ignore_errors=True)
    except OSError as problem:
        raise SettingError(
            f"The cache of prepared data {folder} cannot be written: {problem}. "
            "Set prepare.cache, or the environment variable CURETTE_CACHE, to a folder with room that you may write to."
        ) from problem
    return json.loads(text)  # type: ignore[no-any-return]


@contextmanager
def _alone(path: Path) -> Iterator[None]:
    """Hold an exclusive lock on a file. The system frees it when the process ends, however it ends."""
    with path.open("w") as file:
        if sys.platform == "win32":
            import msvcrt

            msvcrt.locking(file.fileno(), msvcrt.LK_LOCK, 1)
        else:
            import fcntl

            fcntl.flock(file, fcntl.LOCK_EX)
        yield
