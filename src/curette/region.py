"""Regions: the things that can be picked. A region's text form is its identity, never a position in a list."""

from __future__ import annotations

import re
from dataclasses import dataclass

from curette.errors import SettingError

AXES = "xyz"
_SLICE = re.compile(r"^([xyz])=(\d+)$")
_BOX = re.compile(r"^\[(\d+:\d+(?:,\d+:\d+)*)\]$")


@dataclass(frozen=True, order=True, slots=True)
class Region:
    """A whole case, one slice of it, or a box in it, in array coordinates of the case's canonical orientation.

    Text forms: ``case17`` (whole), ``case17@z=12`` (slice 12 along array axis 2; x, y, z are axes 0, 1, 2) and
    ``case17@[0:64,32:96,8:40]`` (half-open box). Regions order by case, then axis, index and box, so slices of a
    volume sort by position; this order is the library's tie-break.
    """

    case: str
    axis: int = -1
    index: int = -1
    box: tuple[tuple[int, int], ...] = ()

    def __post_init__(self) -> None:
        if not self.case or "@" in self.case:
            raise SettingError(f"A case id must not be empty or contain '@': {self.case!r}. Rename the case.")
        if (self.axis < 0) != (self.index < 0) or self.axis >= len(AXES):
            raise SettingError(
                f"Region of case '{self.case}': axis {self.axis} with index {self.index} is no slice."
            )
        if self.box and self.axis >= 0:
            raise SettingError(f"Region of case '{self.case}' is a slice or a box, not both.")
        if any(not 0 <= start < stop for start, stop in self.box):
            raise SettingError(f"Region of case '{self.case}' has an empty or negative box {self.box}.")

    def __str__(self) -> str:
        if self.axis >= 0:
            return f"{self.case}@{AXES[self.axis]}={self.index}"
        if self.box:
            return f"{self.case}@[{','.join(f'{a}:{b}' for a, b in self.box)}]"
        return self.case

    @classmethod
    def parse(cls, text: str) -> Region:
        """Read a region's text form; the inverse of ``str(region)``. Raises `SettingError` on anything else."""
        case, at, where = text.partition("@")
        if not at:
            return cls(case)
        if found := _SLICE.match(where):
            return cls(case, AXES.index(found[1]), int(found[2]))
        if found := _BOX.match(where):
            spans = (span.split(":") for span in found[1].split(","))
            return cls(case, box=tuple((int(a), int(b)) for a, b in spans))
        raise SettingError(
            f"'{text}' is not a region. Write 'case', 'case@z=12' for a slice or 'case@[0:64,32:96]' for a box."
        )
