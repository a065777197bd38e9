"""The tables of a study folder, written from the ledger: the same runs give the same bytes, whatever order they ran in."""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from curette.errors import SettingError
from curette.files import replacing
from curette.loop.ledger import Event, Ledger

RESULTS = ("strategy", "seed", "cycle", "labelled", "metric", "class", "value")
PICKS = ("strategy", "seed", "cycle", "rank", "region", "score")
FORESEEN = ("strategy", "seed", "cycle", "region", "class", "predicted", "real")
PSEUDO_LABELS = ("strategy", "seed", "cycle", "units", "voxels")
TIMINGS = ("strategy", "seed", "cycle", "stage", "seconds", "peak_mb")


def write_tables(ledger: Ledger, folder: Path) -> None:
    """Write ``results.csv``, ``picks.csv`` and ``timings.csv``, each replaced in one step.

    Rows are sorted by strategy, seed and cycle; then metric and class, rank, or stage. The score of a pick that
    nothing was measured for is empty. `timings.csv` has a row for work that was done: what a run took over from another
    (the start all strategies of a seed share) is timed once, with the run that did it.

    What companions say of test units stands beside what is true in a table with the name of their output,
    ``predicted_accuracy.csv`` or ``predicted_loss.csv``, where there is any; ``pseudo_labels.csv`` counts what trainings
    were taught besides labels, where a strategy has a teacher.
    """
    names = {run.id: (run.name, run.seed) for run in ledger.runs()}
    trainings = ledger.events(None, "trained")
    trained = {(e.run, e.cycle): e.data["labelled"] for e in trainings}
    results: list[tuple[Any, ...]] = [
        (*names[e.run], e.cycle, trained[e.run, e.cycle], metric, cls, math.nan if value is None else value)
        for e in ledger.events(None, "measured")
        for metric, cls, value in e.data["values"]
    ]
    picks: list[tuple[Any, ...]] = [
        (*names[e.run], e.cycle, e.rank, e.region, e.score) for e in ledger.events(None, "picked")
    ]
    timings: list[tuple[Any, ...]] = [
        (*names[e.run], e.cycle, *timing)
        for e in ledger.events(None, "queried", "trained", "measured")
        for timing in _timings(e)
    ]
    results.sort(key=lambda row: (*row[:3], *row[4:6]))
    picks.sort(key=lambda row: row[:4])
    timings.sort(key=lambda row: row[:4])
    write_csv(folder / "results.csv", RESULTS, results)
    write_csv(folder / "picks.csv", PICKS, picks)
    write_csv(folder / "timings.csv", TIMINGS, timings)
    if found := sorted((*names[e.run], e.cycle, *_pseudo(e)) for e in trainings if e.data.get("taught")):
        write_csv(folder / "pseudo_labels.csv", PSEUDO_LABELS, found)
    for output, rows in _foreseen(ledger, names).items():
        rows.sort(key=lambda row: row[:5])
        write_csv(folder / f"{output}.csv", FORESEEN, rows)


def _foreseen(ledger: Ledger, names: dict[int, tuple[str, int]]) -> dict[str, list[tuple[Any, ...]]]:
    found: dict[str, list[tuple[Any, ...]]] = {}
    for e in ledger.events(None, "measured"):
        for output, rows in e.data.get("foreseen", {}).items():
            found.setdefault(output, []).extend((*names[e.run], e.cycle, *row) for row in rows)
    return found


def _pseudo(event: Event) -> tuple[int, int]:
    return event.data["taught"]["units"], event.data["taught"]["voxels"]


def _timings(event: Event) -> Iterable[tuple[Any, ...]]:
    for stage, seconds, peak_mb in event.data.get("timings", ()):
        yield stage, round(seconds, 4), round(peak_mb, 1)


def write_csv(path: Path, header: Sequence[str], rows: Iterable[Sequence[Any]]) -> None:
    """Write a table, floats to the last digit, None as nothing."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(header)
    writer.writerows([repr(v) if isinstance(v, float) else v for v in row] for row in rows)
    write_text(path, text.getvalue())


def write_text(path: Path, text: str) -> None:
    """Replace a file in one step. Raises `SettingError` when it cannot be written."""
    try:
        with replacing(path) as draft:
            draft.write_text(text, encoding="utf-8", newline="")
    except OSError as problem:
        raise SettingError(
            f"{path} cannot be written: {problem.strerror}. Free the disk, or write to another folder (--out)."
        ) from None
