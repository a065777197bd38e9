"""Covering with balls of one radius."""

import numpy as np
import pytest

from curette.errors import SettingError
from curette.query import selectors  # noqa: F401
from curette.query.candidates import Labelled
from curette.query.selectors import prob_cover as module
from curette.query.selectors.prob_cover import Balls, cover, covering_radius, pure_radius
from curette.region import Region
from curette.registry import bind
from query.pools import pool_of

RNG = np.random.default_rng
POINTS = np.array([0, 0.4, 0.8, 3, 3.3, 9], np.float32)[:, None]
NONE = np.full(6, np.inf, np.float32)


def pick(points, budget: int, *, seen=None, rng=None, **options) -> list[int]:
    known = np.empty((0, points.shape[1])) if seen is None else np.asarray(seen, np.float32)
    labelled = Labelled([Region(f"l{i}") for i in range(len(known))], None, known)
    pool = pool_of(np.zeros(len(points)), embedding=points)
    return [int(i) for i in bind("selector", "prob_cover", **options)(pool, budget, rng or RNG(0), labelled)]


def test_the_worked_example() -> None:
    assert Balls(POINTS).near(POINTS, 0.25).tolist() == [2, 3, 2, 2, 2, 1]
    assert Balls(POINTS).near(POINTS[3:], 0.25).tolist() == [0, 0, 0, 2, 2, 1]
    for budget, picks, share in ((1, [1], 0.5), (2, [1, 3], 0.833333), (3, [1, 3, 5], 1), (6, [1, 3, 5], 1)):
        found, covered = cover(POINTS, NONE, 0.25, budget)
        assert found.tolist() == picks
        assert covered == pytest.approx(share, abs=1e-5)
    raw = {"delta": 0.5, "normalise": False}
    assert pick(POINTS, 3, **raw) == [1, 3, 5]
    assert pick(POINTS[[0, 2, 3, 4, 5]], 1, seen=POINTS[1:2], **raw) == [2]  # 3, as point 1 is labelled


def test_once_all_is_covered_the_farthest_fill_the_batch() -> None:
    found = pick(POINTS, 6, delta=0.5, normalise=False)
    assert found[:3] == [1, 3, 5]
    assert sorted(found) == list(range(6))
    assert found[3] in (0, 2)
    assert pick(POINTS, 2, delta=0.5, normalise=False, seen=POINTS) == [0, 1]


@pytest.mark.parametrize("seed", range(6))
def test_it_is_the_greedy_on_the_graph(seed: int) -> None:
    rng = RNG(seed)
    points = rng.normal(size=(80, 3)).astype(np.float32)
    delta = float(rng.uniform(0.3, 1.5))
    edges = np.linalg.norm(points[:, None] - points, axis=2) < delta
    uncovered = np.ones(80, bool)
    expected: list[int] = []
    while uncovered.any() and len(expected) < 15:
        expected.append(int((edges & uncovered).sum(axis=1).argmax()))
        uncovered &= ~edges[expected[-1]]
    assert pick(points, 15, delta=delta, normalise=False)[: len(expected)] == expected


def test_neighbours_are_counted_beyond_a_byte() -> None:
    rows = np.zeros((700, 2), np.float32)
    rows[:100] = 5
    assert set(Balls(rows).near(rows, 1.0)[100:]) == {600}


@pytest.mark.parametrize("m", [0, 5])
def test_the_radius_that_covers_a_share(m: int) -> None:
    rng = RNG(m)
    rows = rng.normal(size=(300, 2)).astype(np.float32)
    known = ((rows[:, None] - rows[:m]) ** 2).sum(axis=2).min(axis=1, initial=np.inf).astype(np.float32)
    radius = covering_radius(rows, known, 0.7, 10)
    assert cover(rows, known, radius, 10)[1] >= 0.7
    assert cover(rows, known, radius * 0.8, 10)[1] < 0.7
    assert covering_radius(rows[:1], NONE[:1], 0.7, 1) > 0
    assert covering_radius(np.zeros((9, 2), np.float32), np.full(9, np.inf, np.float32), 0.7, 1) > 0


def test_the_largest_radius_of_pure_balls() -> None:
    rows = np.array([0, 1, 2, 10, 11, 12], np.float32)[:, None]
    assert pure_radius(rows, 1.0, 2, RNG(0)) == pytest.approx(64)  # 2 and 10 are 8 apart
    assert pure_radius(rows, 4 / 6, 2, RNG(0)) == pytest.approx(81)
    assert pure_radius(rows, 2 / 6, 2, RNG(0)) == pytest.approx(100)
    assert pure_radius(rows, 0.95, 1, RNG(0)) == np.inf
    assert pick(rows, 2, purity=1.0, classes=2, normalise=False) == [0, 3]


def test_large_pools_are_covered_by_a_sample(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_TRIED", 30)
    points = RNG(0).normal(size=(500, 3)).astype(np.float32)
    picks = {tuple(pick(points, 5, sample=60, rng=RNG(s))) for s in range(5)}
    assert len(picks) == 5  # another sample, another cover
    assert all(len(set(p)) == 5 for p in picks)


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"delta": -0.1}, "delta is -0.1"),
        ({"coverage": 0.0}, "coverage is 0, but is a share from above 0"),
        ({"coverage": 1.1}, "coverage is 1.1"),
        ({"purity": 2.0}, "purity is 2"),
        ({"classes": 0}, "classes is 0"),
        ({"sample": 0}, "sample is 0"),
    ],
)
def test_impossible_options(options: dict, says: str) -> None:
    with pytest.raises(SettingError, match=says):
        pick(POINTS, 2, **options)
