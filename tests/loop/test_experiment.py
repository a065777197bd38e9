from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from curette.errors import CuretteWarning, SettingError
from curette.loop import experiment
from curette.loop.experiment import Experiment, advance_together
from curette.loop.ledger import Event, Ledger
from curette.loop.oracle import SimulatedOracle
from curette.loop.shared import Picked, Setup, Step
from curette.loop.state import steps
from curette.query.selectors.stochastic_batches import stochastic_batches
from curette.query.strategy import parse_strategy
from curette.region import Region
from curette.registry import Bound, Component, get
from fakes import FakeImages, FakeLearner
from tiny_study import STRATEGIES, make_runs, make_setup


def _finish(run: Experiment) -> list[Step]:
    done = []
    while step := run.advance():
        done.append(step)
        assert len(done) <= 100, "the run does not end"
    return done


def _finish_all(group: Sequence[Experiment]) -> None:
    while advance_together(group):
        pass


def _story(ledger: Ledger) -> list[Any]:
    """Everything that must not depend on when a process died: all but times and timings."""

    def told(event: Event) -> Event:
        return replace(event, data={k: v for k, v in event.data.items() if k not in ("timings", "reused")})

    names = {run.id: (run.strategy, run.seed) for run in ledger.runs()}
    return sorted((names[e.run], str(replace(told(e), run=0))) for e in ledger.events())


def test_a_run_goes_through_its_steps_and_ends(tmp_path: Path) -> None:
    setup = make_setup(tmp_path, cycles=3)
    (run,) = make_runs(setup, ["entropy"])
    done = _finish(run)
    cycle = ["query", "answer", "train", "measure"]
    assert [(s.cycle, s.stage) for s in done] == [(c, s) for c in range(3) for s in cycle] + [(2, "finish")]
    assert len(done) == steps(3)
    assert run.advance() is None
    assert run.state().stage is None
    labelled = [e.data["labelled"] for e in setup.ledger.events(run.run.id, "trained")]
    assert labelled == [3, 5, 7]


def test_picks_are_distinct_from_the_pool_with_ranks_scores_and_the_model_asked(tmp_path: Path) -> None:
    setup = make_setup(tmp_path)
    (run,) = make_runs(setup, ["entropy"])
    _finish(run)
    picked = setup.ledger.events(run.run.id, "picked")
    regions = [Region.parse(str(e.region)) for e in picked]
    assert len(set(regions)) == len(regions) == 7
    assert set(regions) <= set(setup.pool)
    assert [e.rank for e in picked] == [0, 1, 2, 0, 1, 0, 1]
    trained = {e.cycle: e.model for e in setup.ledger.events(run.run.id, "trained")}
    for event in picked:
        assert (event.score is None) == (event.cycle == 0)
        assert event.model == trained.get(event.cycle - 1)
    for cycle in (1, 2):
        scores = [e.score for e in picked if e.cycle == cycle]
        assert scores == sorted(scores, reverse=True)


def test_answers_carry_author_and_cost(tmp_path: Path) -> None:
    setup = make_setup(tmp_path)
    (run,) = make_runs(setup, ["random"])
    _finish(run)
    events = setup.ledger.events(run.run.id, "submitted")
    assert len(events) == 7
    images = FakeImages()
    for event in events:
        region = Region.parse(str(event.region))
        label = images.labels([region])[region]
        assert (event.who, event.cost) == ("truth", 1.0)
        assert event.data == {"voxels": label.size, "foreground": int((label > 0).sum())}


def test_all_strategies_of_a_seed_share_the_start_and_seeds_differ(tmp_path: Path) -> None:
    setup = make_setup(tmp_path)
    first: dict[tuple[str, int], list[str | None]] = {}
    for seed in (0, 1):
        for run in make_runs(setup, seed=seed):
            run.advance()
            first[run.strategy.name, seed] = [e.region for e in setup.ledger.events(run.run.id, "picked")]
    assert first["random", 0] == first["entropy", 0] == first["bald", 0]
    assert first["random", 1] == first["entropy", 1] != first["entropy", 0]


