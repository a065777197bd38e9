"""What companions foresee of test units, from the measurement to the report."""

from __future__ import annotations

import csv
from pathlib import Path
from statistics import fmean

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from curette.bench.foresight import MOST, foresee
from curette.bench.record import read_record
from curette.bench.report import build_report
from curette.bench.scatter import correlation, ranks
from curette.bench.study import run_study
from curette.query.strategy import parse_strategy
from curette.registry import bind
from fakes import CLASSIFICATION, SEGMENTATION, VOLUMES, FakeImages, FakeLearner
from tiny_study import fake_learner, tiny_study

ACCURACY = "single > predicted_accuracy > top"


@pytest.mark.parametrize("task", [SEGMENTATION, VOLUMES], ids=["slices", "volumes"])
def test_real_accuracy_is_the_dice_of_the_prediction_itself(task) -> None:
    images = FakeImages(task, patients=3)
    learner = FakeLearner(task, images)
    pool = images.regions(images.case_ids)
    model = learner.fit(images.labels(pool[:2]), seed=0)
    rows = foresee(learner, model, images, images.case_ids, parse_strategy(ACCURACY))["predicted_accuracy"]
    assert [(region, cls) for region, cls, *_ in rows] == [(str(r), c) for r in pool for c in task.names]
    (seen,) = learner.predict(
        model, pool[-1:], bind("passes", "single"), frozenset({"predicted_accuracy"}), seed=0
    )
    answer, truth = seen.mean[0].argmax(axis=0), images.labels(pool[-1:])[pool[-1]]
    for c, (_, _, predicted, real) in enumerate(rows[-len(task.names) :]):
        size = (answer == c).sum() + (truth == c).sum()
        both = ((answer == c) & (truth == c)).sum()
        assert real == pytest.approx(2 * both / size if size else 1.0, abs=1e-3)
        assert predicted == pytest.approx(float(seen.columns["predicted_accuracy"][0, c]), abs=1e-3)


def test_real_loss_is_the_cross_entropy() -> None:
    images = FakeImages(CLASSIFICATION, patients=5)
    learner = FakeLearner(CLASSIFICATION, images)
    pool = images.regions(images.case_ids)
    model = learner.fit(images.labels(pool), seed=0)
    rows = foresee(learner, model, images, images.case_ids, parse_strategy("learning_loss"))["predicted_loss"]
    (seen,) = learner.predict(model, pool, bind("passes", "single"), frozenset(), seed=0)
    truth = images.labels(pool)
    for row, region, p in zip(rows, pool, seen.mean, strict=True):
        assert row[:2] == [str(region), ""]
        assert row[3] == pytest.approx(-np.log(p[int(truth[region])]), rel=1e-3)


def test_large_test_sets_are_thinned_out_evenly_and_others_have_nothing() -> None:
    images = FakeImages(SEGMENTATION, patients=40)
    learner = FakeLearner(SEGMENTATION, images)
    model = learner.fit(images.labels(images.regions(images.case_ids[:2])), seed=0)
    found = foresee(learner, model, images, images.case_ids, parse_strategy("learning_loss"))
    assert len(found["predicted_loss"]) == MOST
    assert len({row[0].partition("@")[0] for row in found["predicted_loss"]}) == 40
    assert foresee(learner, model, images, images.case_ids, parse_strategy("entropy")) == {}


def test_a_study_keeps_and_shows_them(tmp_path: Path) -> None:
    strategies = ["random", "paal_no_polling_no_iq", "learning_loss"]
    place = run_study(tiny_study(strategies=strategies), tmp_path, make_learner=fake_learner)
    with (place.path / "predicted_accuracy.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert {row["strategy"] for row in rows} == {"paal_no_polling_no_iq"}
    assert {row["cycle"] for row in rows} == {"0", "1", "2"}
    assert {row["class"] for row in rows} == {"background", "cortex", "medulla", "nodule"}
    record = read_record(place.path)
    assert {r.strategy for r in record.foreseen["predicted_loss"]} == {"learning_loss"}
    page = build_report(place.path).read_text(encoding="utf-8")
    assert "Predicted and real accuracy" in page
    assert "Predicted and real loss" in page
    assert "points of paal_no_polling_no_iq" in page


def test_a_study_without_companions_has_no_such_part(tmp_path: Path) -> None:
    place = run_study(tiny_study(strategies=["random", "entropy"]), tmp_path, make_learner=fake_learner)
    assert not (place.path / "predicted_accuracy.csv").exists()
    page = build_report(place.path).read_text(encoding="utf-8")
    assert "Predicted and real" not in page
    assert not (place.path / "pseudo_labels.csv").exists()
    assert "Pseudo-labels" not in page


def test_pseudo_labels_are_counted_and_shown(tmp_path: Path) -> None:
    study = tiny_study(strategies=["random", "entropy + ceal(start=5)", "entropy + ceal(start=0)"])
    place = run_study(study, tmp_path, make_learner=fake_learner)
    rows = read_record(place.path).pseudo_labels
    assert {(r.strategy, r.cycle) for r in rows} == {(s, c) for s in study.strategies[1:] for c in (1, 2)}
    for r in rows:
        assert (r.units > 0) == (r.voxels > 0) == (r.strategy != "entropy + ceal(start=0)")
    found = build_report(place.path).read_text(encoding="utf-8").partition('id="pseudo-labels"')[2]
    own = [r for r in rows if r.strategy == study.strategies[1] and r.cycle == 2]
    assert f"<td>{fmean(r.units for r in own):.0f} / {fmean(r.voxels for r in own):.0f}</td>" in found
    assert "<td>0 / 0</td>" in found


@given(st.lists(st.tuples(st.integers(-5, 5), st.integers(-5, 5)), min_size=2, max_size=30))
def test_correlations_are_those_of_scipy(points: list[tuple[int, int]]) -> None:
    stats = pytest.importorskip("scipy.stats")
    a, b = np.array(points, float).T
    np.testing.assert_allclose(ranks(a), stats.rankdata(a) - 1)
    if np.ptp(a) and np.ptp(b):
        assert correlation(a, b) == pytest.approx(stats.pearsonr(a, b).statistic, abs=1e-9)
        assert correlation(ranks(a), ranks(b)) == pytest.approx(stats.spearmanr(a, b).statistic, abs=1e-9)
    else:
        assert np.isnan(correlation(a, b))
