"""k-center against the worked example, the textbook, and itself in slow motion."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from curette.errors import CuretteWarning, SettingError
from curette.query import farthest, selectors  # noqa: F401
from curette.query.candidates import Labelled
from curette.query.farthest import farthest_first
from curette.query.space import Space
from curette.region import Region
from curette.registry import bind
from query.pools import pool_of

RNG = np.random.default_rng
Z = np.array([(0, 0), (1, 0), (4, 0), (4, 1), (0, 6), (20, 20)], np.float32)


def pick(points, budget: int, *, seen=None, rng=None, **options) -> list[int]:
    labelled = (
        Labelled() if seen is None else Labelled([Region(f"l{i}") for i in range(len(seen))], None, seen)
    )
    selector = bind("selector", "k_center", **options)
    pool = pool_of(np.zeros(len(points)), embedding=points)
    return [int(i) for i in selector(pool, budget, rng or RNG(0), labelled)]


def test_the_worked_example() -> None:
    raw = {"seen": Z[:1], "standardise": False}
    assert [i + 1 for i in pick(Z[1:], 3, **raw)] == [5, 4, 3]
    assert [i + 1 for i in pick(Z[1:], 2, **raw, outliers=1)] == [4, 3]
    assert [i + 1 for i in pick(Z[1:], 2, **raw, rho=1e-4)] == [4, 3]  # one at least
    assert sorted(pick(Z[1:], 5, **raw, outliers=3)) == list(range(5))


def test_its_distances() -> None:
    space = Space(Z, standardise=False)
    done = [0]
    for best, distance in ((5, 28.284271), (4, 6), (3, 4.123106), (2, 1)):
        nearest = np.sqrt(space.nearest(Z[done]))
        assert nearest.max() == pytest.approx(distance, abs=1e-5)
        if distance > 1:
            assert nearest.argmax() == best
        done.append(best)


@given(st.integers(0, 10**6), st.integers(0, 6), st.booleans(), st.sampled_from([0.0, 30.0]))
def test_it_is_the_greedy_of_the_textbook(seed: int, m: int, standardise: bool, offset: float) -> None:
    rng = RNG(seed)
    points = (rng.normal(size=(25 + m, 4)) * [1, 5, 0.1, 1] + offset).astype(np.float32)
    points[:, 3] = 7  # a feature that never changes
    pool, seen = points[m:], points[:m]
    found = pick(pool, 10, rng=rng, seen=seen, standardise=standardise)
    x = points.astype(np.float64)
    if standardise:
        x = (x - x.mean(axis=0)) / np.where(x.std(axis=0) > 1e-4, x.std(axis=0), 1)
    done = [*range(m)] or [found[0] + m]
    radii = []
    for i in found if m else found[1:]:
        distance = np.linalg.norm(x[:, None] - x[done], axis=2).min(axis=1)
        radii.append(distance[i + m] / distance[m:].max())
        done.append(i + m)
    np.testing.assert_allclose(radii, 1, rtol=1e-3)  # float32 may swap points that are equally far


@given(st.integers(0, 10**6), st.integers(0, 4), st.integers(1, 60), st.integers(1, 4))
def test_watching_a_few_points_gives_the_same_as_watching_all(
    seed: int, skip: int, front: int, dims: int
) -> None:
    rng = RNG(seed)
    half = rng.integers(0, 5, (30, dims)).astype(np.float32)
    half[rng.random(30) < 0.1] = np.nan
    points = rng.permutation(
        np.concatenate([half, 4 - half])
    )  # a lattice around its mean: ties and no rounding
    space = Space(points, standardise=False)
    start = space.nearest(np.ones((1, dims), np.float32))
    start[rng.integers(0, 60, 3)] = -np.inf
    budget = int(np.count_nonzero(start != -np.inf))
    before = farthest._FRONT
    try:
        farthest._FRONT = front
        found = farthest_first(space, start.copy(), budget, skip=skip)
    finally:
        farthest._FRONT = before
    distance = np.where(np.isnan(start), -1, start)
    expected = []
    for _ in range(budget):
        order = np.argsort(-distance, kind="stable")
        expected.append(int(order[max(min(skip, np.count_nonzero(distance >= 0) - 1), 0)]))
        distance = np.fmin(distance, ((points - points[expected[-1]]) ** 2).sum(axis=1))
        distance[expected[-1]] = -np.inf
    assert list(found) == expected


def test_where_it_starts_when_nothing_is_labelled() -> None:
    square = Z[:5]
    assert {pick(square, 1, start="uniform", rng=RNG(s))[0] for s in range(40)} == {0, 1, 2, 3, 4}
    middle = np.linalg.norm(square - square.mean(axis=0), axis=1)
    assert pick(square, 1, standardise=False) == [middle.argmin()]
    assert pick(square, 1, standardise=False, start="largest") == [middle.argmax()]


def test_broken_features_come_last() -> None:
    z = Z.copy()
    z[2, 0], z[4, 1] = np.nan, np.inf
    for seen in (None, np.zeros((1, 2), np.float32), np.full((1, 2), np.nan, np.float32)):
        with pytest.warns(CuretteWarning, match="2 of 6 embeddings are not finite"):
            found = pick(z, 6, seen=seen)
        assert found[4:] == [2, 4]
    with pytest.warns(CuretteWarning):
        assert pick(np.full((3, 2), np.nan), 3) == [0, 1, 2]


def test_features_are_scaled_but_not_rounding_noise() -> None:
    rng = RNG(0)
    z = rng.normal(size=(50, 3)).astype(np.float32)
    dead = (1 + 1e-6 * rng.normal(size=(50, 1))).astype(np.float32)
    seen = np.zeros((1, 3), np.float32)
    expected = pick(z, 9, seen=seen)
    assert pick((z * [1, 100, 1e-3]).astype(np.float32), 9, seen=seen) == expected
    assert pick(np.hstack([z, dead]), 9, seen=np.array([[0, 0, 0, 1]], np.float32)) == expected


def test_duplicates_are_taken_once_each() -> None:
    found = pick(np.repeat(Z[:2], 5, axis=0), 10)
    assert sorted(found) == list(range(10))
    assert (found[0] < 5) != (found[1] < 5)  # the other place comes second


def test_principal_components() -> None:
    rng = RNG(1)
    hidden = rng.normal(size=(40, 2)) * [3, 1]
    turned, _ = np.linalg.qr(rng.normal(size=(6, 6)))
    z = (hidden @ turned[:2] + 5 + 1e-4 * rng.normal(size=(40, 6))).astype(np.float32)
    plain = hidden.astype(np.float32)
    for seen in (0, 3):
        known = {"seen": z[:seen]} if seen else {}
        expected = {"seen": plain[:seen]} if seen else {}
        found = pick(z[seen:], 12, pca=2, standardise=False, **known)
        assert found == pick(plain[seen:], 12, standardise=False, **expected)
    assert pick(z, 5, pca=6) == pick(z, 5, pca=100) == pick(z, 5)


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"outliers": -2}, "outliers is -2"),
        ({"rho": 1.0}, "rho is 1"),
        ({"pca": -1}, "pca is -1"),
        ({"start": "center"}, "Did you mean 'centre'"),
    ],
)
def test_impossible_options(options: dict, says: str) -> None:
    with pytest.raises(SettingError, match=says):
        pick(Z, 2, **options)
