from pathlib import Path

import numpy as np
import pytest

from curette.data import npz
from curette.errors import DataError


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
            found = {key: npz.load(damaged, key) for key in npz.shapes(damaged)}
        except DataError as problem:
            told.append(str(damaged) in str(problem))
        else:  # times and attributes of the members do not matter
            unnoticed += 1
            assert all((found[key] == arrays[key]).all() for key in found)
    assert all(told)
    assert unnoticed < len(whole) / 7 / 4


def test_a_whole_archive_tells_its_shapes(tmp_path: Path) -> None:
    np.savez_compressed(tmp_path / "a.npz", image=np.zeros((3, 4)))
    assert npz.shapes(tmp_path / "a.npz") == {"image": (3, 4)}
    with pytest.raises(DataError, match=r"b\.npz does not exist"):
        npz.shapes(tmp_path / "b.npz")
