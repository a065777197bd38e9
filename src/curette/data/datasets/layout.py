"""What the readers of published layouts share: where the root is, what a release must hold, the data set in the end.

Their registrations say in `info` where the data come from: `source` (address), `licence`, `layout` (folders and files),
`task` (what is learned from what) and `size` (how much there is).
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from curette.data.case import Case, Dataset, Source, Volume
from curette.data.check import Pair, Problems, check_pairs, without_lonely
from curette.data.io import ignored
from curette.errors import DataError, SettingError
from curette.registry import get
from curette.task import Task

DEPTH = 3  # ACDC/database/training/patient001, seen from the folder that the archive was unpacked in


@dataclass(frozen=True)
class MergedSource:
    """A label map in which some values become others: `table` is ((from, to), …); values not in it stay."""

    label: Source
    table: tuple[tuple[int, int], ...]

    @property
    def name(self) -> str:
        return self.label.name

    @property
    def stamp(self) -> str:
        return f"{self.label.stamp}:{self.table}"

    def read(self) -> Volume:
        """Load it. Raises what the label raises."""
        volume = self.label.read()
        merged = volume.array.copy()
        for old, new in self.table:
            merged[volume.array == old] = new
        return Volume(merged, volume.geometry)


@dataclass
class Release:
    """A published data set being read from `root`: what was noticed, and how its parts are found.

    `partial` means that the user knows that cases of the release are missing: then only those that are there must be whole.
    """

    name: str
    root: Path
    problems: Problems
    partial: bool

    def short(self, path: Path) -> str:
        """How messages name a file: relative to the root."""
        return path.relative_to(self.root).as_posix() if path.is_relative_to(self.root) else str(path)

    def has(self, *paths: Path) -> bool:
        """Whether all these files are there; each that is not becomes a problem."""
        gone = [p for p in paths if not p.is_file()]
        for path in gone:
            self.problems.add("file that is missing", self.short(path))
        return not gone

    def expect(self, what: str, wanted: Iterable[str], found: Collection[str]) -> None:
        """Note each case of the release that is not there at all, unless `partial`."""
        if not self.partial:
            for case in sorted(set(wanted) - set(found)):
                self.problems.add(
                    f"{what} of the release that is missing (options.partial = true allows it)", case
                )

    def count(self, what: str, found: int, wanted: int) -> None:
        """Note that fewer files were found than the release has, unless `partial`. For releases without numbering."""
        if found < wanted and not self.partial:
            kind = "part of the release that is incomplete (options.partial = true allows it)"
            self.problems.add(kind, f"{what} has {found} of {wanted}")

    def dataset(
        self,
        task: Task,
        pairs: Sequence[Pair],
        skip_bad: bool,
        merge: tuple[tuple[int, int], ...] = (),
        notes: tuple[str, ...] = (),
    ) -> Dataset:
        """Check the headers of all pairs, settle the problems, and put the cases together in id order."""
        good = without_lonely(check_pairs(pairs, self.problems, len(task.channels)), self.problems)
        self.problems.settle(skip_bad, stacklevel=4)
        if not good:
            raise DataError(f"{self.root} holds no case that the data set '{self.name}' can use.")
        info = get("dataset", self.name).info
        return Dataset(
            name=self.name,
            task=task,
            cases=tuple(sorted((_case(p, merge) for p in good), key=lambda c: c.id)),
            licence=info["licence"],
            source=info["source"],
            notes=notes,
        )


def release(name: str, root: Path | None, holds: str, partial: bool) -> Release:
    """Begin to read. Raises `SettingError` without data.root and `DataError` when there is no such folder."""
    if root is None:
        raise SettingError(f"The data set '{name}' needs data.root: the folder that holds {holds}.")
    if not root.is_dir():
        raise DataError(f"There is no folder {root}. Point data.root to the folder that holds {holds}.")
    return Release(name, root, Problems(f"{name} data in {root}"), partial)


def hidden(folder: str) -> bool:
    """Whether a folder of this name is none of the user's: a hidden one, or ``__MACOSX`` of archives packed on a Mac."""
    return folder.startswith(".") or folder == "__MACOSX"


def below(root: Path, pattern: str) -> list[Path]:
    """What has that name in the root or up to three levels below, through links too: archives are unpacked in many ways.

    Hidden folders and ``__MACOSX`` are not looked into.
    """
    found = (p for level in range(DEPTH + 1) for p in root.glob("*/" * level + pattern))
    seen = {p for p in found if not any(map(hidden, p.relative_to(root).parts))}
    return sorted(seen, key=lambda p: (p.name, p))


def folders(root: Path, pattern: str) -> list[Path]:
    """Folders among what is `below`."""
    return [p for p in below(root, pattern) if p.is_dir()]


def files(folder: Path, *endings: str) -> list[Path]:
    """Files of a folder, if there is one, whose names end so, in whichever case; without what systems leave behind."""
    found = sorted(folder.iterdir()) if folder.is_dir() else []
    return [p for p in found if p.name.lower().endswith(endings) and not ignored(p) and p.is_file()]


def lines(path: Path) -> list[str]:
    """Lines of a list that belongs to a release, stripped, without empty ones. Raises `DataError` naming the file."""
    try:
        text = path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as problem:
        raise DataError(
            f"{path} cannot be read as text: {problem}. Download it again, or save it as UTF-8."
        ) from None
    return [line.strip() for line in text.splitlines() if line.strip()]


def unique(paths: Iterable[Path], reading: Release, suffixed: bool = False) -> list[Path]:
    """The paths with distinct names, or stems with `suffixed`; one that is there twice becomes a problem and is left out."""
    named: dict[str, list[Path]] = {}
    for path in paths:
        named.setdefault(path.stem if suffixed else path.name, []).append(path)
    for same in named.values():
        if len(same) > 1:
            reading.problems.add("name that is there twice", " and ".join(map(reading.short, same)))
    return [same[0] for same in named.values() if len(same) == 1]


def choice(option: str, value: str, known: tuple[str, ...]) -> str:
    """`value`, when it is known. Raises `SettingError` that lists what is."""
    if value not in known:
        raise SettingError(f"data.options.{option} = '{value}' is not known. Choose {' or '.join(known)}.")
    return value


def segmentation(classes: dict[str, int], channels: tuple[str, ...], dims: Any = 3) -> Task:
    """A task of segmentation, background 0 first."""
    return Task(kind="segmentation", dims=dims, classes={"background": 0, **classes}, channels=channels)


def _case(pair: Pair, merge: tuple[tuple[int, int], ...]) -> Case:
    label: Source | None = pair.label
    if label is not None and merge:
        label = MergedSource(label, merge)
    return Case(pair.id, pair.patient, (pair.image, *pair.more), label, pair.target, pair.split, pair.group)
