"""One run of one strategy with one seed, a durable step at a time.

Cycle c is four steps: *query* (the picks: for c = 0 by chance or by the study's start, the same for every strategy of a
seed; else with the model of cycle c - 1), *answer* (the oracle labels them), *train*, *measure*. After the last cycle
comes *finish*. Which step is next follows from the ledger alone, and a step's outcome from the study, the seed and the
ledger; so a run that is killed anywhere goes on where it was and ends the same.

A strategy may pick parts of units. The pool is still swept unit by unit, those labelled as a whole excepted; what is
labelled of a unit is put together for training, and unknown elsewhere. The first cycle picks whole units unless the study's
start says otherwise.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

import numpy as np

from curette.errors import ContractError, CuretteWarning
from curette.learn.encoders import encodes
from curette.learn.learner import Assignment, Labels, Model
from curette.learn.progress import Progress
from curette.loop.clock import Timing, timed
from curette.loop.first import first_units, recorded_first
from curette.loop.ledger import Event
from curette.loop.merge import whole_units
from curette.loop.models import model_id
from curette.loop.resumed import check_resumed
from curette.loop.shared import Picked, Setup, Step, check_budget, digest, of_whole_units
from curette.loop.state import State
from curette.query.candidates import Candidates, Labelled
from curette.query.scoring import rescored
from curette.query.select import select
from curette.query.strategy import Strategy
from curette.query.sweep import recall, sweep
from curette.query.teachers import counted, taught
from curette.region import Region
from curette.registry import Bound
from curette.seeds import derive, spawn


class Experiment:
    """A run: one strategy, one seed. `advance` until it returns None.

    Raises `SettingError` when the run was recorded with other settings or another pool.
    """

    def __init__(self, setup: Setup, strategy: Strategy, seed: int) -> None:
        check_budget(of_whole_units(setup.budget, strategy, setup.start), len(setup.pool))
        if strategy.cuts and not setup.size and not setup.shapes:
            raise ContractError(
                f"'{strategy.granularity}' picks parts of units, so Setup.size must be given."
            )
        self.setup, self.strategy, self.seed = setup, strategy, seed
        self._trusted: dict[str, int] = {}  # of the last training, what it was taught besides labels
        self.run = setup.ledger.open_run(str(strategy), strategy.name, seed, setup.recipe)
        check_resumed(setup, self.run, strategy)

    def state(self) -> State:
        """Where the run stands, read from the ledger."""
        return State.of(self.setup.ledger.events(self.run.id), self.setup.query.cycles)

    def advance(self) -> Step | None:
        """Do one durable step and say what it was; None when the run is finished.

        If another process has recorded the same step meanwhile, its record stands.
        """
        state = self.state()
        match state.stage:
            case None:
                return None
            case "query" if state.cycle == 0:
                return self._initial()
            case "query":
                return query_together([self])[0]
            case "answer":
                return self._answer(state)
            case "train":
                return self._train(state)
            case "measure":
                return self._measure(state)
            case "finish":
                return self._finish(state.cycle, "all cycles done")

    # Steps -----------------------------------------------------------------------------------------------------------

    def _initial(self) -> Step:
        setup, pool = self.setup, self.setup.pool
        opened: dict[str, Any] = {
            "pool": len(pool),
            "regions": digest(pool),
            "data": setup.data,
            "test": digest(setup.test),
        }
        opened["strategy"] = self.strategy.spelt_out
        opened |= {"budget": asdict(setup.budget), **setup.begun}
        queried = recorded_first(setup.ledger, self.run) if setup.start else []
        reused, timing = bool(queried), Timing("start")
        if not reused:
            with timed("start") as timing:
                picks = first_units(setup, self.seed)
            queried = self._picks(0, picks, [timing] if setup.start else [])
        self._record(self._event(0, "opened", data=opened), *queried)
        return Step(self.run, 0, "query", timing.seconds, reused)

    def _answer(self, state: State) -> Step:
        oracle = self.setup.oracle
        labels = oracle.answer(state.pending)
        if labels is None:
            return Step(self.run, state.cycle, "answer", waiting=True)
        costs = {region: oracle.cost(region, labels[region]) for region in state.pending}
        self._record(
            *(
                self._event(
                    state.cycle,
                    "submitted",
                    region=str(region),
                    cost=cost.units,
                    who=oracle.who,
                    data={"voxels": cost.voxels, "foreground": cost.foreground},
                )
                for region, cost in costs.items()
            )
        )
        return Step(self.run, state.cycle, "answer")

    def _train(self, state: State) -> Step:
        setup, name = self.setup, self.model_name(state.cycle)
        known = setup.ledger.first("trained", name)
        timing = Timing("train")
        if known is None:
            with timed("train") as timing:
                setup.models.keep(name, self._fit(state.cycle))
        data: dict[str, Any] = {"labelled": len(state.labelled), "members": self._members(state.cycle)}
        # A learner need not keep such a record.
        made = known.data.get("training") if known else getattr(self._model(state.cycle), "record", None)
        if made:
            data["training"] = dict(made)
        if self.strategy.teacher is not None and state.cycle > 0:
            data["taught"] = known.data.get("taught") if known else self._trusted
        self._record(
            self._event(state.cycle, "trained", model=name, data=data | _account(known, timing)),
        )
        if state.cycle > 0:
            setup.models.drop(self.model_name(state.cycle - 1), setup.ledger)
        return Step(self.run, state.cycle, "train", timing.seconds, known is not None)

    def _measure(self, state: State) -> Step:
        setup, name = self.setup, self.model_name(state.cycle)
        known = setup.ledger.first("measured", name)
        timing = Timing("measure")
        if known is None:
            model = self._model(state.cycle)
            with timed("measure") as timing:
                values = [[m.metric, m.cls, _plain(m.value)] for m in setup.evaluate(model)]
            foreseen = setup.foresee(model, self.strategy) if setup.foresee else {}
        else:
            values, foreseen = known.data["values"], known.data.get("foreseen", {})
        data = {"values": values} | ({"foreseen": foreseen} if foreseen else {}) | _account(known, timing)
        self._record(self._event(state.cycle, "measured", model=name, data=data))
        return Step(self.run, state.cycle, "measure", timing.seconds, known is not None)

    def _finish(self, cycle: int, why: str) -> Step:
        self._record(self._event(cycle, "finished", data={"why": why}))
        return Step(self.run, cycle, "finish")

    # Models ----------------------------------------------------------------------------------------------------------

    def model_name(self, cycle: int) -> str:
        """Id of this run's model of a cycle whose picks are all labelled: the recorded one, or what it will be."""
        trained = self._trained(cycle)
        if trained is not None:
            return str(trained.model)
        start = self.model_name(cycle - 1) if self.setup.finetune and cycle > 0 else None
        more = [companion.spelt_out for companion in self.strategy.companions]
        if (trigger := self._trigger(cycle)) is not None:
            more.append(trigger.spelt_out)
        if self.strategy.teacher is not None and cycle > 0:
            more += [self.strategy.teacher.spelt_out, self.model_name(cycle - 1)]
        labelled = self._labelled(cycle)
        return model_id(self.setup.recipe, self.seed, cycle, self._members(cycle), labelled, start, more)

    def _trigger(self, cycle: int) -> Bound | None:
        """What ends the training of a cycle when the next query is due; None for a training that runs to its end."""
        trigger = self.strategy.trigger or self.setup.trigger
        if cycle == self.setup.query.cycles - 1 or not trigger.says("epochs"):
            return None
        return trigger

    def _members(self, cycle: int) -> int:
        """Networks of the model of a cycle: the study's in cycle 0, and none to spare where no query follows."""
        trained = self._trained(cycle)
        if trained is not None:
            return int(trained.data["members"])
        if cycle == self.setup.query.cycles - 1:
            return 1
        return max(1, self.setup.members if cycle == 0 else self.strategy.members)

    def _trained(self, cycle: int) -> Event | None:
        return next((e for e in self.setup.ledger.events(self.run.id, "trained") if e.cycle == cycle), None)

    def _labelled(self, cycle: int) -> list[Region]:
        """What the model of a cycle is trained on, in region order."""
        picked = self.setup.ledger.events(self.run.id, "picked")
        return sorted(Region.parse(e.region) for e in picked if e.region and e.cycle <= cycle)

    def _fit(self, cycle: int) -> Model:
        start = self._model(cycle - 1) if self.setup.finetune and cycle > 0 else None
        labels: Labels | None = self.setup.oracle.answer(self._labelled(cycle))
        assert labels is not None  # every one of them was submitted
        labels = whole_units(labels, self.setup.shape, self.setup.task.ignore)
        validation = self.setup.validation
        assignment = Assignment(
            companions=self.strategy.companions,
            trigger=self._trigger(cycle),
            cycle=cycle,
            validation=validation() if validation else {},
            taught=self._taught(cycle, frozenset(labels)),
        )
        seed = derive(self.seed, cycle, "train")
        return self.setup.learner.fit(
            labels, seed=seed, members=self._members(cycle), start=start, assignment=assignment
        )

    def _taught(self, cycle: int, labelled: frozenset[Region]) -> Labels:
        """What the model of the cycle before says of units of which nothing is labelled, as far as the teacher trusts it."""
        teacher = self.strategy.teacher
        if teacher is None or cycle == 0:
            return {}
        setup = self.setup
        found = taught(
            teacher,
            setup.learner,
            self._model(cycle - 1),
            [unit for unit in setup.pool if unit not in labelled],
            cycle=cycle,
            ignore=setup.task.ignore,
            seed=derive(self.seed, cycle, "teach"),
        )
        self._trusted = counted(found, setup.task.ignore)
        return found

    def _model(self, cycle: int) -> Model:
        return self.setup.models.get(self.model_name(cycle), lambda: self._fit(cycle))

    # Record ----------------------------------------------------------------------------------------------------------

    def _event(self, cycle: int, kind: str, **columns: Any) -> Event:
        return Event(self.run.id, cycle, kind, **columns)

    def _record(self, *events: Event) -> bool:
        return self.setup.ledger.record(events)

    def _picks(
        self, cycle: int, picks: Sequence[tuple[Region, float | None]], timings: Sequence[Timing]
    ) -> list[Event]:
        """The events of a query: its marker and one event a pick."""
        model = self.model_name(cycle - 1) if cycle > 0 else None
        data: dict[str, Any] = {"count": len(picks), "timings": [_timing(t) for t in timings]}
        asked = self._asked(cycle)
        if asked and cycle == 0:
            data["start"] = str(asked)
        if asked and encodes(asked.passes):
            data["features"] = self._features(asked)
        rows = [
            self._event(cycle, "picked", region=str(region), rank=rank, score=score, model=model)
            for rank, (region, score) in enumerate(picks)
        ]
        return [self._event(cycle, "queried", model=model, data=data), *rows]

    def _select(
        self, candidates: Candidates, labelled: Sequence[Region], model: Model, cycle: int
    ) -> list[tuple[Region, float | None]]:
        """The picks with their scores, in pick order."""
        setup = self.setup
        seed = derive(self.seed, cycle, "sweep")
        features, columns = recall(
            setup.learner, model, labelled, self.strategy, seed=seed, encode=setup.features.of(self.seed)
        )
        patient = np.array([setup.patient[r.case] for r in labelled], np.int32)
        rng = spawn(self.seed, cycle, str(self.strategy))
        known = Labelled(
            labelled, patient, features, columns, setup.oracle.answer(labelled), cycle, setup.query.cycles
        )
        candidates = setup.shown(self.strategy, candidates)
        candidates = rescored(self.strategy.scorer, candidates, rng, known)
        chosen = select(self.strategy, candidates, setup.budget.query, rng, known)
        if self.strategy.scorer.name == "none":
            return [(candidates.regions[i], None) for i in chosen]
        return [(candidates.regions[i], _plain(float(candidates.score[i]))) for i in chosen]

    def _asked(self, cycle: int) -> Strategy | None:
        """What makes the picks of a cycle; None for chance in cycle 0."""
        return self.strategy if cycle > 0 else self.setup.start

    def _features(self, strategy: Strategy) -> str:
        """Id of the features a strategy looks at whose passes are an encoder."""
        return self.setup.features.name(strategy.passes, self.seed)


