"""Strategies whose passes see images only: candidates with features and without a model."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from curette.errors import ContractError
from curette.loop.features import PoolFeatures
from curette.query.strategy import parse_strategy
from curette.query.sweep import maps, recall, sweep
from fakes import SEGMENTATION, FakeImages, FakeLearner

IMAGES = FakeImages()
POOL = IMAGES.regions(IMAGES.case_ids)
PATIENT = {case: i for i, case in enumerate(IMAGES.case_ids)}
COLD = "self_supervised > none > k_center"


def _sweep(learner: FakeLearner, *texts: str, **options):
    strategies = [parse_strategy(t) for t in texts]
    regions = options.pop("regions", POOL)
    found = sweep(learner, None, regions, strategies, seed=5, patient=PATIENT, task=SEGMENTATION, **options)
    return [found[s] for s in strategies]


@pytest.fixture
def learner() -> FakeLearner:
    return FakeLearner(SEGMENTATION, IMAGES)


def test_candidates_have_features_and_nothing_a_model_would_say(learner: FakeLearner) -> None:
    (found,) = _sweep(learner, COLD)
    assert found.embedding.shape == (len(POOL), 4)
    assert list(found.regions) == POOL
    assert found.ordered
    assert set(found.predicted) == {-1}
    assert set(found.score) == {0}
    assert learner.sweeps == 0


def test_strategies_share_the_encoder_and_one_that_needs_no_features_has_none(learner: FakeLearner) -> None:
    texts = ["self_supervised > none > random", COLD, "cold_kmeans", "random"]
    found = _sweep(learner, *texts)
    assert learner.encodings == 1
    assert [c.embedding is None for c in found] == [True, False, False, True]
    assert found[1].embedding is found[2].embedding
    _sweep(learner, COLD, "self_supervised(steps=3) > none > k_center")
    assert learner.encodings == 3  # other options, another encoder


def test_without_what_is_taken_rows_stay_with_their_regions(learner: FakeLearner) -> None:
    encode = PoolFeatures(learner, POOL).of(0)
    (whole,) = _sweep(learner, COLD, encode=encode)
    taken = frozenset(POOL[3:20])
    (left,) = _sweep(learner, COLD, encode=encode, taken=taken)
    keep = [i for i, region in enumerate(POOL) if region not in taken]
    np.testing.assert_array_equal(left.embedding, whole.embedding[keep])
    (none,) = _sweep(learner, COLD, regions=[])
    assert len(none) == 0
    features, columns = recall(learner, None, POOL[3:20], parse_strategy(COLD), seed=9, encode=encode)
    np.testing.assert_array_equal(features, whole.embedding[3:20])
    assert columns == {}
    assert learner.encodings == 1


def test_the_labelled_set_is_not_encoded_by_another_training(learner: FakeLearner) -> None:
    with pytest.raises(ContractError, match="must come from the training that gave those of the pool"):
        recall(learner, None, POOL[:3], parse_strategy(COLD), seed=5)
    assert recall(learner, None, [], parse_strategy(COLD), seed=5) == (None, {})
    assert recall(learner, None, POOL, parse_strategy("self_supervised > none > random"), seed=5) == (
        None,
        {},
    )


def test_rows_of_a_file_are_the_same_for_all(learner: FakeLearner, tmp_path: Path) -> None:
    rows = np.random.default_rng(0).normal(size=(len(POOL), 3)).astype(np.float32)
    np.savez(tmp_path / "f.npz", ids=np.array([str(r) for r in POOL]), features=rows)
    text = f'features("{tmp_path / "f.npz"}") > none > k_center'
    assert str(parse_strategy(str(parse_strategy(text)))) == str(parse_strategy(text))
    (found,) = _sweep(learner, text, regions=POOL[4:9])
    np.testing.assert_array_equal(found.embedding, rows[4:9])
    features, _ = recall(learner, None, POOL[:4], parse_strategy(text), seed=5)
    np.testing.assert_array_equal(features, rows[:4])


def test_pictures_show_the_model_of_the_cycle(learner: FakeLearner) -> None:
    model = learner.fit(IMAGES.labels(POOL[::7]), seed=1)
    classes, scores = maps(learner, model, POOL[:3], parse_strategy(COLD), seed=5)
    assert classes.shape == (3, 16, 16)
    assert scores is None
