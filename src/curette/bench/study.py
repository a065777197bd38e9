"""Running a study: strategies × seeds into one folder, going on by itself where it was."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

from curette.bench.executors import Failure, run_here, run_processes
from curette.bench.facts import save_facts
from curette.bench.folder import StudyFolder
from curette.bench.jobs import MakeLearner, Materials, looks, plan, torch_learner
from curette.bench.progress import Progress, Tracker
from curette.bench.sides import groups_of
from curette.bench.tables import write_tables, write_text
from curette.bench.training import check_training
from curette.data.case import Dataset
from curette.data.datasets import open_dataset
from curette.data.folds import Folds, divide
from curette.data.prepare import prepare
from curette.errors import CuretteError, SettingError
from curette.learn.encoders import check_rows
from curette.learn.metrics import metric_names
from curette.loop.budget import budget_of
from curette.loop.models import tidy
from curette.loop.shared import check_budget, check_data, of_whole_units
from curette.query.start import check_start, start_strategy
from curette.query.strategy import Strategy, check, parse_strategy
from curette.query.truth import no_groups
from curette.recipe import Study

__all__ = ["Progress", "StudyFolder", "run_study"]


def run_study(
    study: Study,
    folder: Path,
    *,
    workers: int = 1,
    on_progress: Callable[[Progress], None] | None = None,
    on_prepare: Callable[[int, int], None] | None = None,
    make_learner: MakeLearner = torch_learner,
) -> StudyFolder:
    """Run every strategy with every seed and write the tables; what the folder holds already is not done again.

    workers       processes; 1 works in this one. Each gets its share of the cores, so on some machines the last digits
                  of a trained network, and with them picks, may differ between numbers of workers
    on_progress   called after every durable step, and once before the first
    on_prepare    called with (cases done, cases in all) while images are prepared
    make_learner  builds the learner from the study and its prepared data; with several workers a module's function

    Everything is checked before anything is written or trained. A job that fails does not stop the others; the tables
    hold what is there. Raises `SettingError` or `DataError` for what is wrong with study, data or folder, `CuretteError`
    naming the jobs that failed. Ctrl-C and SIGTERM pass through (`KeyboardInterrupt`, `SystemExit`) and leave a folder
    that can go on.
    """
    if workers < 1:
        raise SettingError(f"--workers is {workers}, but must be 1 or more.")
    place = StudyFolder(Path(folder))
    strategies = _strategies(study)
    place.check_place()
    place.check_study(study, strategies)
    dataset = open_dataset(study.data)
    for strategy in strategies:
        check(strategy, dataset.task, study.data.unit)
    check_training(study, strategies, dataset.task)
    start = start_strategy(study.query, study.data.unit)
    check_start(start, dataset.task, study.data.unit)
    metric_names(dataset.task, study.metrics)
    prepared = prepare(dataset, study.data, study.prepare, on_prepare)
    dataset = prepared.kept(dataset)
    folds = _folds(place, study, dataset)
    materials = Materials(place.path, study, strategies, prepared, folds, make_learner)
    _check_sides(materials, start)
    if not place.ledger.exists():
        make_learner(study, prepared)  # an unknown network or a missing device shows here
    with place.lock(), _terminable():
        place.check_study(study, strategies)  # again: another run may have started it since
        save_facts(place.path, dataset, folds)
        failures = _run(place, materials, workers, on_progress)
    # A start that failed was made again by each strategy alone; what is wrong shows there.
    starts = {job.key for job in plan(strategies, study.seeds) if job.start}
    _raise(place, [failure for failure in failures if failure.job not in starts])
    return place


def _run(
    place: StudyFolder, materials: Materials, workers: int, on_progress: Callable[[Progress], None] | None
) -> list[Failure]:
    study, strategies = materials.study, materials.strategies
    with closing(place.open_ledger(create=True)) as ledger:
        seed_of = {run.id: run.seed for run in ledger.runs()}
        for event in ledger.events(None, "opened"):
            seed = seed_of[event.run]
            sides = materials.sides(seed)
            check_data([event], sides.pool, sides.test)
            if event.data.get("validation") != materials.begun(seed).get("validation"):
                raise SettingError(
                    "The validation labels are not those the study started with. Bring the data and splits.json back as "
                    "they were, or use a new folder."
                )
        materials.folds.save(place.splits)
        place.write_study(study, ledger)
        tidy(place.models, ledger)
        tracker = Tracker(ledger, strategies, study.seeds, study.query.cycles, workers)
        report = tracker.listener(on_progress)
        jobs = [] if tracker.finished else plan(strategies, study.seeds)
        failures: list[Failure] = []
        try:
            if workers == 1:
                failures = run_here(jobs, materials, report)
            else:
                failures = run_processes(jobs, materials, workers, report)
        finally:
            write_tables(ledger, place.path)
            _write_failures(place, failures)
    return failures


def _strategies(study: Study) -> tuple[Strategy, ...]:
    found: dict[str, Strategy] = {}
    for text in study.strategies:
        strategy = parse_strategy(text, study.data.unit, study.train.companions)
        if twin := found.get(str(strategy)):
            raise SettingError(
                f"strategies: '{twin.name}' and '{strategy.name}' are the same ({strategy}). Leave one out."
            )
        found[str(strategy)] = strategy
    return tuple(found.values())


def _check_sides(materials: Materials, start: Strategy | None) -> None:
    """Refuse pools too small for the budget, or without features, before anything is trained."""
    strategies, query = materials.strategies, materials.study.query
    for seed in materials.one_a_fold():
        pool = materials.sides(seed).pool
        if looks(materials.study, strategies) and not materials.sides(seed).validation:
            raise SettingError(
                "split.val: validation patients are to be looked at (train.validate_every, a trigger or measure_val), and "
                "there are none with a label. Set split.val to a number of patients, or ask for no look."
            )
        budget = budget_of(query, len(pool))
        for strategy in strategies:
            check_budget(of_whole_units(budget, strategy, start), len(pool))
        for strategy in (*strategies, start) if start else strategies:
            check_rows(strategy.passes, materials.prepared, pool)
            if strategy.grouped and not groups_of(materials.prepared, sorted({r.case for r in pool})):
                raise no_groups(strategy.name)


def _folds(place: StudyFolder, study: Study, dataset: Dataset) -> Folds:
    """The split or the folds the study was started with, or new ones."""
    if not place.splits.exists():
        left_out = study.data.skip_bad or bool(study.data.options.get("partial"))
        return divide(dataset, study.split, fewer=left_out)
    folds = Folds.load(place.splits, dataset)
    if len(folds) != max(1, study.split.folds):
        raise SettingError(
            f"{place.splits} holds {len(folds)} splits, but split.folds is {study.split.folds}. Remove the file to divide "
            "anew, or set split.folds to what it holds."
        )
    return folds


def _write_failures(place: StudyFolder, failures: Sequence[Failure]) -> None:
    traces = [f"{f.job}: {f.message}\n{f.trace}" for f in failures]
    if traces:
        write_text(place.failures, "\n".join(traces))
    else:
        place.failures.unlink(missing_ok=True)


def _raise(place: StudyFolder, failures: Sequence[Failure]) -> None:
    """Name the runs that failed, those with the same reason together."""
    reasons: dict[str, list[str]] = {}
    for failure in sorted(failures, key=lambda f: f.job):  # not in the order workers happened to end
        reasons.setdefault(failure.message, []).append(failure.job)
    if reasons:
        told = " ".join(f"{', '.join(jobs)}: {message}" for message, jobs in reasons.items())
        traced = f" Tracebacks are in {place.failures}." if any(f.trace for f in failures) else ""
        raise CuretteError(
            f"{len(failures)} run{'s' * (len(failures) > 1)} failed. {told}{traced} Everything else is done, and every "
            "step is recorded; the same command goes on from there."
        )


@contextmanager
def _terminable() -> Iterator[None]:
    """Turn SIGTERM into `SystemExit`, so that workers are stopped and tables written as after Ctrl-C."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def leave(number: int, _frame: Any) -> None:
        raise SystemExit(128 + number)

    before = signal.signal(signal.SIGTERM, leave)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)
