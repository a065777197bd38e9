"""Files from the web, whole or not at all: resumed where they broke off, checked, and only then given their name.

What has arrived lies beside the file as ``NAME.part``, with ``NAME.part.json`` that says which version on the server it
belongs to. A server that cannot continue a file, or has another one by now, makes the download start anew.
"""

from __future__ import annotations

import hashlib
import http.client
import json
import os
import re
import shutil
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any
from urllib.parse import unquote, urlsplit

import curette
from curette.errors import DataError, SettingError

BLOCK = 1 << 20
TIMEOUT = 60.0
"""Seconds without a byte after which a connection counts as broken."""
TRIES = 5
"""Connections in a row that may bring nothing before the download gives up."""
REACH = 5.0
"""Seconds to make a connection. A server that was never reached is given up after two tries, or one that took as long."""
_GIVE_UP = range(400, 500)
_LATER = {408, 425, 429}

Meter = Callable[[int, int | None], None]


@dataclass(frozen=True)
class Remote:
    """A file on the web. `checksum` is ``md5:…`` or ``sha256:…`` in hexadecimal digits; empty where none is published.

    `unpack` is the folder that unpacking the archive makes, relative to where it is unpacked; empty for a file that is
    used as it is.
    """

    url: str
    checksum: str = ""
    unpack: str = ""

    def __post_init__(self) -> None:
        if self.checksum and not re.fullmatch(r"md5:[0-9a-f]{32}|sha256:[0-9a-f]{64}", self.checksum):
            raise SettingError(
                f"The checksum '{self.checksum}' of {self.url} is neither 'md5:…' nor 'sha256:…'."
            )

    @property
    def name(self) -> str:
        """Name of the file: the last part of the address."""
        return PurePosixPath(unquote(urlsplit(self.url).path)).name


class _BrokenError(Exception):
    """The connection ended too early; what has arrived is good."""


class _UnreachedError(_BrokenError):
    """There was no connection at all: no such host, nobody who listens, or no network."""


def digest(path: Path, algorithm: str, seen: Meter | None = None) -> str:
    """Hexadecimal ``md5`` or ``sha256`` of a file. `seen` is called with (bytes read, bytes in all)."""
    found = hashlib.new(algorithm, usedforsecurity=False)
    size, done = path.stat().st_size, 0
    with path.open("rb") as file:
        while block := file.read(BLOCK):
            found.update(block)
            done += len(block)
            if seen:
                seen(done, size)
    return found.hexdigest()


def matches(path: Path, checksum: str) -> bool:
    """Whether a file has this ``md5:…`` or ``sha256:…``."""
    algorithm, _, wanted = checksum.partition(":")
    return digest(path, algorithm) == wanted


def fetch(remote: Remote, path: Path, progress: Meter | None = None, *, wait: float = 1.0) -> Path:
    """Download a file to `path`, unless it is there already and has the right checksum.

    `progress` is called with (bytes here, bytes in all or None when the server does not say). A broken connection is
    taken up again, after `wait` seconds, then twice that, and so on; it gives up after `TRIES` in a row that brought
    nothing, and within seconds where no connection was made from the start. Raises `DataError` for an address that cannot be reached or has no such file (it says how to go on without
    a network), for a file with another checksum, and for a folder that cannot be written or is full.
    """
    if path.is_file() and (not remote.checksum or matches(path, remote.checksum)):
        return path
    part = path.with_name(path.name + ".part")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with _alone(part):
            _complete(remote, path, part, progress, wait)
            _verify(remote, part)
            with part.open("rb+") as file:
                os.fsync(file.fileno())
            part.replace(path)
            _facts(part).unlink(missing_ok=True)
    except OSError as problem:
        raise DataError(
            f"{path} cannot be written: {problem}. Free space or choose another folder; what has arrived is kept."
        ) from problem
    return path


@contextmanager
def _alone(part: Path) -> Iterator[None]:
    """Two downloads into one file would mix their bytes: the second is refused while the first lives."""
    lock = part.with_name(part.name + ".lock")
    try:
        with lock.open("x") as file:
            file.write(str(os.getpid()))
    except FileExistsError:
        if _alive(lock):
            raise DataError(
                f"Another process is downloading {part.with_suffix('').name} to {part.parent}. Wait for it; if there "
                f"is none, delete {lock}."
            ) from None
        lock.write_text(str(os.getpid()))
    try:
        yield
    finally:
        lock.unlink(missing_ok=True)


