import os
from pathlib import Path

import numpy as np
import pytest
from files import blob, nifti, pictures, png, volume
from PIL import Image

from curette.data.datasets import open_dataset
from curette.errors import CuretteWarning, DataError, SettingError
from curette.recipe import Data

GREY = volume((20, 12)).astype(np.uint8)


def load(root: Path | None, skip_bad: bool = False, **options):
    return open_dataset(Data(dataset="folder", root=root, skip_bad=skip_bad, options=options))


def test_images_and_masks(tmp_path: Path) -> None:
    dataset = load(pictures(tmp_path), classes={"tumour": 255, "background": 0})
    assert dataset.task.classes == {"background": 0, "tumour": 255}
    assert list(dataset.task.classes) == ["background", "tumour"]
    assert (dataset.task.kind, dataset.task.dims, dataset.task.channels) == ("segmentation", 2, ("image",))
    assert [c.id for c in dataset.cases] == ["p0_a", "p1_a", "p2_a", "p3_a"]
    assert [c.patient for c in dataset.cases] == ["p0_a", "p1_a", "p2_a", "p3_a"]
    assert dataset.cases[0].label.read().array.shape == (20, 12)


def test_masks_are_scanned_for_classes(tmp_path: Path) -> None:
    pictures(tmp_path, 2, value=255)
    png(tmp_path / "masks" / "p1_a.png", blob((20, 12), 7))
    assert load(tmp_path).task.classes == {"background": 0, "class_7": 7, "class_255": 255}


def test_masks_with_too_many_values(tmp_path: Path) -> None:
    pictures(tmp_path, 2)
    png(tmp_path / "masks" / "p1_a.png", GREY)
    with pytest.raises(DataError, match=r"p1_a\.png holds \d+ different values"):
        load(tmp_path)


def test_labels_folder_and_own_names(tmp_path: Path) -> None:
    pictures(tmp_path / "a")
    (tmp_path / "a" / "masks").rename(tmp_path / "a" / "labels")
    assert len(load(tmp_path / "a").cases) == 4
    pictures(tmp_path / "b")
    (tmp_path / "b" / "masks").rename(tmp_path / "b" / "truth")
    (tmp_path / "b" / "images").rename(tmp_path / "b" / "scans")
    assert len(load(tmp_path / "b", images="scans", masks="truth").cases) == 4


def test_images_and_masks_in_one_folder(tmp_path: Path) -> None:
    for i in range(3):
        png(tmp_path / f"benign ({i}).png", GREY)
        png(tmp_path / f"benign ({i})_mask.png", blob((20, 12)))
    dataset = load(tmp_path, images=".", mask_suffix="_mask")
    assert [c.id for c in dataset.cases] == ["benign (0)", "benign (1)", "benign (2)"]


def test_suffixes_of_names(tmp_path: Path) -> None:
    png(tmp_path / "images" / "ISIC_1_0000.png", GREY)
    png(tmp_path / "masks" / "ISIC_1_segmentation.png", blob((20, 12)))
    dataset = load(tmp_path, image_suffix="_0000", mask_suffix="_segmentation")
    assert [c.id for c in dataset.cases] == ["ISIC_1"]


def test_patient_from_the_file_name(tmp_path: Path) -> None:
    pictures(tmp_path)
    png(tmp_path / "images" / "p0_b.png", GREY)
    png(tmp_path / "masks" / "p0_b.png", blob((20, 12), 255))
    dataset = load(tmp_path, patient="^(.*?)_")
    assert [(c.id, c.patient) for c in dataset.cases][:3] == [("p0_a", "p0"), ("p0_b", "p0"), ("p1_a", "p1")]
    with pytest.raises(DataError, match=r"options\.patient looks for \(5\): p0_a\.png"):
        load(tmp_path, patient="^patient(.)")
    with pytest.raises(SettingError, match="no regular expression"):
        load(tmp_path, patient="(")


def test_volumes(tmp_path: Path) -> None:
    for i in range(2):
        nifti(tmp_path / "images" / f"v{i}.nii.gz", volume(seed=i))
        nifti(tmp_path / "masks" / f"v{i}.nii", blob())
    dataset = load(tmp_path)
    assert dataset.task.dims == 3
    assert dataset.cases[0].images[0].read().array.shape == (1, 8, 10, 4)


