from pathlib import Path

import numpy as np
import pytest
import tifffile
from files import nifti, png, volume
from PIL import Image

from curette.data.io import FileSource, ignored, split_suffix, suffixes
from curette.errors import DataError

GREY = np.arange(20 * 12, dtype=np.uint8).reshape(20, 12)
COLOUR = np.stack([GREY, GREY[::-1], GREY.T.reshape(20, 12)], -1)


def read(path: Path, **options) -> np.ndarray:
    source = FileSource(path, 2, **options)
    array = source.read().array
    geometry, channels = source.header()
    assert geometry.shape == array.shape[-2:]
    if not source.label:
        assert channels == len(array)
    return array


@pytest.mark.parametrize("suffix", ["png", "bmp", "tif"])
def test_grey_and_colour(suffix: str, tmp_path: Path) -> None:
    np.testing.assert_array_equal(read(png(tmp_path / f"g.{suffix}", GREY)), GREY[None])
    np.testing.assert_array_equal(read(png(tmp_path / f"c.{suffix}", COLOUR)), np.moveaxis(COLOUR, -1, 0))


def test_jpeg_is_near(tmp_path: Path) -> None:
    flat = np.full((20, 12), 77, np.uint8)
    Image.fromarray(flat).save(tmp_path / "a.JPG", quality=95)
    assert np.abs(read(tmp_path / "a.JPG").astype(int) - 77).max() <= 2


@pytest.mark.parametrize("suffix", ["png", "tif"])
def test_sixteen_bits_are_kept(suffix: str, tmp_path: Path) -> None:
    deep = (GREY.astype(np.uint16) + 1) * 256
    np.testing.assert_array_equal(read(png(tmp_path / f"a.{suffix}", deep)), deep[None])


@pytest.mark.parametrize("suffix", ["png", "tif"])
def test_alpha_is_dropped_and_colours_kept_under_it(suffix: str, tmp_path: Path) -> None:
    path = png(tmp_path / f"a.{suffix}", np.dstack([COLOUR, np.zeros_like(GREY)]))
    np.testing.assert_array_equal(read(path), np.moveaxis(COLOUR, -1, 0))
    both = Image.merge("LA", [Image.fromarray(GREY), Image.fromarray(GREY * 0)])
    both.save(tmp_path / f"b.{suffix}")
    np.testing.assert_array_equal(read(tmp_path / f"b.{suffix}"), GREY[None])


@pytest.mark.parametrize("suffix", ["png", "tif"])
def test_palette_means_colour_for_images_and_indices_for_masks(suffix: str, tmp_path: Path) -> None:
    indices = (GREY % 3).astype(np.uint8)
    picture = Image.fromarray(indices, mode="P")
    palette = [(0, 0, 0), (255, 0, 0), (0, 255, 0)]
    picture.putpalette([v for colour in palette for v in colour])
    picture.save(tmp_path / f"a.{suffix}")
    np.testing.assert_array_equal(read(tmp_path / f"a.{suffix}", label=True), indices)
    np.testing.assert_array_equal(
        read(tmp_path / f"a.{suffix}"), np.moveaxis(np.array(palette)[indices], -1, 0)
    )


def test_one_bit(tmp_path: Path) -> None:
    path = png(tmp_path / "a.png", GREY > 100)
    np.testing.assert_array_equal(read(path, label=True), (GREY > 100).astype(int))