def test_together_runs_train_measure_and_sweep_once_and_pick_as_they_would_alone(tmp_path: Path) -> None:
    texts = ["random", "entropy", "margin", "bald", "core_set"]
    together, apart = make_setup(tmp_path / "a"), make_setup(tmp_path / "b")
    group = make_runs(together, texts)
    while any(run.state().cycle == 0 for run in group):
        advance_together(group)
    counts: Any = together.learner
    assert counts.fits == 1
    sweeps = counts.sweeps
    done = advance_together(group)
    assert [s.stage for s in done] == ["query"] * 5
    assert counts.sweeps - sweeps == 3  # single, dropout, and the labelled set's features for core_set
    assert len(together.ledger.events(None, "queried")) == 10
    for run in group:
        _finish(run)
    for run in make_runs(apart, texts):
        _finish(run)
    assert _story(together.ledger) == _story(apart.ledger)


def test_work_taken_over_is_not_timed_again(tmp_path: Path) -> None:
    setup = make_setup(tmp_path)
    group = make_runs(setup)
    _finish_all(group)
    events = [e for e in setup.ledger.events(None, "trained", "measured") if e.cycle == 0]
    timed = [e.run for e in events if "timings" in e.data]
    assert timed == [group[0].run.id] * 2
    assert all(e.data["reused"] == group[0].run.id for e in events if e.run != group[0].run.id)
    stages = [[t[0] for t in e.data["timings"]] for e in setup.ledger.events(None, "queried") if e.cycle == 1]
    assert stages == [["shared_sweep", "select"], ["select"], ["select"]]


class _Stop(BaseException):
    """The process dies."""


@pytest.mark.parametrize("before", [True, False], ids=["before", "after"])
@pytest.mark.parametrize("start", ["scratch", "finetune"])
def test_a_run_killed_around_any_commit_ends_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, before: bool, start: str
) -> None:
    finetune = start == "finetune"
    undisturbed = make_setup(tmp_path / "a", finetune=finetune)
    group = make_runs(undisturbed)
    _finish_all(group)
    record = Ledger.record
    deaths = 0

    def dying(self: Ledger, events: Sequence[Event]) -> bool:
        nonlocal deaths
        deaths += 1
        if deaths % 2:
            if not before:
                record(self, events)
            raise _Stop
        return record(self, events)

    monkeypatch.setattr(Ledger, "record", dying)
    for _attempt in range(200):
        setup = make_setup(tmp_path / "b", finetune=finetune)
        group = make_runs(setup)
        try:
            _finish_all(group)
            break
        except _Stop:
            setup.ledger.close()
    assert deaths >= 2 * len(STRATEGIES) * 4
    assert _story(setup.ledger) == _story(undisturbed.ledger)


def test_models_may_vanish_at_any_time(tmp_path: Path) -> None:
    undisturbed = make_setup(tmp_path / "a", finetune=True)
    for run in make_runs(undisturbed):
        _finish(run)
    while True:
        setup = make_setup(tmp_path / "b", finetune=True)
        for path in (tmp_path / "b" / "models").glob("*"):
            path.unlink()
        done = advance_together(make_runs(setup))
        if not done:
            break
        setup.ledger.close()
    assert _story(setup.ledger) == _story(undisturbed.ledger)


def test_a_step_another_process_recorded_first_stands(tmp_path: Path) -> None:
    setup = make_setup(tmp_path)
    other = make_setup(tmp_path)
    (run,), (rival,) = make_runs(setup, ["entropy"]), make_runs(other, ["entropy"])
    state = run.state()
    assert state.stage == "query"
    rival.advance()
    rival.advance()
    run._initial()  # what it was about to do when the rival was faster
    assert [s.stage for s in (run.advance(), rival.advance()) if s] == ["train", "measure"]
    assert run.run == rival.run
    _finish(rival)
    assert len(setup.ledger.events(run.run.id, "picked")) == 7


@pytest.mark.parametrize("finetune", [False, True])
def test_only_the_last_model_of_each_run_is_kept(tmp_path: Path, finetune: bool) -> None:
    setup = make_setup(tmp_path, finetune=finetune)
    group = make_runs(setup)
    most = 0
    while advance_together(group):
        names = {p.stem for p in (tmp_path / "models").glob("*")}
        most = max(most, len(names))
        for run in group:
            if (
                run.state().stage in ("measure", "query")
                and run.state().labelled
                and run._trained(run.state().cycle)
            ):
                assert run.model_name(run.state().cycle) in names
    assert {p.stem for p in (tmp_path / "models").glob("*")} == setup.ledger.current_models()
    assert most <= len(group) + 1


