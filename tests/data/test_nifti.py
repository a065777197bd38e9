import gzip
import struct
from itertools import permutations, product
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
from files import nifti
from hypothesis import given
from hypothesis import strategies as st

from curette.data.case import Geometry
from curette.data.io import FileSource, canonical_shape, to_native, write_nifti
from curette.data.nifti import header
from curette.errors import DataError

SHAPE = (5, 4, 3)
CODES = ["".join(c) for order in permutations(("RL", "AP", "SI")) for c in product(*order)]


def oblique(codes: str, angles: tuple[float, float, float], spacing: tuple[float, float, float]):
    """An affine whose axes are nearest to `codes`, turned by small angles."""
    base = nib.orientations.inv_ornt_aff(nib.orientations.axcodes2ornt(codes), SHAPE)
    x, y, z = angles
    turn = np.eye(4)
    for axis, angle in enumerate((x, y, z)):
        i, j = [a for a in range(3) if a != axis]
        step = np.eye(4)
        step[[i, i, j, j], [i, j, i, j]] = np.cos(angle), -np.sin(angle), np.sin(angle), np.cos(angle)
        turn = turn @ step
    affine = turn @ base @ np.diag([*spacing, 1])
    affine[:3, 3] += (-30, 12.5, 7)
    return affine


def test_there_are_48_axis_codes() -> None:
    assert len(set(CODES)) == 48


@pytest.mark.parametrize("codes", CODES)
def test_every_orientation_is_read_canonically_and_written_back_as_it_was(codes: str, tmp_path: Path) -> None:
    affine = oblique(codes, (0, 0, 0), (1, 2, 3))
    stored = np.arange(60, dtype=np.int16).reshape(SHAPE)
    source = FileSource(nifti(tmp_path / "a.nii.gz", stored, affine), 3)
    read = source.read()
    assert "".join(nib.aff2axcodes(read.geometry.affine)) == "RAS"
    assert read.array.shape[1:] == canonical_shape(read.geometry)
    # the same world position holds the same value
    for voxel in ((0, 0, 0), (4, 3, 2), (1, 2, 1)):
        world = affine @ [*voxel, 1]
        here = np.rint(np.linalg.inv(read.geometry.affine) @ world)[:3].astype(int)
        assert read.array[0][tuple(here)] == stored[voxel]
    write_nifti(tmp_path / "b.nii.gz", read.array[0], read.geometry, np.int16)
    again = nib.load(tmp_path / "b.nii.gz")
    np.testing.assert_array_equal(np.asanyarray(again.dataobj), stored)
    np.testing.assert_allclose(again.affine, affine, atol=1e-4)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["a.nii.gz", "b.nii.gz"]


@given(
    codes=st.sampled_from(CODES),
    angles=st.tuples(*[st.floats(-0.3, 0.3)] * 3),
    spacing=st.tuples(*[st.floats(0.3, 5)] * 3),
)
def test_oblique_geometry_there_and_back(codes, angles, spacing, tmp_path_factory) -> None:
    affine = oblique(codes, angles, spacing)
    stored = np.arange(60, dtype=np.uint8).reshape(SHAPE)
    path = tmp_path_factory.getbasetemp() / "oblique.nii"
    source = FileSource(nifti(path, stored, affine), 3)
    read = source.read()
    np.testing.assert_array_equal(to_native(read.array[0], read.geometry), stored)
    shape, geometry = canonical_shape(source.header()[0]), source.header()[0]
    assert shape == read.array.shape[1:]
    np.testing.assert_allclose(geometry.affine, read.geometry.affine)
    assert sorted(geometry.spacing) == pytest.approx(sorted(spacing), rel=1e-3)


def test_fourth_axis_becomes_channels_in_front(tmp_path: Path) -> None:
    stored = np.arange(120, dtype=np.float32).reshape(*SHAPE, 2)
    source = FileSource(nifti(tmp_path / "a.nii", stored, oblique("LPS", (0, 0, 0), (1, 1, 1))), 3)
    assert source.header()[1] == 2
    array = source.read().array
    assert array.shape == (2, *SHAPE)
    np.testing.assert_array_equal(array[1][::-1, ::-1], stored[..., 1])


def test_four_axes_are_no_label_map(tmp_path: Path) -> None:
    path = nifti(tmp_path / "a.nii.gz", np.zeros((*SHAPE, 2), np.uint8))
    with pytest.raises(DataError, match=r"a\.nii\.gz has 2 channels"):
        FileSource(path, 3, label=True).read()


