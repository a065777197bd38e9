"""Every registered granularity keeps the promise of `curette.query.contracts.Granularity`."""

from dataclasses import replace
from inspect import Parameter

import numpy as np
import pytest

from curette.query.granularity import predicted_class
from curette.query.occasion import Occasion
from curette.query.strategy import parse_strategy
from curette.region import Region
from curette.registry import bind, components, get
from fakes import prediction_of

REDUCTIONS = ["mean", "sum", "max", "topq", "fgw"]
CASES = [
    (name, reduce)
    for name, component in components("granularity").items()
    if "reduce" in component.options
    for reduce in REDUCTIONS
]
REGIONS = [Region("a", 2, z) for z in range(3)]


def make(classes: int = 3, space: tuple[int, ...] = (6, 5), seed: int = 0, **fields):
    rng = np.random.default_rng(seed)
    p = rng.dirichlet(np.ones(classes), (3, 2, *space))
    prediction = prediction_of(np.moveaxis(p, -1, 2), regions=REGIONS, embedding=rng.normal(size=(3, 4)))
    prediction = replace(prediction, image=rng.normal(size=(3, 2, *space)).astype(np.float32))
    return rng.normal(size=(3, *space)), replace(prediction, **fields)


@pytest.fixture(params=CASES, ids=lambda c: "-".join(c))
def granularity(request: pytest.FixtureRequest):
    name, reduce = request.param
    return bind("granularity", name, reduce=reduce)


@pytest.mark.parametrize("space", [(6, 5), (1, 1), (2, 3, 4)])
@pytest.mark.parametrize("classes", [2, 43])
def test_columns_are_arrays_of_numpy(granularity, classes, space) -> None:
    scores, prediction = make(classes, space)
    found = granularity(scores, prediction, frozenset())
    assert list(found.regions) == REGIONS
    assert (found.score.dtype, found.predicted.dtype, found.cost.dtype) == (np.float32, np.int32, np.float32)
    assert found.embedding.dtype == np.float32
    assert np.isfinite(found.score).all()
    assert ((found.predicted >= 0) & (found.predicted < classes)).all()


def test_invalid_pixels_count_nowhere(granularity) -> None:
    scores, prediction = make(space=(6, 5))
    valid = np.zeros((3, 6, 5), bool)
    valid[:, :4, :3] = True
    wild = np.where(valid, scores, np.nan)
    masked = granularity(wild, replace(prediction, valid=valid), frozenset())
    cut = replace(prediction, mean=prediction.mean[:, :, :4, :3])
    alone = granularity(scores[:, :4, :3], cut, frozenset())
    np.testing.assert_allclose(masked.score, alone.score, rtol=1e-6)
    np.testing.assert_array_equal(masked.predicted, alone.predicted)


def test_a_region_without_valid_pixels_is_wanted_by_nobody(granularity) -> None:
    scores, prediction = make(space=(6, 5))
    valid = np.ones((3, 6, 5), bool)
    valid[1] = False
    found = granularity(scores, replace(prediction, valid=valid), frozenset())
    assert found.score[1] == -np.inf
    assert found.predicted[1] == 0
    assert np.isfinite(found.score[[0, 2]]).all()


def test_taken_regions_are_left_out(granularity) -> None:
    scores, prediction = make()
    found = granularity(scores, prediction, frozenset({REGIONS[1], Region("b")}))
    assert list(found.regions) == [REGIONS[0], REGIONS[2]]
    assert len(found.embedding) == 2


def test_tensors_give_the_same(granularity) -> None:
    torch = pytest.importorskip("torch")
    valid = np.random.default_rng(1).random((3, 6, 5)) > 0.3
    scores, prediction = make(space=(6, 5), valid=valid)
    expected = granularity(scores, prediction, frozenset())
    tensors = {k: torch.from_numpy(getattr(prediction, k)) for k in ("mean", "valid", "embedding")}
    found = granularity(torch.from_numpy(scores), replace(prediction, **tensors), frozenset())
    np.testing.assert_allclose(found.score, expected.score, rtol=1e-6)
    np.testing.assert_array_equal(found.predicted, expected.predicted)
    np.testing.assert_array_equal(found.embedding, expected.embedding)


