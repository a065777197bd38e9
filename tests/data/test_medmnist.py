from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from files import archive

from curette.data.datasets import open_dataset
from curette.data.datasets.medmnist import NAMES
from curette.errors import CuretteWarning, DataError, SettingError
from curette.recipe import Data


def load(root: Path | None, **options):
    return open_dataset(Data(dataset="medmnist", root=root, options=options))


def test_archive_with_its_split(tmp_path: Path) -> None:
    path = archive(tmp_path / "pneumoniamnist.npz")
    dataset = load(path)
    assert dataset.task.classes == {"normal": 0, "pneumonia": 1}
    assert Counter(c.split for c in dataset.cases) == {"train": 40, "val": 10, "test": 12}
    assert [c.id for c in dataset.cases] == sorted(c.id for c in dataset.cases)
    case = next(c for c in dataset.cases if c.id == "train-07")
    assert case.target == 1
    with np.load(path) as stored:
        np.testing.assert_array_equal(case.images[0].read().array[0], stored["train_images"][7])
    assert "train_images" in case.images[0].name
    assert case.images[0].stamp != dataset.cases[0].images[0].stamp


def test_colour_and_unknown_class_names(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    colour = {
        f"{part}_images": rng.integers(0, 255, (n, 28, 28, 3), dtype=np.uint8)
        for part, n in (("train", 40), ("val", 10), ("test", 12))
    }
    dataset = load(archive(tmp_path / "mine.npz", classes=5, **colour))
    assert list(dataset.task.classes) == ["0", "1", "2", "3", "4"]
    assert dataset.task.channels == ("red", "green", "blue")
    assert dataset.cases[0].images[0].read().array.shape == (3, 28, 28)


VOLUMES = {"organmnist3d": 11, "nodulemnist3d": 2, "adrenalmnist3d": 2, "fracturemnist3d": 3}


@pytest.mark.parametrize("name", [*VOLUMES, "vesselmnist3d_64"])
def test_volumes(name: str, tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    volumes = {
        f"{part}_images": rng.integers(0, 255, (n, 9, 10, 11), dtype=np.uint8)
        for part, n in (("train", 40), ("val", 10), ("test", 12))
    }
    dataset = load(archive(tmp_path / f"{name}.npz", classes=VOLUMES.get(name, 2), **volumes))
    assert (dataset.task.dims, dataset.task.channels) == (3, ("image",))
    assert tuple(dataset.task.classes) == NAMES[name.removesuffix("_64")]
    case = next(c for c in dataset.cases if c.id == "val-3")
    np.testing.assert_array_equal(case.images[0].read().array, volumes["val_images"][3][None])


def test_larger_images_share_the_names(tmp_path: Path) -> None:
    assert "pneumonia" in load(archive(tmp_path / "pneumoniamnist_224.npz")).task.classes


def test_table_of_names() -> None:
    assert {name: len(names) for name, names in NAMES.items()} == {
        "pathmnist": 9, "dermamnist": 7, "octmnist": 4, "pneumoniamnist": 2, "breastmnist": 2, "bloodmnist": 8,
        "tissuemnist": 8, "retinamnist": 5, "organamnist": 11, "organcmnist": 11, "organsmnist": 11,
        "organmnist3d": 11, "nodulemnist3d": 2, "adrenalmnist3d": 2, "fracturemnist3d": 3, "vesselmnist3d": 2,
        "synapsemnist3d": 2,
    }  # fmt: skip
    assert all(len(set(names)) == len(names) for names in NAMES.values())


def test_imbalanced_variant_thins_the_training_part_only(tmp_path: Path) -> None:
    path = archive(tmp_path / "pneumoniamnist.npz")
    dataset = load(path, imbalanced={"pneumonia": 0.1}, seed=3)
    count = Counter((c.split, c.target) for c in dataset.cases)
    assert count["train", 0] == 20
    assert count["train", 1] == 2
    assert count["test", 1] == 6
    assert dataset.notes == ("0.1 of the training images of 'pneumonia' kept",)
    assert load(path, imbalanced={"pneumonia": 0.1}, seed=3).cases == dataset.cases
    assert load(path, imbalanced={"pneumonia": 0.1}, seed=4).cases != dataset.cases


def test_subset_keeps_the_classes_in_proportion(tmp_path: Path) -> None:
    cases = load(archive(tmp_path / "x.npz"), subset=0.5).cases
    count = Counter((c.split, c.target) for c in cases)
    assert count == {
        ("train", 0): 10,
        ("train", 1): 10,
        ("val", 0): 2,
        ("val", 1): 2,
        ("test", 0): 3,
        ("test", 1): 3,
    }


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"imbalanced": {"flu": 0.1}}, "no class 'flu'. Known: normal, pneumonia"),
        ({"imbalanced": {"normal": 2}}, "share above 0"),
        ({"imbalanced": {"normal": True}}, "share above 0"),
        ({"subset": 0.0}, "share above 0"),
    ],
)
def test_settings_that_cannot_work(options: dict, said: str, tmp_path: Path) -> None:
    with pytest.raises(SettingError, match=said):
        load(archive(tmp_path / "pneumoniamnist.npz"), **options)


