import pickle
import subprocess
import sys
import textwrap
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from files import archive, blob, decathlon, nifti, pictures, png, volume
from hypothesis import given
from hypothesis import strategies as st

from curette.data.build import misses, scale
from curette.data.case import Case, Dataset, Geometry, Volume
from curette.data.datasets import open_dataset
from curette.data.prepare import prepare
from curette.errors import CuretteWarning, DataError, SettingError
from curette.recipe import Data, Prepare
from curette.region import Region
from curette.task import Task

TASK = Task(kind="segmentation", dims=3, classes={"background": 0, "organ": 4})


@dataclass
class Made:
    """A source in memory that counts how often it is read."""

    array: Any
    name: str = "made"
    spacing: tuple[float, ...] = (1.0, 1.0, 1.0)
    read_count: int = field(default=0, compare=False)

    @property
    def stamp(self) -> str:
        return f"{self.name} {hash(self.array.tobytes())}"

    def read(self) -> Volume:
        self.read_count += 1
        shape = self.array.shape[-len(self.spacing) :]
        affine = np.diag([*self.spacing, *([1.0] * (4 - len(self.spacing)))])
        return Volume(self.array, Geometry(affine, affine, shape))


def made(*shapes: tuple[int, ...], spacing: tuple[float, ...] = (1.0, 1.0, 1.0)) -> Dataset:
    rng = np.random.default_rng(0)
    cases = []
    for i, shape in enumerate(shapes):
        image = Made(rng.normal(size=(1, *shape)), f"image {i}", spacing)
        values = rng.choice([0, 4, 255], shape)
        values.flat[0] = 4
        label = Made(values, f"label {i}", spacing)
        cases.append(Case(f"c{i}", f"p{i // 2}", (image,), label))
    return Dataset("made", TASK, tuple(cases))


def ready(dataset: Dataset, cache: Path, *, axis: str = "z", skip_bad: bool = False, **settings: Any):
    unit = "slice" if dataset.task.dims == 3 else "image"
    return prepare(
        dataset, Data(dataset="x", unit=unit, axis=axis, skip_bad=skip_bad), Prepare(cache=cache, **settings)
    )


def test_slices(tmp_path: Path) -> None:
    dataset = made((8, 10, 3), (20, 7, 5))
    prepared = ready(dataset, tmp_path)
    assert prepared.size == (32, 16)
    assert prepared.channels == 1
    assert prepared.task == TASK
    assert prepared.case_ids == ("c0", "c1")
    assert prepared.patient("c1") == "p0"
    regions = prepared.regions(["c1", "c0"])
    assert regions == sorted(regions)
    assert [str(r) for r in regions[:4]] == ["c0@z=0", "c0@z=1", "c0@z=2", "c1@z=0"]
    images, valid = prepared.batch(regions)
    assert images.shape == (8, 1, 32, 16)
    assert images.dtype == np.float32
    assert valid.dtype == bool
    assert valid.sum() == 3 * 80 + 5 * 140
    assert images[~valid[:, None]].sum() == 0
    expected = scale(dataset.cases[0].images[0].array, (1, 99))
    np.testing.assert_allclose(images[1, 0, 12:20, 3:13], expected[0, :, :, 1], atol=1e-6)
    some = [regions[i] for i in (6, 0, 6)]
    np.testing.assert_array_equal(prepared.batch(some)[0], images[[6, 0, 6]])
    np.testing.assert_array_equal(prepared.batch(some)[1], valid[[6, 0, 6]])
    assert prepared.batch([])[0].shape == (0, 1, 32, 16)


def test_labels_are_read_one_at_a_time_and_hold_training_indices(tmp_path: Path) -> None:
    dataset = made((8, 10, 3), (20, 7, 5))
    prepared = ready(dataset, tmp_path)
    regions = prepared.regions(["c1"])
    labels = prepared.labels(regions)
    assert list(labels) == regions
    raw = dataset.cases[1].label.array
    one = labels[regions[2]]
    assert one.dtype == np.uint8
    expected = np.select([raw == 4, raw == 255], [1, 255], 0)[:, :, 2]
    np.testing.assert_array_equal(one[6:26, 4:11], expected)
    assert one.sum() == expected.sum()
    with pytest.raises(KeyError):
        labels[Region("c0", 2, 0)]
    np.testing.assert_array_equal(prepared.truth("c1")[:, :, 2], expected)


