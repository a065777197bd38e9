"""The head of a report: what was studied, and what came of it in two or three sentences."""

from __future__ import annotations

import math
from collections.abc import Sequence

import curette
from curette.bench.facts import Facts
from curette.bench.protocol import labelled_at_end, protocol, watched_by
from curette.bench.record import StudyRecord, higher_is_better
from curette.bench.summary import LEVEL, Standing, standings
from curette.bench.trace import TracedRun
from curette.bench.wording import label, p_value, plural, signed


def facts_of(record: StudyRecord, facts: Facts | None, trace: Sequence[TracedRun]) -> list[tuple[str, str]]:
    """Terms and values: the data, their licence and split, the budget, the training, the code."""
    study = record.study
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
    rows += protocol(record, trace)
    rows += [
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


def brief(record: StudyRecord, trace: Sequence[TracedRun] = ()) -> list[str]:
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
    seeds = len(record.seeds)
    ends = sorted(
        ((r.final.mean, r.strategy, r.final.n) for r in done if r.final), reverse=higher_is_better(metric)
    )
    watched = watched_by(record, trace)
    more = f" plus {watched} of validation whose labels every strategy uses" if watched else ""
    said = [f"With {labelled_at_end(record)} labelled {plural(record.what)}{more}, {name} ({cls}) is "]
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
        f"{r.strategy} ({'better' if a.better else 'worse'}, {signed(a.mean, digits)}, {signed(a.low, digits)} to {signed(a.high, digits)})"
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
        some += f" So few seeds cannot confirm this by permutation: the smallest possible p is {p_value(smallest)}."
    return over + some
