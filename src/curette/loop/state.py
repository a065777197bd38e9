"""Where a run stands: derived from its events, never stored."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from curette.loop.ledger import Event
from curette.region import Region

Stage = Literal["query", "answer", "train", "measure", "finish"]
STAGES: tuple[Stage, ...] = ("query", "answer", "train", "measure")
"""The steps of a cycle, in order; after the last cycle comes ``finish``."""


@dataclass(frozen=True)
class State:
    """Where a run stands according to its events."""

    cycle: int
    stage: Stage | None
    picked: tuple[Region, ...] = ()
    pending: tuple[Region, ...] = ()
    labelled: tuple[Region, ...] = ()

    @classmethod
    def of(cls, events: Sequence[Event], cycles: int) -> State:
        """Derive the state; `stage` is the next step, None when the run is finished."""
        regions = {
            kind: [(e.cycle, e.region) for e in events if e.kind == kind] for kind in ("picked", "submitted")
        }
        picked = [Region.parse(r) for _, r in regions["picked"] if r]
        labelled = sorted(Region.parse(r) for _, r in regions["submitted"] if r)
        given = set(labelled)
        pending = [r for r in picked if r not in given]
        seen = Counter((e.kind, e.cycle) for e in events)
        cycle = max((e.cycle for e in events if e.kind == "queried"), default=-1)
        stage: Stage | None
        if seen["finished", cycle]:
            stage = None
        elif cycle < 0:
            cycle, stage = 0, "query"
        elif pending:
            stage = "answer"
        elif not seen["trained", cycle]:
            stage = "train"
        elif not seen["measured", cycle]:
            stage = "measure"
        elif cycle + 1 >= cycles:
            stage = "finish"
        else:
            cycle, stage = cycle + 1, "query"
        return cls(cycle, stage, tuple(picked), tuple(pending), tuple(labelled))

    @property
    def done(self) -> int:
        """Steps behind this run, of `steps(cycles)`."""
        if self.stage is None:
            return steps(self.cycle + 1)
        order = (*STAGES, "finish")
        return len(STAGES) * self.cycle + order.index(self.stage)


def steps(cycles: int) -> int:
    """Number of steps of a run of so many cycles."""
    return len(STAGES) * cycles + 1