def advance_together(group: Sequence[Experiment]) -> list[Step]:
    """Do one step for runs that may share work: empty when all are finished.

    Runs that are not at a query go first, one at a time. Then all queries that ask the same model are one step: one sweep
    over the pool serves every strategy, and the picks of all are recorded in one transaction.
    """
    states = [(run, state) for run in group if (state := run.state()).stage is not None]
    for run, state in states:
        if state.stage != "query" or state.cycle == 0:
            step = run.advance()
            return [step] if step else []
    if not states:
        return []
    asked = {run: run.model_name(state.cycle - 1) for run, state in states}
    lead = asked[states[0][0]]
    return query_together([run for run, _ in states if asked[run] == lead])


def query_together(group: Sequence[Experiment]) -> list[Step]:
    """The query step of runs that ask the same model: one sweep, then each strategy's own selection."""
    lead = group[0]
    setup, state = lead.setup, lead.state()
    cycle = state.cycle
    progress = Progress(cycle, len(state.picked), len(state.labelled), len(lead._labelled(cycle - 1)))
    if not all((run.strategy.trigger or setup.trigger)(progress) for run in group):
        return [Step(run.run, cycle, "query", waiting=True) for run in group]
    labelled = set(state.labelled)
    pool = [region for region in setup.pool if region not in labelled]
    if not pool and setup.budget.query > 0:
        warnings.warn(
            f"Seed {lead.seed}: nothing is left in the pool after {len(labelled)} units, so the runs end at cycle "
            f"{cycle - 1}.",
            CuretteWarning,
            stacklevel=2,
        )
        return [run._finish(cycle - 1, "pool exhausted") for run in group]
    model = lead._model(cycle - 1)
    with timed("sweep" if len(group) == 1 else "shared_sweep") as shared:
        found = sweep(
            setup.learner,
            model,
            pool,
            [run.strategy for run in group],
            seed=derive(lead.seed, cycle, "sweep"),
            patient=setup.patient,
            task=setup.task,
            taken=frozenset(region for region in labelled if region.box),
            encode=setup.features.of(lead.seed),
            occasion=setup.occasion(cycle),
        )
    events: list[Event] = []
    done: list[Step] = []
    for run in group:
        with timed("select") as own:
            candidates = found[run.strategy]
            picks = run._select(candidates, state.labelled, model, cycle)
        if len(picks) < setup.budget.query and run.strategy.cuts:
            _warn_of_few(run, len(picks), cycle)
            if not picks:
                done.append(run._finish(cycle - 1, "pool exhausted"))
                continue
        if setup.on_pick and picks:
            regions, scores = zip(*picks, strict=True)
            setup.on_pick(Picked(run.run, run.strategy, cycle, regions, scores, model))
        events += run._picks(cycle, picks, [shared, own] if run is lead else [own])
        seconds = own.seconds + shared.seconds / len(group)
        done.append(Step(run.run, cycle, "query", seconds, reused=run is not lead))
    setup.ledger.record(events)
    return done


def _warn_of_few(run: Experiment, found: int, cycle: int) -> None:
    ending = "" if found else f" The run ends at cycle {cycle - 1}."
    warnings.warn(
        f"'{run.strategy.name}', seed {run.seed}: cycle {cycle} picks only {found} of {run.setup.budget.query} patches, as "
        f"all others would cover too much of what is labelled.{ending}",
        CuretteWarning,
        stacklevel=3,
    )


def _plain(value: float) -> float | None:
    """A number as the ledger keeps it: what is not a number is None."""
    return None if math.isnan(value) else value


def _timing(timing: Timing) -> list[Any]:
    return [timing.stage, timing.seconds, timing.peak_mb]


def _account(known: Event | None, timing: Timing) -> dict[str, Any]:
    """What a step took, or whose work it took over; work done once is timed once."""
    return {"timings": [_timing(timing)]} if known is None else {"reused": known.run}
