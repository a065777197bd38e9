"""The first units of a run, chosen without model and labels: the same for every strategy of a seed."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from curette.loop.ledger import Event, Ledger, Run
from curette.loop.shared import Setup
from curette.query.candidates import Labelled
from curette.query.scoring import rescored
from curette.query.select import select
from curette.query.sweep import sweep
from curette.region import Region
from curette.seeds import derive, spawn


def first_units(setup: Setup, seed: int) -> list[tuple[Region, float | None]]:
    """The picks of cycle 0 with their scores, in pick order.

    Without `Setup.start` they are the head of a permutation of the pool, as they have always been.
    """
    pool, start, count = setup.pool, setup.start, setup.budget.initial
    rng = spawn(seed, 0, "initial")
    if start is None:
        return [(pool[i], None) for i in rng.permutation(len(pool))[:count]]
    candidates = sweep(
        setup.learner,
        None,
        pool,
        [start],
        seed=derive(seed, 0, "sweep"),
        patient=setup.patient,
        task=setup.task,
        encode=setup.features.of(seed),
        occasion=setup.occasion(0),
    )[start]
    candidates = setup.shown(start, candidates)
    nothing = Labelled((), np.empty(0, np.int32), labels={})
    candidates = rescored(start.scorer, candidates, rng, nothing)
    chosen = select(start, candidates, count, rng, nothing)
    scored = start.scorer.name != "none"
    return [(candidates.regions[i], float(candidates.score[i]) if scored else None) for i in chosen]


def recorded_first(ledger: Ledger, run: Run) -> list[Event]:
    """The query of cycle 0 that an earlier run of the same seed and settings recorded, as this run's; [] without one.

    Taken over rather than made again: a network that is trained with another number of threads may end in another last
    digit, and curves of a seed must begin at one point.
    """
    for other in ledger.runs():
        if (other.seed, other.recipe) == (run.seed, run.recipe) and other.id != run.id:
            events = [e for e in ledger.events(other.id, "queried", "picked") if e.cycle == 0]
            if events:
                return [replace(e, run=run.id, data=_taken_over(e)) for e in events]
    return []


def _taken_over(event: Event) -> dict[str, object]:
    if event.kind != "queried":
        return event.data
    kept = {name: value for name, value in event.data.items() if name != "timings"}
    return {"reused": event.run} | kept
