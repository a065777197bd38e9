"""The parts of a report as plain values for the template: every number is formatted here, nothing is computed there."""

from __future__ import annotations

import math
from collections.abc import Sequence
from statistics import fmean, median
from typing import Any

import curette
from curette.bench.curves import MARKERS, Curve, Difference, Look, Point, looks, panel
from curette.bench.facts import Facts
from curette.bench.headline import brief, facts_of
from curette.bench.protocol import share
from curette.bench.record import MEAN, StudyRecord, higher_is_better, uses_truth
from curette.bench.scatter import foresight
from curette.bench.showcase import showcase
from curette.bench.summary import LEVEL, Against, Standing, against_control, caveats, curves, standings
from curette.bench.trace import TracedRun
from curette.bench.wording import label, p_value, plural, seconds, signed
from curette.recipe import dump_study

_SHAPES = {
    "o": "M5 .8a4.2 4.2 0 1 1 0 8.4a4.2 4.2 0 1 1 0-8.4z",
    "s": "M1.2 1.2h7.6v7.6h-7.6z",
    "^": "M5 .8L9.6 9H.4z",
    "D": "M5 .2L9.8 5L5 9.8L.2 5z",
    "v": "M5 9.2L.4 1h9.2z",
    "P": "M3.4.6h3.2v2.8h2.8v3.2H6.6v2.8H3.4V6.6H.6V3.4h2.8z",
    "X": "M2.6.6L5 3L7.4.6L9.4 2.6L7 5l2.4 2.4l-2 2L5 7L2.6 9.4l-2-2L3 5L.6 2.6z",
    "p": "M5 .4l4.6 3.4L7.8 9.2H2.2L.4 3.8z",
    "h": "M5 .2l4.2 2.4v4.8L5 9.8L.8 7.4V2.6z",
}


def page(record: StudyRecord, facts: Facts | None, trace: Sequence[TracedRun]) -> dict[str, Any]:
    """Everything the template ``report.html`` shows."""
    look = looks(record.strategies, record.control)
    return {
        "name": record.study.name,
        "caveats": caveats(record),
        "version": curette.__version__,
        "facts": facts_of(record, facts, trace),
        "brief": brief(record, trace),
        "unfinished": [
            f"{s}, seed {seed}: {n} of {record.study.query.cycles} trainings"
            for (s, seed), n in record.unfinished.items()
        ],
        "strategies": [_strategy(record, s, look[s], i) for i, s in enumerate(look)],
        "control": record.control,
        "counted": plural(record.what),
        "seeds": len(record.seeds),
        "metrics": [_metric(record, m, look, trace) for m in record.metrics],
        "level": f"{LEVEL:g}",
        "times": _times(record),
        "foresight": foresight(record, look),
        "pseudo_labels": _pseudo_labels(record),
        "cost": _cost(record, trace, look),
        "gallery": showcase(record),
        "runs": [_run(record, t) for t in trace],
        "recipe": dump_study(record.study),
        "truthful": {s for s in record.strategies if uses_truth(s)},
        "number": {s: i for i, s in enumerate(look)},
    }


def differences(record: StudyRecord, metric: str, cls: str) -> list[Difference]:
    """Areas against the control, for the figure."""
    rows = [(s.strategy, s.against) for s in standings(record, metric, cls)]
    return [Difference(name, a.mean, a.low, a.high) for name, a in rows if a is not None]


def _pseudo_labels(record: StudyRecord) -> dict[str, Any]:
    """Units and voxels a strategy was taught in each cycle, means over seeds; {} where none has a teacher."""
    rows = record.pseudo_labels
    if not rows:
        return {}
    cycles = sorted({r.cycle for r in rows})
    table = []
    for strategy in (s for s in record.strategies if any(r.strategy == s for r in rows)):
        cells = []
        for cycle in cycles:
            own = [r for r in rows if r.strategy == strategy and r.cycle == cycle]
            means = (fmean(r.units for r in own), fmean(r.voxels for r in own)) if own else ()
            cells.append(" / ".join(f"{mean:.0f}" for mean in means) or "–")
        table.append({"strategy": strategy, "cells": cells})
    return {"cycles": cycles, "table": table}


