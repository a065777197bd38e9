"""Distance maps against a plain definition, voxel by voxel."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from curette.learn.distance import _one_by_one, _parallel, inner_distances

IGNORE = 255
shapes = st.one_of(
    st.tuples(st.integers(1, 7), st.integers(1, 8)),
    st.tuples(st.integers(1, 4), st.integers(1, 4), st.integers(1, 5)),
)
maps = shapes.flatmap(lambda shape: arrays(np.int64, (2, *shape), elements=st.integers(0, 2)))


def by_hand(label: np.ndarray, classes: int, *, zero: str, frame: bool) -> np.ndarray:
    """Distances in one class map, each from its own region alone."""
    shape = label.shape
    found = np.zeros((classes, *shape))
    padded = np.pad(label, 1, constant_values=-2)
    steps = [s * e for e in np.eye(label.ndim, dtype=int) for s in (1, -1)]
    places = [np.array(p) for p in np.ndindex(shape)]
    for c in range(classes):
        inside = [p for p in places if label[tuple(p)] == c]

        def ends(p: np.ndarray, c: int = c) -> bool:
            near = [padded[tuple(p + 1 + s)] for s in steps]
            return any((n == -2 and frame) or n not in (-2, c) for n in near)

        if zero == "boundary":
            goals = [p for p in inside if ends(p)]
        else:
            goals = [p for p in places if label[tuple(p)] != c]
            if frame:
                wide = np.full(np.add(shape, 2), True)
                wide[(slice(1, -1),) * label.ndim] = False
                goals += [np.array(p) - 1 for p in np.argwhere(wide)]
        for p in inside:
            ways = [np.linalg.norm(p - g) for g in goals]
            found[(c, *p)] = min(ways, default=np.linalg.norm(shape))
    return found


@pytest.mark.parametrize("frame", [False, True])
@pytest.mark.parametrize("zero", ["boundary", "outside"])
@given(labels=maps)
def test_every_voxel_has_its_distance(labels: np.ndarray, zero: str, frame: bool) -> None:
    found = inner_distances(torch.from_numpy(labels), 3, zero=zero, frame=frame, normalise=False)
    wanted = np.stack([by_hand(label, 3, zero=zero, frame=frame) for label in labels])
    np.testing.assert_allclose(found.numpy(), wanted, rtol=1e-5, atol=1e-5)


@given(labels=maps)
def test_both_transforms_are_exact(labels: np.ndarray) -> None:
    seeds = torch.from_numpy(labels == 1)
    some = seeds.flatten(1).any(1)
    torch.testing.assert_close(_parallel(seeds)[some], _one_by_one(seeds)[some])


def test_the_square_of_the_oracle() -> None:
    label = torch.zeros(1, 9, 9, dtype=torch.int64)
    label[0, 2:7, 2:7] = 1
    raw = inner_distances(label, 2, normalise=False)[0, 1]
    ring = torch.zeros(9, 9)
    ring[3:6, 3:6] = 1
    ring[4, 4] = 2
    torch.testing.assert_close(raw, ring)
    assert raw.sum() == 10
    assert raw.square().sum() == 12
    scaled = inner_distances(label, 2)[0]
    assert scaled.amax((1, 2)).tolist() == [1, 1]
    torch.testing.assert_close(scaled[1], ring / 2)


def test_what_is_unknown_bounds_nothing() -> None:
    label = torch.zeros(1, 5, 9, dtype=torch.int64)
    label[0, :, 5:] = 1
    with_gap = label.clone()
    with_gap[0, :, :3] = IGNORE
    found = inner_distances(with_gap, 2, ignore=IGNORE, normalise=False)
    assert (found[0, :, :, :3] == 0).all()
    whole = inner_distances(label, 2, normalise=False)
    torch.testing.assert_close(found[..., 3:], whole[..., 3:])


def test_an_image_of_one_region_is_as_deep_as_it_is_long() -> None:
    found = inner_distances(torch.zeros(1, 3, 4, dtype=torch.int64), 2, normalise=False)
    assert (found[0, 0] == 5).all()
    assert (found[0, 1] == 0).all()
    assert (inner_distances(torch.full((1, 3, 4), IGNORE), 2, ignore=IGNORE) == 0).all()
