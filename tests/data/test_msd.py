import json
from pathlib import Path

import numpy as np
import pytest
from files import RAS, blob, decathlon, nifti, png, volume, write_list

from curette.data.datasets import open_dataset
from curette.errors import CuretteWarning, DataError, SettingError
from curette.recipe import Data


def load(root: Path | None, skip_bad: bool = False):
    return open_dataset(Data(dataset="msd", root=root, unit="slice", skip_bad=skip_bad))


def test_a_clean_task(tmp_path: Path) -> None:
    dataset = load(decathlon(tmp_path))
    assert (dataset.name, dataset.licence) == ("Organ", "CC0")
    assert dataset.task.classes == {"background": 0, "front": 1, "back": 2}
    assert dataset.task.dims == 3
    assert [c.id for c in dataset.cases] == [f"organ_{i:03d}" for i in range(4)]
    assert all(c.patient == c.id for c in dataset.cases)
    case = dataset.cases[1]
    assert case.images[0].read().array.shape == (1, 8, 10, 4)
    np.testing.assert_array_equal(case.label.read().array, blob(value=2))


def test_channels(tmp_path: Path) -> None:
    dataset = load(decathlon(tmp_path, channels=3))
    assert dataset.task.channels == ("MR0", "MR1", "MR2")
    assert dataset.cases[0].images[0].read().array.shape == (3, 8, 10, 4)


BRAIN = {
    "name": "BRATS",
    "tensorImageSize": "4D",
    "modality": {"0": "FLAIR", "1": "T1w", "2": "t1gd", "3": "T2w"},
    "labels": {"0": "background", "1": "edema", "2": "non-enhancing tumor", "3": "enhancing tumour"},
}
PROSTATE = {
    "name": "PROSTATE",
    "tensorImageSize": "4D",
    "modality": {"0": "T2", "1": "ADC"},
    "labels": {"0": "background", "1": "PZ", "2": "TZ"},
}


@pytest.mark.parametrize("task", [BRAIN, PROSTATE], ids=lambda t: t["name"])
def test_tasks_of_several_channels(task: dict, tmp_path: Path) -> None:
    """Four channels of a brain, two of a prostate: the fourth axis of one file, as the decathlon packs them."""
    channels, classes = len(task["modality"]), len(task["labels"])
    affine = np.diag(
        [-1.0, 1, 4, 1]
    )  # the first axis runs to the left: what is read must be turned, channels not
    stored = volume((9, 8, 5, channels))
    label = np.arange(9 * 8 * 5, dtype=np.uint8).reshape(9, 8, 5) % classes
    names = [f"{task['name']}_{i:03d}" for i in (1, 20)]
    for name in names:
        nifti(tmp_path / "imagesTr" / f"{name}.nii.gz", stored, affine)
        nifti(tmp_path / "labelsTr" / f"{name}.nii.gz", label, affine)
    listed = [{"image": f"./imagesTr/{n}.nii.gz", "label": f"./labelsTr/{n}.nii.gz"} for n in names]
    (tmp_path / "dataset.json").write_text(json.dumps(task | {"training": listed}))
    dataset = load(tmp_path)
    assert (dataset.task.channels, dataset.task.dims) == (tuple(task["modality"].values()), 3)
    assert dataset.task.classes == {name: int(value) for value, name in task["labels"].items()}
    case = dataset.cases[1]
    image = case.images[0].read()
    assert image.geometry.spacing == (1, 1, 4)
    np.testing.assert_allclose(image.array, np.moveaxis(stored, -1, 0)[:, ::-1], rtol=1e-6)
    np.testing.assert_array_equal(case.label.read().array, label[::-1])
    nifti(tmp_path / "imagesTr" / f"{names[0]}.nii.gz", stored[..., :1], affine)
    with pytest.raises(
        DataError, match=rf"number of channels.* than {channels} \(1\): .*/imagesTr/{names[0]}.nii.gz has 1"
    ):
        load(tmp_path)


def test_flat_images(tmp_path: Path) -> None:
    png(tmp_path / "imagesTr" / "a.png", volume((20, 12)).astype(np.uint8))
    png(tmp_path / "labelsTr" / "a.png", blob((20, 12)))
    facts = {
        "tensorImageSize": "2D",
        "modality": {"0": "X-ray"},
        "labels": {"0": "background", "1": "organ"},
        "training": [{"image": "./imagesTr/a.png", "label": "./labelsTr/a.png"}],
    }
    (tmp_path / "dataset.json").write_text(json.dumps(facts))
    dataset = load(tmp_path)
    assert (dataset.name, dataset.task.dims) == (tmp_path.name, 2)
    assert dataset.cases[0].images[0].read().array.shape == (1, 20, 12)


def test_what_macos_leaves_and_unlabelled_images_are_no_problem(tmp_path: Path) -> None:
    decathlon(tmp_path)
    (tmp_path / "imagesTr" / "._organ_000.nii.gz").write_bytes(b"Mac OS X")
    (tmp_path / "labelsTr" / ".DS_Store").write_bytes(b"")
    nifti(tmp_path / "imagesTs" / "organ_100.nii.gz", volume())
    write_list(tmp_path, ["._organ_000", *(f"organ_{i:03d}" for i in range(4))])
    assert len(load(tmp_path).cases) == 4


