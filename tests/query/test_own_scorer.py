"""How a researcher adds a scorer: twenty lines, then its name stands in any strategy text."""

import numpy as np
import pytest
from array_api_compat import array_namespace

from curette import registry
from curette.query.candidates import Labelled
from curette.query.select import select
from curette.query.strategy import check, parse_strategy
from curette.query.sweep import sweep
from fakes import SEGMENTATION, FakeImages, FakeLearner


@pytest.fixture(autouse=True)
def _forget(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(registry, "_components", dict(registry._components))


def test_an_own_scorer_by_text() -> None:
    @registry.register("scorer", "contested", paper="ours, 2025", min_passes=2, needs={"votes"})
    def contested(prediction, *, above: float = 0.5):
        """How far the most voted class is from a share `above` of the votes: 0 when the passes agree."""
        xp = array_namespace(prediction.votes)
        share = xp.max(prediction.votes, axis=1)
        return xp.clip((1 - share) / (1 - above), 0.0, 1.0)

    strategy = parse_strategy("dropout(8) > contested(0.4) > stochastic_batches")
    check(strategy, SEGMENTATION, unit="slice", budget=4)

    images = FakeImages(SEGMENTATION)
    pool = images.regions(images.case_ids)
    learner = FakeLearner(SEGMENTATION, images)
    model = learner.fit(images.labels(pool[:5]), seed=0)
    patients = {case: number for number, case in enumerate(images.case_ids)}
    candidates = sweep(learner, model, pool[5:], [strategy], seed=0, patient=patients, task=SEGMENTATION)[
        strategy
    ]
    picks = select(strategy, candidates, 4, np.random.default_rng(0), Labelled(pool[:5]))

    assert str(strategy) == "dropout(8) > contested(0.4) > unit > stochastic_batches"
    assert len(set(picks)) == 4
    assert candidates.score.max() > candidates.score.min() >= 0


def test_two_scorers_of_one_name_are_refused() -> None:
    with pytest.raises(registry.SettingError, match="already a scorer named 'entropy'"):
        registry.register("scorer", "entropy")(lambda prediction: prediction.mean)
