"""Whole volumes as units: their own sizes, their own spacing, and files that cannot be one."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import pytest
from test_prepare import Made, made

from curette.data.build import scale
from curette.data.case import Case, Dataset
from curette.data.io import FileSource
from curette.data.prepare import prepare
from curette.errors import DataError, SettingError
from curette.recipe import Data, Prepare
from curette.region import Region
from curette.task import Task

SHAPES = (8, 10, 3), (20, 7, 5), (8, 10, 3)


def ready(dataset: Dataset, cache: Path, **settings: Any) -> Any:
    return prepare(dataset, Data(dataset="x", unit="volume"), Prepare(cache=cache, **settings))


def test_volumes_keep_their_own_sizes(tmp_path: Path) -> None:
    prepared = ready(made(*SHAPES), tmp_path)
    units = prepared.regions(prepared.case_ids)
    assert units == [Region("c0"), Region("c1"), Region("c2")]
    assert [prepared.unit_shape(u) for u in units] == list(SHAPES)
    assert prepared.size == (20, 10, 5)
    assert prepared.unit_task.dims == 3
    same, valid = prepared.batch([units[0], units[2]])
    assert (same.shape, valid) == ((2, 1, *SHAPES[0]), None)
    labels = prepared.labels(units)
    for unit in units:
        assert prepared.extent(unit) == tuple((0, n) for n in prepared.unit_shape(unit))
        np.testing.assert_array_equal(
            prepared.restore(unit.case, labels[unit][None]), prepared.truth(unit.case)
        )
        np.testing.assert_array_equal(labels[unit], prepared.truth(unit.case))


def test_volumes_of_different_sizes_in_one_batch_are_padded(tmp_path: Path) -> None:
    prepared = ready(made(*SHAPES), tmp_path)
    units = prepared.regions(prepared.case_ids)
    images, valid = prepared.batch(units)
    assert images.shape == (3, 1, 20, 10, 5)
    assert valid.sum(axis=(1, 2, 3)).tolist() == [np.prod(s) for s in SHAPES]
    assert not images[:, 0][~valid].any()
    np.testing.assert_array_equal(images[1, :, :, :7], prepared.batch([units[1]])[0][0])


def test_windows_are_read_from_where_they_lie(tmp_path: Path) -> None:
    prepared = ready(made(*SHAPES), tmp_path)
    unit, place = Region("c1"), (slice(3, 9), slice(0, 7), slice(2, 4))
    np.testing.assert_array_equal(prepared.window(unit, place), prepared.batch([unit])[0][0][:, 3:9, :, 2:4])
    labels = prepared.labels([unit])
    np.testing.assert_array_equal(labels.window(unit, place), labels[unit][place])
    part = Region("c1", box=((3, 9), (0, 7), (2, 4)))
    np.testing.assert_array_equal(prepared.labels([part])[part], labels[unit][place])


@pytest.mark.parametrize("fit", ["pad", "resize"])
def test_one_size_for_all_if_it_is_asked_for(tmp_path: Path, fit: str) -> None:
    prepared = ready(made(*SHAPES), tmp_path, size=(12, 8, 4), fit=fit)
    images, valid = prepared.batch(prepared.regions(prepared.case_ids))
    assert images.shape == (3, 1, 12, 8, 4)
    assert (valid is None) == (fit == "resize")
    assert prepared.restore("c1", np.ones((1, 12, 8, 4), np.uint8)).shape == SHAPES[1]


def island(*boxes: tuple[slice, ...], shape: tuple[int, ...] = (12, 10, 7)) -> Dataset:
    """One case of two channels, each 0 outside of a box of its own, with labels everywhere."""
    image = np.zeros((2, *shape), np.float32)
    for channel, box in zip(image, boxes, strict=True):
        channel[box] = 1 + np.arange(channel[box].size).reshape(channel[box].shape)
    label = np.random.default_rng(0).choice([0, 1, 2], shape)
    spacing = (1.0, 1.0, 3.0)
    task = Task.model_validate(
        {
            "kind": "segmentation",
            "dims": 3,
            "classes": {"background": 0, "a": 1, "b": 2},
            "channels": ["x", "y"],
        }
    )
    case = Case("c", "p", (Made(image, "image", spacing),), Made(label, "label", spacing))
    return Dataset("islands", task, (case,))


@pytest.mark.parametrize("unit", ["volume", "slice"])
def test_the_empty_border_is_cut_off_and_comes_back(tmp_path: Path, unit: str) -> None:
    boxes = np.s_[2:9, 3:5, 1:6], np.s_[4:6, 1:8, 1:2]  # together 2 to 9, 1 to 8, 1 to 6
    dataset = island(*boxes)
    data = Data.model_validate({"dataset": "x", "unit": unit})
    whole = prepare(dataset, data, Prepare(cache=tmp_path, percentiles=(0, 100)))
    prepared = prepare(dataset, data, Prepare(cache=tmp_path, percentiles=(0, 100), crop_nonzero=True))
    units = prepared.regions(["c"])
    assert len(units) == (5 if unit == "slice" else 1)
    labels = prepared.labels(units)
    stack = np.stack([labels[u] for u in units])
    back, truth = prepared.restore("c", stack), prepared.truth("c")
    inside = np.zeros(truth.shape, bool)
    inside[2:9, 1:8, 1:6] = True
    assert truth[~inside].any()  # so that something is lost in the labels, and seen by the metrics
    np.testing.assert_array_equal(back, np.where(inside, truth, 0))
    np.testing.assert_array_equal(truth, whole.truth("c"))
    images, _ = prepared.batch(units)
    cuts = [tuple(slice(*pair) for pair in prepared.extent(u)) for u in units]
    shown = [image[(slice(None), *cut)] for image, cut in zip(images, cuts, strict=True)]
    expected = scale(dataset.cases[0].images[0].read().array[:, 2:9, 1:8, 1:6], (0, 100))
    found = shown[0] if unit == "volume" else np.stack(shown, axis=-1)
    np.testing.assert_allclose(found, expected, atol=1e-6)
    assert prepared.unit_spacing(units[0]) == ((1.0, 1.0, 3.0) if unit == "volume" else (1.0, 1.0))
    assert prepared.shape("c") == (12, 10, 7)


def test_what_is_left_of_the_border_is_resampled(tmp_path: Path) -> None:
    dataset = island(np.s_[2:10, 1:9, 1:5], np.s_[2:10, 1:9, 1:5])
    prepared = ready(dataset, tmp_path, crop_nonzero=True, spacing=(2, 2, 1.5))
    (unit,) = prepared.regions(["c"])
    assert prepared.unit_shape(unit) == (4, 4, 8)
    assert prepared.unit_spacing(unit) == (2.0, 2.0, 1.5)
    ones = prepared.restore("c", np.ones((1, 4, 4, 8), np.uint8))
    assert ones[2:10, 1:9, 1:5].all()
    assert ones.sum() == 8 * 8 * 4


def test_an_image_of_nothing_keeps_all_of_it(tmp_path: Path) -> None:
    prepared = ready(island(np.s_[:0, :, :], np.s_[:, :0, :]), tmp_path, crop_nonzero=True)
    assert prepared.unit_shape(Region("c")) == (12, 10, 7)


def test_anisotropic_spacing_is_resampled_or_kept(tmp_path: Path) -> None:
    dataset = made((8, 10, 3), spacing=(1.0, 1.0, 4.0))
    kept = ready(dataset, tmp_path)
    assert kept.unit_spacing(Region("c0")) == (1.0, 1.0, 4.0)
    cubic = ready(dataset, tmp_path, spacing=(2.0, 2.0, 2.0))
    assert cubic.unit_shape(Region("c0")) == (4, 5, 6)
    assert cubic.unit_spacing(Region("c0")) == (2.0, 2.0, 2.0)
    assert cubic.spacing("c0") == (1.0, 1.0, 4.0)  # of the grid results are measured on


def test_channels_stay_in_order(tmp_path: Path) -> None:
    rng = np.random.default_rng(1)
    task = Task(kind="segmentation", dims=3, classes={"background": 0, "organ": 1}, channels=("a", "b"))
    cases = []
    for number, shape in enumerate(((4, 5, 6), (6, 5, 4))):
        image = tuple(Made(rng.random((1, *shape)), f"{c}{number}") for c in "ab")
        label = Made(np.ones(shape, np.int64), f"label {number}")
        cases.append(Case(f"c{number}", f"p{number}", image, label))
    prepared = ready(Dataset("two", task, tuple(cases)), tmp_path, percentiles=(0.0, 100.0))
    for case in cases:
        image = prepared.batch([Region(case.id)])[0][0]
        for channel, source in zip(image, case.images, strict=True):
            values = source.array[0]
            expected = (values - values.min()) / np.ptp(values)
            np.testing.assert_allclose(channel, expected, atol=1e-6)


def test_settings_that_do_not_fit_volumes(tmp_path: Path) -> None:
    with pytest.raises(SettingError, match="three positive numbers"):
        ready(made((4, 4, 4)), tmp_path, size=(4, 4))
    flat = Dataset("flat", Task(kind="segmentation", dims=2, classes={"a": 0, "b": 1}), made((4, 4, 4)).cases)
    with pytest.raises(SettingError, match="'volume' needs volumes"):
        ready(flat, tmp_path)


def _files(folder: Path, shape: tuple[int, ...], third: float = 1.0) -> Dataset:
    """A NIfTI file and its label; the sform says that slices are `third` mm apart."""
    folder.mkdir(exist_ok=True)
    image = nib.Nifti1Image(np.ones(shape, np.float32), None)
    image.header["sform_code"] = 1
    for row, values in zip("xyz", np.diag([1.0, 1.0, third]), strict=True):
        image.header[f"srow_{row}"][:3] = values
    nib.save(image, folder / "case.nii.gz")
    nib.save(nib.Nifti1Image(np.ones(shape[:3], np.uint8), np.eye(4)), folder / "label.nii.gz")
    case = Case(
        "c0",
        "p0",
        (FileSource(folder / "case.nii.gz", 3),),
        FileSource(folder / "label.nii.gz", 3, label=True),
    )
    return Dataset("files", Task(kind="segmentation", dims=3, classes={"a": 0, "b": 1}), (case,))


def test_four_axes_where_three_are_expected_name_the_file(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"case\.nii\.gz has 4 channels where the task has 1"):
        ready(_files(tmp_path, (6, 6, 6, 4)), tmp_path)


def test_a_missing_spacing_names_the_file(tmp_path: Path) -> None:
    assert len(ready(_files(tmp_path / "whole", (6, 6, 6)), tmp_path).case_ids) == 1
    with pytest.raises(DataError, match=r"case\.nii\.gz: its affine is not invertible"):
        ready(_files(tmp_path / "broken", (6, 6, 6), third=0.0), tmp_path)
