import itertools
import os
import sys
from pathlib import Path

import numpy as np
import pytest
import SimpleITK
from hypothesis import given, settings
from hypothesis import strategies as st
from releases import SHAPE, metaimage, pair

from curette.data.io import FileSource, to_native, write_nifti
from curette.errors import DataError, MissingExtraError

IMAGE, LABEL = pair()
RAS = np.diag([0.6, 0.7, 3.6, 1.0])
RAS[:3, 3] = -20, 11, 4


def stored(
    array: np.ndarray, order: tuple[int, ...], signs: tuple[int, ...]
) -> tuple[np.ndarray, np.ndarray]:
    """The same voxels at the same places, with axes in another order and direction: array and its affine."""
    affine, shape = np.eye(4), array.shape
    affine[:3, 3] = RAS[:3, 3]
    for new, old in enumerate(order):
        affine[:3, new] = RAS[:3, old] * signs[new]
        if signs[new] < 0:
            affine[:3, 3] += RAS[:3, old] * (shape[old] - 1)
    out = array.transpose(order)
    return out[tuple(slice(None, None, s) for s in signs)], affine


ORDERS = st.sampled_from(list(itertools.permutations(range(3))))
SIGNS = st.tuples(*[st.sampled_from([1, -1])] * 3)


@settings(max_examples=25, deadline=None)
@given(ORDERS, SIGNS, ORDERS, SIGNS, st.sampled_from(["mhd", "mha"]))
def test_any_direction_reads_back_equal(tmp_path_factory, order, signs, other, turned, suffix: str) -> None:
    folder = tmp_path_factory.mktemp("meta")
    metaimage(folder / f"a.{suffix}", *stored(IMAGE, order, signs))
    metaimage(folder / f"a_segmentation.{suffix}", *stored(LABEL, other, turned))
    image = FileSource(folder / f"a.{suffix}", 3).read()
    label = FileSource(folder / f"a_segmentation.{suffix}", 3, label=True).read()
    np.testing.assert_array_equal(image.array[0], IMAGE)
    np.testing.assert_array_equal(label.array, LABEL)
    np.testing.assert_allclose(image.geometry.affine, RAS, atol=1e-6)
    np.testing.assert_allclose(image.geometry.spacing, (0.6, 0.7, 3.6), atol=1e-6)
    np.testing.assert_array_equal(to_native(image.array[0], image.geometry), stored(IMAGE, order, signs)[0])
    write_nifti(folder / "b.nii.gz", label.array, image.geometry)
    again = FileSource(folder / "b.nii.gz", 3, label=True).read()
    np.testing.assert_array_equal(again.array, LABEL)
    np.testing.assert_allclose(again.geometry.affine, RAS, atol=1e-4)


def test_oblique_slices_keep_their_place(tmp_path: Path) -> None:
    turn = np.array([[np.cos(0.2), -np.sin(0.2), 0], [np.sin(0.2), np.cos(0.2), 0], [0, 0, 1]])
    affine = RAS.copy()
    affine[:3, :3] = turn @ RAS[:3, :3]
    volume = FileSource(metaimage(tmp_path / "a.mhd", IMAGE, affine), 3).read()
    np.testing.assert_array_equal(volume.array[0], IMAGE)
    np.testing.assert_allclose(volume.geometry.affine, affine, atol=1e-6)


def test_header_loads_no_voxels_and_tells_the_same(tmp_path: Path) -> None:
    source = FileSource(metaimage(tmp_path / "a.mhd", IMAGE), 3)
    geometry, channels = source.header()
    assert (geometry.shape, channels) == (SHAPE, 1)
    (tmp_path / "a.raw").write_bytes(bytes((tmp_path / "a.raw").stat().st_size))
    np.testing.assert_array_equal(source.header()[0].affine, geometry.affine)


def test_missing_and_truncated_voxels_are_named(tmp_path: Path) -> None:
    source = FileSource(metaimage(tmp_path / "a.mhd", IMAGE), 3)
    raw = tmp_path / "a.raw"
    whole = raw.read_bytes()
    raw.write_bytes(whole[:-10])
    with pytest.raises(DataError, match=r"a\.raw has 470 bytes where a\.mhd announces 480"):
        source.header()
    raw.unlink()
    with pytest.raises(DataError, match=r"a\.mhd keeps its voxels in .*a\.raw, which does not exist"):
        source.header()