def _strategy(record: StudyRecord, strategy: str, look: Look, i: int) -> dict[str, Any]:
    full = record.canonical(strategy)
    return {
        "i": i,
        "name": strategy,
        "full": full if full != strategy else "",
        "light": look.light,
        "dark": look.dark,
        "shape": _SHAPES[look.marker] if look.marker in MARKERS else _SHAPES["o"],
        "truth": uses_truth(strategy),
        "control": strategy == record.control,
    }


def _metric(
    record: StudyRecord, metric: str, look: dict[str, Look], trace: Sequence[TracedRun]
) -> dict[str, Any]:
    name, digits = label(metric)
    classes = record.classes(metric)
    main = classes[0]
    drawn = {cls: curves(record, metric, cls) for cls in classes}
    shown = classes if len(classes) > 2 else classes[:1]  # the mean of a single class is that class
    panels = [
        panel(
            drawn[c],
            look,
            title="mean of the classes" if c == MEAN and len(shown) > 1 else c,
            xlabel=f"labelled {plural(record.what)}",
            salt=f"{metric} {c}",
            wide=c == main,
        )
        for c in shown
    ]
    rows = standings(record, metric, main)
    return {
        "id": metric,
        "name": name,
        "better": "higher is better" if higher_is_better(metric) else "lower is better",
        "class": main,
        "panels": panels,
        "budgets": _budgets(drawn[main], record, trace),
        "table": [_row(record, c, metric, main, digits) for c in drawn[main]],
        "standings": _standings(rows, digits),
        "scale": _scale(rows, digits),
        "hollow": len({p.n for c in drawn[main] for p in c.points}) > 1,
        "compared": any(r.against for r in rows),
        "two_seeds": any(p.n == 2 for c in drawn[main] for p in c.points),
        "smallest": p_value(max((r.against.smallest for r in rows if r.against), default=math.nan)),
    }


def _budgets(
    drawn: Sequence[Curve], record: StudyRecord, trace: Sequence[TracedRun]
) -> list[tuple[int, str]]:
    """(cycle, labelled units) of every column, with their share of the pool where the study counts so."""
    found = {p.cycle: p.labelled for c in drawn for p in c.points}
    shares = {cycle: share(record, trace, units) for cycle, units in found.items()}
    return [
        (cycle, f"{found[cycle]:.0f}" + (f" ({shares[cycle]})" if shares[cycle] else ""))
        for cycle in sorted(found)
    ]


def _row(record: StudyRecord, curve: Curve, metric: str, cls: str, digits: int) -> dict[str, Any]:
    cells: dict[int, dict[str, Any]] = {}
    for point in curve.points:
        against = against_control(record, curve.strategy, metric, cls, point.cycle)
        cells[point.cycle] = _cell(point, against, len(record.seeds), digits)
    return {"strategy": curve.strategy, "cells": cells}


def _cell(point: Point, against: Against | None, seeds: int, digits: int) -> dict[str, Any]:
    return {
        "mean": f"{point.mean:.{digits}f}",
        "sd": f"{point.sd:.{digits}f}" if math.isfinite(point.sd) else "",
        "few": point.n if point.n < seeds else 0,
        "mark": _mark(against),
    }


def _mark(against: Against | None) -> str:
    if against is None:
        return ""
    return "better" if against.better else "worse" if against.worse else ""


def _standings(rows: Sequence[Standing], digits: int) -> list[dict[str, Any]]:
    low, high = _domain(rows)
    shown = []
    for row in rows:
        if row.area is None:
            continue
        entry: dict[str, Any] = {
            "strategy": row.strategy,
            "area": f"{row.area.mean:.{digits}f}",
            "sd": f"{row.area.sd:.{digits}f}" if math.isfinite(row.area.sd) else "",
            "n": row.area.n,
            "against": None,
        }
        if (a := row.against) is not None:
            place = [100 * (v - low) / (high - low) for v in (a.low, a.mean, a.high)]
            entry["against"] = {
                "mean": signed(a.mean, digits),
                "interval": f"{signed(a.low, digits)} to {signed(a.high, digits)}"
                if math.isfinite(a.low)
                else "one seed",
                "n": a.n,
                "p": p_value(a.p),
                "smallest": p_value(a.smallest),
                "holm": p_value(row.holm),
                "mark": _mark(a),
                "bar": None if math.isnan(a.low) else [f"{max(0, min(100, v)):.2f}" for v in place],
                "dot": f"{max(0, min(100, place[1])):.2f}",
            }
        shown.append(entry)
    return shown