def test_a_score_a_region_stays_as_it_is(granularity) -> None:
    _, prediction = make(space=())
    found = granularity(np.array([0.1, 0.7, 0.3]), prediction, frozenset())
    np.testing.assert_allclose(found.score, [0.1, 0.7, 0.3])
    np.testing.assert_array_equal(found.predicted, prediction.mean.argmax(axis=1))


def test_higher_maps_score_higher(granularity) -> None:
    scores, prediction = make()
    low, high = (granularity(s, prediction, frozenset()).score for s in (scores, scores + 1))
    assert (high > low).all()


def test_the_predicted_class_of_maps() -> None:
    label = np.array([[[0, 0, 0, 2]], [[0, 1, 2, 2]], [[0, 1, 2, 0]], [[0, 0, 0, 0]]])  # [B, *S]
    mean = np.moveaxis(np.eye(3)[label], -1, 1)
    prediction = prediction_of(mean[:, None], regions=[Region(c) for c in "abcd"])
    assert list(predicted_class(prediction)) == [2, 2, 1, 0]


def test_a_pixel_torn_between_classes_counts_for_the_first() -> None:
    mean = np.array([[0.4, 0.4, 0.2], [0.2, 0.4, 0.4], [0.2, 0.3, 0.5]]).T[None]  # [1, C, pixels]
    for passes in (mean[..., :1], mean[..., :2], mean):
        label = passes[0].argmax(axis=0)
        counts = np.bincount(label, minlength=3)[1:]
        expected = counts.argmax() + 1 if counts.any() else 0
        assert list(predicted_class(prediction_of(passes[:, None]))) == [expected]


