"""Regions: the things that can be picked. A region's text form is its identity, never a position in a list."""

from __future__ import annotations

import re
from dataclasses import dataclass

from curette.errors import SettingError

AXES = "xyz"
_WHERE = re.compile(r"^(?:([xyz])=(\d+))?(?:\[(\d+:\d+(?:,\d+:\d+)*)\])?$")

Box = tuple[tuple[int, int], ...]
"""Start and stop along each axis, half-open."""


@dataclass(frozen=True, order=True, slots=True)
class Region:
    """A whole case, one slice of it, or a box in either.

    Text forms: ``case17`` (whole), ``case17@z=12`` (slice 12 along array axis 2; x, y, z are axes 0, 1, 2),
    ``case17@[0:64,32:96,8:40]`` (half-open box in a whole case) and ``case17@z=12[0:32,16:48]`` (in a slice).

    A study's *units* are whole cases or slices; a box is part of its `unit`, in array coordinates of the unit on the
    prepared grid, one pair of numbers for each of its axes. Regions order by case, then axis, index and box, so slices
    of a volume sort by position and parts follow their unit; this order is the library's tie-break.
    """

    case: str
    axis: int = -1
    index: int = -1
    box: Box = ()

    def __post_init__(self) -> None:
        if not self.case or "@" in self.case:
            raise SettingError(f"A case id must not be empty or contain '@': {self.case!r}. Rename the case.")
        if (self.axis < 0) != (self.index < 0) or self.axis >= len(AXES):
            raise SettingError(
                f"Region of case '{self.case}': axis {self.axis} with index {self.index} is no slice."
            )
        if any(not 0 <= start < stop for start, stop in self.box):
            raise SettingError(f"Region of case '{self.case}' has an empty or negative box {self.box}.")

    def __str__(self) -> str:
        if self.axis < 0 and not self.box:
            return self.case
        where = f"{AXES[self.axis]}={self.index}" if self.axis >= 0 else ""
        box = f"[{','.join(f'{a}:{b}' for a, b in self.box)}]" if self.box else ""
        return f"{self.case}@{where}{box}"

    @property
    def unit(self) -> Region:
        """The whole case or slice the region is, or is part of."""
        return Region(self.case, self.axis, self.index) if self.box else self

    @property
    def slices(self) -> tuple[slice, ...]:
        """The box as an index into arrays of the unit; () for a whole unit."""
        return tuple(slice(start, stop) for start, stop in self.box)

    def overlaps(self, other: Region) -> bool:
        """Whether the two share a pixel: of the same unit, and one of them the whole, or their boxes meet.

        A slice and a box in the whole volume are different units and never compared: a study has units of one kind.
        """
        if (self.case, self.axis, self.index) != (other.case, other.axis, other.index):
            return False
        if not self.box or not other.box:
            return True
        return all(a < d and c < b for (a, b), (c, d) in zip(self.box, other.box, strict=True))

    @classmethod
    def parse(cls, text: str) -> Region:
        """Read a region's text form; the inverse of ``str(region)``. Raises `SettingError` on anything else."""
        case, at, where = text.partition("@")
        if not at:
            return cls(case)
        found = _WHERE.match(where)
        if found is None or not where:
            raise SettingError(
                f"'{text}' is not a region. Write 'case', 'case@z=12' for a slice, 'case@[0:64,32:96]' for a box or "
                "'case@z=12[0:32,16:48]' for a box in a slice."
            )
        letter, index, box = found.groups()
        spans = (span.split(":") for span in box.split(",")) if box else ()
        axis = (AXES.index(letter), int(index)) if letter else (-1, -1)
        return cls(case, *axis, tuple((int(a), int(b)) for a, b in spans))
