"""The parts of a report as plain values for the template: every number is formatted here, nothing is computed there."""

from __future__ import annotations

import math
from collections.abc import Sequence
from statistics import median
from typing import Any

import curette
from curette.bench.curves import MARKERS, Curve, Difference, Look, Point, looks, panel
from curette.bench.facts import Facts
from curette.bench.record import MEAN, StudyRecord, higher_is_better, uses_truth
from curette.bench.showcase import showcase
from curette.bench.summary import LEVEL, Against, Standing, against_control, caveats, curves, standings
from curette.bench.trace import TracedRun
from curette.recipe import dump_study

_METRICS = {
    "dice_3d": ("Dice per volume", 3),
    "dice_2d": ("Dice per slice", 3),
    "dice_pooled": ("Dice, all test volumes pooled", 3),
    "hd95_mm": ("Hausdorff distance, 95th percentile, mm", 2),
    "hd95_one_empty": ("Test volumes where prediction or truth lacks the class", 1),
    "accuracy": ("Accuracy", 3),
    "balanced_accuracy": ("Balanced accuracy", 3),
    "auroc": ("Area under the ROC curve", 3),
}
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


def label(metric: str) -> tuple[str, int]:
    """What to call a metric, and with how many decimals to print it."""
    return _METRICS.get(metric, (metric.replace("_", " "), 3))