def test_the_predicted_class_of_a_volume_looked_at_in_slabs(monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(3)
    for _ in range(20):
        prediction = prediction_of(rng.dirichlet([1, 1, 1], (1, 1, 9, 4)).transpose(0, 1, 4, 2, 3))
        prediction = replace(prediction, valid=rng.random((1, 9, 4)) > 0.3)
        monkeypatch.setattr("curette.learn.prediction._CELLS", 10**6)
        whole = predicted_class(prediction)
        monkeypatch.setattr("curette.learn.prediction._CELLS", 30)
        assert len(list(prediction.slabs())) > 2
        assert predicted_class(prediction) == whole


PARTS = [name for name, c in sorted(components("granularity").items()) if c.info.get("part")]


@pytest.mark.parametrize("name", PARTS)
@pytest.mark.parametrize("space", [(6, 5), (1, 1), (4, 5, 6)])
class TestPartsOfUnits:
    """Of granularities that pick boxes or shapes; called with the size of a box, or the pixels of a shape."""

    def found(self, name: str, space: tuple[int, ...], taken: frozenset[Region] = frozenset()):
        scores, prediction = make(3, space)
        boxes = Parameter.VAR_POSITIONAL in {p.kind for p in get("granularity", name).options.values()}
        size = ", ".join("234"[: len(space)]) if boxes else 4
        bound = parse_strategy(f"single > entropy > {name}({size}) > top").granularity
        occasion = Occasion(
            seed=1,
            budget=5,
            units=3,
            size=space,
            truth=lambda _: np.ones(space, np.uint8),
            image=lambda unit: prediction.image[REGIONS.index(unit)],
        )
        draw = bound.component.info.get("draw")
        if draw is not None:
            drawn = draw(REGIONS, taken, occasion, *bound.args, **bound.options)
            yield drawn
            assert drawn == draw(REGIONS, taken, occasion, *bound.args, **bound.options)
        if bound.component.info.get("occasion"):
            asked = bound(scores, prediction, taken, occasion)
            assert (asked.score.dtype, asked.predicted.dtype, asked.cost.dtype) == (
                np.float32,
                np.int32,
                np.float32,
            )
            assert asked.embedding.shape == (len(asked), 4)
            assert np.isfinite(asked.score).all()
            assert ((asked.predicted >= 0) & (asked.predicted < 3)).all()
            assert ((asked.cost > 0) & (asked.cost <= 1)).all()
            for made in bound.component.info.get("makes", ()):
                assert len(asked.columns[made]) == len(asked)
            again = bound(scores, prediction, taken, occasion)
            assert list(again.regions) == list(asked.regions)
            np.testing.assert_array_equal(again.score, asked.score)
            yield list(asked.regions)

    def test_boxes_lie_in_the_units_asked_about_and_each_is_there_once(self, name, space) -> None:
        for regions in self.found(name, space):
            assert regions
            assert len(set(regions)) == len(regions)
            assert regions == sorted(regions)
            for region in regions:
                assert region.box
                assert region.mask.shape == tuple(stop - start for start, stop in region.box)
                assert region.unit in REGIONS
                assert all(stop <= side for (_, stop), side in zip(region.box, space, strict=True))

    def test_what_is_taken_is_kept_clear_of(self, name, space) -> None:
        taken = frozenset(replace(r, box=tuple((0, (n + 1) // 2) for n in space)) for r in REGIONS[:2])
        for regions in self.found(name, space, taken):
            assert not any(a.overlaps(b) for a in regions for b in taken)
            assert any(region.unit == REGIONS[2] for region in regions)


SCORING = [
    text
    for name, c in sorted(components("granularity").items())
    if c.info.get("occasion") or "draw" not in c.info
    for text in (
        [f"{name}(3, 2)"]
        if any(o.kind is Parameter.VAR_POSITIONAL for o in c.options.values())
        else [name, *c.info.get("examples", ())]
    )
]


@pytest.mark.parametrize("text", SCORING)
@pytest.mark.parametrize("classes", [2, 43])
class TestWhateverScores:
    def scored(self, text: str, scores, prediction):
        bound = parse_strategy(f"single > entropy > {text} > top").granularity
        space = prediction.mean.shape[2:]
        when = [Occasion(seed=1, budget=4, units=3, size=tuple(space))][: bool(bound.says("occasion"))]
        return bound(scores, prediction, frozenset(), *when)

    def same(self, found, expected) -> None:
        assert list(found.regions) == list(expected.regions)
        np.testing.assert_allclose(found.score, expected.score, rtol=1e-5, atol=1e-6)
        np.testing.assert_array_equal(found.predicted, expected.predicted)
        np.testing.assert_allclose(found.embedding, expected.embedding, rtol=1e-5, atol=1e-6)
        assert found.columns.keys() == expected.columns.keys()
        for name, column in expected.columns.items():
            np.testing.assert_allclose(found.columns[name], column, rtol=1e-5, atol=1e-6)

    def part(self, prediction, rows, convert=lambda a: a):
        """The prediction of some of the regions, its arrays converted."""
        names = ("mean", "valid", "embedding", "image")
        arrays = {n: getattr(prediction, n) for n in names if getattr(prediction, n) is not None}
        cut = {n: convert(np.ascontiguousarray(a[rows])) for n, a in arrays.items()}
        columns = {n: convert(np.ascontiguousarray(a[rows])) for n, a in prediction.columns.items()}
        return replace(prediction, regions=prediction.regions[rows], columns=columns, **cut)

    @pytest.mark.parametrize("masked", [False, True])
    def test_tensors_give_the_same(self, text: str, classes: int, masked: bool) -> None:
        torch = pytest.importorskip("torch")
        valid = np.random.default_rng(1).random((3, 6, 5)) > 0.1 if masked else None
        scores, prediction = make(classes, valid=valid)
        scores = np.abs(scores).astype(np.float32)
        tensors = self.part(prediction, slice(None), torch.from_numpy)
        self.same(self.scored(text, torch.from_numpy(scores), tensors), self.scored(text, scores, prediction))

    def test_each_unit_counts_for_itself(self, text: str, classes: int) -> None:
        scores, prediction = make(classes)
        whole = self.scored(text, scores, prediction)
        for b in range(3):
            alone = self.scored(text, scores[b : b + 1], self.part(prediction, slice(b, b + 1)))
            rows = [i for i, region in enumerate(whole.regions) if region.unit == REGIONS[b]]
            self.same(alone, whole.take(np.array(rows)))

    def test_the_input_stays_as_it_is(self, text: str, classes: int) -> None:
        scores, prediction = make(classes, valid=np.random.default_rng(1).random((3, 6, 5)) > 0.3)
        held = (scores, prediction.mean, prediction.valid, prediction.embedding, prediction.image)
        before = [array.copy() for array in held]
        self.scored(text, scores, prediction)
        for array, copy in zip(held, before, strict=True):
            np.testing.assert_array_equal(array, copy)
