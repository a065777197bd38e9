"""What works on this machine, and what to install for the rest."""

from __future__ import annotations

import os
import platform
import re
import shutil
import sys
from collections.abc import Callable
from dataclasses import asdict, dataclass
from importlib import metadata
from pathlib import Path
from typing import Any, Literal

import curette
from curette.errors import CuretteError

State = Literal["ok", "note", "missing"]
_ROOM = 2 * 2**30
"""Free bytes on the cache's disk below which it is pointed out."""


@dataclass(frozen=True)
class Finding:
    """One line of the doctor's: ``missing`` stops studies from running, a ``note`` does not. `advice` says what to do."""

    what: str
    state: State
    found: str
    advice: str = ""


def examine() -> list[Finding]:
    """Look at Python, packages, devices, precision, threads, cache, optional extras and data. Takes a few seconds."""
    checks: tuple[Callable[[], list[Finding]], ...] = (
        _python,
        _packages,
        _devices,
        _threads,
        _cache,
        _extras,
        _data,
    )
    return [finding for check in checks for finding in check()]


def healthy(findings: list[Finding]) -> bool:
    """Whether nothing that studies need is missing."""
    return all(f.state != "missing" for f in findings)


def plain(findings: list[Finding]) -> dict[str, Any]:
    """The findings as `curette doctor --json` prints them."""
    return {
        "curette": curette.__version__,
        "healthy": healthy(findings),
        "findings": [asdict(f) for f in findings],
    }


def _python() -> list[Finding]:
    version = f"{platform.python_version()} on {platform.system()} {platform.machine()}"
    good = sys.version_info >= (3, 11)
    advice = "" if good else "curette needs Python 3.11 or newer."
    return [
        Finding("curette", "ok", curette.__version__),
        Finding("python", "ok" if good else "missing", version, advice),
    ]


def _packages() -> list[Finding]:
    """The packages that numbers depend on most, by version."""
    findings = []
    for name in ("torch", "monai", "numpy", "lightning-fabric"):
        version = _version(name)
        advice = "" if version else f"Run: pip install {name}"
        findings.append(Finding(name, "ok" if version else "missing", version or "not installed", advice))
    return findings


def _devices() -> list[Finding]:
    try:
        import torch
    except (ImportError, OSError) as problem:
        return [Finding("devices", "missing", f"torch cannot be imported: {problem}", "Reinstall torch.")]
    found = [f"cuda:{i} {torch.cuda.get_device_name(i)}" for i in range(torch.cuda.device_count())]
    device = "cuda" if found else "cpu"
    advice = "" if found else "A CUDA device makes training several times faster; studies run without one."
    return [
        Finding("devices", "ok", ", ".join([*found, "cpu"]), advice),
        _precision(torch.device(device)),
    ]


def _precision(device: Any) -> Finding:
    """The answer of the probe that training asks, on the default network."""
    from curette.learn.models import build
    from curette.learn.precision import choose
    from curette.recipe import Train
    from curette.task import Task

    task = Task(kind="segmentation", dims=2, classes={"background": 0, "one": 1, "two": 2})
    try:
        chosen = choose("auto", device, lambda: build(task, 1, Train()), (8, 1, 64, 64))
    except (CuretteError, RuntimeError) as problem:
        return Finding("precision", "note", f"the probe failed: {problem}", "Set train.precision to 32-true.")
    gains = "bf16 is faster here" if chosen == "bf16-mixed" else "bf16 is not clearly faster here"
    return Finding("precision", "ok", f"{chosen} ({gains})")


def cores() -> int:
    """Processor cores this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _threads() -> list[Finding]:
    import psutil

    count = cores()
    memory = psutil.virtual_memory()
    limit = os.environ.get("OMP_NUM_THREADS")
    used = f", OMP_NUM_THREADS={limit}" if limit else ""
    gb = f"{memory.available / 2**30:.1f} of {memory.total / 2**30:.1f} GB memory free"
    return [Finding("processor", "ok", f"{count} core{'s' * (count != 1)}{used}, {gb}")]


def _cache() -> list[Finding]:
    from curette.data.cache import root

    folder = root(None)
    nearest = next(p for p in (folder, *folder.absolute().parents) if p.exists())
    if not nearest.is_dir() or not os.access(nearest, os.W_OK | os.X_OK):
        advice = "Set the environment variable CURETTE_CACHE to a folder you may write to."
        return [Finding("cache", "missing", f"{folder} cannot be written to", advice)]
    free = shutil.disk_usage(nearest).free
    state: State = "ok" if free >= _ROOM else "note"
    advice = "" if state == "ok" else "Free the disk, or set CURETTE_CACHE to a larger one."
    return [Finding("cache", state, f"{folder}, {free / 2**30:.1f} GB free", advice)]


def _extras() -> list[Finding]:
    """Every optional extra of the package, as its metadata say."""
    try:
        card = metadata.metadata("curette")
    except metadata.PackageNotFoundError:
        return [
            Finding("installation", "note", "curette is not installed as a package", "Run: pip install -e .")
        ]
    needed = metadata.requires("curette") or []
    findings = []
    for extra in card.get_all("Provides-Extra") or []:
        mark = re.compile(rf"extra\s*==\s*['\"]{re.escape(extra)}['\"]")
        names = [re.split(r"[\s<>=!~;\[(]", line, maxsplit=1)[0] for line in needed if mark.search(line)]
        absent = [name for name in names if not _version(name)]
        if absent:
            advice = f"Run: pip install 'curette[{extra}]'"
            findings.append(Finding(f"extra {extra}", "note", f"without {', '.join(absent)}", advice))
        else:
            findings.append(Finding(f"extra {extra}", "ok", "installed"))
    return findings


def _data() -> list[Finding]:
    """Data sets in the folder CURETTE_DATA names: Decathlon tasks and MedMNIST archives."""
    place = os.environ.get("CURETTE_DATA")
    if not place:
        advice = "Set CURETTE_DATA to the folder of your data sets to see them listed here; studies give their own path."
        return [Finding("data", "ok", "phantom and lesions (built in)", advice)]
    folder = Path(place).expanduser()
    if not folder.is_dir():
        return [
            Finding(
                "data", "note", f"CURETTE_DATA is {folder}, which is no folder", "Correct it or unset it."
            )
        ]
    tasks = sorted(p.parent.name for p in folder.glob("*/dataset.json"))
    archives = sorted(str(p.relative_to(folder)) for p in [*folder.glob("*.npz"), *folder.glob("*/*.npz")])
    return [Finding("data", "ok", ", ".join(["phantom and lesions (built in)", *tasks, *archives]))]


def _version(name: str) -> str:
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return ""
