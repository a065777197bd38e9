"""A published paper as curette runs it: parts (one experiment each), rows (its strategies), and what it claims.

Settings of a part are those of a study file (see `curette.recipe`): ``full`` as paper or release have them, ``small`` what
is changed so that the part ends within about an hour on two cores.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from curette.errors import unknown
from curette.papers.table import Table, load_table
from curette.recipe import Study, parse_study

Scale = Literal["small", "full"]
SCALES: tuple[Scale, ...] = ("small", "full")
GENERATED = frozenset({"lesions", "phantom"})
"""Data sets that read no files."""


@dataclass(frozen=True)
class Row:
    """A line of the paper's tables: its name there and the strategy text that stands for it here.

    arm       the arm that alone has this row; empty: every arm that is not reserved for rows that name it
    missing   why there is no strategy, where there is none: a number the paper quotes from elsewhere, say
    """

    name: str
    strategy: str = ""
    arm: str = ""
    missing: str = ""


@dataclass(frozen=True)
class Arm:
    """One study of a part. Most parts have a single one; others compare studies that differ in these settings.

    reserved   runs only the rows that name it, such as training on all labels
    scale      the one scale it is for; empty: both
    """

    name: str = ""
    changes: Mapping[str, Any] = field(default_factory=dict)
    small: Mapping[str, Any] = field(default_factory=dict)
    reserved: bool = False
    scale: Literal["", "small", "full"] = ""


@dataclass(frozen=True)
class Claim:
    """The paper says that one row is better than another; `what` tells in a phrase what the pair compares."""

    better: str
    worse: str
    what: str


@dataclass(frozen=True)
class Part:
    """One experiment of a paper.

    name         as ``--part`` takes it
    what         a sentence: data, task, network
    rows         the paper's rows and their strategies
    tables       names of the files in ``tables/`` that hold the published values
    full, small  settings by section; `small` is laid over `full`
    arms         the studies of the part, the main one first
    claims       the pairs whose order the paper reports
    stands_for   the part whose data are not at hand for everybody; this one has other data, so that only orders compare
    metrics      the paper's metric → what is measured here instead, for stand-ins of another kind; empty: nothing
    classes      the same for classes
    unavailable  why nobody can run it, where nobody can
    """

    name: str
    what: str
    rows: tuple[Row, ...]
    tables: tuple[str, ...]
    full: Mapping[str, Any] = field(default_factory=dict)
    small: Mapping[str, Any] = field(default_factory=dict)
    arms: tuple[Arm, ...] = (Arm(),)
    claims: tuple[Claim, ...] = ()
    stands_for: str = ""
    metrics: Mapping[str, str] = field(default_factory=dict)
    classes: Mapping[str, str] = field(default_factory=dict)
    unavailable: str = ""

    @property
    def stand_in(self) -> bool:
        """Whether other data are used than the paper's."""
        return bool(self.stands_for)

    @property
    def dataset(self) -> str:
        """The data set that ``--data`` is read as."""
        return str(self.full.get("data", {}).get("dataset", ""))

    @property
    def needs_data(self) -> bool:
        """Whether the data are files."""
        return self.dataset not in GENERATED

    def arms_of(self, scale: Scale) -> tuple[Arm, ...]:
        """The studies of a scale, the main one first."""
        return tuple(arm for arm in self.arms if arm.scale in ("", scale))

    def rows_of(self, arm: Arm) -> tuple[Row, ...]:
        """The rows of one arm that have a strategy."""
        own = (row for row in self.rows if row.arm == arm.name or (not row.arm and not arm.reserved))
        return tuple(row for row in own if row.strategy)

    def study(self, root: Path | None, scale: Scale, arm: Arm | None = None) -> Study:
        """The checked study of an arm (the main one without one).

        Raises `SettingError` for a setting that cannot be.
        """
        arm = arm or self.arms_of(scale)[0]
        layers = [self.full, self.small, arm.changes, arm.small]
        if scale == "full":
            layers = [self.full, arm.changes]
        settings: dict[str, Any] = {}
        for layer in layers:
            settings = merged(settings, layer)
        if self.needs_data:
            settings = merged(settings, {"data": {"root": None if root is None else str(root)}})
        texts = dict.fromkeys(row.strategy for row in self.rows_of(arm))
        return parse_study(settings | {"strategies": list(texts)}, f"{self.name}, {scale} scale")

    def published(self) -> tuple[Table, ...]:
        """The paper's tables of this part."""
        return tuple(load_table(name) for name in self.tables)

    def row(self, name: str) -> Row:
        """The row of this name. Raises `SettingError` that lists the rows."""
        for row in self.rows:
            if row.name == name:
                return row
        raise unknown("row", name, [row.name for row in self.rows])


@dataclass(frozen=True)
class Paper:
    """A paper and its parts.

    name      as on the command line
    choices   where paper and release differ or are silent, and what the recipe does, a text each
    later     what of the paper is not reproduced yet, a text each
    """

    name: str
    title: str
    citation: str
    parts: tuple[Part, ...]
    choices: tuple[str, ...]
    later: tuple[str, ...] = ()

    def part(self, name: str = "") -> Part:
        """The part of this name, the first one without. Raises `SettingError` that lists the parts."""
        if not name:
            return self.parts[0]
        for part in self.parts:
            if part.name == name:
                return part
        raise unknown(f"part of '{self.name}'", name, [part.name for part in self.parts])


def merged(below: Mapping[str, Any], above: Mapping[str, Any]) -> dict[str, Any]:
    """`below` with the settings of `above` laid over it, section by section; a value of None takes a setting away.

    An ``options`` section that comes with a new data set or model replaces the old one, which belonged to another.
    """
    result = dict(below)
    for key, value in above.items():
        old = result.get(key)
        if isinstance(old, Mapping) and isinstance(value, Mapping):
            other = any(name in value and value[name] != old.get(name) for name in ("dataset", "model"))
            base = {k: v for k, v in old.items() if not (other and k == "options")}
            result[key] = merged(base, value)
        elif value is None:
            result.pop(key, None)
        else:
            result[key] = value
    return result


def without(rows: Sequence[Row], *names: str) -> tuple[Row, ...]:
    """Rows but for those of these names."""
    return tuple(row for row in rows if row.name not in names)