@given(
    shapes=st.lists(st.tuples(*[st.integers(1, 20)] * 3), min_size=1, max_size=3),
    axis=st.sampled_from("xyz"),
)
def test_restoring_prepared_labels_gives_the_truth(shapes, axis, tmp_path_factory) -> None:
    dataset = made(*shapes)
    prepared = ready(dataset, tmp_path_factory.mktemp("cache"), axis=axis)
    for case, shape in zip(prepared.case_ids, shapes, strict=True):
        labels = prepared.labels(prepared.regions([case]))
        assert len(labels) == shape["xyz".index(axis)]
        np.testing.assert_array_equal(
            prepared.restore(case, np.stack(list(labels.values()))), prepared.truth(case)
        )


def test_crop_leaves_background_outside(tmp_path: Path) -> None:
    prepared = ready(made((8, 10, 3), (20, 7, 5)), tmp_path, size=(8, 6))
    assert prepared.batch(prepared.regions(["c0", "c1"]))[1] is None
    stack = np.ones((5, 8, 6), np.uint8)
    restored = prepared.restore("c1", stack)
    assert restored.shape == (20, 7, 5)
    assert restored[6:14, :6].all()
    assert restored.sum() == 8 * 6 * 5


def test_spacing_is_resampled_and_undone(tmp_path: Path) -> None:
    prepared = ready(made((10, 8, 6), spacing=(2.0, 1.0, 3.0)), tmp_path, spacing=(1, 1, 0))
    assert prepared.size == (32, 16)
    assert len(prepared.regions(["c0"])) == 6
    assert prepared.spacing("c0") == (2.0, 1.0, 3.0)
    labels = np.stack(list(prepared.labels(prepared.regions(["c0"])).values()))
    np.testing.assert_array_equal(prepared.restore("c0", labels), prepared.truth("c0"))
    assert prepared.batch(prepared.regions(["c0"]))[1][0].sum() == 20 * 8
    through = ready(made((10, 8, 6), spacing=(2.0, 1.0, 3.0)), tmp_path, spacing=(1, 1, 1))
    assert len(through.regions(["c0"])) == 18
    assert through.restore("c0", np.zeros((18, 32, 16), np.uint8)).shape == (10, 8, 6)


def test_resize_stretches_to_the_size(tmp_path: Path) -> None:
    prepared = ready(made((10, 8, 3), (5, 9, 2)), tmp_path, fit="resize", size=(20, 16))
    images, valid = prepared.batch(prepared.regions(["c0", "c1"]))
    assert valid is None
    assert images.shape == (5, 1, 20, 16)
    labels = np.stack(list(prepared.labels(prepared.regions(["c0"])).values()))
    np.testing.assert_array_equal(prepared.restore("c0", labels), prepared.truth("c0"))


def test_classification(tmp_path: Path) -> None:
    dataset = open_dataset(Data(dataset="medmnist", root=archive(tmp_path / "pneumoniamnist.npz")))
    prepared = ready(dataset, tmp_path, size=(28, 28))
    case = dataset.cases[3]
    (region,) = prepared.regions([case.id])
    assert region == Region(case.id)
    assert prepared.truth(case.id) == case.target
    answer = prepared.labels([region])[region]
    assert answer.shape == ()
    assert int(answer) == case.target
    images, valid = prepared.batch([region])
    assert valid is None
    np.testing.assert_allclose(images[0], scale(case.images[0].read().array, (1, 99)), atol=1e-6)


def test_channels_of_several_sources_and_of_one(tmp_path: Path) -> None:
    several = open_dataset(Data(dataset="msd", root=decathlon(tmp_path / "a", channels=2)))
    prepared = ready(several, tmp_path)
    assert prepared.channels == 2
    source = several.cases[0].images[0]
    first = replace(several.cases[0], images=tuple(Made(source.read().array[i : i + 1]) for i in range(2)))
    split = ready(replace(several, cases=(first, *several.cases[1:])), tmp_path)
    regions = prepared.regions(["organ_000"])
    np.testing.assert_array_equal(split.batch(regions)[0], prepared.batch(regions)[0])


def test_intensities() -> None:
    values = np.arange(1001, dtype=np.float32).reshape(1, 7, 143)
    scaled = scale(values, (10, 90))
    assert scaled.dtype == np.float32
    np.testing.assert_allclose(scaled[0].ravel()[[0, 100, 500, 900, 1000]], [0, 0, 0.5, 1, 1], atol=1e-6)
    assert not scale(np.full((1, 4, 4), 7, np.int16), (1, 99)).any()
    rare = np.zeros((2, 20, 20), np.uint8)
    rare[1, 0, 0] = 200  # both percentiles are 0, yet there is something to see
    scaled = scale(rare, (1, 99))
    assert scaled[0].max() == 0
    assert scaled[1, 0, 0] == 1


