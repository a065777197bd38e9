"""The work of a study cut into jobs, and the bench on which a process does them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property, partial
from pathlib import Path
from typing import Any, cast

from curette.bench.folder import StudyFolder
from curette.bench.foresight import foresee
from curette.bench.pictures import keep_pictures
from curette.bench.protocol import REPORT
from curette.bench.sides import Sides, divided, groups_of
from curette.bench.wording import VALIDATION
from curette.data.folds import Folds
from curette.data.prepared import Prepared
from curette.learn.evaluate import Measurement, evaluate
from curette.learn.learner import Learner
from curette.loop.experiment import Experiment, advance_together
from curette.loop.models import Models
from curette.loop.oracle import SimulatedOracle
from curette.loop.shared import Setup, Step
from curette.query.start import start_strategy
from curette.query.strategy import Strategy
from curette.recipe import Study
from curette.text import read

MakeLearner = Callable[[Study, Prepared], Learner]
Report = Callable[[Step], None]


@dataclass(frozen=True)
class Job:
    """Runs one process takes forward.

    A `start` takes the runs of a seed to the picks after the first training, all together. `after` is the key of the
    job that must be over before; should it have failed, each strategy makes the start by itself.
    """

    key: str
    seed: int
    strategies: tuple[Strategy, ...]
    start: bool
    after: str | None = None


def plan(strategies: Sequence[Strategy], seeds: Sequence[int]) -> list[Job]:
    """Two kinds of jobs a seed: the start, where all strategies share training and sweep; then each strategy alone."""
    jobs = []
    for seed in seeds:
        start = Job(f"the start of seed {seed}", seed, tuple(strategies), True)
        jobs.append(start)
        jobs += [Job(f"'{s.name}' with seed {seed}", seed, (s,), False, start.key) for s in strategies]
    return jobs


def torch_learner(study: Study, prepared: Prepared) -> Learner:
    """The learner of a study, on PyTorch."""
    from curette.learn.torch_learner import TorchLearner

    learner: Any = TorchLearner(
        prepared.unit_task, prepared, study.train, channels=prepared.channels, batch=study.query.batch
    )
    return cast(Learner, learner)  # it takes its own models only, and is never given others


def watches(study: Study, strategies: Sequence[Strategy]) -> bool:
    """Whether trainings look at the labels of validation patients: every so often, or for a trigger that asks for it."""
    default = read("trigger", study.query.trigger)
    triggers = [strategy.trigger or default for strategy in strategies]
    return bool(study.train.validate_every) or any(trigger.says("validates") for trigger in triggers)


def looks(study: Study, strategies: Sequence[Strategy]) -> bool:
    """Whether labels of validation patients are looked at: by trainings, or only to measure on them as well."""
    return study.measure_val or watches(study, strategies)


@dataclass(frozen=True)
class Materials:
    """All a process needs for a study's jobs; small, and can be sent to another process."""

    folder: Path
    study: Study
    strategies: tuple[Strategy, ...]
    prepared: Prepared
    folds: Folds
    make_learner: MakeLearner = torch_learner

    @cached_property
    def _sides(self) -> dict[int, Sides]:
        return {}

    def sides(self, seed: int) -> Sides:
        """Who is in the pool, in validation and in the test of the runs of a seed.

        Raises `DataError` when nobody with a label is in the pool or in the test.
        """
        number = self.folds.number(seed)
        if number not in self._sides:
            which = f", fold {number + 1}," if len(self.folds) > 1 else ""
            source = f"'{self.study.data.dataset}'{which}"
            self._sides[number] = divided(self.prepared, self.folds.splits[number], source)
        return self._sides[number]

    def one_a_fold(self) -> list[int]:
        """One seed of each fold that the study's seeds use; all that can differ between seeds differs between these."""
        return list({self.folds.number(seed): seed for seed in reversed(self.study.seeds)}.values())[::-1]

    def begun(self, seed: int) -> dict[str, Any]:
        """What the ledger keeps of the sides of a seed: number of patients on each, which of how many folds it is, and how
        many labels of validation are looked at."""
        sides = self.sides(seed)
        found: dict[str, Any] = {"patients": sides.patients(self.prepared)}
        if len(self.folds) > 1:
            found["fold"] = {"number": self.folds.number(seed) + 1, "of": len(self.folds)}
        if looks(self.study, self.strategies):
            found["validation"] = sides.watched_by(self.prepared)
            if not watches(self.study, self.strategies):
                found["validation"]["use"] = REPORT
        return found

    def open(self) -> Bench:
        """Set up the bench in this process: ledger, learner, oracle."""
        return Bench(self)


