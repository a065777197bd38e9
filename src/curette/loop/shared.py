"""What the runs of a study share, what they report, and what is checked before they start."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from curette.errors import SettingError
from curette.learn.evaluate import Measurement
from curette.learn.learner import Images, Labels, Learner, Model
from curette.loop.budget import Budget, budget_of
from curette.loop.features import PoolFeatures
from curette.loop.ledger import Event, Ledger, Run
from curette.loop.models import Models
from curette.loop.oracle import Oracle
from curette.loop.state import Stage
from curette.query.candidates import Candidates
from curette.query.occasion import Occasion
from curette.query.strategy import Strategy
from curette.query.truth import grouped, revealed
from curette.recipe import Query
from curette.region import Box, Region
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
    start     what chooses the units of cycle 0; None: chance alone
    size      shape [*S] of a unit; needed where parts of units are picked
    shapes    unit → its shape [*S], where units differ in size
    extent    unit → the part of it that shows an image; None: all of every unit
    images    the images of the pool, for parts of strategies that look at them without a model
    spacing   unit → distance between its pixels along each axis, in mm; None: the same along all
    trigger   when the next query is due, for strategies that do not say so themselves
    validation  gives labels that trainings may be watched by, and never learn from; None: there are none
    foresee   what a strategy's companions say of test units and what is true, by output, for the record of a measurement
    on_pick   called after each query, just before its picks are recorded
    begun     what else is recorded when a run is opened, e.g. its fold
    group     case id → number of the hospital, scanner or source it came from; empty where the data set tells none
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
    start: Strategy | None = None
    size: tuple[int, ...] = ()
    shapes: Callable[[Region], tuple[int, ...]] | None = None
    extent: Callable[[Region], Box] | None = None
    images: Images | None = None
    spacing: Callable[[Region], tuple[float, ...]] | None = None
    trigger: Bound = field(default_factory=lambda: bind("trigger", "after_training"))
    validation: Callable[[], Labels] | None = None
    foresee: Callable[[Model, Strategy], dict[str, Any]] | None = None
    on_pick: Callable[[Picked], None] | None = None
    begun: Mapping[str, Any] = field(default_factory=dict)
    group: Mapping[str, int] = field(default_factory=dict)

    @cached_property
    def features(self) -> PoolFeatures:
        """Features of the pool by passes that need no model."""
        return PoolFeatures(self.learner, self.pool, self.models.folder, f"{self.recipe} {self.data}")

    @cached_property
    def budget(self) -> Budget:
        """What a run labels, in numbers."""
        return budget_of(self.query, len(self.pool))

    def shape(self, unit: Region) -> tuple[int, ...]:
        """Shape [*S] of a unit."""
        return self.shapes(unit) if self.shapes is not None else self.size

    def occasion(self, cycle: int) -> Occasion:
        """What a strategy may know of the query of a cycle."""
        budget = self.budget.query if cycle > 0 else self.budget.initial
        return Occasion(
            cycle=cycle,
            cycles=self.query.cycles,
            budget=budget,
            size=self.size,
            shapes=self.shapes,
            extent=self.extent,
            image=None if self.images is None else self._image,
            spacing=self.spacing,
            ignore=self.task.ignore,
            truth=self._truth,
        )

    def shown(self, strategy: Strategy, candidates: Candidates) -> Candidates:
        """The candidates with what the strategy is marked as looking at besides predictions: ground truth, groups.

        Raises `SettingError` for one that looks at ground truth where people answer.
        """
        if strategy.truth:
            candidates = revealed(candidates, self.oracle.answer(candidates.regions), self.task)
        return grouped(candidates, self.group) if strategy.grouped else candidates

    def _image(self, unit: Region) -> NDArray[np.float32]:
        assert self.images is not None
        image: NDArray[np.float32] = self.images.batch([unit])[0][0]
        return image

    def _truth(self, unit: Region) -> NDArray[Any]:
        labels = self.oracle.answer([unit])
        if labels is None:
            raise SettingError(
                "a strategy that looks at ground truth works in simulations only, where the oracle knows all labels."
            )
        return labels[unit]


@dataclass(frozen=True)
class Step:
    """What was done: a stage of a cycle of a run. `reused`: another run had done the work; `waiting`: people must act."""

    run: Run
    cycle: int
    stage: Stage
    seconds: float = 0.0
    reused: bool = False
    waiting: bool = False


def of_whole_units(budget: Budget, strategy: Strategy, start: Strategy | None = None) -> Budget:
    """The budget as far as it takes units out of the pool: parts of a unit leave the rest of it there."""
    changes: dict[str, int] = {"query": 0} if strategy.cuts else {}
    if start is not None and start.cuts:
        changes["initial"] = 0
    return replace(budget, **changes)


def check_budget(budget: Budget, pool: int) -> None:
    """Raise `SettingError` when a run would ask for more units than the pool has."""
    if budget.total > pool:
        raise SettingError(
            f"query.budget: {budget.initial} initial units and {budget.cycles - 1} queries of {budget.query} make "
            f"{budget.total}, but the pool has {pool}. Lower query.budget, query.cycles or query.initial, or put more "
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
