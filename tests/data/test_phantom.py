from __future__ import annotations

import subprocess
import sys
from collections.abc import Sequence

import numpy as np
import pytest
from scipy import ndimage

from curette.data.case import Dataset
from curette.data.datasets.phantom import is_rare, phantom
from curette.errors import SettingError
from curette.registry import bind


@pytest.fixture(scope="module")
def volumes() -> list[tuple[np.ndarray, np.ndarray]]:
    return _read(phantom(patients=20))


def _read(dataset: Dataset, numbers: Sequence[int] | None = None) -> list[tuple[np.ndarray, np.ndarray]]:
    cases = dataset.cases if numbers is None else [dataset.cases[n] for n in numbers]
    return [(case.images[0].read().array, case.label.read().array) for case in cases]


def test_shapes_types_and_geometry() -> None:
    dataset = phantom(patients=3, size=(20, 24, 10), spacing=(1.0, 2.0, 4.0))
    case = dataset.cases[2]
    image, label = case.images[0].read(), case.label.read()
    assert (image.array.shape, image.array.dtype) == ((1, 20, 24, 10), np.float32)
    assert (label.array.shape, label.array.dtype) == ((20, 24, 10), np.uint8)
    assert image.geometry.spacing == label.geometry.spacing == (1.0, 2.0, 4.0)
    assert np.isfinite(image.array).all()
    assert set(np.unique(label.array)) <= set(dataset.task.classes.values())
    assert [c.id for c in dataset.cases] == sorted(c.id for c in dataset.cases)
    assert len({c.patient for c in dataset.cases}) == 3


def test_the_same_seed_gives_the_same_patient_however_many_there_are() -> None:
    few, many = phantom(patients=3), phantom(patients=25)
    for a, b in zip(_read(few), _read(many, [0, 1, 2]), strict=True):
        assert np.array_equal(a[0], b[0])
        assert np.array_equal(a[1], b[1])
    assert few.cases[0].images[0].stamp == many.cases[0].images[0].stamp


def test_another_process_draws_the_same_voxels() -> None:
    script = (
        "from curette.data.datasets.phantom import phantom; import hashlib;"
        "print(hashlib.sha256(phantom(patients=5).cases[4].images[0].read().array.tobytes()).hexdigest())"
    )
    found = {
        subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True).stdout
        for _ in "ab"
    }
    assert len(found) == 1


def test_patients_and_seeds_differ() -> None:
    (a, _), (b, _) = _read(phantom(patients=2))
    ((c, _),) = _read(phantom(patients=2, seed=1), [0])
    assert not np.array_equal(a, b)
    assert not np.array_equal(a, c)
    assert phantom(seed=1).cases[0].images[0].stamp != phantom().cases[0].images[0].stamp


