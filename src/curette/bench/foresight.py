"""How well companions foresee what the model gets wrong: what they say of test units, beside what is true."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from curette.data.prepared import Prepared
from curette.learn.learner import Learner, Model
from curette.query.arrays import to_numpy
from curette.query.strategy import Strategy
from curette.region import Region
from curette.registry import bind
from curette.task import Task

MOST = 200
"""Test units that are looked at, spread evenly: enough for a correlation, and small in the ledger."""
_EPSILON = 1e-5

Row = list[Any]
"""Region, class ("" for all together), what was predicted, and what is."""


def foresee(
    learner: Learner, model: Model, prepared: Prepared, cases: Sequence[str], strategy: Strategy
) -> dict[str, list[Row]]:
    """What the strategy's companions say of units of the cases, and what is true, by name of their output.

    `predicted_accuracy` stands beside the Dice of each class, on the prepared grid, 1 where prediction and truth are empty;
    `predicted_loss` beside the mean cross-entropy. Nothing where the strategy has no such companion.
    """
    said = {output for c in strategy.companions for output in c.component.info.get("gives", ())}
    wanted = sorted(said & _REAL.keys())
    if not wanted:
        return {}
    units = prepared.regions(cases)
    units = [units[i] for i in np.unique(np.linspace(0, len(units) - 1, min(MOST, len(units))).astype(int))]
    found: dict[str, list[Row]] = {name: [] for name in wanted}
    for seen in learner.predict(model, units, bind("passes", "single"), frozenset(wanted), seed=0):
        labels = prepared.labels(list(seen.regions))
        for i, region in enumerate(seen.regions):
            p, label = to_numpy(seen.mean[i]), np.asarray(labels[region])
            for name in wanted:
                found[name] += _REAL[name](region, to_numpy(seen.columns[name][i]), p, label, prepared.task)
    return found


def _accuracies(
    region: Region, said: NDArray[Any], p: NDArray[Any], label: NDArray[Any], task: Task
) -> list[Row]:
    known = label != task.ignore
    if not known.any():
        return []
    answer, rows = p.argmax(axis=0), []
    for c, name in enumerate(task.names):
        a, b = (answer == c) & known, (label == c) & known
        real = (2 * np.sum(a & b) + _EPSILON) / (a.sum() + b.sum() + _EPSILON)
        rows.append([str(region), name, _short(said[c]), _short(real)])
    return rows


def _losses(
    region: Region, said: NDArray[Any], p: NDArray[Any], label: NDArray[Any], task: Task
) -> list[Row]:
    known = label != task.ignore
    if not known.any():
        return []
    of_truth = np.take_along_axis(p, np.where(known, label, 0).astype(np.int64)[None], axis=0)[0][known]
    return [[str(region), "", _short(said), _short(-np.log(np.maximum(of_truth, 1e-12)).mean())]]


def _short(value: Any) -> float:
    return float(f"{float(value):.4g}")


_REAL: dict[str, Callable[..., list[Row]]] = {
    "predicted_accuracy": _accuracies,
    "predicted_loss": _losses,
}
"""What stands beside each output."""