@pytest.fixture
def raw(tmp_path: Path) -> Path:
    """A folder as people find it: everything wrong at once."""
    decathlon(tmp_path, cases=9)
    (tmp_path / "labelsTr" / "organ_000.nii.gz").unlink()
    (tmp_path / "imagesTr" / "organ_001.nii.gz").unlink()
    nifti(tmp_path / "labelsTr" / "organ_002.nii.gz", blob((8, 9, 4)))
    for folder in ("imagesTr", "labelsTr"):
        (tmp_path / folder / "organ_003.nii.gz").unlink()
    broken = tmp_path / "imagesTr" / "organ_004.nii.gz"
    broken.write_bytes(broken.read_bytes()[:20])
    nifti(tmp_path / "imagesTr" / "organ_005.nii.gz", volume((8, 10, 4, 2)))
    nifti(tmp_path / "imagesTr" / "organ_006.nii.gz", volume(), np.diag([1, 1, 4, 1]))
    nifti(tmp_path / "imagesTr" / "organ_100.nii.gz", volume())
    nifti(tmp_path / "labelsTr" / "organ_101.nii.gz", blob())
    nifti(tmp_path / "imagesTr" / "organ_102.nii.gz", volume())
    nifti(tmp_path / "labelsTr" / "organ_102.nii.gz", blob())
    return tmp_path


def test_every_bad_file_is_named_in_one_message(raw: Path) -> None:
    with pytest.raises(DataError) as caught:
        load(raw)
    message = str(caught.value)
    for part in (
        str(raw),
        "10 problems",
        "image without label (2): imagesTr/organ_000.nii.gz (label labelsTr/organ_000.nii.gz is missing); "
        "imagesTr/organ_100.nii.gz.",
        "label without image (2): labelsTr/organ_001.nii.gz (image imagesTr/organ_001.nii.gz is missing); "
        "labelsTr/organ_101.nii.gz.",
        "label of another shape than its image (1): imagesTr/organ_002.nii.gz (image 8×10×4, label 8×9×4)",
        "missing (1): imagesTr/organ_003.nii.gz, labelsTr/organ_003.nii.gz",
        "organ_004.nii.gz cannot be read",
        "organ_005.nii.gz has 2",
        "elsewhere than its image (1): imagesTr/organ_006.nii.gz (up to 6.0 mm apart",
        "dataset.json does not list (1): imagesTr/organ_102.nii.gz",
        "skip_bad = true",
    ):
        assert part in message
    assert "\n" not in message


def test_skip_bad_drops_exactly_those(raw: Path) -> None:
    with pytest.warns(CuretteWarning, match="10 problems") as caught:
        dataset = load(raw, skip_bad=True)
    assert len(caught) == 1
    assert [c.id for c in dataset.cases] == ["organ_007", "organ_008"]


def test_label_in_another_orientation_of_the_same_space_fits(tmp_path: Path) -> None:
    decathlon(tmp_path, cases=2)
    turned = RAS.copy()
    turned[0, 0], turned[0, 3] = -1, 7  # the same eight voxels, counted from the other side
    label = blob()
    nifti(tmp_path / "labelsTr" / "organ_000.nii.gz", label[::-1], turned)
    np.testing.assert_array_equal(load(tmp_path).cases[0].label.read().array, label)


def test_a_long_list_is_cut_and_counted(tmp_path: Path) -> None:
    write_list(tmp_path, [f"organ_{i:03d}" for i in range(120)])
    with pytest.raises(DataError) as caught:
        load(tmp_path)
    assert str(caught.value).count("imagesTr/") == 50
    assert "The first 50 of 120 are listed." in str(caught.value)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"labels": None}, "no 'labels'"),
        ({"training": [{"image": "a"}]}, "does not name an image and a label"),
        ({"training": ["a"]}, "does not name an image and a label"),
        ({"labels": {"1": "a", "2": "b"}}, "no label has value 0"),
        ({"labels": {"0": "a", "1": "a"}}, "the same name"),
        ({"labels": {"0": "a"}}, "at least two classes"),
        ({"labels": {"zero": "a"}}, "cannot be used"),
        ({"training": []}, "no training pair"),
    ],
)
def test_a_description_that_is_none(change: dict, said: str, tmp_path: Path) -> None:
    root = decathlon(tmp_path / "Task99", cases=1)
    path = root / "dataset.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | change))
    if change.get("training") == []:
        for file in (*(root / "imagesTr").iterdir(), *(root / "labelsTr").iterdir()):
            file.unlink()
    with pytest.raises(DataError, match=said) as caught:
        load(root)
    assert "dataset.json" in str(caught.value)


def test_case_listed_twice(tmp_path: Path) -> None:
    decathlon(tmp_path, cases=2)
    write_list(tmp_path, ["organ_000", "organ_001", "organ_001"])
    with pytest.raises(DataError, match=r"listed more than once \(1\): organ_001"):
        load(tmp_path)


def test_no_folder(tmp_path: Path) -> None:
    with pytest.raises(SettingError, match=r"data\.root"):
        load(None)
    with pytest.raises(DataError, match=r"There is no .*dataset\.json"):
        load(tmp_path)
    (tmp_path / "dataset.json").write_text("{")
    with pytest.raises(DataError, match=r"dataset\.json cannot be read"):
        load(tmp_path)