@pytest.fixture
def raw(tmp_path: Path) -> Path:
    """A folder as people find it: everything wrong at once, and junk of three operating systems."""
    pictures(tmp_path, 7)
    png(tmp_path / "images" / "no_mask.png", GREY)
    png(tmp_path / "masks" / "no_image.png", blob((20, 12)))
    png(tmp_path / "masks" / "p0_a.png", blob((20, 13)))
    (tmp_path / "images" / "p1_a.png").write_bytes(b"\x89PNG")
    Image.fromarray(GREY).save(tmp_path / "images" / "p2_a.jpg")
    png(tmp_path / "images" / "p3_a.png", np.dstack([GREY] * 3))
    png(tmp_path / "images" / "p4_a.png", GREY).rename(tmp_path / "images" / "p@4.png")
    png(tmp_path / "masks" / "p@4.png", blob((20, 12)))
    (tmp_path / "masks" / "p4_a.png").unlink()
    for junk in (".DS_Store", "Thumbs.db", "._p0_a.png", "notes.txt"):
        (tmp_path / "images" / junk).write_bytes(b"?")
    return tmp_path


def test_every_bad_file_is_named_in_one_message(raw: Path) -> None:
    with pytest.raises(DataError) as caught:
        load(raw)
    message = str(caught.value)
    for part in (
        str(raw),
        "7 problems",
        "image without label (1): images/no_mask.png",
        "label without image (1): masks/no_image.png",
        "another shape than its image (1): images/p0_a.png and masks/p0_a.png (image 20×12, label 20×13)",
        "p1_a.png cannot be read",
        "there twice (1): images/p2_a.jpg and images/p2_a.png",
        "p3_a.png has 3, set options.colour",
        "'@', which case ids may not hold (1): images/p@4.png",
        "skip_bad = true",
    ):
        assert part in message
    assert "\n" not in message
    assert not any(junk in message for junk in ("DS_Store", "Thumbs", "._p0", "notes"))


def test_skip_bad_drops_exactly_those(raw: Path) -> None:
    with pytest.warns(CuretteWarning, match="7 problems") as caught:
        dataset = load(raw, skip_bad=True)
    assert len(caught) == 1
    assert [c.id for c in dataset.cases] == ["p5_a", "p6_a"]
    assert dataset.notes == ("1 files left out that no reader takes (.txt)",)


def test_mixed_colour(tmp_path: Path) -> None:
    pictures(tmp_path)
    png(tmp_path / "images" / "p3_a.png", np.dstack([GREY] * 3))
    assert load(tmp_path, colour="grey").task.channels == ("image",)
    assert load(tmp_path, colour="rgb").task.channels == ("red", "green", "blue")
    with pytest.raises(SettingError, match="neither 'grey' nor 'rgb'"):
        load(tmp_path, colour="sepia")


def classes(root: Path, *names: str, images: int = 3) -> Path:
    for name in names:
        for i in range(images):
            png(root / name / f"p{i}_{name[0]}.png", GREY)
    return root


def test_class_folders(tmp_path: Path) -> None:
    classes(tmp_path, "ill", "healthy")
    (tmp_path / ".git").mkdir()
    (tmp_path / "README.md").write_text("")
    dataset = load(tmp_path, patient="^(p.)_")
    assert dataset.task.kind == "classification"
    assert dataset.task.classes == {"healthy": 0, "ill": 1}
    assert [(c.id, c.patient, c.target) for c in dataset.cases][2:4] == [
        ("healthy-p2_h", "p2", 0),
        ("ill-p0_i", "p0", 1),
    ]
    assert all(c.split is None for c in dataset.cases)


def test_class_folders_without_images_are_named(tmp_path: Path) -> None:
    classes(tmp_path, "ill", "healthy")
    (tmp_path / "none").mkdir()
    (tmp_path / "none" / ".DS_Store").write_bytes(b"")
    (tmp_path / "out" / "figures").mkdir(parents=True)  # a study's own folder is no class
    (tmp_path / "out" / "results.csv").write_text("")
    png(tmp_path / "out" / "figures" / "curve.png", GREY)
    with pytest.raises(DataError, match=r"1 problem\. class folder without an image \(1\): none\."):
        load(tmp_path)
    with pytest.warns(CuretteWarning, match="1 problem"):
        assert list(load(tmp_path, skip_bad=True).task.classes) == ["healthy", "ill"]