@pytest.mark.parametrize("shape", [(5, 4), (5, 4, 1)])
def test_flat_nifti(shape: tuple[int, ...], tmp_path: Path) -> None:
    source = FileSource(nifti(tmp_path / "a.nii", np.ones(shape, np.uint8)), 2)
    assert source.read().array.shape == (1, 5, 4)
    assert canonical_shape(source.header()[0]) == (5, 4)


def test_wrong_number_of_axes_is_told(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"a\.nii is a volume"):
        FileSource(nifti(tmp_path / "a.nii", np.ones(SHAPE, np.uint8)), 2).read()
    with pytest.raises(DataError, match=r"b\.nii is a flat image"):
        FileSource(nifti(tmp_path / "b.nii", np.ones((5, 4), np.uint8)), 3).read()


def test_affine_without_a_direction(tmp_path: Path) -> None:
    path = tmp_path / "a.nii"
    image = nib.Nifti1Image(np.ones(SHAPE, np.uint8), np.eye(4))
    image.header["sform_code"], image.header["qform_code"] = 1, 0
    image.header["srow_x"], image.header["srow_y"], image.header["srow_z"] = np.zeros((3, 4))
    image.to_filename(path)
    raw = bytearray(path.read_bytes())
    raw[280:328] = bytes(48)  # srow_x, srow_y, srow_z
    path.write_bytes(raw)
    with pytest.raises(DataError, match=r"a\.nii: its affine"):
        FileSource(path, 3).read()


def test_writing_refuses_what_would_be_lost(tmp_path: Path) -> None:
    geometry = Geometry(np.eye(4), np.eye(4), SHAPE)
    with pytest.raises(DataError, match="cannot hold"):
        write_nifti(tmp_path / "a.nii.gz", np.full(SHAPE, 300), geometry, np.uint8)
    with pytest.raises(DataError, match="does not lie on the grid"):
        write_nifti(tmp_path / "a.nii.gz", np.ones((4, 5, 3)), geometry)
    (tmp_path / "file").write_text("")
    with pytest.raises(DataError, match="cannot be written"):
        write_nifti(tmp_path / "file" / "a.nii.gz", np.ones(SHAPE), geometry)
    assert [p.name for p in tmp_path.iterdir()] == ["file"]


def _without_affine(path: Path, spacing: tuple[float, float, float]) -> None:
    """A file of which only pixdim says how far apart voxels are."""
    nib.save(nib.Nifti1Image(np.zeros((6, 5, 4), np.uint8), np.eye(4)), path)
    content = bytearray(gzip.decompress(path.read_bytes()))
    struct.pack_into("<3f", content, 80, *spacing)
    struct.pack_into("<2h", content, 252, 0, 0)
    path.write_bytes(gzip.compress(bytes(content)))


@pytest.mark.parametrize("spacing", [(1, 1, 0), (0, 0, 0), (1, -2, 1), (1, 1, float("nan"))])
def test_a_file_without_spacing_is_named(spacing: tuple[float, float, float], tmp_path: Path) -> None:
    path = tmp_path / "scan.nii.gz"
    _without_affine(path, spacing)
    with pytest.raises(DataError, match=r"scan\.nii\.gz: its header has the voxel spacing"):
        header(path, None)


def test_spacing_without_an_affine_is_enough(tmp_path: Path) -> None:
    path = tmp_path / "scan.nii.gz"
    _without_affine(path, (1, 2, 3))
    assert np.linalg.norm(header(path, None)[0].affine[:3, :3], axis=0).tolist() == [1, 2, 3]


def test_damage_anywhere_in_a_compressed_file_is_named(tmp_path: Path) -> None:
    stored = np.random.default_rng(0).integers(-1000, 1000, (20, 16, 12)).astype(np.int16)
    path = nifti(tmp_path / "scan.nii.gz", stored)
    whole = path.read_bytes()
    for place in np.linspace(600, len(whole) - 1, 30).astype(int):
        damaged = bytearray(whole)
        damaged[place] ^= 0x10
        path.write_bytes(damaged)
        with pytest.raises(DataError, match=r"scan\.nii\.gz cannot be read"):
            FileSource(path, 3).read()


@pytest.mark.parametrize("cut", [1, 4, 8, 9, 200])
def test_a_compressed_file_cut_short_is_named(tmp_path: Path, cut: int) -> None:
    path = nifti(tmp_path / "scan.nii.gz", np.arange(60, dtype=np.int16).reshape(SHAPE))
    path.write_bytes(path.read_bytes()[:-cut])
    with pytest.raises(DataError, match=r"scan\.nii\.gz cannot be read"):
        FileSource(path, 3).read()


