"""What the runs of a study share, what they report, and what is checked before they start."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field

import curette.loop.trigger  # noqa: F401  (registers `after_training`)
from curette.errors import SettingError
from curette.learn.evaluate import Measurement
from curette.learn.learner import Learner, Model
from curette.loop.ledger import Event, Ledger, Run
from curette.loop.models import Models
from curette.loop.oracle import Oracle
from curette.loop.state import Stage
from curette.query.strategy import Strategy
from curette.recipe import Query
from curette.region import Region
from curette.registry import Bound, bind
from curette.task import Task


@dataclass(frozen=True)
class Picked:
    """What a query picked, for whoever wants to look: regions in pick order with their scores, and the model asked."""

    run: Run
    strategy: Strategy
    cycle: int
    regions: Sequence[Region]
    scores: Sequence[float | None]
    model: Model


@dataclass(frozen=True)
class Setup:
    """What all runs of a study share.

    recipe    hash of the settings that decide results (`Study.digest`)
    pool      the regions that can be picked, in region order
    patient   case id → a number for its patient
    members   networks trained in cycle 0, whose model all strategies of a seed share: the most any of them needs
    finetune  go on from the model of the cycle before instead of starting anew
    data      hash of the prepared data, for the record
    test      the cases models are measured on
    on_pick   called after each query, just before its picks are recorded
    """

    ledger: Ledger
    learner: Learner
    oracle: Oracle
    models: Models
    recipe: str
    task: Task
    pool: Sequence[Region]
    patient: Mapping[str, int]
    query: Query
    evaluate: Callable[[Model], list[Measurement]]
    members: int = 1
    finetune: bool = False
    data: str = ""
    test: Sequence[str] = ()
    trigger: Bound = field(default_factory=lambda: bind("trigger", "after_training"))
    on_pick: Callable[[Picked], None] | None = None


@dataclass(frozen=True)
class Step:
    """What was done: a stage of a cycle of a run. `reused`: another run had done the work; `waiting`: people must act."""

    run: Run
    cycle: int
    stage: Stage
    seconds: float = 0.0
    reused: bool = False
    waiting: bool = False


def check_budget(query: Query, pool: int) -> None:
    """Raise `SettingError` when a run would ask for more units than the pool has."""
    wanted = query.initial + (query.cycles - 1) * query.budget
    if wanted > pool:
        raise SettingError(
            f"query.budget: {query.initial} initial units and {query.cycles - 1} queries of {query.budget} make "
            f"{wanted}, but the pool has {pool}. Lower query.budget, query.cycles or query.initial, or put more "
            "patients into split.train."
        )


def check_data(opened: Iterable[Event], pool: Sequence[Region], test: Sequence[str]) -> None:
    """Raise `SettingError` when runs were opened with another pool or other test cases; `opened` are those events."""
    for event in opened:
        if event.data["regions"] != digest(pool):
            raise SettingError(
                f"The pool had {event.data['pool']} units when the study started; now it has {len(pool)}, or others. "
                "Bring the data and splits.json back as they were, or use a new folder."
            )
        if event.data["test"] != digest(test):
            raise SettingError(
                "The test cases are not those the study started with. Bring the data and splits.json back as they "
                "were, or use a new folder."
            )


def digest(items: Sequence[Region] | Sequence[str]) -> str:
    """Hash of a list of regions or cases, in their order."""
    return hashlib.sha256("\n".join(map(str, items)).encode()).hexdigest()[:16]
