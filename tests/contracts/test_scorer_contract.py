"""Every registered scorer, whoever wrote it, keeps the promise of `curette.query.contracts.Scorer`."""

from dataclasses import fields, replace

import numpy as np
import pytest

from curette.learn.columns import wanted
from curette.learn.prediction import NEEDS, Prediction
from curette.query.arrays import to_numpy
from curette.query.scoring import score_map
from curette.query.strategy import parse_strategy
from curette.registry import components
from fakes import prediction_of

# Scorers of one batch; those of the whole pool have a contract of their own. Option texts are tested too, and alone where
# an option has no default.
SCORERS = [
    text
    for name, c in components("scorer").items()
    if not c.info.get("pool")
    for text in (name, *c.info.get("examples", ()))
    if text != name or all(o.default is not o.empty for o in c.options.values())
]
SPACES = {"classification": (), "2D": (5, 4), "3D": (3, 4, 5)}


def random_passes(classes: int, space: tuple[int, ...], batch: int = 4, passes: int = 5) -> np.ndarray:
    logits = np.random.default_rng(classes).normal(0, 3, (batch, passes, classes, *space))
    p = np.exp(logits)
    return p / p.sum(axis=2, keepdims=True)


def narrow(prediction: Prediction, convert=lambda a: a) -> Prediction:
    """The prediction in float32, as learners give it, through `convert`."""
    arrays = {f.name: getattr(prediction, f.name) for f in fields(prediction) if f.name in NEEDS}
    return replace(
        prediction,
        **{k: convert(v.astype(np.float32)) for k, v in arrays.items() if v is not None},
        columns={k: convert(v.astype(np.float32)) for k, v in prediction.columns.items()},
    )


@pytest.fixture(params=SCORERS)
def scorer(request: pytest.FixtureRequest):
    return parse_strategy(f"dropout(10) > {request.param} > top").scorer


@pytest.mark.parametrize("space", SPACES.values(), ids=SPACES)
@pytest.mark.parametrize("classes", [2, 3, 43])
class TestOnRandomPredictions:
    def test_one_finite_number_a_pixel_or_region(self, scorer, classes, space) -> None:
        prediction = narrow(prediction_of(random_passes(classes, space)))
        found = scorer(prediction)
        assert found.shape in ((4, *space), (4,))
        assert np.isfinite(found).all()

    def test_each_region_counts_for_itself(self, scorer, classes, space) -> None:
        passes = random_passes(classes, space)
        whole = scorer(prediction_of(passes))
        for i in range(len(passes)):
            np.testing.assert_allclose(scorer(prediction_of(passes[i : i + 1]))[0], whole[i], atol=1e-12)

    def test_the_input_stays_as_it_is(self, scorer, classes, space) -> None:
        prediction = narrow(prediction_of(random_passes(classes, space)))
        arrays = {f.name: getattr(prediction, f.name) for f in fields(prediction) if f.name in NEEDS}
        before = {name: np.copy(array) for name, array in arrays.items() if array is not None}
        columns = {name: np.copy(column) for name, column in prediction.columns.items()}
        scorer(prediction)
        for name, array in before.items():
            np.testing.assert_array_equal(getattr(prediction, name), array)
        for name, column in columns.items():
            np.testing.assert_array_equal(prediction.columns[name], column)

    def test_tensors_give_the_same(self, scorer, classes, space) -> None:
        torch = pytest.importorskip("torch")
        prediction = prediction_of(random_passes(classes, space))
        found = scorer(narrow(prediction, torch.from_numpy))
        assert isinstance(found, torch.Tensor)
        assert found.dtype == torch.float32
        np.testing.assert_allclose(to_numpy(found), scorer(narrow(prediction)), rtol=1e-5, atol=1e-6)

    def test_only_declared_fields_are_read(self, scorer, classes, space) -> None:
        prediction = prediction_of(random_passes(classes, space))
        lean = replace(
            prediction,
            **dict.fromkeys(NEEDS - {"mean"} - scorer.needs),
            columns={k: v for k, v in prediction.columns.items() if k in scorer.needs},
        )
        np.testing.assert_array_equal(scorer(lean), scorer(prediction))


@pytest.mark.parametrize("classes", [2, 3, 43])
def test_certain_predictions_are_finite_and_no_one_is_above_an_ambiguous_one(scorer, classes: int) -> None:
    """Exact 0 and 1 in every pass, against passes that are torn: each sure of another class, or evenly spread."""
    certain = np.zeros((6, classes))
    certain[:, 0] = 1
    torn = np.eye(classes)[np.arange(6) % 2]
    even = np.full((6, classes), 1 / classes)
    missing = np.zeros((6, classes))
    missing[:, -1] = 1  # another class sure, all others missing
    sure, split, spread, other = scorer(prediction_of([certain, torn, even, missing]))
    assert np.isfinite([sure, split, spread, other]).all()
    assert sure == pytest.approx(other)
    if scorer.name == "none":
        return
    assert split > sure
    if int(scorer.component.info.get("min_passes", 1)) > 1:
        assert spread == pytest.approx(sure)  # passes that agree teach nothing, however unsure they are
    else:
        assert spread > sure


@pytest.mark.parametrize("space", [(7, 4), (5, 3, 4)])
def test_what_looks_at_single_pixels_may_be_shown_a_few_rows_at_a_time(
    scorer, space: tuple[int, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    if not scorer.component.info.get("pixelwise"):
        return
    prediction = narrow(prediction_of(random_passes(3, space, batch=1)))
    whole = scorer(prediction)
    monkeypatch.setattr("curette.learn.prediction._CELLS", 2 * prediction.mean[0, :, 0].size)
    assert len(list(prediction.slabs())) == -(-space[0] // 2)
    np.testing.assert_array_equal(score_map(scorer, prediction), whole)


def test_needs_are_fields_or_columns_of_predictions(scorer) -> None:
    wanted(scorer.needs)


def test_it_says_what_it_is(scorer) -> None:
    assert scorer.component.summary
    assert scorer.component.paper or scorer.name == "none"
