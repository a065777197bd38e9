"""What a study says: curves, standings and paired differences to random, for the report, the terminal and ``--json``."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np

import curette
from curette.bench import statistics
from curette.bench.curves import Curve, Point
from curette.bench.protocol import by_seed
from curette.bench.record import MEAN, StudyRecord, higher_is_better, uses_truth
from curette.bench.trace import TracedRun
from curette.bench.wording import plural

LEVEL = 0.05


@dataclass(frozen=True)
class Spread:
    """Mean and standard deviation (NaN for one value) over n seeds."""

    mean: float
    sd: float
    n: int


@dataclass(frozen=True)
class Against:
    """Paired difference to the control over n common seeds: mean, 95 % t-interval, two-sided sign-flip p.

    `smallest` is the least p that n seeds can give. `better` and `worse` say that the interval excludes 0 on that side.
    """

    mean: float
    low: float
    high: float
    n: int
    p: float = math.nan
    smallest: float = math.nan
    better: bool = False
    worse: bool = False


@dataclass(frozen=True)
class Standing:
    """One strategy on one metric: last training, area under the budget curve, and that area against random.

    Only finished runs count. `against` is None for the control, without a control, and without common finished seeds;
    `holm` is its p adjusted for the number of strategies compared.
    """

    strategy: str
    final: Spread | None
    area: Spread | None
    against: Against | None
    holm: float = math.nan


def curves(record: StudyRecord, metric: str, cls: str = MEAN) -> list[Curve]:
    """Mean over the seeds that reached each cycle, strategy by strategy; strategies without a value are left out."""
    found = [Curve(s, _points(record, s, metric, cls)) for s in record.strategies]
    return [c for c in found if c.points]


def _points(record: StudyRecord, strategy: str, metric: str, cls: str) -> tuple[Point, ...]:
    runs = record.runs(strategy, metric, cls)
    points = []
    for cycle in sorted({c for run in runs.values() for c in run}):
        here = [run[cycle] for run in runs.values() if cycle in run]
        values = [v for _, v in here]
        interval = statistics.t_interval(values)
        labelled = float(np.mean([x for x, _ in here]))
        low, high = _or_nan(interval.low), _or_nan(interval.high)
        points.append(Point(cycle, labelled, interval.mean, _sd(values), low, high, tuple(values)))
    return tuple(points)


def standings(record: StudyRecord, metric: str, cls: str = MEAN) -> list[Standing]:
    """Every strategy on one metric, in the order of the study."""
    areas = {s: _areas(record, s, metric, cls) for s in record.strategies}
    finals = {s: _finals(record, s, metric, cls) for s in record.strategies}
    control = areas.get(record.control or "", {})
    against = {
        s: _against(areas[s], control, metric) for s in record.strategies if s != record.control and control
    }
    tested = [s for s, a in against.items() if a is not None]
    adjusted = dict(zip(tested, statistics.holm([a.p for a in against.values() if a]), strict=True))
    return [
        Standing(
            s,
            _spread(finals[s].values()),
            _spread(areas[s].values()),
            against.get(s),
            float(adjusted.get(s, math.nan)),
        )
        for s in record.strategies
    ]


def against_control(record: StudyRecord, strategy: str, metric: str, cls: str, cycle: int) -> Against | None:
    """Paired difference to the control after one training, over the seeds both have reached."""
    if record.control is None or strategy == record.control:
        return None
    own = {s: run[cycle][1] for s, run in record.runs(strategy, metric, cls).items() if cycle in run}
    control = {
        s: run[cycle][1] for s, run in record.runs(record.control, metric, cls).items() if cycle in run
    }
    return _against(own, control, metric)


def caveats(record: StudyRecord) -> list[str]:
    """What a reader must know before any number, short enough for a title."""
    said = []
    if record.unfinished:
        total = len(record.strategies) * len(record.seeds)
        said.append(f"unfinished: {total - len(record.unfinished)} of {total} runs are complete")
    if record.sizes > 1:
        said.append("strategies pick regions of different sizes: equal numbers are not equal effort")
    if uses_truth(record.study.query.start):
        said.append(f"the first {plural(record.study.data.unit)} are drawn with ground truth")
    if record.control is None:
        said.append("no random control")
    needed = next(n for n in range(1, 64) if statistics.smallest_p(n) < LEVEL)
    if len(record.strategies) > 1 and len(record.seeds) < needed:
        seeds = "one seed" if len(record.seeds) == 1 else f"{len(record.seeds)} seeds"
        said.append(f"{seeds}, too few for a sign-flip test at {LEVEL:g} (needs {needed})")
    return said


def summary(record: StudyRecord, trace: Sequence[TracedRun] = ()) -> dict[str, Any]:
    """The stable, documented outcome of a study (see docs/cli.md); numbers that do not exist are None."""
    metric = record.metrics[0] if record.metrics else None
    cls = record.classes(metric)[0] if metric else None
    rows = standings(record, metric, cls) if metric and cls else []
    return {
        "curette": curette.__version__,
        "study": record.study.name,
        "folder": str(record.folder),
        "finished": not record.unfinished,
        "unfinished": [
            {"strategy": s, "seed": seed, "cycles": n, "of": record.study.query.cycles}
            for (s, seed), n in record.unfinished.items()
        ],
        "caveats": caveats(record),
        "seeds": [_began(seed, begun) for seed, begun in sorted(by_seed(trace).items())],
        "control": record.control,
        "metric": metric,
        "class": cls,
        "strategies": [_plain(record, row) for row in rows],
    }


def _began(seed: int, begun: dict[str, Any]) -> dict[str, Any]:
    names = ("pool", "budget", "fold", "patients", "validation")
    return {"seed": seed} | {name: begun.get(name) for name in names}


def _plain(record: StudyRecord, row: Standing) -> dict[str, Any]:
    against = row.against
    return {
        "strategy": row.strategy,
        "canonical": record.canonical(row.strategy),
        "uses_truth": uses_truth(row.strategy),
        "seeds": row.area.n if row.area else 0,
        "final": _numbers(row.final, "mean", "sd"),
        "aubc": _numbers(row.area, "mean", "sd"),
        "difference": _numbers(against, "mean", "low", "high", "p", "smallest", "n")
        and _numbers(against, "mean", "low", "high", "p", "smallest", "n") | {"p_holm": _finite(row.holm)},
    }


def _numbers(value: Any, *names: str) -> Any:
    return None if value is None else {name: _finite(getattr(value, name)) for name in names}


def _finite(value: float) -> float | None:
    return value if math.isfinite(value) else None


def _complete(
    record: StudyRecord, strategy: str, metric: str, cls: str
) -> dict[int, list[tuple[int, float]]]:
    """Seed → (labelled, value) by cycle, of the runs that reached the last cycle."""
    runs = record.runs(strategy, metric, cls)
    cycles = record.study.query.cycles
    return {seed: [run[c] for c in sorted(run)] for seed, run in runs.items() if len(run) >= cycles}


def _areas(record: StudyRecord, strategy: str, metric: str, cls: str) -> dict[int, float]:
    complete = _complete(record, strategy, metric, cls)
    return {seed: _area(points) for seed, points in complete.items()}


def _area(points: list[tuple[int, float]]) -> float:
    budgets, values = zip(*points, strict=True)
    growing = all(a < b for a, b in pairwise(budgets))  # not so with a budget of 0
    return float(statistics.aubc(values, budgets if growing else None))


def _finals(record: StudyRecord, strategy: str, metric: str, cls: str) -> dict[int, float]:
    return {seed: points[-1][1] for seed, points in _complete(record, strategy, metric, cls).items()}


def _against(own: dict[int, float], control: dict[int, float], metric: str) -> Against | None:
    common = [s for s in own if s in control]
    if not common:
        return None
    found = statistics.compare({s: own[s] for s in common}, {s: control[s] for s in common})
    interval = found.interval
    low, high = _or_nan(interval.low), _or_nan(interval.high)
    up = higher_is_better(metric)
    return Against(
        interval.mean,
        low,
        high,
        interval.n,
        found.p,
        found.smallest,
        better=low > 0 if up else high < 0,
        worse=high < 0 if up else low > 0,
    )


def _or_nan(value: float | None) -> float:
    return math.nan if value is None else value


def _spread(values: Iterable[float]) -> Spread | None:
    found = list(values)
    return Spread(float(np.mean(found)), _sd(found), len(found)) if found else None


def _sd(values: list[float]) -> float:
    return float(np.std(values, ddof=1)) if len(values) > 1 else math.nan
