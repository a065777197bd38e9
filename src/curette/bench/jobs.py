"""The work of a study cut into jobs, and the bench on which a process does them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

from curette.bench.folder import StudyFolder
from curette.bench.gallery import LIMIT, save_gallery
from curette.bench.planes import stacked, telling
from curette.data.prepared import Prepared
from curette.data.splits import Splits
from curette.errors import DataError
from curette.learn.evaluate import evaluate
from curette.learn.learner import Learner
from curette.loop.experiment import Experiment, advance_together
from curette.loop.models import Models
from curette.loop.oracle import SimulatedOracle
from curette.loop.shared import Picked, Setup, Step
from curette.query.start import start_strategy
from curette.query.strategy import Strategy
from curette.query.sweep import maps
from curette.recipe import Study
from curette.region import Region
from curette.seeds import derive
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


@dataclass(frozen=True)
class Materials:
    """All a process needs for a study's jobs; small, and can be sent to another process."""

    folder: Path
    study: Study
    strategies: tuple[Strategy, ...]
    prepared: Prepared
    splits: Splits
    make_learner: MakeLearner = torch_learner

    @cached_property
    def pool(self) -> tuple[Region, ...]:
        """The units that can be picked. Raises `DataError` when there is none."""
        found = tuple(self.prepared.regions(self._labelled(self.splits.train)))
        if not found:
            raise DataError(f"No case of the training split of '{self.study.data.dataset}' has a label.")
        return found

    @cached_property
    def test(self) -> tuple[str, ...]:
        """The cases models are measured on. Raises `DataError` when there is none."""
        found = tuple(self._labelled(self.splits.test))
        if not found:
            raise DataError(f"No case of the test split of '{self.study.data.dataset}' has a label.")
        return found

    def _labelled(self, case_ids: Sequence[str]) -> list[str]:
        return [case for case in case_ids if self.prepared.has_label(case)]

    def open(self) -> Bench:
        """Set up the bench in this process: ledger, learner, oracle."""
        return Bench(self)


class Bench:
    """Does the jobs of a study, one after the other, in one process."""

    def __init__(self, materials: Materials) -> None:
        self.materials = m = materials
        self.folder = StudyFolder(m.folder)
        learner = m.make_learner(m.study, m.prepared)
        ledger = self.folder.open_ledger()
        patients = sorted({m.prepared.patient(r.case) for r in m.pool})
        number = {patient: i for i, patient in enumerate(patients)}
        self.setup = Setup(
            ledger=ledger,
            learner=learner,
            oracle=SimulatedOracle(m.prepared),
            models=Models(self.folder.models, learner),
            recipe=next(iter(ledger.recipes())),
            task=m.prepared.task,
            pool=m.pool,
            patient={case: number[m.prepared.patient(case)] for case in {r.case for r in m.pool}},
            query=m.study.query,
            evaluate=lambda model: evaluate(learner, model, m.prepared, m.test, metrics=m.study.metrics),
            members=max(s.members for s in m.strategies),
            finetune=m.study.train.start != "scratch",
            trigger=read("trigger", m.study.query.trigger),
            data=m.prepared.digest,
            test=m.test,
            start=start_strategy(m.study.query, m.study.data.unit),
            size=m.prepared.size,
            shapes=m.prepared.unit_shape,
            extent=m.prepared.extent,
            images=m.prepared,
            spacing=m.prepared.unit_spacing,
            on_pick=self._keep_pictures if m.study.gallery else None,
        )

    def close(self) -> None:
        """Give the ledger's file back."""
        self.setup.ledger.close()

    def experiments(self, job: Job) -> list[Experiment]:
        """The runs of a job, opened in the ledger if they are new."""
        return [Experiment(self.setup, strategy, job.seed) for strategy in job.strategies]

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

    def _keep_pictures(self, picked: Picked) -> None:
        m, regions = self.materials, list(picked.regions[:LIMIT])
        units = [region.unit for region in regions]
        seed = derive(picked.run.seed, picked.cycle, "sweep")
        labels = m.prepared.labels(units)
        slices: list[int] = []
        if m.prepared.volumes and m.prepared.task.kind == "segmentation":
            slices = [telling(r, labels[r.unit], m.prepared.task.ignore) for r in regions]
            image, truth, prediction, score_map = self._planes(picked, units, slices, seed)
        else:
            prediction, score_map = maps(self.setup.learner, picked.model, units, picked.strategy, seed=seed)
            image, truth = m.prepared.batch(units)[0], np.stack([labels[unit] for unit in units])
        save_gallery(
            m.folder,
            picked.run.name,
            picked.run.seed,
            picked.cycle,
            regions,
            [np.nan if score is None else score for score in picked.scores[:LIMIT]],
            image,
            truth,
            prediction,
            score_map,
            classes=m.prepared.task.names,
            slices=slices,
        )

    def _planes(
        self, picked: Picked, units: Sequence[Region], slices: Sequence[int], seed: int
    ) -> tuple[NDArray[Any], NDArray[Any], NDArray[Any], NDArray[Any] | None]:
        """Image, truth, prediction and score map of one slice of each volume; one volume is in memory at a time."""
        prepared, planes = self.materials.prepared, []
        labels = prepared.labels(units)
        for unit, z in zip(units, slices, strict=True):
            found, score = maps(self.setup.learner, picked.model, [unit], picked.strategy, seed=seed)
            image = prepared.window(unit, (slice(None), slice(None), slice(z, z + 1)))[..., 0]
            planes.append(
                (image, labels[unit][..., z], found[0][..., z], None if score is None else score[0][..., z])
            )
        images, truths, predictions, scores = zip(*planes, strict=True)
        score_map = None if scores[0] is None else stacked(scores)
        return stacked(images), stacked(truths), stacked(predictions), score_map


def _starting(run: Experiment) -> bool:
    """Whether a run has yet to be picked for after its first training."""
    state = run.state()
    return state.stage is not None and (state.cycle == 0 or (state.cycle == 1 and state.stage == "query"))