def test_labels_that_a_published_set_does_not_have(tmp_path: Path) -> None:
    labels = (np.arange(40) % 2).astype(np.uint8)[:, None]
    labels[3] = 5
    with pytest.raises(
        DataError, match=r"pneumoniamnist_64\.npz \[train_labels\] holds 5 where .* classes 0 to 1"
    ):
        load(archive(tmp_path / "pneumoniamnist_64.npz", train_labels=labels))
    assert len(load(archive(tmp_path / "own.npz", classes=6)).task.classes) == 6
    with pytest.raises(DataError, match=r"retinamnist\.npz \[train_labels\] holds 5, 6 where"):
        load(archive(tmp_path / "retinamnist.npz", classes=7))
    assert list(load(archive(tmp_path / "retinamnist.npz", classes=4)).task.classes) == list("01234")


def test_a_class_with_a_single_image_or_without_another(tmp_path: Path) -> None:
    labels = (np.arange(40) % 2).astype(np.uint8)[:, None]
    labels[3] = 2
    path = archive(tmp_path / "octmnist.npz", train_labels=labels)
    with pytest.raises(
        DataError, match=r"class with a single image.* \(1\): .*octmnist\.npz \[train_images\]\[3\]"
    ):
        load(path)
    with pytest.warns(CuretteWarning, match="1 problem"):
        dataset = open_dataset(Data(dataset="medmnist", root=path, skip_bad=True))
    assert len(dataset.cases) == 61
    with pytest.raises(DataError, match=r"\[train_labels\] holds class 0 only"):
        load(archive(path, train_labels=labels * 0))


def test_arrays_that_are_no_numbers(tmp_path: Path) -> None:
    path = tmp_path / "pneumoniamnist.npz"
    with pytest.raises(DataError, match=r"\[train_images\] holds elements of type complex128"):
        load(archive(path, train_images=np.zeros((40, 28, 28), complex)))
    with pytest.raises(DataError, match=r"\[val_labels\] holds elements of type <U1"):
        load(archive(path, val_labels=np.full((10, 1), "a")))
    with pytest.raises(DataError, match=r"\[val_labels\] holds -1; classes count from 0"):
        load(archive(path, val_labels=np.full((10, 1), -1)))
    dataset = load(archive(path, test_images=np.ones((12, 28, 28), bool)))
    assert next(c for c in dataset.cases if c.split == "test").images[0].read().array.dtype == np.uint8


def test_folder_with_one_or_several_archives(tmp_path: Path) -> None:
    archive(tmp_path / "pneumoniamnist.npz")
    assert len(load(tmp_path).cases) == 62
    archive(tmp_path / "bloodmnist.npz", classes=8)
    with pytest.raises(SettingError, match=r"bloodmnist, pneumoniamnist\. Say which"):
        load(tmp_path)
    assert load(tmp_path, set="bloodmnist").name == "bloodmnist"


def test_several_labels_at_once(tmp_path: Path) -> None:
    path = archive(tmp_path / "chestmnist.npz", train_labels=np.zeros((40, 14), np.uint8))
    with pytest.raises(SettingError, match=r"chestmnist\.npz gives each image 14 labels"):
        load(path)


def test_archives_that_are_none(tmp_path: Path) -> None:
    with pytest.raises(SettingError, match=r"data\.root"):
        load(None)
    with pytest.raises(DataError, match="There is no"):
        load(tmp_path / "x.npz")
    with pytest.raises(DataError, match="no arrays val_images"):
        load(archive(tmp_path / "a.npz", val_images=None))
    with pytest.raises(DataError, match="do not fit"):
        load(archive(tmp_path / "b.npz", train_labels=np.zeros((39, 1), np.uint8)))
    with pytest.raises(DataError, match=r"images of shape \(8, 8, 8, 8\)"):
        load(archive(tmp_path / "c.npz", train_images=np.zeros((40, 8, 8, 8, 8), np.uint8)))
    with pytest.raises(DataError, match=r"test_images are \[8, 8, 8\], train_images \[28, 28\]"):
        load(archive(tmp_path / "e.npz", test_images=np.zeros((12, 8, 8, 8), np.uint8)))
    whole = archive(tmp_path / "d.npz").read_bytes()
    (tmp_path / "d.npz").write_bytes(whole[:1000])
    with pytest.raises(DataError, match=r"d\.npz is not a complete NPZ archive"):
        load(tmp_path / "d.npz")


def test_damage_inside_an_archive_is_found_when_reading(tmp_path: Path) -> None:
    path = archive(tmp_path / "a.npz")
    dataset = load(path)
    content = bytearray(path.read_bytes())
    content[5000] ^= 255  # within the training images: the archive's checksum no longer fits
    path.write_bytes(content)
    for _ in range(2):
        with pytest.raises(DataError, match=r"a\.npz \[train_images\] cannot be read"):
            next(c for c in dataset.cases if c.split == "train").images[0].read()


def test_real_pneumonia(real_data: Path) -> None:
    dataset = load(real_data / "medmnist", set="pneumoniamnist")
    assert Counter(c.split for c in dataset.cases) == {"train": 3882, "val": 524, "test": 624}