@pytest.mark.parametrize("suffix", ["jpg", "png"])
def test_exif_rotation_is_applied(suffix: str, tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6  # to be shown turned by 90 degrees clockwise
    left = np.zeros((20, 12), np.uint8)
    left[:, :6] = 255
    Image.fromarray(left).save(tmp_path / f"a.{suffix}", exif=exif)
    shown = read(tmp_path / f"a.{suffix}")[0]
    assert shown.shape == (12, 20)
    assert shown[:5].mean() > 250
    assert shown[7:].mean() < 5


def test_white_is_zero(tmp_path: Path) -> None:
    tifffile.imwrite(tmp_path / "a.tif", GREY, photometric="miniswhite")
    np.testing.assert_array_equal(read(tmp_path / "a.tif")[0], GREY.max() - GREY)
    np.testing.assert_array_equal(read(tmp_path / "a.tif", label=True), GREY)


def test_tiff_compressed_with_lzw(tmp_path: Path) -> None:
    Image.fromarray(GREY).save(tmp_path / "a.tif", compression="tiff_lzw")
    np.testing.assert_array_equal(read(tmp_path / "a.tif")[0], GREY)


def test_planar_tiff(tmp_path: Path) -> None:
    planes = np.moveaxis(COLOUR, -1, 0)
    tifffile.imwrite(tmp_path / "a.tif", planes, photometric="rgb", planarconfig="separate")
    np.testing.assert_array_equal(read(tmp_path / "a.tif"), planes)


def test_several_pages_are_refused(tmp_path: Path) -> None:
    tifffile.imwrite(tmp_path / "a.tif", np.stack([GREY, GREY]), photometric="minisblack")
    with pytest.raises(DataError, match=r"a\.tif holds 2 pages"):
        FileSource(tmp_path / "a.tif", 2).read()


def test_mixed_colour_made_alike(tmp_path: Path) -> None:
    grey, colour = png(tmp_path / "g.png", GREY), png(tmp_path / "c.png", COLOUR)
    assert read(grey, colour="rgb").shape == (3, 20, 12)
    luminance = read(colour, colour="grey")
    assert luminance.shape == (1, 20, 12)
    assert luminance[0, 3, 4] == pytest.approx(COLOUR[3, 4] @ [0.299, 0.587, 0.114], rel=1e-5)


def test_mask_saved_as_colour(tmp_path: Path) -> None:
    same = png(tmp_path / "a.png", np.dstack([GREY] * 3))
    np.testing.assert_array_equal(read(same, label=True), GREY)
    with pytest.raises(DataError, match=r"b\.png has 3 channels where a label map has one value a pixel"):
        FileSource(png(tmp_path / "b.png", COLOUR), 2, label=True).read()


def test_label_values_stay_whole_numbers(tmp_path: Path) -> None:
    whole = nifti(tmp_path / "a.nii", np.array([0.0, 1.0, 7.00001]).reshape(3, 1, 1))
    array = FileSource(whole, 3, label=True).read().array
    assert array.dtype.kind == "i"
    assert array.ravel().tolist() == [0, 1, 7]
    for bad in (0.5, np.nan, np.inf):
        path = nifti(tmp_path / "b.nii", np.array([0.0, 1.0, bad]).reshape(3, 1, 1))
        with pytest.raises(DataError, match=r"b\.nii holds 1 label values that are not whole"):
            FileSource(path, 3, label=True).read()


def test_nan_and_infinite_voxels_are_counted(tmp_path: Path) -> None:
    array = volume()
    array[0, 0, :3] = np.nan
    array[1, 1, 1] = -np.inf
    with pytest.raises(DataError, match=r"a\.nii\.gz holds 3 NaN and 1 infinite values among 320"):
        FileSource(nifti(tmp_path / "a.nii.gz", array), 3).read()


@pytest.mark.parametrize("name", ["a.nii", "a.nii.gz", "a.png", "a.jpg", "a.tif", "a.bmp"])
@pytest.mark.parametrize("damage", ["missing", "empty", "half", "text"])
def test_damaged_files_are_named(name: str, damage: str, tmp_path: Path) -> None:
    path = tmp_path / name
    dims = 3 if ".nii" in name else 2
    if dims == 3:
        nifti(path, volume((20, 20, 20)))
    else:
        png(path, np.random.default_rng(0).integers(0, 255, (64, 64), dtype=np.uint8))
    content = path.read_bytes()
    path.unlink()
    if damage != "missing":
        path.write_bytes(
            {"empty": b"", "half": content[: len(content) // 2], "text": b"no image " * 99}[damage]
        )
    said = "does not exist" if damage == "missing" else "cannot be read"
    with pytest.raises(DataError, match=said) as caught:
        FileSource(path, dims).read()
    assert str(path) in str(caught.value)


def test_unknown_suffix_lists_the_known(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"a\.dcm.*\.nii\.gz.*\.png"):
        FileSource(tmp_path / "a.dcm", 2).read()


def test_stamp_changes_with_the_file(tmp_path: Path) -> None:
    path = png(tmp_path / "a.png", GREY)
    before = FileSource(path, 2).stamp
    assert FileSource(path, 2).stamp == before
    png(path, COLOUR)
    assert FileSource(path, 2).stamp != before
    path.unlink()
    with pytest.raises(DataError, match=r"a\.png"):
        _ = FileSource(path, 2).stamp


def test_suffixes_and_junk() -> None:
    assert {".nii", ".nii.gz", ".png", ".jpg", ".jpeg", ".tif", ".tiff"} <= set(suffixes())
    assert split_suffix(Path("a.b.NII.gz")) == ("a.b", ".nii.gz")
    assert split_suffix(Path("a.txt")) == ("a.txt", "")
    assert all(ignored(Path("x") / name) for name in ("._a.nii.gz", ".DS_Store", "Thumbs.db", "desktop.ini"))
    assert not ignored(Path(".hidden/a.png"))
