"""What is wrong with a folder of files, gathered into one message instead of one error at a time."""

from __future__ import annotations

import warnings
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol, TypeVar

import numpy as np

from curette.data.case import Case, Geometry, Source
from curette.data.nifti import canonical_shape
from curette.errors import CuretteWarning, DataError

SHOWN = 50
NOT_UTF8 = "name that is not UTF-8; rename it"
_COLOUR = ", set options.colour (in a dataset.toml: colour) to 'grey' or 'rgb'"


def utf8(text: str) -> bool:
    """Whether a file name can be written in UTF-8; one of other bytes can neither be printed nor stored."""
    return printable(text) == text


def printable(text: str) -> str:
    """`text` with those of its bytes that are no UTF-8 as \\udcff and the like."""
    return text.encode("utf-8", "backslashreplace").decode()


class BadFilesError(DataError):
    """Files that cannot be used; `problems` has them all, by kind, also those that the message leaves out."""

    def __init__(self, problems: Problems) -> None:
        super().__init__(
            f"{problems} Repair or remove them, or go on without them: skip_bad = true under [data]."
        )
        self.problems = problems

    def __reduce__(self) -> tuple[type[BadFilesError], tuple[Problems]]:  # errors travel between processes
        return BadFilesError, (self.problems,)


@dataclass
class Problems:
    """Problems by kind, each a line of text that names the file. `what` opens the message, e.g. ``msd data in /x``."""

    what: str
    found: dict[str, list[str]] = field(default_factory=dict)

    def add(self, kind: str, file: str) -> None:
        """Note that `file` (with details, if any) has a problem of this kind, e.g. ``image without label``."""
        self.found.setdefault(kind, []).append(printable(file))

    def __len__(self) -> int:
        return sum(map(len, self.found.values()))

    def __str__(self) -> str:
        left, parts = SHOWN, []
        for kind, files in self.found.items():
            shown = sorted(files)[: max(left, 0)]
            left -= len(shown)
            names = "; ".join(shown) + ("; …" if len(shown) < len(files) else "")
            parts.append(f"{kind} ({len(files)}): {names}".removesuffix("."))
        more = f" The first {SHOWN} of {len(self)} are listed." if len(self) > SHOWN else ""
        return f"{self.what}: {len(self)} problem{'s' * (len(self) > 1)}. {'. '.join(parts)}.{more}"

    def settle(self, skip_bad: bool, stacklevel: int = 3) -> None:
        """Raise `BadFilesError` with everything found, or only warn when told to go on without; nothing when clean."""
        if not self.found:
            return
        if not skip_bad:
            raise BadFilesError(self)
        warnings.warn(f"{self} Going on without them (data.skip_bad).", CuretteWarning, stacklevel=stacklevel)


class OnDisk(Source, Protocol):
    """A source that is a file, or part of one, and tells its grid and channels without loading voxels."""

    @property
    def path(self) -> Path: ...

    def header(self) -> tuple[Geometry, int]:
        """Geometry and number of channels. Raises `DataError` naming the file."""
        ...


@dataclass(frozen=True)
class Pair:
    """An image and the label drawn on it, before anyone looked into them. `shown` is how messages name the pair.

    `more` are further channels of the same image in files of their own, which must lie on its grid.
    """

    id: str
    patient: str
    image: OnDisk
    label: OnDisk | None
    split: str | None = None
    target: int | None = None
    shown: str = ""
    more: tuple[OnDisk, ...] = ()
    group: str = ""


_Item = TypeVar("_Item", Pair, Case)


