"""Both rules of what is far from the labelled set."""

import numpy as np
import pytest

from curette.errors import SettingError
from curette.query import selectors  # noqa: F401
from curette.query.candidates import Labelled
from curette.region import Region
from curette.registry import bind
from query.pools import pool_of

RNG = np.random.default_rng
SEEN = np.array([(0, 0), (2, 0)], np.float32)
POOL = np.array([(5, 0), (1, 3.9), (1, 1), (6, 1)], np.float32)
ENTROPY = [0.9, 0.8, 0.7, 0.1]


def pick(score, points, budget: int, *, seen=(), **options) -> list[int]:
    labelled = Labelled([Region(f"l{i}") for i in range(len(seen))], None, np.asarray(seen, np.float32))
    selector = bind("selector", "medal", **options)
    return [int(i) for i in selector(pool_of(score, embedding=points), budget, RNG(0), labelled)]


def test_the_worked_example() -> None:
    raw = {"seen": SEEN, "keep": 3, "standardise": False}
    assert pick(ENTROPY, POOL, 2, rule="centroid", **raw) == [0, 1]
    assert pick(ENTROPY, POOL, 1, rule="mean_distance", **raw) == [1]


@pytest.mark.parametrize(("rule", "seed"), [(r, s) for r in ("centroid", "mean_distance") for s in range(5)])
def test_both_rules_computed_outright(rule: str, seed: int) -> None:
    rng = RNG(seed)
    x, seen, score = rng.normal(size=(40, 3)), rng.normal(size=(6, 3)), rng.random(40)
    kept = np.argsort(-score)[:15]
    done = list(seen)
    expected: list[int] = []
    for _ in range(6):
        every = np.array(done)
        if rule == "centroid":
            distance = np.linalg.norm(x - every.mean(axis=0), axis=1)
        else:
            distance = np.linalg.norm(x[:, None] - every, axis=2).mean(axis=1)
        free = [i for i in kept if i not in expected]
        expected.append(int(max(free, key=lambda i: distance[i])))
        done.append(x[expected[-1]])
    assert pick(score, x, 6, seen=seen, rule=rule, keep=15, standardise=False) == expected


def test_the_worked_distances() -> None:
    far = np.linalg.norm(POOL[:3, None] - SEEN, axis=2)
    np.testing.assert_allclose(far.mean(axis=1), [4, 4.026164, 1.414214], atol=1e-5)
    centroid = np.concatenate([SEEN, POOL[:1]]).mean(axis=0)
    np.testing.assert_allclose(np.linalg.norm(POOL[1:3] - centroid, axis=1), [4.121623, 1.666667], atol=1e-5)


@pytest.mark.parametrize("rule", ["centroid", "mean_distance"])
def test_where_nothing_is_labelled_the_highest_score_is_first(rule: str) -> None:
    found = pick([0.1, 0.9, 0.8, 0.7], POOL, 2, rule=rule, standardise=False)
    assert found == [1, 3]


def test_features_are_scaled_unless_told_otherwise() -> None:
    x = np.array([[0, 0], [1000, 0], [0, 1]], np.float32)
    stretched = pick([1, 1, 1], x, 1, seen=[[100, 0]] * 3, standardise=False)
    assert stretched == [1]
    wide = np.concatenate([x, [[-1000, 0], [500, 0]]])
    assert pick([1, 1, 1, 0, 0], wide, 1, seen=[[0, 0], [0, 0.1]], keep=3) == [2]


def test_unwanted_regions_come_last() -> None:
    score = [1, -np.inf, 0.5, -np.inf]
    assert sorted(pick(score, POOL, 4, seen=SEEN)[2:]) == [1, 3]
    assert pick([-np.inf] * 4, POOL, 3) == [0, 1, 2]


@pytest.mark.parametrize(
    ("options", "says"), [({"rule": "mean"}, "rule 'mean'"), ({"keep": -3}, "keep is -3")]
)
def test_impossible_options(options: dict, says: str) -> None:
    with pytest.raises(SettingError, match=says):
        pick(ENTROPY, POOL, 2, **options)
