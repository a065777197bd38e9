"""A published table: what was measured, at which budgets, and the values as printed."""

from __future__ import annotations

import math
import tomllib
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Any

QUERIES = "queries"
LAST = "last"


@dataclass(frozen=True)
class Column:
    """One column of a table.

    name     as printed
    metric   ours, from the docs; empty where curette does not measure it
    cls      the class, or ``mean``
    at       ``20%`` of the pool, ``queries`` (mean over all queries, the initial training left out), or ``last``
    arm      the study of the part that has it; empty: the one that fits
    scale    what ours is multiplied with to be in the paper's unit
    same     whether that gives the paper's unit; if not (mm and voxels), levels are not compared
    """

    name: str
    metric: str
    cls: str = "mean"
    at: str = QUERIES
    arm: str = ""
    scale: float = 100.0
    same: bool = True

    @property
    def share(self) -> float | None:
        """The budget as a share of the pool, or None."""
        return float(self.at.rstrip("%")) / 100 if self.at.endswith("%") else None

    @property
    def group(self) -> tuple[str, str]:
        """Columns of one metric and class are budgets of the same curve."""
        return self.metric, self.cls


@dataclass(frozen=True)
class Value:
    """A published value; NaN where the paper prints none."""

    mean: float
    sd: float = math.nan


@dataclass(frozen=True)
class Table:
    """A table as printed: `values` by row and column in their order."""

    name: str
    title: str
    columns: tuple[Column, ...]
    rows: dict[str, tuple[Value, ...]]
    notes: tuple[str, ...] = ()

    def value(self, row: str, column: int) -> Value:
        """What the paper prints there."""
        return self.rows[row][column]


@cache
def load_table(name: str) -> Table:
    """Read ``tables/NAME.toml``; every row must have a value, or ``nan``, for every column."""
    text = (files("curette.papers") / "tables" / f"{name}.toml").read_text(encoding="utf-8")
    raw = tomllib.loads(text)
    columns = tuple(column for group in raw["columns"] for column in _columns(group))
    rows = {row["name"]: _values(row, len(columns), name) for row in raw["rows"]}
    return Table(name, raw["title"], columns, rows, tuple(raw.get("notes", ())))


def _columns(group: dict[str, Any]) -> list[Column]:
    """A group of columns is one metric and class at several budgets, or in several arms."""
    metric, cls, scale = group["metric"], group.get("class", "mean"), float(group.get("scale", 100))
    places, names = group["at"], group["names"]
    arms, same = group.get("arms", [""] * len(names)), bool(group.get("same_unit", True))
    return [
        Column(column, metric, cls, at, arm, scale, same)
        for column, at, arm in zip(names, places, arms, strict=True)
    ]


def _values(row: dict[str, Any], columns: int, table: str) -> tuple[Value, ...]:
    means = row["mean"]
    stds = row.get("std", [math.nan] * len(means))
    if len(means) != columns or len(stds) != columns:
        raise ValueError(f"table {table}, row {row['name']}: {len(means)} values for {columns} columns")
    return tuple(Value(float(m), float(s)) for m, s in zip(means, stds, strict=True))