def check_pairs(pairs: Sequence[Pair], problems: Problems, channels: int | None = None) -> list[Pair]:
    """Compare headers of images and labels, without loading voxels, and return the pairs that fit.

    Noted as problems: files that cannot be read, a label of another shape than its image, more than a voxel away from it
    along any axis or with a fourth axis, images whose number of channels is not `channels` (None: what most of them have,
    in layouts whose option ``colour`` can make pictures alike) or, where channels are in files of their own, not divided
    among these as in most cases, and names that are not UTF-8.
    """
    good: list[tuple[Pair, tuple[int, ...]]] = []
    for pair in pairs:
        files = [source.name for source in (pair.image, pair.label, *pair.more) if source]
        if not all(map(utf8, files)):
            problems.add(NOT_UTF8, pair.shown or pair.id)
            continue
        try:
            geometry, found = pair.image.header()
            other = pair.label.header() if pair.label else None
            more = [(source, source.header()) for source in pair.more]
        except DataError as problem:
            problems.add("file that cannot be used", str(problem).removesuffix("."))
            continue
        if pair.label and other and len(other[0].shape) == 3 and other[1] != 1:
            problems.add("label with several values a voxel", f"{pair.label.name} has {other[1]}")
            continue
        if other and (trouble := _mismatch(geometry, other[0], "label", "its image")):
            problems.add(trouble[0], f"{pair.shown or pair.id} ({trouble[1]})")
            continue
        for source, (grid, _) in more:
            if trouble := _mismatch(geometry, grid, "channel", "the first"):
                problems.add(trouble[0], f"{source.name} ({trouble[1]})")
                break
        else:
            good.append((pair, (found, *(count for _, (_, count) in more))))
    fitting = Counter(counts for _, counts in good if channels in (None, sum(counts)))
    usual = fitting.most_common(1)[0][0] if fitting else ()
    for pair, counts in good:
        each = zip((pair.image, *pair.more), counts, usual, strict=True)
        for source, found, wanted in each if usual else [(pair.image, sum(counts), channels)]:
            if found != wanted:
                mixed = channels is None and {found, wanted} == {1, 3} and _one_picture(pair)
                hint = _COLOUR if mixed else ""
                problems.add(
                    f"image with another number of channels (or time steps) than {wanted}",
                    f"{source.name} has {found}{hint}",
                )
    return [pair for pair, counts in good if counts == usual]


def _one_picture(pair: Pair) -> bool:
    return not pair.more and len(pair.image.header()[0].shape) == 2


def without_lonely(pairs: Sequence[_Item], problems: Problems) -> list[_Item]:
    """Leave out images that are the only one of their class, and note each: it could not be learned and tested."""
    count = Counter(pair.target for pair in pairs)
    lonely = {id(pair) for pair in pairs if pair.target is not None and count[pair.target] == 1}
    for pair in pairs:
        if id(pair) in lonely:
            kind = "class with a single image, which cannot be learned and tested"
            problems.add(kind, pair.images[0].name if isinstance(pair, Case) else pair.shown or pair.id)
    return [pair for pair in pairs if id(pair) not in lonely]


def _mismatch(first: Geometry, second: Geometry, what: str, whose: str) -> tuple[str, str] | None:
    """Why `second`, a label or a channel, does not lie on the grid of `first`: the kind of problem, and its details."""
    shape, other = canonical_shape(first), canonical_shape(second)
    if shape != other:
        times = ("×".join(map(str, first.shape)), "×".join(map(str, second.shape)))
        return f"{what} of another shape than {whose}", f"{whose.split()[1]} {times[0]}, {what} {times[1]}"
    if len(shape) == 3:
        corners = np.array(np.meshgrid(*((0, n - 1) for n in shape), 1)).reshape(4, -1)
        away = ((second.affine - first.affine) @ corners)[:3]
        # In voxels along each axis of `first`: a millimetre is little between thick slices and much within them.
        voxels = np.abs(np.linalg.solve(first.affine[:3, :3], away))
        if voxels.max() > 1:
            off = float(np.linalg.norm(away, axis=0).max())
            return (
                f"{what} whose header places it elsewhere than {whose}",
                f"up to {off:.1f} mm apart; copy the {whose.split()[1]}'s header if the voxels do correspond",
            )
    return None