def test_a_window_is_the_same_for_all_cases_and_channels(tmp_path: Path) -> None:
    values = np.array([-2000, -150, 50, 250, 3000], np.int16).reshape(1, 1, 5)
    scaled = scale(np.concatenate([values, values // 10]), (0, 100), (-150, 250))
    np.testing.assert_allclose(scaled[0, 0], [0, 0, 0.5, 1, 1])
    np.testing.assert_allclose(scaled[1, 0], [0, 0.3375, 0.3875, 0.4375, 1])
    dataset = made((8, 10, 3), (8, 10, 3))
    prepared = ready(dataset, tmp_path, window=(0.0, 4000.0), size=(8, 10))
    for case in dataset.cases:
        raw = np.moveaxis(case.images[0].read().array[0], 2, 0)
        found = prepared.batch(prepared.regions([case.id]))[0][:, 0]
        np.testing.assert_allclose(found, np.clip(raw / 4000, 0, 1), atol=1e-6)


def test_a_window_that_misses_the_images_is_warned_of(tmp_path: Path) -> None:
    dataset, data = made((8, 10, 3), (8, 10, 3)), Data(dataset="x", unit="slice")
    dark = replace(dataset.cases[0].images[0], array=np.zeros((1, 8, 10, 3)))  # nothing lies beyond it
    dataset = replace(dataset, cases=(replace(dataset.cases[0], images=(dark,)), dataset.cases[1]))
    said = (
        r"prepare\.window = \[0\.0, 0\.001\] leaves hardly a value but 0 and 1 in 1 images, such as image 1\."
    )
    for _ in range(2):  # also when it was prepared before
        with pytest.warns(CuretteWarning, match=said):
            prepare(dataset, data, Prepare(cache=tmp_path, window=(0, 0.001)))
    tight = np.array([-1.0] * 98 + [0.5, 0.0, 1.0])
    assert not misses(tight, (0, 1))
    assert misses(np.append(tight, [-1.0, 2.0]), (0, 1))


def test_second_prepare_reads_no_file(tmp_path: Path) -> None:
    dataset = made((8, 10, 3), (20, 7, 5))
    first = ready(dataset, tmp_path)
    again = ready(dataset, tmp_path)
    assert again.digest == first.digest
    assert [s.read_count for c in dataset.cases for s in (*c.images, c.label)] == [1] * 4
    np.testing.assert_array_equal(
        again.batch(again.regions(["c1"]))[0], first.batch(first.regions(["c1"]))[0]
    )


def test_cache_key_follows_files_and_settings(tmp_path: Path) -> None:
    root = decathlon(tmp_path / "data")
    data = Data(dataset="msd", root=root, unit="slice")
    dataset, settings = open_dataset(data), Prepare(cache=tmp_path / "cache")

    def digest(**changed: Any) -> str:
        return prepare(dataset, data, settings.model_copy(update=changed)).digest

    first = digest()
    assert digest(cache=tmp_path / "elsewhere") == first
    others = (
        {"size": (32, 32)},
        {"percentiles": (0, 100)},
        {"fit": "resize"},
        {"crop_nonzero": True},
        {"window": (0, 255)},
    )
    assert len({first, *(digest(**other) for other in others)}) == 6
    grouped = replace(dataset, cases=tuple(replace(case, group="north") for case in dataset.cases))
    assert prepare(grouped, data, settings).digest != first
    assert prepare(dataset, data.model_copy(update={"axis": "x"}), settings).digest != first
    nifti(root / "labelsTr" / "organ_001.nii.gz", blob(value=1))
    changed = digest()
    assert changed != first
    folders = [p for p in (tmp_path / "cache").iterdir() if p.is_dir()]
    assert {p.name.split("-")[-1] for p in folders} >= {first, changed}


def test_the_label_of_a_box_is_cut_to_it(tmp_path: Path) -> None:
    prepared = ready(made((12, 10, 3)), tmp_path)
    unit = prepared.regions(["c0"])[1]
    box = replace(unit, box=((2, 9), (1, 4)))
    labels = prepared.labels([unit, box])
    np.testing.assert_array_equal(labels[box], labels[unit][2:9, 1:4])
    for wrong in (((0, 2),), ((0, 2), (0, 99)), ((0, 2), (0, 2), (0, 2))):
        with pytest.raises(DataError, match="is no part of a unit"):
            prepared.labels([replace(unit, box=wrong)])
    with pytest.raises(DataError, match="is no unit of the prepared data"):
        prepared.labels([Region("c0", box=((0, 2), (0, 2)))])


def test_the_extent_of_a_unit_leaves_padding_out(tmp_path: Path) -> None:
    prepared = ready(made((12, 10, 3)), tmp_path, size=(16, 10))
    assert prepared.extent(prepared.regions(["c0"])[0]) == ((2, 14), (0, 10))
    full = ready(made((12, 10, 3)), tmp_path / "b", size=(8, 10))
    assert full.extent(full.regions(["c0"])[0]) == ((0, 8), (0, 10))


@pytest.mark.parametrize("name", ["images.npy", "labels.npy", "truth.bin", "index.npz"])
def test_truncated_cache_is_made_again(name: str, tmp_path: Path) -> None:
    dataset = made((8, 10, 3))
    prepared = ready(dataset, tmp_path)
    truth = prepared.truth("c0")
    path = prepared.folder / name
    path.write_bytes(path.read_bytes()[:-7])
    np.testing.assert_array_equal(ready(dataset, tmp_path).truth("c0"), truth)
    assert dataset.cases[0].images[0].read_count == 2


def test_opens_in_another_process_without_carrying_the_arrays(tmp_path: Path) -> None:
    prepared = ready(made((8, 10, 3)), tmp_path)
    regions = prepared.regions(["c0"])
    prepared.batch(regions)
    parcel = pickle.dumps(prepared)
    assert len(parcel) < 1000
    np.testing.assert_array_equal(pickle.loads(parcel).batch(regions)[0], prepared.batch(regions)[0])
    labels = pickle.loads(pickle.dumps(prepared.labels(regions)))
    np.testing.assert_array_equal(labels[regions[1]], prepared.labels(regions)[regions[1]])


def test_killed_while_preparing(tmp_path: Path) -> None:
    decathlon(tmp_path / "data")
    script = """
        import os, signal, sys
        from pathlib import Path
        from curette.data.datasets import open_dataset
        from curette.data.prepare import prepare
        from curette.recipe import Data, Prepare
        data = Data(dataset="msd", root=Path(sys.argv[1]) / "data", unit="slice")
        kill = lambda done, total: done == 3 and os.kill(os.getpid(), signal.SIGKILL)
        prepare(open_dataset(data), data, Prepare(cache=Path(sys.argv[1]) / "cache"), kill)
        """
    ended = subprocess.run([sys.executable, "-c", textwrap.dedent(script), str(tmp_path)], timeout=60)
    assert ended.returncode == -9
    assert all(p.name.startswith(".") for p in (tmp_path / "cache").iterdir())
    dataset = open_dataset(Data(dataset="msd", root=tmp_path / "data", unit="slice"))
    prepared = ready(dataset, tmp_path / "cache")
    assert len(prepared.case_ids) == 4
    assert [p for p in (tmp_path / "cache").iterdir() if p.name.endswith(".part")] == []
    assert not (prepared.folder / "spool.bin").exists()


def test_progress(tmp_path: Path) -> None:
    seen: list[tuple[int, int]] = []
    dataset = made((8, 10, 3), (20, 7, 5))
    data = Data(dataset="x", unit="slice")
    prepare(dataset, data, Prepare(cache=tmp_path), lambda done, total: seen.append((done, total)))
    assert seen == [(1, 2), (2, 2)]


@pytest.fixture
def bad(tmp_path: Path) -> Dataset:
    """Files whose headers fit but whose voxels do not."""
    root = decathlon(tmp_path / "bad", cases=6)
    nan = volume()
    nan[0, 0, 0] = np.nan
    nifti(root / "imagesTr" / "organ_000.nii.gz", nan)
    nifti(root / "labelsTr" / "organ_001.nii.gz", blob(value=9))
    nifti(root / "labelsTr" / "organ_002.nii.gz", blob() * 0.5)
    cut = root / "imagesTr" / "organ_003.nii.gz"
    cut.write_bytes(cut.read_bytes()[:-60])
    return open_dataset(Data(dataset="msd", root=root, unit="slice"))


def test_every_bad_file_is_named_in_one_message(bad: Dataset, tmp_path: Path) -> None:
    with pytest.raises(DataError) as caught:
        ready(bad, tmp_path / "cache")
    message = str(caught.value)
    for part in (
        "4 problems",
        "imagesTr/organ_000.nii.gz holds 1 NaN",
        "labelsTr/organ_001.nii.gz holds 1 unknown label value (9)",
        "labelsTr/organ_002.nii.gz holds",
        "imagesTr/organ_003.nii.gz cannot be read",
        "skip_bad = true",
    ):
        assert part in message
    assert [p.name[0] for p in (tmp_path / "cache").iterdir()] == ["."]  # the lock only


def test_skip_bad_drops_exactly_those_and_says_so_every_time(bad: Dataset, tmp_path: Path) -> None:
    for _ in range(2):
        with pytest.warns(CuretteWarning, match=r"4 problems.*Going on without them"):
            prepared = ready(bad, tmp_path / "cache", skip_bad=True)
    assert prepared.case_ids == ("organ_004", "organ_005")
    assert prepared.dropped == ("organ_000", "organ_001", "organ_002", "organ_003")
    assert [c.id for c in prepared.kept(bad).cases] == ["organ_004", "organ_005"]
    with pytest.raises(DataError, match="'organ_002' was left out"):
        prepared.regions(["organ_002"])
    labels = np.stack(list(prepared.labels(prepared.regions(["organ_005"])).values()))
    np.testing.assert_array_equal(prepared.restore("organ_005", labels), blob(value=2))


def test_nothing_left_to_go_on_with(tmp_path: Path) -> None:
    dataset = made((4, 4, 2))
    dataset.cases[0].label.array = np.full((4, 4, 2), 3)
    with pytest.raises(DataError, match="unknown label value"):
        ready(dataset, tmp_path, skip_bad=True)


def test_a_file_removed_after_the_data_set_was_opened(tmp_path: Path) -> None:
    root = decathlon(tmp_path / "data")
    dataset = open_dataset(Data(dataset="msd", root=root, unit="slice"))
    (root / "imagesTr" / "organ_002.nii.gz").unlink()
    with pytest.raises(DataError, match=r"organ_002\.nii\.gz does not exist"):
        ready(dataset, tmp_path / "cache")


def test_case_without_label_in_a_labelled_set(tmp_path: Path) -> None:
    dataset = made((4, 4, 2), (4, 4, 2))
    dataset = replace(dataset, cases=(replace(dataset.cases[0], label=None), dataset.cases[1]))
    with pytest.raises(DataError, match=r"without label in a labelled set \(1\): image 0"):
        ready(dataset, tmp_path)


def test_a_set_without_any_label(tmp_path: Path) -> None:
    dataset = made((4, 4, 2), (4, 4, 2))
    prepared = ready(replace(dataset, cases=tuple(replace(c, label=None) for c in dataset.cases)), tmp_path)
    regions = prepared.regions(prepared.case_ids)
    assert prepared.batch(regions)[0].shape == (4, 1, 16, 16)
    assert not prepared.has_label("c0")
    with pytest.raises(DataError, match="'c0' has no label"):
        prepared.labels(regions)
    with pytest.raises(DataError, match="'c0' has no label"):
        prepared.truth("c0")


def test_shapes_and_channels_that_do_not_fit(tmp_path: Path) -> None:
    dataset = made((4, 4, 2), (4, 4, 2), (4, 4, 2))
    dataset.cases[0].label.array = np.zeros((4, 5, 2), np.uint8)
    dataset.cases[1].images[0].array = np.zeros((2, 4, 4, 2))
    with pytest.raises(DataError, match=r"2 problems.*image 1 has 2 channels.*label 0 has shape \(4, 5, 2\)"):
        ready(dataset, tmp_path)


def test_a_class_that_never_occurs_is_told(tmp_path: Path) -> None:
    data = Data(
        dataset="folder", root=pictures(tmp_path / "a"), options={"classes": {"background": 0, "tumour": 1}}
    )
    with pytest.warns(CuretteWarning, match=r"class tumour is in no label.*Value 255 does occur"):
        prepare(open_dataset(data), data, Prepare(cache=tmp_path))


@pytest.mark.parametrize(
    ("task", "data", "settings", "said"),
    [
        ({}, {"unit": "image"}, {}, r"data\.unit = 'image'"),
        ({"dims": 2}, {"unit": "slice"}, {}, r"data\.unit = 'slice'"),
        ({"kind": "classification"}, {}, {}, "cannot be classified"),
        ({}, {}, {"percentiles": (99, 1)}, r"prepare\.percentiles"),
        (
            {},
            {},
            {"window": (5, 5)},
            r"prepare\.window = \[5\.0, 5\.0\] must be two values, the lower one first",
        ),
        ({}, {}, {"window": (250, -150)}, r"prepare\.window = \[250\.0, -150\.0\]"),
        ({}, {}, {"window": (0, float("inf"))}, r"prepare\.window"),
        ({}, {}, {"size": (16,)}, r"prepare\.size"),
        ({}, {}, {"size": (16, 0)}, r"prepare\.size"),
        ({}, {}, {"spacing": (1, 1)}, r"prepare\.spacing = \[1\.0, 1\.0\] must be 3"),
        ({}, {}, {"size": (2**20, 2**20)}, r"Set a smaller prepare\.size"),
        ({"ignore": 1000}, {}, {}, "8 bits"),
    ],
)
def test_settings_that_cannot_work(task: dict, data: dict, settings: dict, said: str, tmp_path: Path) -> None:
    dataset = replace(made((4, 4, 2)), task=TASK.model_copy(update=task))
    with pytest.raises(SettingError, match=said):
        prepare(dataset, Data(dataset="x", **{"unit": "slice", **data}), Prepare(cache=tmp_path, **settings))
    assert [p for p in tmp_path.iterdir() if not p.name.endswith(".lock")] == []


def test_unwritable_cache(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(SettingError, match=r"prepare\.cache"):
        ready(made((4, 4, 2)), tmp_path / "file")


def test_cases_and_regions_that_are_none(tmp_path: Path) -> None:
    prepared = ready(made((4, 4, 2)), tmp_path)
    with pytest.raises(DataError, match="'c9' is not in the data set"):
        prepared.regions(["c9"])
    for region in (
        Region("c0"),
        Region("c0", 2, 2),
        Region("c0", 1, 0),
        Region("c0", box=((0, 2), (0, 2), (0, 2))),
        Region("c0", 2, 0, ((0, 2), (0, 2))),
    ):
        with pytest.raises(DataError, match="no unit of the prepared data"):
            prepared.batch([region])
    with pytest.raises(DataError, match="no cases"):
        ready(replace(made(), cases=()), tmp_path)
    twice = made((4, 4, 2))
    with pytest.raises(DataError, match="two cases 'c0'"):
        ready(replace(twice, cases=twice.cases * 2), tmp_path)


def test_geometry_leads_back_to_the_file(tmp_path: Path) -> None:
    affine = np.array([[0, -2.0, 0, 9], [0, 0, 3, -5], [-1, 0, 0, 4], [0, 0, 0, 1]])
    for i in range(2):
        nifti(tmp_path / "images" / f"{i}.nii.gz", volume((5, 6, 7), i), affine)
        nifti(tmp_path / "masks" / f"{i}.nii.gz", blob((5, 6, 7)), affine)
    data = Data(dataset="folder", root=tmp_path, unit="slice")
    dataset = open_dataset(data)
    prepared = ready(dataset, tmp_path / "cache")
    geometry, stored = prepared.geometry("1"), dataset.cases[1].images[0].read().geometry
    for name in ("affine", "native", "flips"):
        np.testing.assert_array_equal(getattr(geometry, name), getattr(stored, name))
    assert geometry.shape == (5, 6, 7)
    assert prepared.shape("1") == prepared.truth("1").shape == (6, 7, 5)
    assert prepared.spacing("1") == (2.0, 3.0, 1.0)


def test_colour_pictures(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    for i in range(2):
        png(tmp_path / "images" / f"{i}.png", rng.integers(0, 255, (20, 12, 3), dtype=np.uint8))
        png(tmp_path / "masks" / f"{i}.png", blob((20, 12), 255))
    prepared = ready(open_dataset(Data(dataset="folder", root=tmp_path)), tmp_path / "cache")
    images, valid = prepared.batch(prepared.regions(["0", "1"]))
    assert images.shape == (2, 3, 32, 16)
    assert valid.sum() == 2 * 240
    np.testing.assert_array_equal(
        prepared.restore("1", np.stack([prepared.labels([Region("1")])[Region("1")]])), blob((20, 12))
    )


def test_no_torch_is_loaded() -> None:
    code = "import sys, curette.data.prepare, curette.data.datasets, curette.data.splits; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], timeout=60).returncode == 0


def test_the_disk_is_too_small(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("shutil.disk_usage", lambda path: SimpleNamespace(free=100))
    with pytest.raises(SettingError, match=r"prepare\.cache to another disk"):
        ready(made((4, 4, 2)), tmp_path)
