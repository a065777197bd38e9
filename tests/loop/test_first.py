"""Cycle 0 by `query.start`: chosen without a model, shared by all strategies of a seed, recorded."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from curette.errors import SettingError
from curette.loop.experiment import advance_together
from curette.loop.first import first_units
from curette.loop.ledger import Event, Ledger
from curette.loop.shared import Setup
from curette.query.strategy import parse_strategy
from curette.region import Region
from curette.seeds import spawn
from fakes import CLASSIFICATION, FakeImages, FakeLearner
from tiny_study import make_runs, make_setup

COLD = "self_supervised > none > k_center"


def _setup(folder: Path, start: str | None = COLD, **changes: Any) -> Setup:
    return make_setup(folder, start=None if start is None else parse_strategy(start, "slice"), **changes)


def _picks(setup: Setup, cycle: int = 0) -> dict[tuple[str, int], list[tuple[str | None, float | None]]]:
    names = {run.id: (run.name, run.seed) for run in setup.ledger.runs()}
    found: dict[tuple[str, int], list[tuple[str | None, float | None]]] = {}
    for event in setup.ledger.events(None, "picked"):
        if event.cycle == cycle:
            found.setdefault(names[event.run], []).append((event.region, event.score))
    return found


def test_by_default_the_picks_are_those_of_ever(tmp_path: Path) -> None:
    """Studies that began before there was a choice go on with the same units."""
    setup = _setup(tmp_path, None, initial=5)
    for seed in (0, 3):
        drawn = spawn(seed, 0, "initial").permutation(len(setup.pool))[:5]
        assert first_units(setup, seed) == [(setup.pool[i], None) for i in drawn]
    assert [setup.pool.index(r) for r, _ in first_units(setup, 0)] == [25, 27, 26, 16, 30]


@pytest.mark.parametrize(
    "start", [COLD, "cold_kmeans", "cold_typiclust", "cold_prob_cover", "strided_random"]
)
def test_all_strategies_of_a_seed_share_the_start(tmp_path: Path, start: str) -> None:
    setup = _setup(tmp_path, start, initial=4)
    for seed in (0, 1):
        for run in make_runs(setup, ["random", "entropy", "core_set"], seed=seed):
            step = run.advance()
            assert step is not None
            assert step.reused == (run.strategy.name != "random")
    picks = _picks(setup)
    assert all(len({region for region, _ in some}) == 4 for some in picks.values())
    assert picks["random", 0] == picks["entropy", 0] == picks["core_set", 0]
    assert picks["random", 1] == picks["entropy", 1]
    assert {score for some in picks.values() for _, score in some} == {None}
    assert picks["random", 0] != [(str(r), None) for r, _ in first_units(replace(setup, start=None), 0)]


def test_the_encoder_is_trained_once_a_seed_for_the_start_and_for_later_cycles(tmp_path: Path) -> None:
    texts = ["random", COLD, "self_supervised > none > strided", "core_set"]
    setup = _setup(tmp_path, initial=4)
    for seed in (0, 1):
        runs = make_runs(setup, texts, seed=seed)
        while advance_together(runs):
            pass
    learner: Any = setup.learner
    assert learner.encodings == 2
    assert len([p for p in (tmp_path / "models").iterdir() if p.suffix == ".npy"]) == 2
    picks = [e.region for e in setup.ledger.events(runs[1].run.id, "picked")]
    assert len(set(picks)) == 8


def test_later_picks_of_an_encoder_stay_away_from_what_is_labelled(tmp_path: Path) -> None:
    """Greedy k-center in two queries goes on where one query of the same size would."""
    setup = _setup(tmp_path / "a", initial=3, budget=2, cycles=3)
    (run,) = make_runs(setup, [COLD])
    while run.advance():
        pass
    in_three = [e.region for e in setup.ledger.events(run.run.id, "picked")]
    at_once = _setup(tmp_path / "b", initial=7)
    assert in_three == [str(region) for region, _ in first_units(at_once, 0)]


def test_the_ledger_says_how_the_start_was_chosen(tmp_path: Path) -> None:
    setup = _setup(tmp_path, initial=4)
    runs = make_runs(setup, ["random", COLD])
    while advance_together(runs):
        pass
    events = {(e.run, e.cycle): e.data for e in setup.ledger.events(None, "queried")}
    name = setup.features.name(parse_strategy(COLD).passes, 0)
    first, second = (run.run.id for run in runs)
    assert events[first, 0]["start"] == "self_supervised > none > unit > k_center"
    assert events[first, 0]["features"] == events[second, 0]["features"] == name
    assert [t[0] for t in events[first, 0]["timings"]] == ["start"]
    assert events[second, 0]["reused"] == first
    assert "timings" not in events[second, 0]
    assert events[second, 1]["features"] == name
    assert "features" not in events[first, 1]
    plain = _setup(tmp_path / "plain", None)
    (run,) = make_runs(plain, ["random"])
    run.advance()
    (queried,) = plain.ledger.events(None, "queried")
    assert queried.data == {"count": 3, "timings": []}


class _Stop(BaseException):
    """The process dies."""


def _story(ledger: Ledger) -> list[Any]:
    names = {run.id: (run.strategy, run.seed) for run in ledger.runs()}
    left_out = ("timings", "reused")
    told = [
        replace(e, run=0, data={k: v for k, v in e.data.items() if k not in left_out})
        for e in ledger.events()
    ]
    return sorted((names[e.run], str(t)) for e, t in zip(ledger.events(), told, strict=True))


@pytest.mark.parametrize("before", [True, False], ids=["before", "after"])
def test_killed_anywhere_it_ends_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, before: bool
) -> None:
    texts = ["random", COLD]
    undisturbed = _setup(tmp_path / "a", initial=4)
    runs = make_runs(undisturbed, texts)
    while advance_together(runs):
        pass
    record, deaths = Ledger.record, 0

    def dying(self: Ledger, events: Sequence[Event]) -> bool:
        nonlocal deaths
        deaths += 1
        if deaths % 2:
            if not before:
                record(self, events)
            raise _Stop
        return record(self, events)

    monkeypatch.setattr(Ledger, "record", dying)
    for attempt in range(200):
        setup = _setup(tmp_path / "b", initial=4)
        runs = make_runs(setup, texts)
        if attempt % 3 == 0:  # the features may vanish as well
            for path in (tmp_path / "b" / "models").glob("*.npy"):
                path.unlink()
        try:
            while advance_together(runs):
                pass
            break
        except _Stop:
            setup.ledger.close()
    assert deaths >= 16
    assert _story(setup.ledger) == _story(undisturbed.ledger)


def test_the_start_of_an_earlier_run_is_taken_over(tmp_path: Path) -> None:
    """Even if this machine would choose otherwise: curves of a seed begin at one point."""
    setup = _setup(tmp_path, initial=4)
    make_runs(setup, ["random"])[0].advance()

    class Other(FakeLearner):
        def encode(self, regions: Any, passes: Any, *, seed: int) -> Any:
            return super().encode(regions, passes, seed=seed)[:, ::-1] ** 3

    for path in (tmp_path / "models").iterdir():
        path.unlink()
    images = FakeImages()
    later = _setup(tmp_path, initial=4, learner=Other(images.task, images))
    make_runs(later, ["entropy"])[0].advance()
    picks = _picks(later)
    assert picks["entropy", 0] == picks["random", 0]
    assert picks["random", 0] != [(str(r), None) for r, _ in first_units(later, 0)]


def _features(folder: Path, scale: float = 1.0) -> str:
    pool = FakeImages().regions(FakeImages().case_ids)
    rows = np.random.default_rng(1).normal(size=(len(pool), 3)) * scale
    np.savez(folder / "f.npz", ids=np.array([str(r) for r in pool]), features=rows)
    return f'features("{folder / "f.npz"}") > none > k_center(standardise=false)'


def test_features_of_a_file_start_and_go_on(tmp_path: Path) -> None:
    text = _features(tmp_path)
    setup = _setup(tmp_path / "a", text, initial=4)
    runs = make_runs(setup, ["random", text])
    while advance_together(runs):
        pass
    learner: Any = setup.learner
    assert learner.encodings > 0
    regions = [Region.parse(str(e.region)) for e in setup.ledger.events(runs[1].run.id, "picked")]
    assert len(set(regions)) == 8


def test_a_file_of_features_that_has_changed_is_refused(tmp_path: Path) -> None:
    setup = _setup(tmp_path / "a", _features(tmp_path), initial=4)
    make_runs(setup, ["random"])[0].advance()
    make_runs(setup, ["random"])
    _features(tmp_path, 2.0)
    with pytest.raises(
        SettingError, match=r"features of 'features\(.*' are not those that the picks of 'random' in cycle 0"
    ):
        make_runs(setup, ["random"])
    _features(tmp_path)
    make_runs(setup, ["random"])


def test_a_start_may_be_stratified_by_true_class(tmp_path: Path) -> None:
    """Every class in its share, which chance alone does not give."""
    images = FakeImages(CLASSIFICATION, patients=30)
    pool = tuple(images.regions(images.case_ids[:24]))
    setup = _setup(tmp_path, "class_stratified_random", images=images, pool=pool, initial=6)
    kinds = []
    for seed in range(6):
        picks = first_units(setup, seed)
        kinds.append([int(images.truth(region.case)) for region, _ in picks])
        assert {score for _, score in picks} == {None}
    assert [sorted(kind) for kind in kinds] == [[0, 0, 1, 1, 2, 2]] * 6
    assert len({str(first_units(setup, seed)) for seed in range(6)}) == 6