def _domain(rows: Sequence[Standing]) -> tuple[float, float]:
    """Range of the bars: all means with room, all intervals unless they are far longer than the means are apart."""
    found = [r.against for r in rows if r.against is not None]
    means = [abs(a.mean) for a in found]
    ends = [abs(v) for a in found for v in (a.low, a.high) if math.isfinite(v)]
    widest = min(max(ends, default=0.0), 6 * max(means, default=0.0)) or max(ends, default=0.0)
    half = 1.08 * max(widest, max(means, default=0.0)) or 1.0
    return -half, half


def _scale(rows: Sequence[Standing], digits: int) -> tuple[str, str]:
    low, high = _domain(rows)
    return signed(low, digits), signed(high, digits)


def _times(record: StudyRecord) -> list[dict[str, Any]]:
    """Seconds of a cycle (median over seeds and cycles) by what was done; work another run had done does not count."""
    rows = []
    for strategy in record.strategies:
        own = [t for t in record.timings if t.strategy == strategy and t.seconds > 0]
        if not own:
            continue
        stages: dict[str, dict[tuple[int, int], float]] = {"train": {}, "measure": {}, "query": {}}
        for t in own:
            stage = stages[t.stage if t.stage in ("train", "measure") else "query"]
            stage[t.seed, t.cycle] = stage.get((t.seed, t.cycle), 0.0) + t.seconds
        peaks = [t.peak_mb for t in own if math.isfinite(t.peak_mb)]
        rows.append(
            {
                "strategy": strategy,
                "stages": [seconds(median(s.values())) if s else "–" for s in stages.values()],
                "total": seconds(sum(t.seconds for t in own)),
                "peak": f"{max(peaks):,.0f}" if peaks else "–",
            }
        )
    return rows


def _cost(record: StudyRecord, trace: Sequence[TracedRun], look: dict[str, Look]) -> dict[str, Any] | None:
    """Foreground voxels annotated by each cycle, and the main metric against them; None when none were counted."""
    voxels = {(t.run.name, t.run.seed): t.foreground for t in trace if t.foreground}
    if not voxels or not record.metrics:
        return None
    metric = record.metrics[0]
    drawn, table = [], []
    for curve in curves(record, metric, record.classes(metric)[0]):
        own = [v for (name, _), v in voxels.items() if name == curve.strategy]
        mean = {p.cycle: [v[p.cycle] for v in own if p.cycle in v] for p in curve.points}
        spent = {cycle: sum(values) / len(values) for cycle, values in mean.items() if values}
        points = [
            Point(p.cycle, spent[p.cycle], p.mean, p.sd, math.nan, math.nan, (p.mean,))
            for p in curve.points
            if p.cycle in spent
        ]
        drawn.append(Curve(curve.strategy, tuple(points)))
        table.append({"strategy": curve.strategy, "cells": {c: f"{v:,.0f}" for c, v in spent.items()}})
    name, _ = label(metric)
    picture = panel(drawn, look, title=name, xlabel="labelled foreground voxels", salt="cost", wide=True)
    return {
        "panel": picture,
        "budgets": _budgets(curves(record, metric, record.classes(metric)[0]), record, trace),
        "table": table,
    }


def _run(record: StudyRecord, traced: TracedRun) -> dict[str, Any]:
    run = traced.run
    last = max(traced.models, default=None)
    return {
        "strategy": run.name,
        "full": run.strategy,
        "seed": run.seed,
        "trainings": record.trainings(run.name, run.seed),
        "recipe": run.recipe,
        "code": run.code,
        "prepared": traced.prepared[:16],
        "model": "" if last is None else traced.models[last],
    }
