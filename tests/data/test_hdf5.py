import sys
from pathlib import Path

import numpy as np
import pytest
from releases import SHAPE, hdf5, pair

from curette.data.hdf5 import Hdf5Source
from curette.errors import DataError, MissingExtraError

IMAGE, LABEL = pair()
MM = (1.0, 1.0, 2.5)


def test_volume_and_label_lie_on_each_other(tmp_path: Path) -> None:
    path = hdf5(tmp_path / "a.h5", image=IMAGE, label=LABEL)
    image = Hdf5Source(path, "image", MM).read()
    label = Hdf5Source(path, "label", MM, label=True).read()
    np.testing.assert_array_equal(image.array, IMAGE[None])
    np.testing.assert_array_equal(label.array, LABEL)
    assert image.geometry.spacing == MM
    geometry, channels = Hdf5Source(path, "image", MM).header()
    assert (geometry.shape, channels) == (SHAPE, 1)


def test_slices_first(tmp_path: Path) -> None:
    path = hdf5(tmp_path / "a.h5", image=IMAGE.T, label=LABEL.T.astype(np.float32))
    image = Hdf5Source(path, "image", MM, turned=True)
    np.testing.assert_array_equal(image.read().array[0], IMAGE)
    assert image.header()[0].shape == SHAPE
    label = Hdf5Source(path, "label", MM, label=True, turned=True).read().array
    assert label.dtype.kind == "i"
    np.testing.assert_array_equal(label, LABEL)


def test_stamp_follows_content_and_settings(tmp_path: Path) -> None:
    path = hdf5(tmp_path / "a.h5", image=IMAGE)
    first = Hdf5Source(path, "image", MM).stamp
    assert Hdf5Source(path, "image", (1.0, 1.0, 1.0)).stamp != first
    hdf5(path, image=np.concatenate([IMAGE, IMAGE[::-1]]))
    assert Hdf5Source(path, "image", MM).stamp != first


@pytest.mark.parametrize(
    ("arrays", "said"),
    [
        ({"image": IMAGE[..., None]}, r"a\.h5 \[image\] has shape \(6, 8, 5, 1\) where 3 axes"),
        ({"image": IMAGE[0]}, "where 3 axes"),
        ({"label": LABEL, "raw": IMAGE}, r"a\.h5 has no array 'image'; it holds label, raw"),
        ({"image": np.where(IMAGE.max() == IMAGE, np.nan, IMAGE)}, "NaN"),
        ({"image": np.full(SHAPE, b"text")}, "where real numbers are expected"),
    ],
)
def test_bad_images_are_named(arrays: dict, said: str, tmp_path: Path) -> None:
    with pytest.raises(DataError, match=said):
        Hdf5Source(hdf5(tmp_path / "a.h5", **arrays), "image", MM).read()


def test_what_is_no_real_number_is_told_by_the_header_and_booleans_are_numbers(tmp_path: Path) -> None:
    path = hdf5(tmp_path / "a.h5", image=IMAGE > 50, label=LABEL.astype(complex))
    with pytest.raises(DataError, match=r"a\.h5 \[label\] holds elements of type complex128"):
        Hdf5Source(path, "label", MM, label=True).header()
    assert Hdf5Source(path, "image", MM).header()[1] == 1
    read = Hdf5Source(path, "image", MM).read().array[0]
    np.testing.assert_array_equal(read, (IMAGE > 50).astype(np.uint8))
    assert read.dtype == np.uint8


def test_fractional_labels(tmp_path: Path) -> None:
    path = hdf5(tmp_path / "a.h5", label=LABEL + 0.5)
    with pytest.raises(DataError, match=r"a\.h5 \[label\] holds 240 label values that are not whole numbers"):
        Hdf5Source(path, "label", MM, label=True).read()


@pytest.mark.parametrize("keep", [0, 3, 300, -40])
def test_truncated_files_are_named(keep: int, tmp_path: Path) -> None:
    path = hdf5(tmp_path / "a.h5", image=np.random.default_rng(0).normal(size=(20, 20, 20)))
    path.write_bytes(path.read_bytes()[:keep])
    source = Hdf5Source(path, "image", MM)
    for look in (source.header, source.read):
        with pytest.raises(DataError, match=r"a\.h5 \[image\] cannot be read: .* truncated or damaged"):
            look()


def test_damage_inside_is_named(tmp_path: Path) -> None:
    path = hdf5(tmp_path / "a.h5", image=np.random.default_rng(0).normal(size=(20, 20, 20)))
    raw = bytearray(path.read_bytes())
    raw[len(raw) // 2 : len(raw) // 2 + 4000] = bytes(4000)
    path.write_bytes(raw)
    with pytest.raises(DataError, match=r"a\.h5"):
        Hdf5Source(path, "image", MM).read()


def test_no_file_and_no_library(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(DataError, match=r"a\.h5 does not exist"):
        Hdf5Source(tmp_path / "a.h5", "image", MM).header()
    monkeypatch.setitem(sys.modules, "h5py", None)
    with pytest.raises(MissingExtraError, match=r"curette\[formats\]"):
        Hdf5Source(hdf5_path(tmp_path), "image", MM).header()


def hdf5_path(folder: Path) -> Path:
    path = folder / "b.h5"
    path.write_bytes(b"")
    return path