def _alive(lock: Path) -> bool:
    import psutil

    try:
        return bool(psutil.pid_exists(int(lock.read_text())))
    except (OSError, ValueError):
        return False


def _complete(remote: Remote, path: Path, part: Path, progress: Meter | None, wait: float) -> None:
    """Connect until all of the file is in `part`."""
    failures, reached = 0, False
    while True:
        before = part.stat().st_size if part.is_file() else 0
        began = time.monotonic()
        try:
            return _connect(remote, path, part, progress)
        except _BrokenError as problem:
            now = part.stat().st_size if part.is_file() else 0
            failures = 0 if now > before else failures + 1
            reached = reached or not isinstance(problem, _UnreachedError)
            # Whoever was there will be back; without a network nobody wants to wait for half a minute to be told.
            hopeless = not reached and (failures > 1 or time.monotonic() - began > 0.9 * REACH)
            if failures >= TRIES or hopeless:
                raise DataError(_offline(remote, path, str(problem), now)) from problem
            time.sleep(wait * 2 ** (failures if reached else 0))


def _connect(remote: Remote, path: Path, part: Path, progress: Meter | None) -> None:
    """Ask for what is missing and append it. Raises `_BrokenError` when the connection ends before the file does."""
    known = _known(remote, part)
    have = part.stat().st_size if known else 0
    headers = {"User-Agent": f"curette/{curette.__version__}", "Accept-Encoding": "identity"}
    if have:
        headers |= {"Range": f"bytes={have}-", "If-Range": known}
    request = urllib.request.Request(remote.url, headers=headers)
    try:
        answer = urllib.request.build_opener(_Plain, _Secure).open(request, timeout=TIMEOUT)
    except urllib.error.HTTPError as problem:
        _refused(problem, remote, path, part, have)
        return
    except (OSError, http.client.HTTPException) as problem:
        reason = getattr(problem, "reason", None) or problem
        gone = isinstance(reason, (ConnectionResetError, ConnectionAbortedError, BrokenPipeError))
        # urllib wraps what goes wrong before the server answers, and only that, into URLError.
        kind = _UnreachedError if isinstance(problem, urllib.error.URLError) and not gone else _BrokenError
        raise kind(_said(reason)) from problem
    with answer:
        start, total = _range(answer, have)
        _check_space(part, total, start)
        _remember(remote, part, answer)
        _copy(answer, part, start, total, progress)


def _said(problem: object) -> str:
    return str(problem) or type(problem).__name__


def _impatient(connection: type[http.client.HTTPConnection]) -> type[http.client.HTTPConnection]:
    """The same connection, but one that is made within `REACH` seconds, however long its answers may take."""

    class Impatient(connection):  # type: ignore[valid-type, misc]
        def connect(self) -> None:
            self.timeout = REACH
            super().connect()
            self.sock.settimeout(TIMEOUT)

    return Impatient


class _Plain(urllib.request.HTTPHandler):
    def http_open(self, request: urllib.request.Request) -> http.client.HTTPResponse:
        return self.do_open(_impatient(http.client.HTTPConnection), request)


class _Secure(urllib.request.HTTPSHandler):
    def https_open(self, request: urllib.request.Request) -> http.client.HTTPResponse:
        return self.do_open(_impatient(http.client.HTTPSConnection), request)


def _range(answer: Any, have: int) -> tuple[int, int | None]:
    """Where the answer's first byte belongs in the file, and how many bytes the whole file has, if that is said."""
    length = answer.headers.get("Content-Length")
    if answer.status == 206:
        said = re.fullmatch(r"bytes (\d+)-\d+/(\d+|\*)", answer.headers.get("Content-Range", ""))
        if said and int(said[1]) == have:
            return have, None if said[2] == "*" else int(said[2])
        raise _BrokenError("the server continued at another place than asked")
    return 0, int(length) if length and length.isdigit() else None


