"""Hausdorff distances against published numbers, MONAI, medpy's recipe, and properties they must have."""

from __future__ import annotations

import math
import warnings

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy.ndimage import binary_erosion, distance_transform_edt, gaussian_filter

from curette.errors import DataError, SettingError
from curette.learn.surface import hausdorff, hausdorff_by_class

Mask = NDArray[np.bool_]


@st.composite
def blobs(draw: st.DrawFn, empty: bool = True) -> tuple[Mask, Mask, tuple[float, ...]]:
    """Two masks of one shape, from specks to large blobs, near or far from each other, and a spacing."""
    shape = tuple(draw(st.lists(st.integers(1, 18), min_size=2, max_size=3)))
    rng = np.random.default_rng(draw(st.integers(0, 2**32)))
    masks = []
    for _ in range(2):
        field = gaussian_filter(rng.normal(size=shape), draw(st.sampled_from([0.0, 1.0, 2.5])))
        mask = field > np.quantile(field, draw(st.sampled_from([0.3, 0.8, 0.97])))
        if not empty and not mask.any():
            mask.flat[rng.integers(mask.size)] = True
        masks.append(mask)
    spacing = draw(st.sampled_from([(1.0, 1.0, 1.0), (0.5, 0.5, 3.0), (2.3, 0.7, 1.1)]))[: len(shape)]
    return masks[0], masks[1], spacing


