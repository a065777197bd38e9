from dataclasses import replace

import numpy as np
import pytest

from curette import registry
from curette.errors import ContractError
from curette.query.arrays import to_numpy
from curette.query.granularity import unit
from curette.query.occasion import Occasion
from curette.query.strategy import parse_strategy
from curette.query.sweep import maps, recall, sweep
from curette.region import Region
from fakes import CLASSIFICATION, SEGMENTATION, FakeImages, FakeLearner

TEXTS = ["random", "entropy", "margin", "bald", "pcdal", "pcdal_lpi", "core_set", "bald > stochastic_batches"]


class Pool:
    """A trained fake learner and its pool."""

    def __init__(self, task=SEGMENTATION, batch: int = 8) -> None:
        self.task, self.images = task, FakeImages(task)
        self.learner = FakeLearner(task, self.images, batch)
        self.regions = self.images.regions(self.images.case_ids)
        self.model = self.learner.fit(self.images.labels(self.regions[::7]), seed=1)
        self.patient = {case: 10 + i for i, case in enumerate(self.images.case_ids)}

    def sweep(self, *texts: str, regions=None, **options):
        strategies = [parse_strategy(t) for t in texts]
        pool = self.regions if regions is None else regions
        found = sweep(
            self.learner,
            self.model,
            pool,
            strategies,
            seed=5,
            patient=self.patient,
            task=self.task,
            **options,
        )
        return [found[s] for s in strategies]


@pytest.fixture
def pool() -> Pool:
    return Pool()


def test_strategies_that_ask_alike_share_a_pass(pool: Pool) -> None:
    found = pool.sweep(*TEXTS)
    assert pool.learner.sweeps == 3  # single, dropout, flips
    assert found[3] is found[7]  # same scorer, same granularity
    assert [c.embedding is not None for c in found] == [t == "core_set" for t in TEXTS]
    for candidates in found:
        assert list(candidates.regions) == pool.regions
        assert candidates.ordered
        assert list(candidates.patient) == [pool.patient[r.case] for r in pool.regions]
        assert set(candidates.cost) == {1}


def test_sharing_a_pass_changes_no_score(pool: Pool) -> None:
    for text, together in zip(TEXTS, pool.sweep(*TEXTS), strict=True):
        (alone,) = pool.sweep(text)
        np.testing.assert_array_equal(together.score, alone.score)
        np.testing.assert_array_equal(together.predicted, alone.predicted)


@pytest.mark.parametrize("task", [SEGMENTATION, CLASSIFICATION], ids=lambda t: t.kind)
@pytest.mark.parametrize("batch", [1, 5, 1000])
def test_the_batch_size_changes_nothing(task, batch: int) -> None:
    for a, b in zip(Pool(task, batch).sweep(*TEXTS), Pool(task).sweep(*TEXTS), strict=True):
        np.testing.assert_allclose(a.score, b.score, atol=1e-6)
        np.testing.assert_array_equal(a.predicted, b.predicted)
        if a.embedding is not None:
            np.testing.assert_allclose(a.embedding, b.embedding, atol=1e-6)


def test_strategies_without_passes_never_ask_the_model(pool: Pool) -> None:
    pool.model = None
    found, strided = pool.sweep("random", "strided_random")
    assert pool.learner.sweeps == 0
    assert len(found) == len(strided) == len(pool.regions)
    assert set(found.predicted) == {-1}


def test_the_predicted_class_is_the_most_frequent_foreground(pool: Pool) -> None:
    (candidates,) = pool.sweep("entropy")
    classes, _ = maps(pool.learner, pool.model, pool.regions, parse_strategy("entropy"), seed=5)
    counts = np.stack([(classes == c).sum(axis=(1, 2)) for c in (1, 2)], axis=1)
    expected = np.where(counts.max(axis=1) > 0, counts.argmax(axis=1) + 1, 0)
    np.testing.assert_array_equal(candidates.predicted, expected)


def test_taken_regions_and_an_empty_pool(pool: Pool) -> None:
    taken = frozenset(pool.regions[3:40])
    for candidates in pool.sweep("random", "entropy", "core_set", taken=taken):
        assert list(candidates.regions) == [r for r in pool.regions if r not in taken]
    for candidates in pool.sweep("random", "entropy", "core_set", regions=[]):
        assert len(candidates) == 0


def test_a_pool_out_of_order_is_scored_but_not_called_ordered(pool: Pool) -> None:
    (candidates,) = pool.sweep("entropy", regions=pool.regions[::-1])
    (ordered,) = pool.sweep("entropy")
    assert not candidates.ordered
    np.testing.assert_array_equal(candidates.score[::-1], ordered.score)


def test_a_granularity_may_yield_more_candidates_than_regions(pool: Pool, monkeypatch) -> None:
    monkeypatch.setattr(registry, "_components", dict(registry._components))

    @registry.register("granularity", "halves")
    def halves(scores, prediction, taken):
        """Upper and lower half."""
        whole = unit(scores, prediction, taken)
        twice = whole.take(np.repeat(np.arange(len(whole)), 2))
        boxes = [((0, 8), (0, 16)), ((8, 16), (0, 16))] * len(whole)
        return replace(
            twice,
            regions=[Region(f"{r.case}.{r.index}", box=b) for r, b in zip(twice.regions, boxes, strict=True)],
        )

    pool.patient |= {f"{r.case}.{r.index}": 3 for r in pool.regions}
    split, whole = pool.sweep("single > entropy > halves > k_center", "entropy")
    assert len(split) == 2 * len(whole)
    np.testing.assert_array_equal(split.score[::2], whole.score)
    assert split.embedding.shape == (2 * len(whole), 4)


