"""Greedy maximum cover against the worked example and sums computed outright."""

import numpy as np
import pytest

from curette.errors import SettingError
from curette.query import selectors  # noqa: F401
from curette.query.candidates import Labelled
from curette.query.selectors import max_cover
from curette.query.selectors.max_cover import Cover
from curette.query.space import unit
from curette.region import Region
from curette.registry import bind
from query.pools import pool_of

RNG = np.random.default_rng
U = np.array([0.9, 0.8, 0.7, 0.1, 0.2])
Z = np.array([(1, 0), (0.9, 0.1), (0, 1), (0.1, 1), (0.7, 0.7)], np.float32)


def pick(score, points, budget: int, *, seen=(), **options) -> list[int]:
    labelled = Labelled([Region(f"l{i}") for i in range(len(seen))], None, np.asarray(seen, np.float32))
    selector = bind("selector", "max_cover", **options)
    return [int(i) for i in selector(pool_of(score, embedding=points), budget, RNG(0), labelled)]


def similarity(a, b) -> np.ndarray:
    return unit(np.asarray(a, np.float64)) @ unit(np.asarray(b, np.float64)).T


def test_the_worked_example() -> None:
    cover = Cover(Z, np.ones(5, bool), Z[:0])
    np.testing.assert_allclose(cover.gains(unit(Z[:3])), [2.800494, 3.093963, 2.812575], atol=1e-5)
    assert cover.greedy(unit(Z[:3]), 1).tolist() == [1]
    again = cover.gains(unit(Z[:3]))
    assert (again[0], again[2]) == pytest.approx((0.006116, 1.675827), abs=1e-5)
    assert pick(U, Z, 2, keep=3) == [1, 2]
    full = Cover(Z, np.ones(5, bool), Z[1:3])
    assert full.covered.sum() == pytest.approx(4.769789, abs=1e-5)


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize("at_once", [1, 3, 100])
def test_it_is_the_greedy_of_the_textbook(seed: int, at_once: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(max_cover, "_AT_ONCE", at_once)
    rng = RNG(seed)
    points, score, seen = rng.normal(size=(60, 3)), rng.random(60), rng.normal(size=(seed % 3, 3))
    kept = np.sort(np.argsort(-score)[:20])
    covered = np.maximum(similarity(points, seen).max(axis=1, initial=0), 0)
    expected: list[int] = []
    for _ in range(7):
        gain = np.maximum(similarity(points, points[kept]) - covered[:, None], 0).sum(axis=0)
        gain[np.isin(kept, expected)] = -1
        expected.append(int(kept[gain.argmax()]))
        covered = np.maximum(covered, similarity(points, points[expected[-1:]])[:, 0])
    assert pick(score, points, 7, keep=20, seen=seen) == expected


def test_what_is_labelled_counts_as_covered_unless_told_otherwise() -> None:
    assert pick(U, Z, 1, keep=3, seen=Z[1:2]) == [2]
    assert pick(U, Z, 1, keep=3, seen=Z[1:2], with_labelled=False) == [1]


def test_twice_the_budget_is_looked_at() -> None:
    rng = RNG(1)
    score = rng.random(40)
    order = np.argsort(-score)
    assert set(pick(score, rng.normal(size=(40, 4)), 5)) <= set(order[:10].tolist())
    assert set(pick(score, rng.normal(size=(40, 4)), 5, keep=2)) == set(order[:5].tolist())


def test_unwanted_regions_come_last_and_zeros_resemble_nothing() -> None:
    score, points = np.array([1, -np.inf, 0, 2]), np.array([[0, 0], [1, 0], [1, 1], [1, 0]])
    assert pick(score, points, 4)[-1] == 1
    assert pick(score, points, 2, keep=3)[0] == 3


def test_a_negative_keep() -> None:
    with pytest.raises(SettingError, match="keep is -1"):
        pick(U, Z, 2, keep=-1)