def _check_space(part: Path, total: int | None, start: int) -> None:
    free = shutil.disk_usage(part.parent).free
    if total is not None and total - start > free:
        raise DataError(
            f"{part.parent} has {free / 1e9:.1f} GB free, but {(total - start) / 1e9:.1f} GB are to be downloaded. "
            "Free space or choose another folder."
        )


def _copy(answer: Any, part: Path, start: int, total: int | None, progress: Meter | None) -> None:
    with part.open("r+b" if start else "wb") as file:
        file.truncate(start)
        file.seek(start)
        done = start
        try:
            while block := _block(answer):
                file.write(block)
                done += len(block)
                if progress:
                    progress(done, total)
        except http.client.IncompleteRead as problem:
            file.write(problem.partial)
            raise _BrokenError(f"the connection ended after {done + len(problem.partial)} bytes") from problem
    if total is not None and done < total:
        raise _BrokenError(f"the connection ended after {done} of {total} bytes")


def _block(answer: Any) -> bytes:
    """The next bytes. What goes wrong here is the network's fault, what goes wrong in writing them the disk's."""
    try:
        block: bytes = answer.read1(BLOCK)
    except http.client.IncompleteRead:
        raise  # it brings the last bytes
    except (OSError, http.client.HTTPException) as problem:
        raise _BrokenError(_said(problem)) from problem
    return block


def _refused(problem: urllib.error.HTTPError, remote: Remote, path: Path, part: Path, have: int) -> None:
    """What an HTTP error means: nothing more to come, try again, or no such file."""
    if problem.code == 416 and have:
        said = re.fullmatch(r"bytes \*/(\d+)", problem.headers.get("Content-Range", ""))
        if said and int(said[1]) == have:
            return  # all of it is here: the last run ended between the last byte and the new name
        part.unlink(missing_ok=True)
        _facts(part).unlink(missing_ok=True)
        raise _BrokenError("the file on the server is another by now") from problem
    if problem.code in _GIVE_UP and problem.code not in _LATER:
        raise DataError(
            _offline(remote, path, f"the server answers {problem.code} {problem.reason}", have)
        ) from problem
    raise _BrokenError(f"the server answers {problem.code} {problem.reason}") from problem


def _facts(part: Path) -> Path:
    return part.with_name(part.name + ".json")


def _remember(remote: Remote, part: Path, answer: Any) -> None:
    """Write down which version of the file is arriving: its strong ETag, else its time of change."""
    tag = answer.headers.get("ETag") or ""
    version = tag if tag.startswith('"') else answer.headers.get("Last-Modified", "")
    _facts(part).write_text(json.dumps({"url": remote.url, "version": version}), encoding="utf-8")


def _known(remote: Remote, part: Path) -> str:
    """The version that what has arrived belongs to; empty when it cannot be continued."""
    try:
        facts = json.loads(_facts(part).read_text(encoding="utf-8"))
        return str(facts["version"]) if facts["url"] == remote.url and part.is_file() else ""
    except (OSError, ValueError, KeyError, TypeError):
        return ""


def _verify(remote: Remote, part: Path) -> None:
    if not remote.checksum:
        return
    algorithm, _, wanted = remote.checksum.partition(":")
    found = digest(part, algorithm)
    if found != wanted:
        part.unlink()
        _facts(part).unlink(missing_ok=True)
        raise DataError(
            f"{remote.url} has {algorithm} {found}, but {wanted} is published for it. It was deleted: what arrived is "
            "damaged, or the file on the server is another by now. Run the same command again; if it says the same, "
            "get the file by hand."
        )


def _offline(remote: Remote, path: Path, reason: str, have: int) -> str:
    kept = (
        f" {have / 1e6:.1f} MB that have arrived are kept: the same command goes on from there."
        if have
        else ""
    )
    there = " The file that is there has another checksum." if path.is_file() else ""
    check = f" (its {remote.checksum.replace(':', ' is ')})" if remote.checksum else ""
    return (
        f"{remote.url} cannot be downloaded: {reason.rstrip('.')}.{kept}{there} Without a network, get the file on another "
        f"machine{check} and put it at {path.absolute()}; then run the same command again. Behind a proxy, set "
        "HTTPS_PROXY."
    )