def test_embeddings_of_the_labelled_set_are_those_of_the_pool(pool: Pool) -> None:
    strategy = parse_strategy("core_set")
    (candidates,) = pool.sweep("core_set")
    features, columns = recall(pool.learner, pool.model, pool.regions[4:9], strategy, seed=5)
    assert features is not None
    assert columns == {}
    np.testing.assert_allclose(features, candidates.embedding[4:9], atol=1e-6)
    assert features.dtype == np.float32
    assert recall(pool.learner, pool.model, [], strategy, seed=5) == (None, {})


@pytest.mark.parametrize("task", [SEGMENTATION, CLASSIFICATION], ids=lambda t: t.kind)
def test_maps_show_what_was_scored(task) -> None:
    pool = Pool(task, batch=3)
    some = pool.regions[2:6]
    shape = (4, 16, 16) if task is SEGMENTATION else (4,)
    for text in TEXTS:
        classes, scores = maps(pool.learner, pool.model, some, parse_strategy(text), seed=5)
        assert classes.shape == shape
        assert classes.dtype == np.uint8
        if text in ("random", "core_set") or task is CLASSIFICATION:  # nothing measured, or no map to see
            assert scores is None
            continue
        (candidates,) = pool.sweep(text)
        assert scores.dtype == np.float32
        np.testing.assert_allclose(scores.reshape(4, -1).mean(axis=1), candidates.score[2:6], atol=1e-6)


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (lambda ps: ps[:-1], "predicted 40 of 48 regions"),
        (lambda ps: ps[::-1], "predicted other regions than those asked for, at position 0"),
        (lambda ps: [replace(p, embedding=None) for p in ps], "left out 'embedding'"),
        (lambda ps: [replace(p, mean=p.mean[:, :2]) for p in ps], "predicts 2 classes, but the task has 3"),
    ],
)
def test_a_broken_learner_is_named(pool: Pool, change, says: str) -> None:
    predict = pool.learner.predict
    pool.learner.predict = lambda *args, **options: iter(change(list(predict(*args, **options))))
    with pytest.raises(ContractError, match=f"FakeLearner {says}"):
        pool.sweep("core_set")


@pytest.mark.parametrize("answer", [lambda p: p.mean, lambda p: p.mean[0, 0], lambda p: 1.0, lambda p: None])
def test_a_broken_scorer_is_named(pool: Pool, monkeypatch, answer) -> None:
    monkeypatch.setattr(registry, "_components", dict(registry._components))
    registry.register("scorer", "own")(lambda prediction: answer(prediction))
    with pytest.raises(ContractError, match="The scorer 'own' returned shape"):
        pool.sweep("single > own > top")


def test_tensors_come_back_as_arrays() -> None:
    torch = pytest.importorskip("torch")
    with torch.inference_mode():
        made = torch.ones(2, 3)
    assert isinstance(to_numpy(made), np.ndarray)
    assert isinstance(to_numpy(torch.ones(2, requires_grad=True)), np.ndarray)


def test_boxes_recall_the_features_inside_them_and_the_columns_of_their_unit(pool: Pool) -> None:
    text = "single > entropy > patch(4, 4, stride=4, per_unit=16) > k_center"
    strategy = parse_strategy(text)
    (candidates,) = pool.sweep(text)
    some = [candidates.regions[i] for i in (40, 3, 17, 4)]
    mixed = [some[0], pool.regions[5], *some[1:]]
    features, columns = recall(pool.learner, pool.model, mixed, strategy, seed=5)
    assert columns == {}
    np.testing.assert_allclose(features[[0, 2, 3, 4]], candidates.embedding[[40, 3, 17, 4]], atol=1e-6)
    whole, _ = recall(pool.learner, pool.model, [pool.regions[5]], parse_strategy("core_set"), seed=5)
    np.testing.assert_allclose(features[1], whole[0], atol=1e-6)
    assert len(np.unique(candidates.embedding.round(5), axis=0)) > len(pool.regions)


def test_patches_without_a_model_never_ask_it(pool: Pool) -> None:
    pool.model = None
    text = "none > none > patch(4, 5) > random"
    taken = frozenset({replace(pool.regions[0], box=((0, 16), (0, 14)))})
    (found,) = pool.sweep(text, taken=taken, occasion=Occasion(budget=7, size=(16, 16)))
    assert pool.learner.sweeps == 0
    assert len(found) == 7
    assert found.ordered
    np.testing.assert_allclose(found.cost, 20 / 256)
    assert len({r.unit for r in found.regions}) == 7  # as many as the budget, each from another unit
    (more,) = pool.sweep("none > none > patch(4, 5) > strided", occasion=Occasion(budget=7, size=(16, 16)))
    assert len(more) == 140  # a selector that chooses gets something to choose from