def test_files_in_sub_folders_are_named(tmp_path: Path) -> None:
    classes(tmp_path / "c", "ill", "healthy")
    png(tmp_path / "c" / "ill" / "p9" / "a.png", GREY)
    png(tmp_path / "c" / "rare" / "p9" / "a.png", GREY)
    said = r"sub-folder whose files are not read \(2\): ill/p9 \(1\); rare/p9 \(1\)\."
    with pytest.raises(DataError, match=rf"2 problems\. {said}"):
        load(tmp_path / "c")
    pictures(tmp_path / "s", 3)
    for folder in ("images", "masks"):
        png(tmp_path / "s" / folder / "more" / "deep" / "b.png", blob((20, 12), 255))
    with pytest.raises(DataError, match=r"images/more \(1\); masks/more \(1\)"):
        load(tmp_path / "s")
    with pytest.warns(CuretteWarning, match="2 problems"):
        assert len(load(tmp_path / "s", skip_bad=True).cases) == 3
    # Masks below the images, or images in the root, are as the options say.
    (tmp_path / "n").mkdir()
    pictures(tmp_path / "n", 2)
    (tmp_path / "n" / "masks").rename(tmp_path / "n" / "images" / "gt")
    assert len(load(tmp_path / "n", masks="images/gt").cases) == 2
    for name in ("a", "b", "a_mask", "b_mask"):
        png(tmp_path / "r" / f"{name}.png", blob((20, 12), 255))
    (tmp_path / "r" / "study").mkdir()
    (tmp_path / "r" / "study" / "study.toml").write_text("")
    png(tmp_path / "r" / "study" / "gallery" / "a.png", GREY)  # a study's folder is not meant
    assert len(load(tmp_path / "r", images=".", mask_suffix="_mask").cases) == 2
    png(tmp_path / "r" / "more" / "c.png", GREY)
    with pytest.raises(DataError, match=r"not read \(1\): more \(1\)\."):
        load(tmp_path / "r", images=".", mask_suffix="_mask")


def test_only_sub_folders(tmp_path: Path) -> None:
    for name in ("ill", "healthy"):
        png(tmp_path / name / "p1" / "a.png", GREY)
    with pytest.raises(DataError, match=r"neither a folder.*not read \(2\): healthy/p1 \(1\); ill/p1"):
        load(tmp_path)


@pytest.mark.parametrize("odd", ["v0", "v2"])
def test_most_images_say_how_many_axes_there_are(odd: str, tmp_path: Path) -> None:
    for name in ("v0", "v1", "v2", "v3"):
        shape = (8, 10) if name == odd else (8, 10, 4)
        nifti(tmp_path / "images" / f"{name}.nii.gz", volume(shape))
        nifti(tmp_path / "masks" / f"{name}.nii.gz", blob(shape))
    with pytest.raises(DataError, match=rf"1 problem\..*{odd}\.nii\.gz is a flat image"):
        load(tmp_path)
    with pytest.warns(CuretteWarning, match=f"{odd}.nii.gz is a flat"):
        dataset = load(tmp_path, skip_bad=True)
    assert (dataset.task.dims, len(dataset.cases)) == (3, 3)


def test_a_volume_of_one_slice_is_what_the_others_are(tmp_path: Path) -> None:
    for i, shape in enumerate(((8, 10, 1), (8, 10, 1), (8, 10, 4))):
        nifti(tmp_path / "images" / f"v{i}.nii.gz", volume(shape))
        nifti(tmp_path / "masks" / f"v{i}.nii.gz", np.ones(shape, np.uint8))
    dataset = load(tmp_path)
    assert dataset.task.dims == 3
    assert [c.images[0].read().array.shape[-1] for c in dataset.cases] == [1, 1, 4]
    for folder in ("images", "masks"):
        (tmp_path / folder / "v2.nii.gz").unlink()
    assert load(tmp_path).task.dims == 2


def test_as_many_flat_images_as_volumes_go_by_the_first(tmp_path: Path) -> None:
    for i, shape in enumerate(((8, 10, 4), (8, 10))):
        nifti(tmp_path / "images" / f"v{i}.nii.gz", volume(shape))
        nifti(tmp_path / "masks" / f"v{i}.nii.gz", blob(shape))
    with pytest.warns(CuretteWarning, match=r"v1\.nii\.gz is a flat image"):
        assert load(tmp_path, skip_bad=True).task.dims == 3


def test_names_that_are_not_utf_8(tmp_path: Path) -> None:
    classes(tmp_path / "c", "ill", "healthy", "odd")
    os.rename(tmp_path / "c" / "odd", os.fsencode(tmp_path / "c") + b"/odd\xff")
    os.rename(tmp_path / "c" / "ill" / "p0_i.png", os.fsencode(tmp_path / "c" / "ill") + b"/p\xfe.png")
    (tmp_path / "c" / "ill" / os.fsdecode(b"x.\xfe")).write_bytes(b"")
    with pytest.raises(DataError) as caught:
        load(tmp_path / "c")
    assert r"name that is not UTF-8; rename it (2): ill/p\udcfe.png; odd\udcff." in str(caught.value)
    with pytest.warns(CuretteWarning, match="2 problems"):
        dataset = load(tmp_path / "c", skip_bad=True)
    assert list(dataset.task.classes) == ["healthy", "ill"]
    str(dataset).encode()  # neither names nor notes hold such bytes
    pictures(tmp_path / "s", 2)
    os.rename(tmp_path / "s" / "masks" / "p1_a.png", os.fsencode(tmp_path / "s" / "masks") + b"/\xff.png")
    with pytest.raises(DataError, match=r"label without image \(1\): masks/\\udcff\.png"):
        load(tmp_path / "s")
    os.rename(tmp_path / "s", os.fsencode(tmp_path) + b"/s\xff")
    with pytest.raises(DataError, match=r"The name of the folder .*/s\\udcff is not UTF-8\. Rename it\."):
        load(Path(os.fsdecode(os.fsencode(tmp_path) + b"/s\xff")))


