import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from curette.data.grid import Grid, interpolate, nearest
from curette.errors import ContractError

SHAPES = st.tuples(*[st.integers(1, 9)] * 3)


def cut(grid: Grid, label: np.ndarray) -> np.ndarray:
    stack = np.zeros((grid.units, *grid.size), np.uint8)
    grid.label(label, stack)
    return stack


@given(
    data=st.data(),
    shape=SHAPES,
    axis=st.sampled_from([0, 1, 2, None]),
    size=st.tuples(*[st.integers(1, 12)] * 2),
)
def test_restore_undoes_a_pad_and_leaves_background_outside_a_crop(data, shape, axis, size) -> None:
    shape = shape if axis is not None else shape[:2]
    label = data.draw(hnp.arrays(np.uint8, shape, elements=st.integers(1, 255)))
    grid = Grid(shape, shape, axis, size)
    back = grid.restore(cut(grid, label))
    inside = back > 0
    np.testing.assert_array_equal(back[inside], label[inside])
    kept = [min(have, want) for have, want in zip(grid.plane, size, strict=True)]
    assert inside.sum() == grid.units * np.prod(kept)


@given(shape=SHAPES, axis=st.sampled_from([0, 1, 2]), larger=st.tuples(*[st.integers(0, 7)] * 3))
def test_restore_undoes_resampling_to_a_finer_grid(shape, axis, larger) -> None:
    label = np.random.default_rng(0).integers(1, 255, shape, dtype=np.uint8)
    sampled = tuple(n + m for n, m in zip(shape, larger, strict=True))
    grid = Grid(shape, sampled, axis, (20, 20))
    np.testing.assert_array_equal(grid.restore(cut(grid, label)), label)


def test_slices_are_cut_along_the_axis_and_centred() -> None:
    image = np.arange(2 * 3 * 4, dtype=np.float32).reshape(1, 2, 3, 4)
    grid = Grid((2, 3, 4), (2, 3, 4), 1, (4, 2))
    out = np.zeros((3, 1, 4, 2), np.float32)
    grid.image(image, out)
    assert grid.filled == (slice(1, 3), slice(0, 2))
    np.testing.assert_array_equal(out[2, 0, 1:3], image[0, :, 2, 1:3])
    assert out[:, :, [0, 3]].sum() == 0


def test_a_stack_of_another_shape_is_refused() -> None:
    with pytest.raises(ContractError, match="stack"):
        Grid((4, 4, 3), (4, 4, 3), 2, (8, 8)).restore(np.zeros((2, 8, 8), np.uint8))


@given(st.integers(1, 40), st.integers(1, 40))
def test_interpolation_keeps_constants_and_mirror_symmetry(old: int, new: int) -> None:
    rng = np.random.default_rng(old)
    np.testing.assert_allclose(interpolate(np.full((2, old), 3.0), (new,)), 3.0, rtol=1e-5)
    values = rng.normal(size=old).astype(np.float32)
    np.testing.assert_allclose(
        interpolate(values, (new,))[::-1], interpolate(values[::-1].copy(), (new,)), atol=1e-5
    )
    np.testing.assert_array_equal(interpolate(values, (old,)), values)


def test_interpolation_is_linear_between_voxel_centres() -> None:
    ramp = np.arange(8, dtype=np.float32)
    np.testing.assert_allclose(interpolate(ramp, (16,))[1:-1], np.arange(14) / 2 + 0.25, atol=1e-5)
    np.testing.assert_allclose(interpolate(ramp, (4,))[1:-1], [2.5, 4.5], atol=1e-5)
    checkers = np.tile([0.0, 1.0], 32).astype(np.float32)
    assert np.ptp(interpolate(checkers, (16,))[2:-2]) < 1e-5  # fine patterns average out instead of aliasing


def test_nearest_takes_existing_values_only() -> None:
    label = np.array([[0, 5], [9, 2]], np.uint8)
    np.testing.assert_array_equal(nearest(label, (4, 4)), np.kron(label, np.ones((2, 2), np.uint8)))
    assert set(np.unique(nearest(label, (3, 5)))) <= {0, 2, 5, 9}