def test_fine_tuning_starts_from_the_model_of_the_cycle_before(tmp_path: Path) -> None:
    starts = []

    class Spy(FakeLearner):
        def fit(self, *args: Any, start: Any = None, **options: Any) -> Any:
            starts.append(start)
            return super().fit(*args, start=start, **options)

    images = FakeImages()
    for finetune in (False, True):
        setup = make_setup(tmp_path / str(finetune), learner=Spy(images.task, images), finetune=finetune)
        _finish(make_runs(setup, ["random"])[0])
    assert starts[:4] == [None] * 4
    assert all(model is not None for model in starts[4:])


def test_networks_are_trained_as_far_as_a_query_needs_them(tmp_path: Path) -> None:
    members = []

    class Spy(FakeLearner):
        def fit(self, *args: Any, members: int = 1, **options: Any) -> Any:
            counted.append(members)
            return super().fit(*args, members=members, **options)

    counted: list[int] = members
    images = FakeImages()
    setup = make_setup(tmp_path, learner=Spy(images.task, images), members=5)
    while advance_together(runs := make_runs(setup, ["random", "ensemble > entropy > top"])):
        pass
    assert counted == [5, 1, 5, 1, 1]  # the shared one; random, ensemble; no query follows the last
    assert runs[0].strategy.members == 0


def test_a_strategy_added_later_leaves_recorded_runs_as_they_are(tmp_path: Path) -> None:
    """An ensemble asks for more networks in cycle 0 than the runs that are under way were given."""
    alone = make_setup(tmp_path / "a")
    _finish(make_runs(alone, ["entropy"])[0])
    setup = make_setup(tmp_path / "b")
    (run,) = make_runs(setup, ["entropy"])
    for _ in range(3):
        run.advance()
    extended = make_setup(tmp_path / "b", members=5)
    runs = make_runs(extended, ["entropy", "ensemble > entropy > top"])
    while advance_together(runs):
        pass
    story = [line for line in _story(extended.ledger) if line[0] == (str(run.strategy), 0)]
    assert story == _story(alone.ledger)
    first = [e for e in extended.ledger.events(None, "measured") if e.cycle == 0]
    assert first[0].model != first[1].model
    assert (
        first[0].data["values"] == first[1].data["values"]
    )  # the first network does not depend on their number


def test_whoever_wants_to_look_sees_picks_before_they_are_recorded(tmp_path: Path) -> None:
    seen: list[tuple[str, int, list[str], int]] = []

    def look(picked: Picked) -> None:
        recorded = [e for e in setup.ledger.events(picked.run.id, "picked") if e.cycle == picked.cycle]
        seen.append((picked.run.name, picked.cycle, [str(r) for r in picked.regions], len(recorded)))

    setup = make_setup(tmp_path, on_pick=look)
    (run,) = make_runs(setup, ["margin"])
    _finish(run)
    events = setup.ledger.events(run.run.id, "picked")
    expected = [("margin", c, [str(e.region) for e in events if e.cycle == c], 0) for c in (1, 2)]
    assert seen == expected


def test_budget_zero_trains_again_on_the_same_labels(tmp_path: Path) -> None:
    setup = make_setup(tmp_path, budget=0)
    (run,) = make_runs(setup, ["entropy"])
    _finish(run)
    assert [e.data["labelled"] for e in setup.ledger.events(run.run.id, "trained")] == [3, 3, 3]
    assert len({e.model for e in setup.ledger.events(run.run.id, "trained")}) == 3


def test_the_whole_pool_can_be_asked_for_but_no_more(tmp_path: Path) -> None:
    setup = make_setup(tmp_path, initial=12, budget=10)
    (run,) = make_runs(setup, ["core_set"])
    _finish(run)
    assert setup.ledger.events(run.run.id, "trained")[-1].data["labelled"] == len(setup.pool) == 32
    with pytest.raises(
        SettingError, match=r"query\.budget: 12 initial .* 2 queries of 11 make 34, .* has 32"
    ):
        make_runs(make_setup(tmp_path, initial=12, budget=11), ["core_set"])