def test_damaged_headers_name_the_file(tmp_path: Path) -> None:
    path = metaimage(tmp_path / "a.mhd", IMAGE)
    text = path.read_text()
    for change, said in [
        (text.replace("ElementSpacing", "Nothing"), "no ElementSpacing"),
        (text.replace("NDims = 3", "NDims = 4"), "has 4 axes where 3"),
        (text.replace("DimSize = 6 8 5", "DimSize = six"), "cannot be read"),
        (text[: text.index("ElementDataFile")], "may be truncated"),
        ("\x00\x01\x02", "may be truncated"),
    ]:
        path.write_text(change)
        with pytest.raises(DataError, match=said) as caught:
            FileSource(path, 3).read()
        assert str(path) in str(caught.value)


def test_truncated_mha(tmp_path: Path) -> None:
    path = metaimage(tmp_path / "a.mha", IMAGE)
    path.write_bytes(path.read_bytes()[:-100])
    with pytest.raises(DataError, match=r"a\.mha has 380 bytes of voxels where a\.mha announces 480"):
        FileSource(path, 3).read()


def packed(path: Path) -> tuple[Path, Path]:
    """A compressed volume and the file with its voxels."""
    rng = np.random.default_rng(0)
    image = SimpleITK.GetImageFromArray(rng.integers(0, 1000, (20, 16, 12)).astype(np.int16))
    SimpleITK.WriteImage(image, str(path), useCompression=True)
    return path, path.with_suffix(".zraw") if path.suffix == ".mhd" else path


@pytest.mark.parametrize("name", ["a.mhd", "a.mha"])
def test_compressed_voxels_are_read_as_they_were(tmp_path: Path, name: str) -> None:
    path, _ = packed(tmp_path / name)
    expected = SimpleITK.GetArrayFromImage(SimpleITK.ReadImage(str(path))).transpose(2, 1, 0)
    np.testing.assert_array_equal(FileSource(path, 3).read().array[0, ::-1, ::-1], expected)


@pytest.mark.parametrize("name", ["a.mhd", "a.mha"])
def test_damage_in_compressed_voxels_is_named_wherever_it_is(tmp_path: Path, name: str) -> None:
    path, voxels = packed(tmp_path / name)
    whole = voxels.read_bytes()
    start = whole.find(b"LOCAL\n") + 6 if voxels == path else 0
    for place in np.linspace(start, len(whole) - 1, 20).astype(int):
        damaged = bytearray(whole)
        damaged[place] ^= 0x10
        voxels.write_bytes(damaged)
        with pytest.raises(DataError, match=rf"{voxels.name} (is damaged|is truncated|holds)"):
            FileSource(path, 3).read()


@pytest.mark.parametrize("name", ["a.mhd", "a.mha"])
@pytest.mark.parametrize("sized", [True, False])
def test_truncated_compressed_voxels_are_called_that(tmp_path: Path, name: str, sized: bool) -> None:
    path, voxels = packed(tmp_path / name)
    if not sized:  # not every writer says how long the compressed voxels are
        head, _, rest = path.read_bytes().partition(b"CompressedDataSize")
        path.write_bytes(head + rest.partition(b"\n")[2])
    voxels.write_bytes(voxels.read_bytes()[:-3])
    with pytest.raises(DataError, match=rf"{voxels.name} .*is truncated"):
        FileSource(path, 3).read()


def test_compressed_voxels_of_another_volume(tmp_path: Path) -> None:
    path, _ = packed(tmp_path / "a.mhd")
    path.write_text(path.read_text().replace("DimSize = 12 16 20", "DimSize = 12 16 19"))
    with pytest.raises(DataError, match=r"a\.zraw holds 7680 bytes .* a\.mhd announces 7296"):
        FileSource(path, 3).read()


def test_the_stamp_follows_the_file_with_the_voxels(tmp_path: Path) -> None:
    source, local = (FileSource(metaimage(tmp_path / name, IMAGE), 3) for name in ("a.mhd", "b.mha"))
    before = source.stamp, local.stamp
    assert (source.stamp, local.stamp) == before
    raw = tmp_path / "a.raw"
    raw.write_bytes(bytes(raw.stat().st_size))
    os.utime(raw, ns=(1, 1))
    assert (source.stamp != before[0], local.stamp) == (True, before[1])
    raw.unlink()
    with pytest.raises(DataError, match=r"a\.raw does not exist"):
        _ = source.stamp


def test_flat_images_are_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"a\.mhd has 3 axes where 2"):
        FileSource(metaimage(tmp_path / "a.mhd", IMAGE), 2).header()


def test_without_the_library(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = metaimage(tmp_path / "a.mhd", IMAGE)
    monkeypatch.setitem(sys.modules, "SimpleITK", None)
    with pytest.raises(MissingExtraError, match=r"curette\[formats\]"):
        FileSource(path, 3).header()
