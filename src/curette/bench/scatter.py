"""What companions foresaw against what came: a scatter a strategy, and correlations."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from curette.bench.curves import Look, cloud
from curette.bench.record import Foreseen, StudyRecord

WORDS = {
    "predicted_accuracy": ("Predicted and real accuracy", "predicted Dice", "real Dice"),
    "predicted_loss": ("Predicted and real loss", "predicted loss (its own unit)", "cross-entropy"),
}
"""Title, and names of both axes, by output."""


def foresight(record: StudyRecord, look: dict[str, Look]) -> list[dict[str, Any]]:
    """A part of the report for each output: a scatter of the last cycle and correlations of all, by strategy."""
    return [_output(name, rows, look) for name, rows in record.foreseen.items() if rows]


def _output(name: str, rows: Sequence[Foreseen], look: dict[str, Look]) -> dict[str, Any]:
    title, x, y = WORDS[name]
    groups: list[dict[str, Any]] = []
    panels = []
    for strategy in (s for s in look if any(r.strategy == s for r in rows)):
        own = [r for r in rows if r.strategy == strategy]
        last = [r for r in own if r.cycle == max(r.cycle for r in own)]
        points = [(r.predicted, r.real) for r in last]
        panels.append(
            cloud(points, strategy, look, title=strategy, xlabel=x, ylabel=y, salt=f"{name} {strategy}")
        )
        for cls in dict.fromkeys(r.cls for r in own):
            cells = [_cell([r for r in own if r.cls == cls and r.cycle == cycle]) for cycle in _cycles(rows)]
            groups.append({"strategy": strategy, "class": cls or "all", "cells": cells})
    return {"id": name, "title": title, "panels": panels, "cycles": _cycles(rows), "table": groups}


def _cycles(rows: Sequence[Foreseen]) -> list[int]:
    return sorted({r.cycle for r in rows})


def _cell(rows: Sequence[Foreseen]) -> str:
    """Pearson's and Spearman's correlation, means over seeds; seeds in which either side is constant have none."""
    found = []
    for seed in dict.fromkeys(r.seed for r in rows):
        own = np.array([(r.predicted, r.real) for r in rows if r.seed == seed])
        found.append((correlation(own[:, 0], own[:, 1]), correlation(ranks(own[:, 0]), ranks(own[:, 1]))))
    defined = [pair for pair in found if not math.isnan(pair[0])]
    if not defined:
        return "–"
    pearson, spearman = np.mean(defined, axis=0)
    return f"{pearson:.2f} / {spearman:.2f}"


def correlation(a: Any, b: Any) -> float:
    """Pearson's correlation of two columns; NaN where one of them is constant or has a single value."""
    a, b = np.asarray(a, float), np.asarray(b, float)
    a, b = a - a.mean(), b - b.mean()
    size = math.sqrt(float(a @ a) * float(b @ b))
    return float(a @ b) / size if size > 0 else math.nan


def ranks(values: Any) -> Any:
    """Ranks from 0 on, equal values sharing the mean of theirs: Pearson's correlation of ranks is Spearman's."""
    _, inverse, count = np.unique(np.asarray(values), return_inverse=True, return_counts=True)
    ends = np.cumsum(count)
    return (ends - (count + 1) / 2)[inverse]
