"""Every preset can be read, works on every kind of task, and beats nobody by accident."""

import pickle
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from curette.errors import SettingError
from curette.learn.columns import wanted
from curette.loop.experiment import Experiment
from curette.loop.features import PoolFeatures
from curette.query.candidates import Labelled
from curette.query.scoring import rescored
from curette.query.select import select
from curette.query.strategy import PRESETS, Strategy, check, parse_strategy
from curette.query.sweep import recall, sweep
from curette.query.truth import revealed
from fakes import CLASSIFICATION, SEGMENTATION, FakeImages, FakeLearner
from tiny_study import make_setup


def fits(strategy: Strategy, task) -> bool:
    """Whether what it is trained along with is for tasks of this kind."""
    return all(task.kind in c.component.info.get("kinds", (task.kind,)) for c in strategy.companions)


@pytest.mark.parametrize("name", PRESETS)
class TestPreset:
    def test_it_is_written_out_in_four_parts(self, name: str) -> None:
        preset, strategy = PRESETS[name], parse_strategy(name)
        assert preset.text.count(" > ") == 3
        assert str(parse_strategy(preset.text)) == str(strategy)
        assert str(parse_strategy(str(strategy))) == str(strategy)

    def test_its_card_is_true(self, name: str) -> None:
        preset, strategy = PRESETS[name], parse_strategy(name)
        assert preset.truth == strategy.truth
        assert "\n" not in preset.when
        assert preset.when.endswith(".")
        wanted(strategy.needs)

    def test_spelt_out_it_means_the_same(self, name: str) -> None:
        strategy = parse_strategy(name)
        assert str(parse_strategy(strategy.spelt_out)) == str(strategy)

    @pytest.mark.parametrize("task", [SEGMENTATION, CLASSIFICATION], ids=lambda t: t.kind)
    def test_it_queries(self, name: str, task) -> None:
        strategy = parse_strategy(name)
        if strategy.cuts and task.kind == "classification":
            with pytest.raises(SettingError, match="an image has one label"):
                check(strategy, task, "slice", 5)
            return
        if not fits(strategy, task):
            with pytest.raises(
                SettingError, match="is for 2D segmentation and 3D segmentation, but the task"
            ):
                check(strategy, task, "slice", 5)
            return
        check(strategy, task, "slice", 5)
        images = FakeImages(task, patients=12)
        pool = images.regions(images.case_ids)
        done, left = pool[::6], [r for r in pool if r not in pool[::6]]
        learner = FakeLearner(task, images)
        model = learner.fit(images.labels(done), seed=0, members=max(1, strategy.members))
        patient = {case: i for i, case in enumerate(images.case_ids)}
        encode = PoolFeatures(learner, pool).of(0)
        candidates = sweep(
            learner, model, left, [strategy], seed=0, patient=patient, task=task, encode=encode
        )[strategy]
        features, columns = recall(learner, model, done, strategy, seed=0, encode=encode)
        numbers = np.array([patient[r.case] for r in done], np.int32)
        labelled = Labelled(done, numbers, features, columns, images.labels(done))
        rng = np.random.default_rng(0)
        if strategy.truth:
            candidates = revealed(candidates, images.labels(candidates.regions), task)
        candidates = rescored(strategy.scorer, candidates, rng, labelled)
        picks = select(strategy, candidates, 5, rng, labelled)
        assert len(set(picks)) == 5

    @pytest.mark.parametrize("task", [SEGMENTATION, CLASSIFICATION], ids=lambda t: t.kind)
    def test_what_it_sees_does_not_depend_on_the_batch(self, name: str, task) -> None:
        strategy = parse_strategy(name)
        if (strategy.cuts and task.kind == "classification") or not fits(strategy, task):
            return
        images = FakeImages(task, patients=9)
        pool = images.regions(images.case_ids)
        patient = {case: i for i, case in enumerate(images.case_ids)}
        found = []
        for size in (1, 7, 1000):
            learner = FakeLearner(task, images, batch=size)
            model = learner.fit(images.labels(pool[:4]), seed=0, members=max(1, strategy.members))
            found.append(
                sweep(learner, model, pool[4:], [strategy], seed=0, patient=patient, task=task)[strategy]
            )
        for other in found[1:]:
            assert list(other.regions) == list(found[0].regions)
            np.testing.assert_allclose(other.score, found[0].score, rtol=1e-5, atol=1e-6)
            np.testing.assert_array_equal(other.predicted, found[0].predicted)
            assert other.columns.keys() == found[0].columns.keys()
            for column, values in found[0].columns.items():
                np.testing.assert_allclose(other.columns[column], values, rtol=1e-4, atol=1e-5)
            if found[0].embedding is not None:
                np.testing.assert_allclose(other.embedding, found[0].embedding, rtol=1e-5, atol=1e-6)

    def test_it_goes_round_the_loop(self, name: str, tmp_path: Path) -> None:
        """Two queries between trainings, with networks that are trained at query time cut short."""
        strategy = parse_strategy(name, "slice")
        quick = [
            replace(part, options=part.options | {"steps": 2}) if "steps" in part.component.options else part
            for part in strategy.parts
        ]
        strategy = Strategy(name, *quick)
        setup = make_setup(tmp_path, cycles=3, initial=3, budget=4, members=5, evaluate=lambda model: [])
        run = Experiment(setup, strategy, 0)
        while run.advance():
            assert run.state().cycle < 3
        picked = setup.ledger.events(run.run.id, "picked")
        assert [event.cycle for event in picked] == [0] * 3 + [1] * 4 + [2] * 4
        assert len({event.region for event in picked}) == 11


def test_the_control_of_pcdal_picks_its_opposite() -> None:
    images = FakeImages(SEGMENTATION)
    pool = images.regions(images.case_ids)
    learner = FakeLearner(SEGMENTATION, images)
    model = learner.fit(images.labels(pool[:6]), seed=0)
    high, low = parse_strategy("pcdal"), parse_strategy("pcdal_lpi")
    patient = dict.fromkeys(images.case_ids, 0)
    scored = sweep(learner, model, pool, [high, low], seed=0, patient=patient, task=SEGMENTATION)
    picks = [
        scored[s].score[select(s, scored[s], 5, np.random.default_rng(0), Labelled())] for s in (high, low)
    ]
    assert picks[0].min() > np.median(scored[high].score) > picks[1].max()


@pytest.mark.parametrize("name", PRESETS)
def test_it_can_be_sent_to_another_process(name: str) -> None:
    strategy = parse_strategy(name)
    assert pickle.loads(pickle.dumps(strategy)) == strategy