def test_the_background_is_named_so_or_is_value_0(tmp_path: Path) -> None:
    pictures(tmp_path, value=7)
    assert list(load(tmp_path, classes={"tumour": 7, "rest": 0}).task.classes) == ["rest", "tumour"]
    assert list(load(tmp_path, classes={"zero": 0, "background": 7}).task.classes) == ["background", "zero"]
    with pytest.raises(SettingError, match=r"data\.options\.classes: no class is the background"):
        load(tmp_path, classes={"tumour": 7, "rest": 1})


def test_parts_of_a_given_split(tmp_path: Path) -> None:
    classes(tmp_path / "train", "ill", "healthy")
    classes(tmp_path / "test", "ill", "healthy", images=1)
    dataset = load(tmp_path)
    assert len({c.id for c in dataset.cases}) == 8
    assert {c.id: c.split for c in dataset.cases}["test-ill-p0_i"] == "test"
    assert {c.split for c in dataset.cases} == {"train", "test"}
    for junk in ("__MACOSX", ".git"):
        classes(tmp_path / junk, "other")
    assert load(tmp_path) == dataset
    masked = tmp_path / "masked"
    pictures(masked / "training", 3)
    pictures(masked / "valid", 2)
    assert sorted(c.split for c in load(masked).cases) == ["train"] * 3 + ["val"] * 2


def test_a_broken_picture_among_classes(tmp_path: Path) -> None:
    classes(tmp_path, "ill", "healthy")
    (tmp_path / "ill" / "p1_i.png").write_bytes(b"")
    with pytest.raises(DataError, match=r"p1_i\.png cannot be read"):
        load(tmp_path)
    with pytest.warns(CuretteWarning, match=r"p1_i\.png"):
        assert len(load(tmp_path, skip_bad=True).cases) == 5


def test_nothing_to_read(tmp_path: Path) -> None:
    with pytest.raises(SettingError, match=r"data\.root"):
        load(None)
    with pytest.raises(DataError, match="There is no folder"):
        load(tmp_path / "nowhere")
    with pytest.raises(DataError, match=r"neither a folder 'images'.*\.nii\.gz"):
        load(tmp_path)
    (tmp_path / "images").mkdir()
    with pytest.raises(DataError, match="no folder 'masks'"):
        load(tmp_path)
    (tmp_path / "masks").mkdir()
    with pytest.raises(DataError, match="no image with a mask"):
        load(tmp_path)


def test_a_class_with_a_single_image(tmp_path: Path) -> None:
    for name in ("ill/a", "ill/b", "healthy/a", "healthy/b", "rare/a"):
        png(tmp_path / f"{name}.png", GREY)
    with pytest.raises(DataError, match=r"class with a single image.* \(1\): rare/a\.png"):
        load(tmp_path)
    with pytest.warns(CuretteWarning, match="rare/a"):
        assert len(load(tmp_path, skip_bad=True).cases) == 4


def test_a_class_that_a_damaged_file_leaves_with_a_single_image(tmp_path: Path) -> None:
    classes(tmp_path, "ill", "healthy", "rare", images=2)
    (tmp_path / "rare" / "p0_r.png").write_bytes(b"")
    with pytest.warns(CuretteWarning, match=r"class with a single image.* \(1\): rare/p1_r\.png"):
        assert len(load(tmp_path, skip_bad=True).cases) == 4


def test_classes_that_are_none(tmp_path: Path) -> None:
    with pytest.raises(SettingError, match="value in the masks"):
        load(pictures(tmp_path), classes={"background": "0"})
    with pytest.raises(SettingError, match="at least two classes"):
        load(tmp_path, classes={"background": 0})
    with pytest.raises(SettingError, match="Name it with options"):
        load(classes(tmp_path / "c", "ill", "healthy"), classes={"background": 0, "x": 1})
    with pytest.raises(SettingError, match=r"has no option 'clases'.*classes"):
        load(tmp_path, clases={})
    with pytest.raises(SettingError, match="has no option 'kind'"):
        load(tmp_path, kind="x", name="y")
