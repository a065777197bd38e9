"""Clusters, what is nearest to their centres, and draws by squared distance."""

import warnings
from itertools import product

import numpy as np
import pytest

from curette.errors import CuretteWarning, SettingError
from curette.query import clustering, selectors  # noqa: F401
from curette.query.candidates import Labelled
from curette.query.clustering import Given, cluster
from curette.query.seeding import draw
from curette.query.space import Space
from curette.query.strategy import parse_strategy
from curette.region import Region
from curette.registry import bind
from query.pools import pool_of

RNG = np.random.default_rng
Z = np.array([(0, 0), (1, 0), (4, 0), (4, 1), (0, 6), (20, 20)], np.float32)
RAW = {"standardise": False}


def of(seen) -> Labelled:
    return Labelled([Region(f"l{i}") for i in range(len(seen))], None, np.asarray(seen, np.float32))


def pick(name: str, points, budget: int, *, seen=(), rng=None, **options) -> list[int]:
    pool = pool_of(np.zeros(len(points)), embedding=points)
    return [int(i) for i in bind("selector", name, **options)(pool, budget, rng or RNG(0), of(seen))]


def parts(labels) -> set[frozenset[int]]:
    return {frozenset(np.flatnonzero(labels == c).tolist()) for c in np.unique(labels)}


def blobs(n: int, k: int, seed: int = 0, d: int = 4) -> np.ndarray:
    rng = RNG(seed)
    return (rng.normal(size=(k, d)) * 20)[rng.integers(0, k, n)].astype(np.float32) + rng.normal(
        size=(n, d)
    ).astype(np.float32)


def test_the_worked_examples_of_k_means() -> None:
    corner = np.array([(0, 0), (0, 1), (1, 0), (10, 10), (10, 11), (12, 10)], np.float32)
    space = Space(corner, **RAW)
    found = cluster(space, 2, RNG(0))
    assert parts(found.of) == {frozenset({0, 1, 2}), frozenset({3, 4, 5})}
    distances = [0.222222, 0.555556, 0.555556, 0.555556, 0.888889, 1.888889]
    np.testing.assert_allclose(found.distance, distances, atol=1e-5)
    np.testing.assert_allclose(
        sorted(map(tuple, found.centres + corner.mean(axis=0))), [(1 / 3, 1 / 3), (32 / 3, 31 / 3)], atol=1e-5
    )
    assert pick("kmeans", corner, 2, **RAW) == [0, 3]
    eight = [(0, 0), (0.2, 0), (0.1, 0.1), (5, 5), (5.2, 5), (9, 0), (9.1, 0.2), (0.05, 0.3)]
    found = cluster(Given(np.array(eight, np.float32)), 3, RNG(0))
    assert parts(found.of) == {frozenset({0, 1, 2, 7}), frozenset({3, 4}), frozenset({5, 6})}
    apart = np.array([(0, 0), (0.2, 0), (1, 0), (10, 0), (10.5, 0), (11.5, 0)], np.float32)
    assert sorted(pick("kmeans", apart, 2, **RAW)) == [1, 4]