def page(record: StudyRecord, facts: Facts | None, trace: Sequence[TracedRun]) -> dict[str, Any]:
    """Everything the template ``report.html`` shows."""
    look = looks(record.strategies, record.control)
    return {
        "name": record.study.name,
        "caveats": caveats(record),
        "version": curette.__version__,
        "facts": _facts(record, facts, trace),
        "brief": _brief(record),
        "unfinished": [
            f"{s}, seed {seed}: {n} of {record.study.query.cycles} trainings"
            for (s, seed), n in record.unfinished.items()
        ],
        "strategies": [_strategy(record, s, look[s], i) for i, s in enumerate(look)],
        "control": record.control,
        "unit": record.study.data.unit,
        "seeds": len(record.seeds),
        "metrics": [_metric(record, m, look) for m in record.metrics],
        "level": f"{LEVEL:g}",
        "times": _times(record),
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


def _facts(record: StudyRecord, facts: Facts | None, trace: Sequence[TracedRun]) -> list[tuple[str, str]]:
    study, query = record.study, record.study.query
    rows = [("Data set", facts.name if facts else study.data.dataset)]
    if facts:
        classes = ", ".join(facts.classes[1:] if facts.kind == "segmentation" else facts.classes)
        rows += [("Licence", facts.licence), ("Source", facts.source or "not stated")]
        rows += [("Task", f"{facts.kind}: {classes}")]
        split = [
            f"{cases} {part} ({patients} patient{'s' * (patients != 1)})"
            for part, (cases, patients) in facts.parts.items()
            if cases
        ]
        rows += [("Cases", ", ".join(split))]
    pools = {t.pool for t in trace if t.pool}
    rows += [("Pool", f"{', '.join(map(str, sorted(pools)))} {study.data.unit}s")] if pools else []
    rows += [
        (
            "Budget",
            f"{query.initial} {study.data.unit}s at the start, then {query.cycles - 1} × {query.budget}",
        ),
        ("Seeds", ", ".join(map(str, record.seeds))),
        (
            "Network",
            f"{study.train.model}, {study.train.steps} steps × {study.train.batch}, {study.train.start}",
        ),
    ]
    recipes = sorted({t.run.recipe for t in trace}) or [study.digest()]
    rows += [("Recipe", ", ".join(recipes))]
    rows += [
        (
            "Written by",
            ", ".join(sorted({f"curette {t.run.code}" for t in trace})) or f"curette {curette.__version__}",
        )
    ]
    return rows


def _brief(record: StudyRecord) -> list[str]:
    """The outcome in two or three sentences that claim no more than the numbers do."""
    if not record.metrics:
        return ["No training has been evaluated yet."]
    metric = record.metrics[0]
    cls = record.classes(metric)[0]
    rows = standings(record, metric, cls)
    done = [r for r in rows if r.final is not None]
    if not done:
        return ["No run is complete yet; the curves show what has been evaluated so far."]
    name, digits = label(metric)
    query = record.study.query
    budget = query.initial + (query.cycles - 1) * query.budget
    seeds = len(record.seeds)
    ends = sorted(
        ((r.final.mean, r.strategy, r.final.n) for r in done if r.final), reverse=higher_is_better(metric)
    )
    said = [f"With {budget} labelled {record.study.data.unit}s, {name} ({cls}) is "]
    said[0] += ", ".join(
        f"{value:.{digits}f} for {s}" + (f" (n={n})" if n < seeds else "") for value, s, n in ends
    )
    said[0] += "."
    tested = [r for r in rows if r.against is not None and math.isfinite(r.against.low)]
    if tested:
        said.append(_claims(tested, record.control or "random", digits))
    return said


def _claims(tested: Sequence[Standing], control: str, digits: int) -> str:
    found = [
        f"{r.strategy} ({'better' if a.better else 'worse'}, {_signed(a.mean, digits)}, {_signed(a.low, digits)} to {_signed(a.high, digits)})"
        for r in tested
        if (a := r.against) is not None and (a.better or a.worse)
    ]
    over = f"Over the whole budget, compared with {control} seed by seed, "
    if not found:
        return over + f"no 95 % interval of the {len(tested)} differences excludes zero."
    some = "the 95 % interval excludes zero for " + "; ".join(found) + "."
    some += f" {len(tested)} strategies were compared." if len(tested) > 1 else ""
    smallest = max(r.against.smallest for r in tested if r.against)
    if smallest >= LEVEL:
        some += (
            f" So few seeds cannot confirm this by permutation: the smallest possible p is {_p(smallest)}."
        )
    return over + some


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


def _metric(record: StudyRecord, metric: str, look: dict[str, Look]) -> dict[str, Any]:
    name, digits = label(metric)
    classes = record.classes(metric)
    main = classes[0]
    drawn = {cls: curves(record, metric, cls) for cls in classes}
    unit = record.study.data.unit
    shown = classes if len(classes) > 2 else classes[:1]  # the mean of a single class is that class
    panels = [
        panel(
            drawn[c],
            look,
            title="mean of the classes" if c == MEAN and len(shown) > 1 else c,
            xlabel=f"labelled {unit}s",
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
        "budgets": _budgets(drawn[main]),
        "table": [_row(record, c, metric, main, digits) for c in drawn[main]],
        "standings": _standings(rows, digits),
        "scale": _scale(rows, digits),
        "hollow": len({p.n for c in drawn[main] for p in c.points}) > 1,
        "compared": any(r.against for r in rows),
        "two_seeds": any(p.n == 2 for c in drawn[main] for p in c.points),
        "smallest": _p(max((r.against.smallest for r in rows if r.against), default=math.nan)),
    }


def _budgets(drawn: Sequence[Curve]) -> list[tuple[int, str]]:
    """(cycle, labelled units) of every column."""
    found = {p.cycle: p.labelled for c in drawn for p in c.points}
    return [(cycle, f"{found[cycle]:.0f}") for cycle in sorted(found)]


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
                "mean": _signed(a.mean, digits),
                "interval": f"{_signed(a.low, digits)} to {_signed(a.high, digits)}"
                if math.isfinite(a.low)
                else "one seed",
                "n": a.n,
                "p": _p(a.p),
                "smallest": _p(a.smallest),
                "holm": _p(row.holm),
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
    return _signed(low, digits), _signed(high, digits)


def _signed(value: float, digits: int) -> str:
    return f"{value:+.{digits}f}".replace("-", "−")


def _p(p: float) -> str:
    if not math.isfinite(p):
        return "–"
    return f"{p:.3f}".rstrip("0").rstrip(".") if p >= 0.001 else f"{p:.1g}"


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
                "stages": [_seconds(median(s.values())) if s else "–" for s in stages.values()],
                "total": _seconds(sum(t.seconds for t in own)),
                "peak": f"{max(peaks):,.0f}" if peaks else "–",
            }
        )
    return rows


def _seconds(value: float) -> str:
    if value >= 600:
        return f"{value / 60:.0f} min"
    if value < 0.1:
        return "< 0.1 s"
    return f"{value:.0f} s" if value >= 10 else f"{value:.1f} s"


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
        "budgets": _budgets(curves(record, metric, record.classes(metric)[0])),
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