def test_a_pool_that_runs_dry_ends_the_run_with_a_warning(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(experiment, "check_budget", lambda query, pool: None)
    setup = make_setup(tmp_path, initial=30, budget=5, cycles=4)
    group = make_runs(setup, ["entropy", "random"])
    with pytest.warns(CuretteWarning, match="nothing is left in the pool after 32"):
        _finish_all(group)
    for run in group:
        assert [e.data["labelled"] for e in setup.ledger.events(run.run.id, "trained")] == [30, 32]
        assert [e.data["why"] for e in setup.ledger.events(run.run.id, "finished")] == ["pool exhausted"]
        assert run.advance() is None


def test_another_pool_or_other_settings_are_refused(tmp_path: Path) -> None:
    setup = make_setup(tmp_path)
    make_runs(setup, ["random"])[0].advance()
    with pytest.raises(SettingError, match=r"pool had 32 units .* now it has 31"):
        make_runs(replace(setup, pool=setup.pool[1:]), ["random"])
    with pytest.raises(SettingError, match="test cases are not those"):
        make_runs(replace(setup, test=("p05",)), ["random"])
    setup.ledger.add_recipe("other", "text")
    with pytest.raises(SettingError, match="recorded with other settings"):
        make_runs(replace(setup, recipe="other"), ["random"])


def test_a_text_that_came_to_mean_something_else_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    setup = make_setup(tmp_path)
    text = "dropout(3) > mutual_information > stochastic_batches"
    make_runs(setup, [text])[0].advance()
    (opened,) = setup.ledger.events(None, "opened")
    assert "dropout(n=3)" in opened.data["strategy"]
    assert "groups=0" in opened.data["strategy"]
    make_runs(setup, [text])
    monkeypatch.setitem(stochastic_batches.__kwdefaults__, "groups", 7)
    monkeypatch.delitem(get("selector", "stochastic_batches").__dict__, "options", raising=False)
    with pytest.raises(SettingError, match=r"groups=0.*groups=7"):
        make_runs(setup, [text])
    monkeypatch.undo()
    monkeypatch.delitem(get("selector", "stochastic_batches").__dict__, "options", raising=False)


class _People(SimulatedOracle):
    """Answers when told to."""

    ready = False

    def answer(self, regions: Sequence[Region]) -> Any:
        return super().answer(regions) if _People.ready else None


def test_a_run_waits_for_people(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    setup = make_setup(tmp_path, oracle=_People(FakeImages()))
    (run,) = make_runs(setup, ["entropy"])
    run.advance()
    for _ in range(2):
        step = run.advance()
        assert step is not None
        assert (step.stage, step.waiting) == ("answer", True)
    assert setup.ledger.events(run.run.id, "submitted") == []
    monkeypatch.setattr(_People, "ready", True)
    assert [s.stage for s in _finish(run)][:3] == ["answer", "train", "measure"]


def test_a_trigger_that_is_not_due_holds_the_query(tmp_path: Path) -> None:
    setup = make_setup(
        tmp_path, trigger=Bound(Component("trigger", "late", lambda progress: progress.cycle > 1))
    )
    (run,) = make_runs(setup, ["entropy"])
    for _ in range(4):
        run.advance()
    step = run.advance()
    assert step is not None
    assert (step.cycle, step.stage, step.waiting) == (1, "query", True)


def _other_seed(setup: Setup) -> list[Experiment]:
    return make_runs(setup, ["random"], seed=1)


def _other_strategy(setup: Setup) -> list[Experiment]:
    return make_runs(setup, ["strided_random"])


@pytest.mark.parametrize("other", [_other_seed, _other_strategy])
def test_randomness_depends_on_seed_and_strategy(
    tmp_path: Path, other: Callable[[Setup], list[Experiment]]
) -> None:
    setup = make_setup(tmp_path)
    runs = [*make_runs(setup, ["random"]), *other(setup)]
    for run in runs:
        _finish(run)
    picks = [[e.region for e in setup.ledger.events(r.run.id, "picked") if e.cycle > 0] for r in runs]
    assert picks[0] != picks[1]


def test_measurements_are_those_of_the_evaluator(tmp_path: Path) -> None:
    setup = make_setup(tmp_path)
    (run,) = make_runs(setup, ["entropy"])
    _finish(run)
    last = setup.ledger.events(run.run.id, "measured")[-1]
    model = setup.learner.load(setup.models.path(str(last.model)))
    again = [[m.metric, m.cls, m.value] for m in setup.evaluate(model)]
    assert last.data["values"] == again
    assert np.isfinite([v for *_, v in again]).all()


def test_a_strategy_text_written_otherwise_is_the_same_run(tmp_path: Path) -> None:
    setup = make_setup(tmp_path)
    short = Experiment(setup, parse_strategy("entropy", "slice"), 0)
    long = Experiment(setup, parse_strategy("single > entropy > slice > top", "slice"), 0)
    assert short.run == long.run
