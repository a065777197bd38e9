"""Where the numbers of a study come from: what its ledger knows of recipes, code, models and annotation cost."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate
from pathlib import Path
from typing import Any

from curette.loop.ledger import Event, Ledger, Run


@dataclass(frozen=True)
class TracedRun:
    """One run in the ledger.

    prepared    hash of the prepared data; "" when not recorded
    pool        units that could be picked, or None
    begun       what else was recorded when it was opened: its budget in numbers, its patients, its fold
    models      cycle → id of the model trained in it
    foreground  cycle → labelled foreground voxels so far; empty in classification
    """

    run: Run
    prepared: str
    pool: int | None
    begun: dict[str, Any]
    models: dict[int, str]
    foreground: dict[int, int]


def read_trace(folder: Path) -> tuple[TracedRun, ...]:
    """The runs in ``ledger.db``, () when there is none. Raises `DataError` when the file is no ledger."""
    path = folder / "ledger.db"
    if not path.is_file():
        return ()
    ledger = Ledger(path, create=False)
    try:
        kinds = ("opened", "trained", "submitted")
        return tuple(_traced(run, ledger.events(run.id, *kinds)) for run in ledger.runs())
    finally:
        ledger.close()


def _traced(run: Run, events: Sequence[Event]) -> TracedRun:
    opened = next((e.data for e in events if e.kind == "opened"), {})
    voxels: dict[int, int] = {}
    for event in events:
        if event.kind == "submitted":
            voxels[event.cycle] = voxels.get(event.cycle, 0) + int(event.data.get("foreground", 0))
    cycles = sorted(voxels)
    cumulative = dict(zip(cycles, accumulate(voxels[c] for c in cycles), strict=True))
    return TracedRun(
        run=run,
        prepared=str(opened.get("data", "")),
        pool=opened.get("pool"),
        begun=opened,
        models={e.cycle: e.model for e in events if e.kind == "trained" and e.model},
        foreground=cumulative if any(cumulative.values()) else {},
    )
