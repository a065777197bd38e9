"""Teachers: what is trusted, by level and by query."""

from __future__ import annotations

import numpy as np
import pytest

from curette.errors import SettingError
from curette.query.teachers import counted  # registers the teachers, too
from curette.region import Region
from curette.text import read

P = np.array([[0.995, 0.005], [0.97, 0.03], [0.6, 0.4], [0.999, 0.001]])
FIRST, TWELFTH = 1, 13


def test_the_worked_choice_of_classes() -> None:
    assert read("teacher", "ceal")(P, FIRST, 255).tolist() == [0, 255, 255, 0]
    assert read("teacher", "ceal")(P, TWELFTH, 255).tolist() == [255, 255, 255, 0]  # threshold .0104
    assert (read("teacher", "ceal")(P, 20, 255) == 255).all()


def _maps() -> np.ndarray:
    """Two images of two pixels: sure of a half-and-half image, and rather sure of an empty one."""
    p = np.empty((2, 2, 1, 2))
    p[0, 0, 0], p[1, 0, 0] = [0.999, 0.001], [0.97, 0.999]
    p[:, 1] = 1 - p[:, 0]
    return p


def test_images_pixels_and_marginals() -> None:
    p = _maps()
    assert read("teacher", "ceal")(p, FIRST, 9)[:, 0].tolist() == [[0, 1], [9, 9]]
    assert read("teacher", "ceal(level=pixel)")(p, FIRST, 9)[:, 0].tolist() == [[0, 1], [9, 0]]
    # Averaged over space, half an image of each class is the greatest doubt there is.
    assert read("teacher", "ceal(start=0.1, level=marginal)")(p, FIRST, 9)[:, 0].tolist() == [[9, 9], [0, 0]]


def test_only_voxels_with_a_pseudo_label_are_counted() -> None:
    maps = {
        Region(f"c{i}"): m for i, m in enumerate(np.array([[[0, 9], [1, 9]], [[9, 9], [9, 2]]], np.uint8))
    }
    assert counted(maps, 9) == {"units": 2, "voxels": 3}
    assert counted({}, 9) == {"units": 0, "voxels": 0}


def test_a_threshold_that_falls_with_the_square_is_gone_with_the_eighteenth_query() -> None:
    sure = np.array([[1 - 1e-9, 1e-9]])
    teacher = read("teacher", "ceal(start=5e-5, decay=3.3e-7, falling=quadratic)")
    assert teacher(sure, 17, 255).tolist() == [0]
    assert teacher(sure, 18, 255).tolist() == [255]


def test_the_input_stays_and_nonsense_is_refused() -> None:
    before = P.copy()
    read("teacher", "ceal")(P, FIRST, 255)
    np.testing.assert_array_equal(P, before)
    for text in ("ceal(level=voxel)", "ceal(falling=slowly)", "ceal(start=-1)"):
        with pytest.raises(SettingError):
            read("teacher", text)(P, FIRST, 255)