def by_hand(a: Mask, b: Mask, spacing: tuple[float, ...]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Distances between boundaries through a distance transform, as medpy does it."""
    edges = [mask & ~binary_erosion(mask) for mask in (a, b)]
    maps = [distance_transform_edt(~edge, sampling=spacing) for edge in edges]
    return maps[1][edges[0]], maps[0][edges[1]]


def tail() -> tuple[Mask, Mask]:
    truth = np.zeros((16, 16), bool)
    truth[2:8, 2:8] = True
    prediction = truth.copy()
    prediction[8:12, 4] = True
    return prediction, truth


def test_a_tail_gives_the_published_numbers() -> None:
    prediction, truth = tail()
    assert hausdorff(prediction, truth, percentile=100) == 4
    assert hausdorff(prediction, truth) == pytest.approx(2.9)
    assert hausdorff(prediction, truth, definition="medpy") == pytest.approx(1.9)


def test_a_shift_by_one_pixel_is_one_pixel() -> None:
    truth = np.zeros((12, 12), bool)
    truth[3:9, 3:9] = True
    assert hausdorff(np.roll(truth, 1, axis=0), truth) == 1
    assert hausdorff(np.roll(truth, 1, axis=0), truth, spacing=(2.5, 1)) == 2.5


@given(blobs(empty=False))
def test_equal_to_monai(case: tuple[Mask, Mask, tuple[float, ...]]) -> None:
    torch = pytest.importorskip("torch")
    from monai.metrics import compute_hausdorff_distance

    a, b, spacing = case
    tensors = [torch.from_numpy(np.stack([~m, m]))[None] for m in (a, b)]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        expected = compute_hausdorff_distance(*tensors, percentile=95, spacing=list(spacing))
    assert hausdorff(a, b, spacing) == pytest.approx(float(expected), rel=1e-5, abs=1e-6)


@given(blobs(empty=False), st.sampled_from([50.0, 95.0, 100.0]))
def test_equal_to_both_definitions_written_out(
    case: tuple[Mask, Mask, tuple[float, ...]], percentile: float
) -> None:
    a, b, spacing = case
    there, back = by_hand(a, b, spacing)
    larger = max(np.percentile(there, percentile), np.percentile(back, percentile))
    together = np.percentile(np.hstack((there, back)), percentile)
    assert hausdorff(a, b, spacing, percentile=percentile) == pytest.approx(larger)
    assert hausdorff(a, b, spacing, percentile=percentile, definition="medpy") == pytest.approx(together)


@given(blobs(), st.sampled_from(["monai", "medpy"]))
def test_symmetric_bounded_and_zero_for_equals(
    case: tuple[Mask, Mask, tuple[float, ...]], definition: str
) -> None:
    a, b, spacing = case
    there = hausdorff(a, b, spacing, definition=definition)  # type: ignore[arg-type]
    assert there == hausdorff(b, a, spacing, definition=definition)  # type: ignore[arg-type]
    assert 0 <= there <= np.linalg.norm(np.multiply(a.shape, spacing))
    assert hausdorff(a, a, spacing, definition=definition) == 0  # type: ignore[arg-type]


@given(blobs(empty=False), st.integers(1, 9))
def test_a_larger_image_changes_nothing(case: tuple[Mask, Mask, tuple[float, ...]], margin: int) -> None:
    a, b, spacing = case
    larger = [np.pad(m, margin) for m in (a, b)]
    assert hausdorff(*larger, spacing) == hausdorff(a, b, spacing)


@given(blobs(), st.sampled_from([0.25, 3.0]))
def test_scales_with_the_spacing(case: tuple[Mask, Mask, tuple[float, ...]], factor: float) -> None:
    a, b, spacing = case
    scaled = tuple(s * factor for s in spacing)
    assert hausdorff(a, b, scaled) == pytest.approx(factor * hausdorff(a, b, spacing))


WAYS = {
    "map": {"_CALL": 0.0, "_PASS": 0.0, "_PAIR": math.inf},
    "pairs": {"_PAIR": 0.0},
    "tree": {"_PAIR": math.inf, "_CALL": math.inf},
}
"""What to set the costs to, so that what is not near is answered in one way whatever it really takes."""


def _force(patch: pytest.MonkeyPatch, way: str) -> None:
    for name, cost in WAYS[way].items():
        patch.setattr(f"curette.learn.surface.{name}", cost)


@pytest.mark.parametrize("shape", [(90,), (40, 31), (5, 60), (24, 20, 17), (1, 30, 2)])
@pytest.mark.parametrize("edges", [(1.0,), (0.7,), (0.7, 1.5, 1.0)])
def test_every_way_says_the_same(
    shape: tuple[int, ...], edges: tuple[float, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Masks that fill a part of the array up to its borders, some near each other, some far off."""
    rng = np.random.default_rng(0)
    spacing, far = (edges * 3)[: len(shape)], 0
    for number in range(30):
        masks = [np.zeros(shape, bool), np.zeros(shape, bool)]
        for mask in masks:
            for _ in range(1 + number % 3):
                starts = [rng.integers(n) for n in shape]
                mask[
                    tuple(slice(a, a + 1 + int(rng.integers(n))) for a, n in zip(starts, shape, strict=True))
                ] = True
        plain = {d: hausdorff(*masks, spacing, definition=d) for d in ("monai", "medpy")}  # type: ignore[arg-type]
        there, back = by_hand(*masks, spacing)
        assert plain["medpy"] == pytest.approx(np.percentile(np.hstack((there, back)), 95))
        for way in WAYS:
            with monkeypatch.context() as forced:
                _force(forced, way)
                for definition, value in plain.items():
                    found = hausdorff(*masks, spacing, definition=definition)  # type: ignore[arg-type]
                    assert found == (value if len(edges) == 1 else pytest.approx(value, rel=1e-14)), way
        far += plain["monai"] > 2
    assert far > 5


def test_what_the_map_cannot_see_is_no_distance(monkeypatch: pytest.MonkeyPatch) -> None:
    """The nearest voxel is nine off along one axis, beyond the map, which sees another one at (8, 6), ten off."""
    a, b = np.zeros((12, 9), bool), np.zeros((12, 9), bool)
    a[0, 0] = b[9, 0] = b[8, 6] = True
    _force(monkeypatch, "map")
    assert hausdorff(a, b, percentile=50, definition="medpy") == 9


def test_empty_masks_are_penalised_not_undefined() -> None:
    nothing, something = np.zeros((3, 4, 12), bool), np.zeros((3, 4, 12), bool)
    something[1, 1, 1] = True
    assert hausdorff(nothing, nothing, (1, 1, 1)) == 0
    assert hausdorff(nothing, something, (1, 1, 1)) == 13
    assert hausdorff(something, nothing, (2, 2, 2)) == 26


def test_far_islands_are_measured_exactly() -> None:
    truth = np.zeros((60, 60, 40), bool)
    truth[5:15, 5:15, 5:15] = True
    prediction = truth.copy()
    prediction[50:55, 50:55, 30:35] = True
    there, back = by_hand(prediction, truth, (1.0, 1.0, 1.0))
    assert hausdorff(prediction, truth) == pytest.approx(
        max(np.percentile(there, 95), np.percentile(back, 95))
    )
    assert hausdorff(prediction, truth) > 40


@pytest.mark.parametrize("dtype", [np.uint8, np.int16, np.uint16, np.int64])
def test_every_class_is_measured_as_if_alone(dtype: type) -> None:
    rng = np.random.default_rng(0)
    a, b = (np.digitize(gaussian_filter(rng.normal(size=(20, 20, 10)), 2), [-0.05, 0, 0.08]) for _ in "ab")
    got = hausdorff_by_class(a.astype(dtype), b.astype(dtype), classes=6, spacing=(1, 1, 2))
    alone = [hausdorff(a == c, b == c, (1, 1, 2)) for c in range(1, 6)]
    np.testing.assert_array_equal(got, alone)
    assert list(got[3:]) == [0, 0]


def test_inputs_stay_as_they_are() -> None:
    prediction, truth = tail()
    before = prediction.copy(), truth.copy()
    hausdorff(prediction, truth)
    np.testing.assert_array_equal(before, (prediction, truth))


def test_impossible_requests_are_explained() -> None:
    mask = np.ones((4, 4), bool)
    with pytest.raises(DataError, match=r"\(4, 4\).*\(4, 5\)"):
        hausdorff(mask, np.ones((4, 5), bool))
    with pytest.raises(SettingError, match="Spacing"):
        hausdorff(mask, mask, (1, 1, 1))
    with pytest.raises(SettingError, match="Spacing"):
        hausdorff(mask, mask, (1, 0))
    with pytest.raises(SettingError, match="definition 'median'"):
        hausdorff(mask, mask, definition="median")  # type: ignore[arg-type]
    with pytest.raises(SettingError, match="percentile"):
        hausdorff(mask, mask, percentile=950)
