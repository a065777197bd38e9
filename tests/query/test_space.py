"""Distances without a scaled copy against distances with one."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from curette.query import space as module
from curette.query.candidates import Labelled
from curette.query.clustering import Given
from curette.query.space import Space, blocks, features, nearest, projected, squared_length, unit
from curette.region import Region
from query.pools import pool_of

RNG = np.random.default_rng


@given(st.integers(0, 10**6), st.booleans(), st.sampled_from([0.0, 100.0]), st.integers(0, 5))
def test_distances(seed: int, standardise: bool, offset: float, m: int) -> None:
    rng = RNG(seed)
    every = (rng.normal(size=(30 + m, 3)) * [1, 10, 0.1] + offset).astype(np.float32)
    points, seen = every[m:], every[:m]
    space = Space(points, seen, standardise=standardise)
    x = every.astype(np.float64) - every.mean(axis=0, dtype=np.float64)
    if standardise:
        x /= x.std(axis=0)
    tolerance = {"rtol": 1e-3, "atol": 1e-3 * float((x**2).sum(axis=1).max())}
    np.testing.assert_allclose(space.length, (x[m:] ** 2).sum(axis=1), **tolerance)
    np.testing.assert_allclose(space.rows(slice(3, 9)), x[m + 3 : m + 9], atol=1e-3 * np.abs(x).max())
    for i in (0, 17):
        np.testing.assert_allclose(space.to(i), ((x[m:] - x[m + i]) ** 2).sum(axis=1), **tolerance)
    between = ((x[m:, None] - x[:m]) ** 2).sum(axis=2).min(axis=1, initial=np.inf)
    np.testing.assert_allclose(space.nearest(seen), between, **tolerance)


def test_small_blocks_give_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    points = RNG(0).normal(5, 2, (50, 4)).astype(np.float32)
    whole = Space(points, points[:7])
    monkeypatch.setattr(module, "_FUSED", 3)
    monkeypatch.setattr(module.blocks, "__defaults__", (24,))
    cut = Space(points, points[:7])
    np.testing.assert_allclose(cut.length, whole.length, rtol=1e-5)
    np.testing.assert_allclose(cut.to(4), whole.to(4), rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(cut.nearest(points[:9]), whole.nearest(points[:9]), rtol=1e-4, atol=1e-5)


def test_the_nearest_centre_and_the_first_of_a_tie() -> None:
    points = np.array([[0.0], [1], [2], [7]], np.float32)
    distance, which = nearest(Given(points), np.array([[0.0], [2], [2], [10]], np.float32))
    assert distance.tolist() == [0, 1, 0, 9]
    assert which.tolist() == [0, 0, 1, 3]
    distance, which = nearest(Given(points), points[:0])
    assert np.isinf(distance).all()
    assert (which == -1).all()


def test_broken_points_have_no_distance() -> None:
    points = np.array([[0, 0], [np.nan, 1], [3, 4], [np.inf, 0], [1e30, 0]], np.float32)
    space = Space(points, standardise=False)
    for found in (space.length, space.to(0), space.nearest(points[[0]])):
        assert np.isnan(found[[1, 3]]).all()
    assert space.good.tolist() == [True, False, True, False, False]
    assert np.isfinite(Space(points[:3], points[[1]]).nearest(points[[0, 1]])[[0, 2]]).all()


def test_unit_rows_of_any_size() -> None:
    rows = np.array([[3, 4], [0, 0], [3e30, 4e30], [3e-30, 4e-30]], np.float32)
    np.testing.assert_allclose(unit(rows), [[0.6, 0.8], [0, 0], [0.6, 0.8], [0.6, 0.8]], rtol=1e-6)
    assert squared_length(rows)[0] == 25


def test_principal_components_keep_distances_of_a_plane() -> None:
    rng = RNG(0)
    turned, _ = np.linalg.qr(rng.normal(size=(7, 7)))
    plane = rng.normal(size=(60, 2)) * [5, 2]
    z = (plane @ turned[:2] + 3).astype(np.float32)
    points, seen = projected(z[10:], z[:10], 2, standardise=False)
    assert (points.shape, seen.shape) == ((50, 2), (10, 2))
    found = ((points[:, None] - seen) ** 2).sum(axis=2)
    np.testing.assert_allclose(
        found, ((plane[10:, None] - plane[:10]) ** 2).sum(axis=2), rtol=1e-3, atol=1e-3
    )


def test_the_labelled_set_is_read_in_region_order_without_broken_rows() -> None:
    known = np.array([[1, 0], [2, 0], [np.nan, 0]], np.float32)
    labelled = Labelled([Region("b"), Region("a"), Region("c")], None, known)
    pool = pool_of(np.zeros(1), embedding=[[0, 0]])
    assert features(pool, labelled)[1].tolist() == [[2, 0], [1, 0]]
    assert features(pool, Labelled())[1].shape == (0, 2)


@given(st.integers(0, 40), st.integers(0, 9), st.integers(1, 50))
def test_blocks_cover_every_row_once(n: int, width: int, cells: int) -> None:
    rows = [i for block in blocks(n, width, cells) for i in range(block.start, block.stop)]
    assert rows == list(range(n))
