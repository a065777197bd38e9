"""Galleries survive the disk, stay small, and never share a file."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from curette.bench.gallery import LIMIT, SIDE, gallery_path, load_gallery, save_gallery, slug
from curette.bench.thumbnails import strip
from curette.errors import ContractError, DataError
from curette.region import Region

rng = np.random.default_rng(0)


def save(folder: Path, n: int = 3, size: tuple[int, int] = (12, 10), **changes: object) -> Path:
    columns: dict[str, object] = {
        "regions": [Region("case", 2, i) for i in range(n)],
        "scores": np.linspace(1, 0, n),
        "image": rng.random((n, 1, *size)).astype(np.float32),
        "truth": rng.integers(0, 3, (n, *size)),
        "prediction": rng.integers(0, 3, (n, *size)),
        "score_map": rng.random((n, *size)).astype(np.float32),
    }
    return save_gallery(folder, "entropy", 0, 1, **(columns | changes))  # type: ignore[arg-type]


def test_round_trip(tmp_path: Path) -> None:
    image = rng.random((3, 1, 12, 10)).astype(np.float32)
    truth = rng.integers(0, 3, (3, 12, 10))
    truth[0, 0, 0] = 255
    score_map = rng.normal(0, 2, (3, 12, 10)).astype(np.float32)
    path = save(tmp_path, image=image, truth=truth, score_map=score_map, classes=("back", "a", "b"))
    assert path == gallery_path(tmp_path, "entropy", 0, 1)
    found = load_gallery(path)
    assert (found.strategy, found.seed, found.cycle) == ("entropy", 0, 1)
    assert found.regions == ("case@z=0", "case@z=1", "case@z=2")
    assert found.classes == ("back", "a", "b")
    assert np.array_equal(found.truth, truth)
    assert np.abs(found.image / 255 - image).max() <= 0.5 / 255 + 1e-6
    span = np.ptp(score_map, axis=(1, 2))
    assert found.score_map is not None
    assert (np.abs(found.score_map - score_map).max(axis=(1, 2)) <= span / 255).all()


def test_no_score_map_and_classification(tmp_path: Path) -> None:
    found = load_gallery(
        save(tmp_path, truth=np.array([0, 1, 2]), prediction=np.array([2, 1, 0]), score_map=None)
    )
    assert found.score_map is None
    assert found.truth.tolist() == [0, 1, 2]
    assert strip(found, 0, upright=False)[0].startswith("data:image/")


def test_only_the_first_picks_are_kept(tmp_path: Path) -> None:
    assert len(load_gallery(save(tmp_path, n=LIMIT + 5))) == LIMIT


def test_large_images_are_reduced_together(tmp_path: Path) -> None:
    truth = np.zeros((1, 600, 515), np.uint8)
    truth[:, :300] = 1
    found = load_gallery(save(tmp_path, n=1, size=(600, 515), truth=truth))
    assert max(found.image.shape) <= SIDE
    assert found.truth.shape == found.prediction.shape == found.image[:, 0].shape
    assert abs(found.truth.mean() - 0.5) < 0.01


def test_images_outside_zero_to_one_are_stretched(tmp_path: Path) -> None:
    found = load_gallery(save(tmp_path, n=1, image=np.linspace(-900, 2000, 120).reshape(1, 1, 12, 10)))
    assert (found.image.min(), found.image.max()) == (0, 255)


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_score_maps_that_are_not_finite(tmp_path: Path, bad: float) -> None:
    score_map = np.full((3, 12, 10), bad, np.float32)
    score_map[:, 3, 3], score_map[:2, 4, 4] = 1, 2
    found = load_gallery(save(tmp_path, score_map=score_map))
    assert found.score_map is not None
    assert np.isfinite(found.score_map).all()
    assert found.score_map[0, 4, 4] == 2
    for pick in range(3):
        strip(found, pick, upright=True)


def test_lengths_must_agree(tmp_path: Path) -> None:
    with pytest.raises(ContractError, match="2 in 'truth' for 3 picks"):
        save(tmp_path, truth=np.zeros((2, 12, 10)))


def test_damaged_file_is_named(tmp_path: Path) -> None:
    path = save(tmp_path)
    path.write_bytes(path.read_bytes()[:200])
    with pytest.raises(DataError, match=r"entropy-0-1\.npz"):
        load_gallery(path)


def test_interrupted_write_leaves_the_old_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = save(tmp_path)
    before = path.read_bytes()

    def full(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(np, "savez_compressed", full)
    with pytest.raises(DataError, match="No space left"):
        save(tmp_path)
    assert path.read_bytes() == before
    assert list(path.parent.iterdir()) == [path]


def test_slices_are_shown_upright() -> None:
    """Array axes x (to the right), y (to the front): front is the top row, the patient's right is on the left."""
    from curette.bench.thumbnails import _turn

    array = np.zeros((4, 6), np.uint8)
    array[3, 5] = 1
    assert _turn(array, True).shape == (6, 4)
    assert _turn(array, True)[0, 0] == 1
    assert _turn(array, False)[3, 5] == 1


words = st.text(min_size=1, max_size=90)


@given(words, words)
def test_slugs_are_safe_and_distinct(one: str, other: str) -> None:
    names = {slug(one), slug(other)}
    assert len(names) == len({one, other})
    for name in names:
        assert len(name) <= 80
        assert set(name) <= set("abcdefghijklmnopqrstuvwxyz0123456789_-")