@pytest.mark.parametrize("small", [clustering.SMALL, 0], ids=["lloyd", "mini-batches"])
class TestClusters:
    @pytest.fixture(autouse=True)
    def _size(self, small: int, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(clustering, "SMALL", small)

    def test_they_are_about_as_tight_as_those_of_scikit_learn(self) -> None:
        from sklearn.cluster import KMeans

        x = blobs(2000, 12)
        found = cluster(Given(x), 12, RNG(1))
        theirs = KMeans(12, n_init=10, random_state=0).fit(x).inertia_
        assert found.distance.sum() < 1.35 * theirs

    def test_points_nearer_to_a_fixed_centre_belong_to_none(self) -> None:
        x = np.concatenate([blobs(500, 1, 3), blobs(300, 1, 4)])
        fixed = ((x - x[:500].mean(axis=0)) ** 2).sum(axis=1)
        found = cluster(Given(x), 1, RNG(0), fixed=fixed.astype(np.float32))
        assert (found.of[:500] == -1).mean() > 0.99
        assert (found.of[500:] == 0).all()
        np.testing.assert_allclose(found.centres[0], x[500:].mean(axis=0), atol=0.2)

    def test_the_same_seed_gives_the_same(self) -> None:
        x = blobs(700, 5)
        np.testing.assert_array_equal(cluster(Given(x), 6, RNG(3)).of, cluster(Given(x), 6, RNG(3)).of)

    def test_it_picks_one_of_each_blob(self) -> None:
        x = blobs(900, 6, seed=5)
        rng = RNG(5)
        rng.normal(size=(6, 4))
        blob = rng.integers(0, 6, 900)
        found = pick("kmeans", x, 6)
        assert len(set(blob[found])) == 6
        assert np.diff([(blob == b).sum() for b in blob[found]]).max() <= 0  # large clusters first


def test_labelled_regions_are_centres_that_stay() -> None:
    x = np.array([[0], [0.1], [0.2], [5], [5.1], [9], [9.1], [9.2]], np.float32)
    assert sorted(pick("kmeans", x, 2, seen=[[0.1]], **RAW)) in ([3, 6], [4, 6])
    alone = sorted(pick("kmeans", x, 2, seen=[[0.1]], with_labelled=False, **RAW))
    assert alone[0] == 1  # the pool's own clusters: {0 …}, {5 …, 9 …}


def test_clusters_that_collapse_are_made_up_for_by_the_farthest() -> None:
    x = np.array([[0], [0], [0], [1], [1], [7]], np.float32)
    found = pick("kmeans", x, 5, **RAW)
    assert {float(x[i, 0]) for i in found[:3]} == {0, 1, 7}
    assert len(set(found)) == 5
    seen = [[0], [1], [7]]  # everything is known: nothing is in any cluster
    assert pick("kmeans", x, 3, seen=seen, **RAW) == [0, 1, 2]


def test_top_k_means_is_k_means_among_the_highest_scores() -> None:
    x, score = np.arange(10, dtype=np.float32)[:, None], np.array([9, 8, 7, 6, 0, 0, 0, 5, 4, 0], np.float32)
    preset = parse_strategy("entropy_kmeans").selector
    assert preset.settings["factor"] == 20
    two = parse_strategy(
        "single > entropy > prefilter(kmeans(with_labelled=false, standardise=false), factor=3, chance=0)"
    ).selector
    pool = pool_of(score, embedding=x)
    assert sorted(two(pool, 2, RNG(0), of([[1]]))) in ([1, 7], [2, 7], [1, 8], [2, 8])


def test_the_chances_of_k_means_pp() -> None:
    space = Space(Z, **RAW)
    squared = space.nearest(Z[:1])
    np.testing.assert_allclose(squared, [0, 1, 16, 17, 36, 800], rtol=1e-5, atol=1e-5)
    chances = [0, 0.001149, 0.018391, 0.019540, 0.041379, 0.919540]
    np.testing.assert_allclose(squared / squared.sum(), chances, atol=1e-6)

    class Level:
        def __init__(self, level: float) -> None:
            self.level = level

        def random(self) -> float:
            return self.level

    edges = np.cumsum(chances)
    for i in range(1, 6):
        assert draw(squared, Level(edges[i - 1] + 2e-6)) == i
        assert draw(squared, Level(edges[i] - 2e-6)) == i
    assert draw(squared, Level(np.nextafter(1.0, 0.0))) == 5
    assert draw(squared, Level(0.0)) == 1  # never a point of weight 0
    assert draw(np.zeros(4, np.float32), Level(0.5)) == -1


def test_draws_across_blocks_follow_their_weights() -> None:
    weight = np.zeros(40_000, np.float32)
    places = [0, 8191, 8192, 20_000, 39_999]
    weight[places] = [1, 2, 3, 1, 3]
    rng = RNG(0)
    drawn = [draw(weight, rng) for _ in range(3000)]
    assert set(drawn) == set(places)
    shares = [drawn.count(p) / 3000 for p in places]
    np.testing.assert_allclose(shares, [0.1, 0.2, 0.3, 0.1, 0.3], atol=0.03)


def test_k_means_pp_begins_as_told_and_goes_on_by_squared_distance() -> None:
    assert pick("k_means_pp", Z, 1, start="largest", with_labelled=False, seen=Z[:1], **RAW) == [5]
    assert {pick("k_means_pp", Z, 1, rng=RNG(s))[0] for s in range(60)} == set(range(6))
    seconds = [pick("k_means_pp", Z, 2, start="largest", rng=RNG(s), **RAW)[1] for s in range(2000)]
    squared = ((Z - Z[5]) ** 2).sum(axis=1)
    np.testing.assert_allclose(np.bincount(seconds, minlength=6) / 2000, squared / squared.sum(), atol=0.03)
    firsts = [pick("k_means_pp", Z, 1, seen=Z[:1], rng=RNG(s), **RAW)[0] for s in range(300)]
    assert firsts.count(0) == 0
    assert firsts.count(5) > 250


@pytest.mark.parametrize(
    ("name", "options", "says"),
    [
        ("kmeans", {"restarts": 0}, "restarts is 0"),
        ("k_means_pp", {"start": "biggest"}, "start 'biggest'"),
    ],
)
def test_impossible_options(name: str, options: dict, says: str) -> None:
    with pytest.raises(SettingError, match=says):
        pick(name, Z, 2, **options)


def test_every_pool_of_two_points_works() -> None:
    for points in product((0.0, 1.0, np.nan), repeat=2):
        x = np.array(points, np.float32)[:, None]
        for name, budget in product(("kmeans", "k_means_pp"), (1, 2)):
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", CuretteWarning)
                assert len(set(pick(name, x, budget))) == budget
