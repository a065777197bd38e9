from pathlib import Path

import numpy as np
import pytest
from files import nifti, png
from releases import pair

from curette.data.check import Pair, Problems, check_pairs
from curette.data.io import FileSource

THICK = np.diag([1.5, 1.5, 10.0, 1.0])


def volumes(folder: Path, image_affine=THICK, label_affine=THICK, **axes: int) -> Pair:
    """A patient's folder whose files have the same names in each folder."""
    image, label = pair(1, (6, 8, 5))
    for name, array, affine in (("imaging", image, image_affine), ("GT", label, label_affine)):
        array = np.stack([array] * axes[name], -1) if name in axes else array
        nifti(folder / f"{name}.nii.gz", array, affine)
    sources = FileSource(folder / "imaging.nii.gz", 3), FileSource(folder / "GT.nii.gz", 3, label=True)
    return Pair(folder.name, folder.name, *sources, shown=f"{folder.name}/imaging.nii.gz")


def found(*pairs: Pair, channels: int | None = 1) -> str:
    problems = Problems("data")
    check_pairs(pairs, problems, channels)
    return str(problems) if problems else ""


def test_files_of_the_same_name_are_told_apart(tmp_path: Path) -> None:
    pairs = [volumes(tmp_path / "p1", imaging=3), volumes(tmp_path / "p2", GT=2), volumes(tmp_path / "p3")]
    said = found(*pairs)
    assert "p1/imaging.nii.gz has 3" in said
    assert "p2/GT.nii.gz has 2" in said
    assert "p3" not in said


def test_colour_is_advised_where_there_is_such_an_option(tmp_path: Path) -> None:
    several = [volumes(tmp_path / f"p{i}", **({"imaging": 3} if i == 0 else {})) for i in range(3)]
    assert "options.colour" not in found(*several, channels=None)
    grey = np.zeros((9, 7), np.uint8)
    for i in range(3):
        png(tmp_path / f"{i}.png", np.dstack([grey] * 3) if i == 0 else grey)
    pictures = [Pair(str(i), str(i), FileSource(tmp_path / f"{i}.png", 2), None) for i in range(3)]
    assert "0.png has 3, set options.colour" in found(*pictures, channels=None)
    assert "options.colour" not in found(
        *pictures, channels=1
    )  # a published layout, which has no such option


@pytest.mark.parametrize(
    ("axis", "mm", "fits"),
    [(0, 9.5, False), (0, 1.6, False), (0, 1.4, True), (1, -1.6, False), (2, 9.5, True), (2, 10.5, False)],
)
@pytest.mark.parametrize("turn", [0.0, 0.4])
def test_a_label_may_be_off_by_one_voxel_of_each_axis(
    tmp_path: Path, axis: int, mm: float, fits: bool, turn: float
) -> None:
    image = THICK.copy()
    image[:2, :2] = image[:2, :2] @ [[np.cos(turn), -np.sin(turn)], [np.sin(turn), np.cos(turn)]]
    label = image.copy()
    label[:3, 3] += image[:3, axis] / THICK[axis, axis] * mm
    said = found(volumes(tmp_path / "p1", image, label))
    assert said == "" if fits else f"up to {abs(mm)} mm apart" in said
