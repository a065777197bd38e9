"""Features of a pool: trained once, kept in a file, the same for all who ask."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from curette.errors import DataError
from curette.loop.features import SUFFIX, PoolFeatures
from curette.loop.ledger import Ledger
from curette.loop.models import tidy
from curette.registry import bind
from fakes import SEGMENTATION, FakeImages, FakeLearner

IMAGES = FakeImages()
POOL = IMAGES.regions(IMAGES.case_ids[:3])
PASSES = bind("passes", "self_supervised")


class Kept:
    """Features in a folder, and how often the learner was asked for some."""

    def __init__(self, folder: Path | None, key: str = "") -> None:
        self.learner = FakeLearner(SEGMENTATION, IMAGES)
        self.features = PoolFeatures(self.learner, POOL, folder, key)

    def rows(self, regions=POOL, seed: int = 0, passes=PASSES):
        return self.features.of(seed)(passes, regions)


@pytest.mark.parametrize("stored", [True, False])
def test_whoever_asks_gets_rows_of_one_training_on_the_whole_pool(tmp_path: Path, stored: bool) -> None:
    kept = Kept(tmp_path / "models" if stored else None)
    part = kept.rows(POOL[5:9])
    whole = kept.rows()
    assert kept.learner.encodings == 1
    np.testing.assert_array_equal(part, whole[5:9])
    np.testing.assert_array_equal(kept.rows(POOL[::-1]), whole[::-1])
    assert isinstance(whole, np.memmap) == stored
    assert (whole.shape, whole.dtype) == ((24, 4), np.float32)


def test_another_process_finds_them_and_an_empty_folder_only_costs_a_training(tmp_path: Path) -> None:
    first, second = Kept(tmp_path), Kept(tmp_path)
    rows = np.array(first.rows())
    np.testing.assert_array_equal(second.rows(), rows)
    assert second.learner.encodings == 0
    (path,) = tmp_path.iterdir()
    path.unlink()
    third = Kept(tmp_path)
    np.testing.assert_array_equal(third.rows(), rows)
    assert third.learner.encodings == 1


def test_seed_options_pool_and_data_each_have_their_own(tmp_path: Path) -> None:
    kept = Kept(tmp_path)
    other = bind("passes", "self_supervised", steps=7)
    names = [kept.features.name(PASSES, 0), kept.features.name(PASSES, 1), kept.features.name(other, 0)]
    names.append(PoolFeatures(kept.learner, POOL[1:], tmp_path).name(PASSES, 0))
    names.append(PoolFeatures(kept.learner, POOL, tmp_path, "other data").name(PASSES, 0))
    assert len(set(names)) == 5
    assert not np.array_equal(kept.rows(), kept.rows(seed=1))
    kept.rows(passes=other)
    assert kept.learner.encodings == 3
    assert len(list(tmp_path.iterdir())) == 3


def test_rows_of_a_file_are_read_where_they_are(tmp_path: Path) -> None:
    values = np.random.default_rng(0).normal(size=(24, 2)).astype(np.float32)
    np.savez(tmp_path / "f.npz", ids=np.array([str(r) for r in POOL]), features=values)
    passes = bind("passes", "features", str(tmp_path / "f.npz"))
    kept = Kept(tmp_path / "models")
    np.testing.assert_array_equal(kept.rows(POOL[3:5], passes=passes), values[3:5])
    assert not (tmp_path / "models").exists()
    name = kept.features.name(passes, 0)
    assert name == kept.features.name(passes, 1)  # no chance in it
    np.savez(tmp_path / "f.npz", ids=np.array([str(r) for r in POOL]), features=values * 2)
    assert name != kept.features.name(passes, 0)


@pytest.mark.parametrize("content", [b"", b"nothing", b"half"])
def test_a_damaged_file_is_named(tmp_path: Path, content: bytes) -> None:
    kept = Kept(tmp_path)
    kept.rows()
    (path,) = tmp_path.iterdir()
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) // 2] if content == b"half" else content)
    with pytest.raises(DataError, match=r"features\.npy are damaged\. Delete the file"):
        Kept(tmp_path).rows()
    np.save(path.open("wb"), np.ones((5, 2), np.float32))
    with pytest.raises(DataError, match="are damaged"):
        Kept(tmp_path).rows()


def test_a_failed_write_leaves_nothing_behind(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> None:
        raise OSError("disk full")

    monkeypatch.setattr(np, "save", full)
    with pytest.raises(OSError, match="disk full"):
        Kept(tmp_path).rows()
    assert list(tmp_path.iterdir()) == []


def test_tidying_keeps_features_and_not_what_was_left_half_written(tmp_path: Path) -> None:
    folder = tmp_path / "models"
    Kept(folder).rows()
    (kept,) = folder.iterdir()
    (folder / f".{kept.name}.123.part").touch()
    (folder / f".x{SUFFIX}").touch()
    (folder / "old.pt").touch()
    tidy(folder, Ledger(tmp_path / "ledger.db"))
    assert list(folder.iterdir()) == [kept]
