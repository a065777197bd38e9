"""Files of features: read by id in any layout, and refused with the reason when something is wrong with them."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from curette.data import features
from curette.data.features import digest, open_features
from curette.errors import DataError
from curette.region import Region

SLICES = [Region("b", 2, z) for z in range(3)] + [Region("a", 2, 7)]
VALUES = np.arange(12, dtype=np.float32).reshape(4, 3) / 7
IDS = [str(r) for r in SLICES]


def _npz(folder: Path, ids: list[str] = IDS, values: NDArray[np.generic] = VALUES, **more: bool) -> str:
    path = folder / "f.npz"
    (np.savez_compressed if more.get("compressed") else np.savez)(path, ids=np.array(ids), features=values)
    return str(path)


def _npy(folder: Path) -> str:
    np.save(folder / "f.npy", VALUES)
    (folder / "f.txt").write_text("\n".join(IDS) + "\n", encoding="utf-8")
    return str(folder / "f.npy")


def _csv(folder: Path, heading: str = "region,f0,f1,f2\n") -> str:
    lines = [",".join([name, *map(repr, map(float, row))]) for name, row in zip(IDS, VALUES, strict=True)]
    (folder / "f.csv").write_text(heading + "\n".join(lines) + "\n\n", encoding="utf-8")
    return str(folder / "f.csv")


LAYOUTS: dict[str, Callable[[Path], str]] = {
    "npz": _npz,
    "packed npz": lambda folder: _npz(folder, compressed=True),
    "half npz": lambda folder: _npz(folder, values=VALUES.astype(np.float16)),
    "double npz": lambda folder: _npz(folder, values=VALUES.astype(np.float64)),
    "columnwise npz": lambda folder: _npz(folder, values=np.asfortranarray(VALUES)),
    "npy": _npy,
    "csv": _csv,
    "bare csv": lambda folder: _csv(folder, ""),
}


@pytest.mark.parametrize("layout", LAYOUTS)
def test_rows_are_found_by_id_in_any_order(tmp_path: Path, layout: str) -> None:
    file = open_features(LAYOUTS[layout](tmp_path))
    for rows in ([0, 1, 2, 3], [3, 1], [2], [1, 2], [2, 1, 0], []):
        found = file.take([SLICES[i] for i in rows])
        assert found.dtype == np.float32
        assert found.shape == (len(rows), 3)
        np.testing.assert_allclose(found, VALUES[rows], atol=1e-3 if "half" in layout else 1e-7)


@pytest.mark.parametrize("layout", ["npz", "npy"])
def test_large_files_stay_on_the_disk(tmp_path: Path, layout: str) -> None:
    file = open_features(LAYOUTS[layout](tmp_path))
    assert isinstance(file.values, np.memmap)
    view = file.take(SLICES[1:])
    assert view.base is not None
    assert not view.flags.writeable


@given(st.permutations(range(4)), st.integers(1, 5))
def test_blocks_change_nothing(order: list[int], block: int) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(features, "_ROWS", block)
        file = features.FeatureFile(Path("f.npz"), {name: i for i, name in enumerate(IDS)}, VALUES)
        np.testing.assert_array_equal(file.take([SLICES[i] for i in order]), VALUES[order])


def test_a_file_that_changes_is_read_again(tmp_path: Path) -> None:
    path = _npz(tmp_path)
    before = digest(path)
    assert open_features(path) is open_features(path)
    _npz(tmp_path, values=VALUES + 1)
    os.utime(path, ns=(1, 1))  # clocks of files may be coarse
    np.testing.assert_array_equal(open_features(path).take(SLICES), VALUES + 1)
    assert digest(path) != before
    _npz(tmp_path)
    os.utime(path, ns=(2, 2))
    assert digest(path) == before


def test_relative_paths_start_at_the_working_directory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _npz(tmp_path)
    monkeypatch.chdir(tmp_path)
    assert len(open_features("f.npz").row) == 4


def test_ids_of_an_npy_file_may_stand_elsewhere(tmp_path: Path) -> None:
    path = _npy(tmp_path)
    (tmp_path / "f.txt").rename(tmp_path / "names.txt")
    with pytest.raises(DataError, match=r"no file of ids, one a line .* .*f\.txt"):
        open_features(path)
    assert len(open_features(path, str(tmp_path / "names.txt")).row) == 4
    assert digest(path, str(tmp_path / "names.txt"))


def test_regions_without_a_row_are_named(tmp_path: Path) -> None:
    file = open_features(_npz(tmp_path))
    with pytest.raises(
        DataError, match=r"f\.npz has no features for 5 regions: 'c@z=0', .*'c@z=2' …\..*like 'b@z=0'"
    ):
        file.take([*SLICES, *(Region("c", 2, z) for z in range(5))])


def test_a_row_a_case_does_not_stand_for_its_slices(tmp_path: Path) -> None:
    file = open_features(_npz(tmp_path, ids=["a", "b", "c", "d"]))
    np.testing.assert_array_equal(file.take([Region("c"), Region("a")]), VALUES[[2, 0]])
    with pytest.raises(
        DataError, match=r"no features for 1 regions: 'a@z=3'\..*cannot tell its slices.*data\.unit"
    ):
        file.take([Region("a", 2, 3)])


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf, 1e300])
def test_rows_that_are_not_finite_are_named_when_asked_for(tmp_path: Path, bad: float) -> None:
    values = VALUES.astype(np.float64)
    values[1, 2] = bad
    file = open_features(_npz(tmp_path, values=values))
    file.take([SLICES[0], *SLICES[2:]])
    for asked in (SLICES, SLICES[::-1]):
        with pytest.raises(DataError, match=r"f\.npz: the features of 'b@z=1' hold NaN, infinite or huge"):
            file.take(asked)


def _write(name: str, text: str = "") -> Callable[[Path], str]:
    def write(folder: Path) -> str:
        (folder / name).write_text(text, encoding="utf-8")
        return str(folder / name)

    return write


def _cut(folder: Path) -> str:
    path = Path(_npz(folder))
    path.write_bytes(path.read_bytes()[:-40])
    return str(path)


def _other_arrays(folder: Path) -> str:
    np.savez(folder / "f.npz", x=VALUES)
    return str(folder / "f.npz")


def _objects(folder: Path) -> str:
    np.savez(folder / "f.npz", ids=np.array(IDS, dtype=object), features=VALUES)
    return str(folder / "f.npz")


def _numbers(folder: Path) -> str:
    np.savez(folder / "f.npz", ids=np.arange(4), features=VALUES)
    return str(folder / "f.npz")


@pytest.mark.parametrize(
    ("make", "says"),
    [
        (lambda folder: str(folder / "gone.npz"), r"no file of features .*gone\.npz.*working directory"),
        (_write("f.pt"), r"f\.pt is no file of features.*\.npz, \.npy, \.csv"),
        (_write("f.npz", "nothing"), r"f\.npz cannot be read"),
        (_cut, r"f\.npz cannot be read"),
        (_other_arrays, r"f\.npz holds x, but must hold 'ids' and 'features'"),
        (_objects, r"f\.npz cannot be read: Object arrays"),
        (_numbers, r"f\.npz: 'ids' is int64 \[4\], but must be a list of texts"),
        (lambda f: _npz(f, ids=IDS[:3]), r"f\.npz: 3 ids for 4 rows"),
        (lambda f: _npz(f, ids=[*IDS[:3], IDS[1]]), r"f\.npz: the id 'b@z=1' stands there twice"),
        (lambda f: _npz(f, values=VALUES[:, 0]), r"f\.npz: the features are float32 \[4\], but must be"),
        (lambda f: _npz(f, values=VALUES[:, :0]), r"f\.npz: the features are float32 \[4, 0\]"),
        (lambda f: _npz(f, ids=[], values=VALUES[:0]), r"f\.npz: .*(\[0, 3\]|'ids' is float64)"),
        (lambda f: _npz(f, values=VALUES.astype(str)), r"f\.npz: the features are <U\d+ \[4, 3\]"),
        (_write("f.csv"), r"f\.csv: the features are float32 \[0, 0\]"),
        (
            _write("f.csv", "id,x,y\na,1,2\nb,3\n"),
            r"f\.csv, line 3 \('b'\): 1 numbers, where the first region has 2",
        ),
        (_write("f.csv", "a,1,2\nb,3,\n"), r"f\.csv, line 2 \('b'\): '' is not a number"),
        (_write("f.csv", "a\nb\n"), r"f\.csv, line 1 \('a'\): 0 numbers"),
    ],
)
def test_files_that_cannot_be_used_say_why(tmp_path: Path, make: Callable[[Path], str], says: str) -> None:
    with pytest.raises(DataError, match=says):
        open_features(make(tmp_path))


def test_ids_belong_to_npy_files_only(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="holds its ids itself"):
        open_features(_npz(tmp_path), "f.txt")