def test_voxels_of_several_numbers_are_named_by_the_header(tmp_path: Path) -> None:
    colours = np.zeros(SHAPE, [("R", "u1"), ("G", "u1"), ("B", "u1")])
    for stored in (colours, np.zeros(SHAPE, np.complex64)):
        with pytest.raises(DataError, match=r"scan\.nii holds elements of type .* real numbers"):
            header(nifti(tmp_path / "scan.nii", stored), None)


def _two_forms(
    path: Path,
    sform: np.ndarray,
    qform: np.ndarray,
    codes: tuple[int, int] = (1, 1),
    shape: tuple[int, int, int] = (6, 5, 4),
) -> Path:
    image = nib.Nifti1Image(np.zeros(shape, np.uint8), None)
    image.set_sform(sform, codes[0])
    image.set_qform(qform, codes[1])
    nib.save(image, path)
    return path


MOVED, FLIPPED, SHEARED = np.diag([1.0, 1, 3, 1]), np.diag([-1.0, 1, 3, 1]), np.diag([1.0, 1, 3, 1])
MOVED[:3, 3], SHEARED[0, 1] = (9, 0, 0), 0.5


@pytest.mark.parametrize(
    ("qform", "same", "fits"),
    [
        (np.diag([1.0, 1, 3.001, 1]), True, True),
        (np.diag([1.0, 1, 9, 1]), True, False),
        (np.diag([1.0, 1, 9, 1]), False, False),
        (FLIPPED, True, False),
        (FLIPPED, False, False),
        (MOVED, True, False),
        (np.diag([1.0, 1, 4, 1]), False, True),  # scaled to an atlas
        (MOVED, False, True),  # the space of a template is elsewhere than that of the scanner
    ],
)
def test_two_affines_that_contradict_each_other_are_named(
    qform: np.ndarray, same: bool, fits: bool, tmp_path: Path
) -> None:
    path = _two_forms(tmp_path / "scan.nii.gz", np.diag([1.0, 1, 3, 1]), qform, (1, 1) if same else (4, 1))
    if fits:
        assert header(path, None)[0].spacing == (1, 1, 3)
        return
    said = r"scan\.nii\.gz: its header contradicts itself\. By the sform voxels have 1×1×3 mm and axes RAS, by the qform 1×1×"
    with pytest.raises(DataError, match=said):
        header(path, None)
    header(_two_forms(path, np.diag([1.0, 1, 3, 1]), qform, (1, 0)), None)  # only one counts


def test_shears_that_a_qform_cannot_tell_are_no_contradiction(tmp_path: Path) -> None:
    header(_two_forms(tmp_path / "scan.nii", SHEARED, SHEARED), None)
    tilted = np.diag([0.5, 0.5, 5, 1])
    tilted[1, 2] = 5 * np.tan(
        np.radians(20)
    )  # the slices are 5 mm apart, each further back than the one before
    upright = np.diag([0.5, 0.5, 5, 1])
    header(_two_forms(tmp_path / "scan.nii", tilted, upright, shape=(32, 32, 30)), None)
    with pytest.raises(DataError, match="contradicts itself"):
        header(_two_forms(tmp_path / "scan.nii", tilted, np.diag([0.5, 0.5, 8, 1])), None)


def test_sizes_may_differ_by_less_than_a_voxel_over_the_whole_axis(tmp_path: Path) -> None:
    near, path = (np.diag([1.03, 1, 3, 1]), np.diag([1.0, 1, 3, 1])), tmp_path / "scan.nii"
    assert header(_two_forms(path, *near, shape=(30, 5, 4)), None)[0].spacing[1:] == (1, 3)
    with pytest.raises(DataError, match="contradicts itself"):
        header(_two_forms(path, *near, shape=(40, 5, 4)), None)


def test_a_qform_that_cannot_be_read_does_not_count(tmp_path: Path) -> None:
    path = _two_forms(tmp_path / "scan.nii", np.diag([1.0, 1, 3, 1]), np.eye(4))
    content = bytearray(path.read_bytes())
    struct.pack_into("<3f", content, 256, 9, 9, 9)  # quatern_b to _d, of which no rotation can be made
    path.write_bytes(content)
    assert header(path, None)[0].spacing == (1, 1, 3)


@pytest.mark.parametrize("value", [0.0, np.nan])
def test_an_sform_that_is_none_beside_a_qform(value: float, tmp_path: Path) -> None:
    path = _two_forms(tmp_path / "scan.nii", np.eye(4), np.eye(4))
    content = bytearray(path.read_bytes())
    struct.pack_into("<12f", content, 280, *[value] * 12)
    path.write_bytes(content)
    with pytest.raises(DataError, match=r"scan\.nii: its affine is not invertible"):
        header(path, None)
