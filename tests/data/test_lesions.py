from __future__ import annotations

import numpy as np
import pytest
from scipy import ndimage

from curette.data.datasets.lesions import is_malignant, lesions
from curette.errors import SettingError
from curette.registry import bind

Read = list[tuple[np.ndarray, np.ndarray]]


@pytest.fixture(scope="module")
def pictures() -> Read:
    return [(c.images[0].read().array, c.label.read().array) for c in lesions(images=80).cases]


@pytest.mark.parametrize("size", [(64, 64), (40, 96), (9, 8)])
def test_shapes_types_and_values(size: tuple[int, int]) -> None:
    dataset = lesions(images=3, size=size)
    image, label = dataset.cases[2].images[0].read(), dataset.cases[2].label.read()
    assert (image.array.shape, image.array.dtype) == ((3, *size), np.uint8)
    assert (label.array.shape, label.array.dtype) == (size, np.uint8)
    assert image.geometry.shape == label.geometry.shape == size
    assert len(dataset.task.channels) == 3
    assert dataset.task.names == ("background", "lesion")


def test_the_same_seed_gives_the_same_patient_however_many_there_are() -> None:
    few, many, other = lesions(images=3), lesions(images=30), lesions(images=3, seed=1)
    for a, b, c in zip(few.cases, many.cases, other.cases, strict=False):
        assert np.array_equal(a.images[0].read().array, b.images[0].read().array)
        assert a.images[0].stamp == b.images[0].stamp != c.images[0].stamp
        assert not np.array_equal(a.images[0].read().array, c.images[0].read().array)


def test_another_size_shows_the_same_lesion() -> None:
    small, large = (lesions(images=10, size=(n, n)) for n in (32, 128))
    for a, b in zip(small.cases, large.cases, strict=True):
        one = a.label.read().array
        covered = b.label.read().array.reshape(32, 4, 32, 4).mean(axis=(1, 3))
        assert (one[covered == 1] == 1).all()
        assert (one[covered == 0] == 0).all()


def test_one_lesion_of_varied_size_in_each(pictures: Read) -> None:
    shares = np.array([label.mean() for _, label in pictures])
    assert all(ndimage.label(label)[1] == 1 for _, label in pictures)
    assert shares.min() > 0.01
    assert shares.max() < 0.6
    assert shares.max() > 5 * shares.min()


def test_lesions_are_darker_but_some_hardly(pictures: Read) -> None:
    gaps = []
    for image, label in pictures:
        grey = image.mean(0)
        rim = ndimage.binary_dilation(label, iterations=5) & (label == 0)
        gaps.append((np.median(grey[rim]) - np.median(grey[label == 1])) / 255)
    assert np.mean(np.array(gaps) > 0) > 0.9
    assert np.percentile(gaps, 90) > 0.2
    assert np.percentile(gaps, 10) < 0.08


def test_no_threshold_finds_the_lesions(pictures: Read) -> None:
    """The best threshold of each picture, chosen with the label, is far from the outline in many."""
    best = []
    for image, label in pictures:
        grey = image.mean(0)
        dice = [
            2 * ((grey < cut) & (label == 1)).sum() / ((grey < cut).sum() + label.sum())
            for cut in np.quantile(grey, np.linspace(0.01, 0.8, 40))
        ]
        best.append(max(dice))
    assert np.mean(best) < 0.85


def test_classes_are_imbalanced_as_told_and_images_those_of_segmentation() -> None:
    dataset = lesions(images=50, task="classification", malignant=3)
    targets = [c.target for c in dataset.cases]
    assert dataset.task.kind == "classification"
    assert all(sum(targets[i : i + 10]) == 3 for i in range(0, 50, 10))
    assert targets == [int(is_malignant(n, 3)) for n in range(50)]
    other = lesions(images=50, malignant=3).cases
    assert dataset.cases[7].label is None
    assert dataset.cases[7].images[0].stamp == other[7].images[0].stamp


def test_malignant_lesions_differ_on_average_and_overlap() -> None:
    """Size alone separates the classes better than chance and far from perfectly."""
    cases = lesions(images=120, malignant=5, size=(32, 32)).cases
    size = np.array([c.label.read().array.mean() for c in cases])
    bad = np.array([is_malignant(n, 5) for n in range(120)])
    above = (size[bad][:, None] > size[~bad]).mean()
    assert 0.55 < above < 0.95


@pytest.mark.parametrize(
    ("settings", "named"),
    [
        ({"images": 1}, "images"),
        ({"size": (64, 64, 3)}, "size"),
        ({"size": (64, 4)}, "size"),
        ({"malignant": 0}, "malignant"),
        ({"malignant": 10}, "malignant"),
        ({"task": "detection"}, "task"),
        ({"seed": -1}, "seed"),
    ],
)
def test_impossible_settings_are_named(settings: dict[str, object], named: str) -> None:
    with pytest.raises(SettingError, match=named):
        bind("dataset", "lesions", **settings)(None, False)
