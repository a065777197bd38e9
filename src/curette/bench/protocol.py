"""The terms a study was run on, in words and numbers: budget, folds, and labels used besides those that were picked."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from curette.bench.record import RANDOM, StudyRecord, uses_truth
from curette.bench.trace import TracedRun
from curette.bench.wording import plural

REPORT = "report"
"""The use of validation labels that are measured on and nothing else."""


def protocol(record: StudyRecord, trace: Sequence[TracedRun]) -> list[tuple[str, str]]:
    """Terms and values. What is given in percent has its number from the runs that have begun."""
    rows = [("Budget", _budget(record, trace))]
    if folds := _folds(trace):
        rows.append(("Folds", "; ".join(folds)))
    looked = [begun["validation"] for begun in by_seed(trace).values() if "validation" in begun]
    if looked:
        voxels = [one["voxels"] for one in looked]
        size = f", {_range(voxels)} voxels" if any(voxels) else ""
        use = "every strategy uses besides those it picks"
        if not watched_by(record, trace):
            use = "are only measured by: nothing is learnt or chosen from them"
        rows.append(("Validation", f"{_units(record, looked)}{size}, whose labels {use}"))
    return rows


def watched_by(record: StudyRecord, trace: Sequence[TracedRun]) -> str:
    """How many validation units' labels trainings looked at, such as ``350 slices``; '' where they looked at none."""
    found = [b["validation"] for b in by_seed(trace).values() if "validation" in b]
    return _units(record, [one for one in found if one.get("use") != REPORT])


def by_seed(trace: Sequence[TracedRun]) -> dict[int, dict[str, Any]]:
    """Seed → what its runs recorded when they began: ``pool``, ``budget``, ``patients``, ``fold`` …; {} of older ones."""
    return {t.run.seed: t.begun for t in reversed(trace) if t.begun}


def share(record: StudyRecord, trace: Sequence[TracedRun], units: float) -> str:
    """Units as a share of the pool, such as ``10 %``; '' where the study counts in numbers."""
    query = record.study.query
    pools = [begun["pool"] for begun in by_seed(trace).values() if begun.get("pool")]
    counted = all(not isinstance(v, str) for v in (query.initial, query.budget, query.total))
    if counted or not pools or record.what != record.study.data.unit:
        return ""
    return f"{100 * units * len(pools) / sum(pools):.3g} %"


def labelled_at_end(record: StudyRecord) -> str:
    """How many units are labelled in the last cycle, as a range where seeds differ."""
    query = record.study.query
    if isinstance(query.initial, int) and isinstance(query.budget, int) and query.total is None:
        return str(query.initial + (query.cycles - 1) * query.budget)
    return _range(r.labelled for r in record.results if r.cycle == query.cycles - 1)


def _budget(record: StudyRecord, trace: Sequence[TracedRun]) -> str:
    query, unit = record.study.query, record.study.data.unit
    known = [begun["budget"] for _, begun in sorted(by_seed(trace).items()) if "budget" in begun]
    initial = _amount(query.initial, [b["initial"] for b in known])
    each = _amount(query.budget if query.total is None else "an even share", [b["query"] for b in known])
    of = "" if record.what == unit else f" {plural(record.what)}"
    ending = "" if query.total is None else f", at most {_amount(query.total, [])} in all"
    return f"{initial} {unit}s at the start{_chosen(record)}, then {query.cycles - 1} × {each}{of}{ending}"


def _amount(written: int | str, numbers: Sequence[int]) -> str:
    """A number, with what was written where that is none."""
    if isinstance(written, int):
        return str(written)
    return f"{_range(numbers)} ({written})" if numbers else written


def _units(record: StudyRecord, looked: Sequence[dict[str, Any]]) -> str:
    return f"{_range(one['units'] for one in looked)} {plural(record.study.data.unit)}" if looked else ""


def _range(numbers: Iterable[int]) -> str:
    found = sorted(set(numbers))
    return "–".join(str(n) for n in dict.fromkeys((found[0], found[-1]))) if found else ""


def _chosen(record: StudyRecord) -> str:
    """How the first units were chosen, where that was not by chance."""
    start = record.study.query.start
    told = f"{start}, which uses ground truth" if uses_truth(start) else start
    return "" if record.canonical(start) == RANDOM else f" (chosen by {told})"


def _folds(trace: Sequence[TracedRun]) -> list[str]:
    """Which fold each seed had, and how many patients were on each side."""
    told = []
    for seed, begun in sorted(by_seed(trace).items()):
        fold, patients = begun.get("fold"), begun.get("patients", {})
        if fold:
            aside = f", {patients['val']} in validation" if patients.get("val") else ""
            told.append(
                f"seed {seed}: fold {fold['number']} of {fold['of']} with {patients['train']} patients in the pool{aside}, "
                f"{patients['test']} in the test"
            )
    return told