class Bench:
    """Does the jobs of a study, one after the other, in one process."""

    def __init__(self, materials: Materials) -> None:
        self.materials = m = materials
        self.folder = StudyFolder(m.folder)
        self.learner = m.make_learner(m.study, m.prepared)
        self.ledger = self.folder.open_ledger()
        self.models = Models(self.folder.models, self.learner)
        self._setups: dict[int, Setup] = {}

    def setup(self, seed: int) -> Setup:
        """What the runs of a seed share; seeds that have the same fold share it too."""
        number = self.materials.folds.number(seed)
        if number not in self._setups:
            self._setups[number] = self._set_up(seed)
        return self._setups[number]

    def _set_up(self, seed: int) -> Setup:
        m, learner, sides = self.materials, self.learner, self.materials.sides(seed)
        patients = sorted({m.prepared.patient(r.case) for r in sides.pool})
        number = {patient: i for i, patient in enumerate(patients)}
        cases = sorted({r.case for r in sides.pool})
        return Setup(
            ledger=self.ledger,
            learner=learner,
            oracle=SimulatedOracle(m.prepared),
            models=self.models,
            recipe=next(iter(self.ledger.recipes())),
            task=m.prepared.task,
            pool=sides.pool,
            patient={case: number[m.prepared.patient(case)] for case in cases},
            group=groups_of(m.prepared, cases),
            query=m.study.query,
            evaluate=partial(self._measured, sides=sides),
            members=max(s.members for s in m.strategies),
            finetune=m.study.train.start != "scratch",
            trigger=read("trigger", m.study.query.trigger),
            data=m.prepared.digest,
            test=sides.test,
            start=start_strategy(m.study.query, m.study.data.unit),
            size=m.prepared.size,
            shapes=m.prepared.unit_shape,
            extent=m.prepared.extent,
            images=m.prepared,
            spacing=m.prepared.unit_spacing,
            foresee=lambda model, strategy: foresee(learner, model, m.prepared, sides.test, strategy),
            on_pick=partial(keep_pictures, m.folder, m.prepared, learner) if m.study.gallery else None,
            validation=partial(sides.validation_labels, m.prepared) if sides.validation else None,
            begun=m.begun(seed),
        )

    def _measured(self, model: Any, sides: Sides) -> list[Measurement]:
        """The metrics of a model on the test, and on validation where the study asks for that."""
        m, found = self.materials, list[Measurement]()
        for cases, suffix in ((sides.test, ""), (sides.validation, VALIDATION)):
            if suffix and not m.study.measure_val:
                continue
            measured = evaluate(self.learner, model, m.prepared, cases, metrics=m.study.metrics)
            found += [replace(one, metric=one.metric + suffix) for one in measured]
        return found

    def close(self) -> None:
        """Give the ledger's file back."""
        self.ledger.close()

    def experiments(self, job: Job) -> list[Experiment]:
        """The runs of a job, opened in the ledger if they are new."""
        return [Experiment(self.setup(job.seed), strategy, job.seed) for strategy in job.strategies]

    def do(self, job: Job, report: Report) -> None:
        """Take the runs of a job as far as it goes, calling `report` after each durable step."""
        runs = self.experiments(job)
        while group := [run for run in runs if not job.start or _starting(run)]:
            steps = advance_together(group)
            if not steps:
                return
            for step in steps:
                report(step)
            if all(step.waiting for step in steps):
                return


def _starting(run: Experiment) -> bool:
    """Whether a run has yet to be picked for after its first training."""
    state = run.state()
    return state.stage is not None and (state.cycle == 0 or (state.cycle == 1 and state.stage == "query"))
