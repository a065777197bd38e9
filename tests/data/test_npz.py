from pathlib import Path
from typing import Any

import numpy as np
import pytest
from files import archives, blob, volume

from curette.data import npz
from curette.data.datasets import open_dataset
from curette.data.integrity import examine
from curette.data.prepare import prepare
from curette.errors import DataError
from curette.recipe import Data, Prepare


def test_damage_anywhere_in_an_archive_is_named(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    path = tmp_path / "whole.npz"
    arrays = {f"{part}_images": rng.integers(0, 255, (4, 9, 9)).astype(np.uint8) for part in "ab"}
    np.savez_compressed(path, **arrays)
    whole, unnoticed, told = path.read_bytes(), 0, []
    for place in range(0, len(whole), 7):
        damaged = tmp_path / f"{place}.npz"
        damaged.write_bytes(whole[:place] + bytes(12) + whole[place + 12 :])
        try:
            found = {key: npz.load(damaged, key) for key in npz.headers(damaged)}
        except DataError as problem:
            told.append(str(damaged) in str(problem))
        else:  # times and attributes of the members do not matter
            unnoticed += 1
            assert all((found[key] == arrays[key]).all() for key in found)
    assert all(told)
    assert unnoticed < len(whole) / 7 / 4


def test_a_whole_archive_tells_its_shapes(tmp_path: Path) -> None:
    np.savez_compressed(tmp_path / "a.npz", image=np.zeros((3, 4)))
    assert npz.headers(tmp_path / "a.npz") == {"image": ((3, 4), np.dtype("f8"))}
    with pytest.raises(DataError, match=r"b\.npz does not exist"):
        npz.headers(tmp_path / "b.npz")


PAIRS = np.zeros((8, 10, 4), [("a", "u1"), ("b", "u1")])


@pytest.mark.parametrize("key", ["image", "label"])
@pytest.mark.parametrize(
    "array",
    [blob().astype(complex), np.full((8, 10, 4), "a"), PAIRS, blob().astype("M8[s]"), blob().astype(object)],
    ids=["complex", "text", "records", "dates", "objects"],
)
def test_what_is_no_real_number_is_named_with_its_array(array: Any, key: str, tmp_path: Path) -> None:
    data = Data(dataset="own", root=archives(tmp_path, **{key: array}))
    said = rf"c0\.npz \[{key}\] holds elements of type .* where real numbers are expected"
    with pytest.raises(DataError, match=said):
        open_dataset(data)
    found = examine(data)
    assert (found.whole, found.cases) == (False, 2)


def test_true_and_false_are_one_and_zero(tmp_path: Path) -> None:
    root = archives(tmp_path / "data", image=blob() > 0, label=blob() > 0)
    data = Data(dataset="own", root=root, unit="volume")
    dataset = open_dataset(data)
    assert examine(data).whole
    for source in (*dataset.cases[0].images, dataset.cases[0].label):
        array = source.read().array
        assert array.dtype == np.uint8
        np.testing.assert_array_equal(array.reshape(8, 10, 4), blob())
    prepared = prepare(dataset, data, Prepare(cache=tmp_path / "cache"))
    np.testing.assert_array_equal(prepared.truth("c0"), blob())


def test_voxels_beyond_32_bits_and_huge_labels_are_named(tmp_path: Path) -> None:
    huge = volume().astype(np.float64)
    huge[0, 0, :2] = 1e39, np.inf
    data = Data(dataset="own", root=archives(tmp_path / "a", image=huge), unit="volume")
    said = r"c0\.npz holds 0 NaN and 1 infinite values and 1 beyond the range of 32-bit floats among 320"
    with pytest.raises(DataError, match=said):
        prepare(open_dataset(data), data, Prepare(cache=tmp_path))
    assert not examine(data).whole
    (told,) = examine(
        Data(dataset="own", root=archives(tmp_path / "b", label=blob() * 1e30))
    ).problems.values()
    assert "c0.npz holds label values as large as 1e+30" in told[0]


@pytest.mark.parametrize("third", [np.inf, np.nan, 0.0, -1.0])
def test_spacing_that_is_none(third: float, tmp_path: Path) -> None:
    root = archives(tmp_path, spacing=np.array([1.0, 1.0, third]))
    with pytest.raises(DataError, match=r"c0\.npz \[spacing\] must be 3 positive numbers of mm, not \[1\.0"):
        open_dataset(Data(dataset="own", root=root))


def test_volumes_of_unknown_spacing_are_not_resampled_to_mm(tmp_path: Path) -> None:
    data = Data(dataset="own", root=archives(tmp_path / "data", spacing=None), unit="volume")
    dataset = open_dataset(data)
    assert [c.images[0].read().geometry.spaced for c in dataset.cases] == [False, True, True]
    assert len(prepare(dataset, data, Prepare(cache=tmp_path, spacing=(0, 0, 0))).case_ids) == 3
    whole = examine(data)
    assert whole.whole
    assert whole.notes == (
        f"1 files do not tell the spacing of their voxels, such as {tmp_path}/data/c0.npz: distances are in voxels, not in mm",
    )
    said = r"1 problem\. .*c0\.npz does not tell the spacing of its voxels.*array 'spacing'"
    with pytest.raises(DataError, match=said):
        prepare(dataset, data, Prepare(cache=tmp_path, spacing=(2, 2, 2)))
