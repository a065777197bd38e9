"""Ground truth of the pool reaches the strategies that are marked as using it, and no others."""

from pathlib import Path

import numpy as np
import pytest

from curette.errors import SettingError
from curette.loop import experiment
from curette.loop.oracle import SimulatedOracle
from curette.query.strategy import Strategy
from curette.query.truth import revealed
from curette.region import Region
from fakes import FakeImages
from query.pools import pool_of
from tiny_study import make_runs, make_setup

TEXTS = [
    "random",
    "entropy",
    "none > none > split(foreground_random(1), random, share=0.5)",
    "foreground_random_66",
]


def _to_the_end(run: experiment.Experiment) -> None:
    while run.advance():
        pass


def test_only_marked_strategies_are_shown_the_truth(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    setup = make_setup(tmp_path)
    shown: list[tuple[Strategy, bool]] = []
    chosen = experiment.select

    def spy(strategy, candidates, *rest):
        shown.append((strategy, "truth" in candidates.columns))
        return chosen(strategy, candidates, *rest)

    monkeypatch.setattr(experiment, "select", spy)
    for run in make_runs(setup, TEXTS):
        _to_the_end(run)
    assert {(s.name, told) for s, told in shown} == {(t, "foreground" in t) for t in TEXTS}


def test_what_it_seeks_is_foreground(tmp_path: Path) -> None:
    images = FakeImages(depth=24)
    for truth in images._truth.values():
        truth[:, :, 4:] = 0
    setup = make_setup(tmp_path, images=images)
    (run,) = make_runs(setup, ["none > none > foreground_random(1)"])
    _to_the_end(run)
    picked = [Region.parse(str(e.region)) for e in setup.ledger.events(run.run.id, "picked") if e.cycle > 0]
    assert picked
    assert all(label.any() for label in images.labels(picked).values())


def test_people_are_no_ground_truth(tmp_path: Path) -> None:
    class People(SimulatedOracle):
        def answer(self, regions):
            return super().answer(regions) if len(regions) < 10 else None

    setup = make_setup(tmp_path, oracle=People(FakeImages()))
    (run,) = make_runs(setup, ["foreground_random_33"])
    with pytest.raises(SettingError, match="simulations only"):
        _to_the_end(run)


def test_the_column_agrees_with_the_labels() -> None:
    images = FakeImages()
    regions = images.regions(images.case_ids)
    labels = images.labels(regions)
    found = revealed(pool_of(np.zeros(len(regions)), regions=regions), labels, images.task).columns["truth"]
    expected = [[(labels[r] == c).mean() for c in range(3)] for r in regions]
    np.testing.assert_allclose(found, expected, rtol=1e-6)