@pytest.mark.parametrize("seed", [0, 1, 7])
def test_one_patient_in_ten_is_rare_and_named(seed: int) -> None:
    rare = [number for number in range(100) if is_rare(number, seed)]
    assert [number // 10 for number in rare] == list(range(10))
    (note,) = phantom(patients=30, seed=seed).notes
    assert note == "rare anatomy: " + ", ".join(f"phantom-{n:04d}" for n in rare[:3])


def test_rare_anatomy_lies_on_the_other_side_and_has_two_medullas() -> None:
    for number, (_, label) in enumerate(_read(phantom(patients=30))):
        organ = np.argwhere(label > 0)[:, 0].mean() / label.shape[0]
        middle = label[:, :, label.shape[2] // 2] == 2
        parts = np.bincount(ndimage.label(middle)[0].ravel())[1:]
        assert (organ < 0.5) == is_rare(number)
        if is_rare(number):
            assert (parts >= 5).sum() == 2, number


def test_every_patient_has_all_structures_and_they_touch(
    volumes: list[tuple[np.ndarray, np.ndarray]],
) -> None:
    for _, label in volumes:
        counts = np.bincount(label.ravel(), minlength=4)
        assert counts[1:].min() > 0
        assert counts[3] < 0.25 * counts[1:].sum(), "the nodule is the small structure"
        grown = {k: ndimage.binary_dilation(label == k) for k in (1, 2, 3)}
        assert (grown[2] & (label == 1)).any()
        assert (grown[3] & ((label == 1) | (label == 2))).any()


def test_neighbouring_slices_are_nearly_the_same(volumes: list[tuple[np.ndarray, np.ndarray]]) -> None:
    def dice(step: int) -> float:
        pairs = [(v[:, :, z], v[:, :, z + step]) for _, v in volumes for z in range(v.shape[2] - step)]
        same = [2 * ((a == b) & (a > 0)).sum() / ((a > 0).sum() + (b > 0).sum()) for a, b in pairs if a.any()]
        return float(np.median(same))

    assert dice(1) > 0.8
    assert dice(8) < 0.4


def test_intensities_of_the_structures_overlap(volumes: list[tuple[np.ndarray, np.ndarray]]) -> None:
    """No threshold tells cortex from medulla, or the organ from its unlabelled surroundings."""
    for wanted, other in [(1, 2), (1, 0)]:
        best = []
        for image, label in volumes:
            inside = np.sort(image[0][label == wanted])
            around = ndimage.binary_dilation(label > 0, iterations=6) if other == 0 else label == other
            outside = np.sort(image[0][around & (label == other)])
            cuts = np.quantile(image[0], np.linspace(0, 1, 101))
            right = (
                1
                - np.searchsorted(inside, cuts) / len(inside)
                + np.searchsorted(outside, cuts) / len(outside)
            )
            best.append(max(right.max() / 2, 1 - right.min() / 2))
        assert np.mean(best) < 0.9


def test_some_scans_have_more_noise_than_others(volumes: list[tuple[np.ndarray, np.ndarray]]) -> None:
    air = [image[0, :3, :3].mean() / np.median(image) for image, _ in volumes]
    assert max(air) > 1.4 * min(air)


@pytest.mark.parametrize(
    ("settings", "named"),
    [
        ({"patients": 1}, "patients"),
        ({"size": (48, 48)}, "size"),
        ({"size": (48, 48, 4)}, "size"),
        ({"spacing": (1.0, 1.0, 0.0)}, "spacing"),
        ({"seed": -1}, "seed"),
    ],
)
def test_impossible_settings_are_named(settings: dict[str, object], named: str) -> None:
    with pytest.raises(SettingError, match=named):
        bind("dataset", "phantom", **settings)(None, False)


def test_a_folder_is_refused(tmp_path: object) -> None:
    with pytest.raises(SettingError, match="remove root"):
        phantom(tmp_path)  # type: ignore[arg-type]


def test_what_older_settings_generate_stays() -> None:
    """Caches and records of earlier studies refer to these voxels."""
    case = phantom(patients=2, size=(16, 16, 8)).cases[1]
    assert case.images[0].stamp == (
        "generation 1: PhantomSource(patient=1, part='image', size=(16, 16, 8), spacing=(1.5, 1.5, 3.0), seed=0)"
    )
    assert phantom(patients=2).task.channels == ("image",)


def test_a_second_weighting_shows_the_same_patient_with_other_contrast() -> None:
    one, two = phantom(patients=12), phantom(patients=12, channels=2)
    assert len(two.task.channels) == 2
    for a, b in zip(one.cases, two.cases, strict=True):
        first, second = (source.read().array[0] for source in b.images)
        label = b.label.read().array
        assert np.array_equal(first, a.images[0].read().array[0])
        assert np.median(first[label == 1]) > np.median(first[label == 2])
        assert np.median(second[label == 1]) < np.median(second[label == 2])
        assert abs(np.corrcoef(first.ravel(), second.ravel())[0, 1]) < 0.97


def test_volumes_have_classes_that_show() -> None:
    segmented, classified = phantom(patients=60), phantom(patients=60, task="classification")
    targets = np.array([case.target for case in classified.cases])
    counts = np.bincount(targets, minlength=3)
    assert counts[0] > counts[1] > counts[2] == 6
    assert [n for n in range(60) if targets[n] == 2] == [n for n in range(60) if is_rare(n)]
    for number in range(20):
        a, b = segmented.cases[number], classified.cases[number]
        assert b.label is None
        same = np.array_equal(a.images[0].read().array, b.images[0].read().array)
        assert same == (targets[number] == 1), "what is left out is the nodule, and nothing else"


@pytest.mark.parametrize("settings", [{"task": "detection"}, {"channels": 3}])
def test_tasks_and_channels_that_do_not_exist_are_named(settings: dict[str, object]) -> None:
    with pytest.raises(SettingError, match=next(iter(settings))):
        bind("dataset", "phantom", **settings)(None, False)
