from collections.abc import Callable
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import pytest
import releases
from files import archive, nifti, pictures, png

from curette.data.case import Dataset
from curette.data.datasets import open_dataset
from curette.data.io import FileSource, to_native
from curette.data.prepare import prepare
from curette.data.splits import split_patients
from curette.errors import CuretteWarning, DataError, SettingError
from curette.recipe import Data, Prepare, Split
from curette.registry import components

FLAT = {"acdc_h5", "isic2018", "kvasir", "covid_qu"}
MAKERS: dict[str, Callable[[Path], Path]] = {
    name: getattr(releases, name)
    for name in (
        [
            "acdc",
            "acdc_h5",
            "brats2019",
            "covid_qu",
            "isic2018",
            "kits19",
            "kvasir",
            "left_atrium",
            "promise12",
            "segthor",
        ]
    )
}
CASES = {
    "acdc": (6, 3, {"background", "right ventricle", "myocardium", "left ventricle"}),
    "acdc_h5": (15, 3, {"background", "right ventricle", "myocardium", "left ventricle"}),
    "brats2019": (3, 2, {"background", "necrotic core", "oedema", "enhancing tumour"}),
    "covid_qu": (18, 18, {"background", "infection"}),
    "isic2018": (6, 6, {"background", "lesion"}),
    "kits19": (3, 3, {"background", "kidney", "tumour"}),
    "kvasir": (16, 16, None),
    "left_atrium": (3, 3, {"background", "left atrium"}),
    "promise12": (3, 3, {"background", "prostate"}),
    "segthor": (4, 4, {"background", "oesophagus", "heart", "trachea", "aorta"}),
}  # cases and patients of the fixture, and class names
SEGMENTED = sorted(set(MAKERS) - {"kvasir"})


def data(name: str, root: Path | None, skip_bad: bool = False, **options: Any) -> Data:
    unit = "image" if name in FLAT and options.get("form") != "volumes" else "slice"
    return Data(dataset=name, root=root, unit=unit, skip_bad=skip_bad, options={"partial": True} | options)


def load(name: str, root: Path | None, skip_bad: bool = False, **options: Any) -> Dataset:
    return open_dataset(data(name, root, skip_bad, **options))


def refusal(name: str, root: Path, **options: Any) -> str:
    with pytest.raises(DataError) as caught:
        load(name, root, **options)
    assert str(root) in str(caught.value)
    return str(caught.value)


@pytest.mark.parametrize("name", sorted(MAKERS))
def test_cases_patients_and_facts(name: str, tmp_path: Path) -> None:
    dataset = load(name, MAKERS[name](tmp_path))
    cases, patients, classes = CASES[name]
    assert len(dataset.cases) == len({c.id for c in dataset.cases}) == cases
    assert len({c.patient for c in dataset.cases}) == patients
    assert classes is None or set(dataset.task.names) == classes
    assert [c.id for c in dataset.cases] == sorted(c.id for c in dataset.cases)
    info = components("dataset")[name].info
    assert all(info[fact] for fact in ("source", "licence", "layout", "task", "size"))
    assert (dataset.source, dataset.licence) == (info["source"], info["licence"])


@pytest.mark.parametrize("name", SEGMENTED)
def test_labels_lie_on_their_images(name: str, tmp_path: Path) -> None:
    seen = set()
    for case in load(name, MAKERS[name](tmp_path)).cases:
        label = case.label.read().array
        for source in case.images:
            volume = source.read()
            image = volume.array[0].astype(float)
            bright = 100 / (200 if name == "acdc_h5" else 1)
            if label.any():
                drawn = image[label > 0].mean()
                assert drawn > image[label == 0].max() - 0.3 * bright or name == "isic2018"
                assert drawn - image[label == 0].mean() > 0.6 * bright
            assert len(volume.geometry.spacing) == label.ndim
        seen |= set(np.unique(label).tolist())
    classes = load(name, tmp_path).task.classes
    assert seen <= set(classes.values())
    assert len(seen) >= 2


@pytest.mark.parametrize("name", sorted(MAKERS))
def test_prepared_and_split_by_patient(name: str, tmp_path: Path) -> None:
    chosen = data(name, MAKERS[name](tmp_path / "files"))
    dataset = open_dataset(chosen)
    prepared = prepare(dataset, chosen, Prepare(cache=tmp_path / "cache"))
    assert prepared.kept(dataset) == dataset
    given = any(c.split for c in dataset.cases)
    splits = split_patients(dataset, Split(train=0.5, val=0.0, test=0.5, given=given))
    side = {case: part for part in ("train", "val", "test") for case in getattr(splits, part)}
    patient = {c.id: c.patient for c in dataset.cases}
    assert side
    for case, part in side.items():
        assert {side.get(other, part) for other in patient if patient[other] == patient[case]} == {part}


@pytest.mark.parametrize("name", sorted(MAKERS))
def test_an_incomplete_release_names_what_is_missing(name: str, tmp_path: Path) -> None:
    root = MAKERS[name](tmp_path)
    if name in ("left_atrium", "brats2019"):  # their lists say what there should be, and all of it is there
        assert len(load(name, root, partial=False).cases) == CASES[name][0]
        return
    missing = {
        "acdc": "patient004; patient005",
        "acdc_h5": "data/slices has 15 of 1902",
        "covid_qu": "Train/COVID-19 has 2 of 1864",
        "isic2018": "the Training part has 2 of 2594",
        "kits19": "case_00003; case_00004",
        "kvasir": "polyps has 2 of 1000",
        "promise12": "Case03; Case04",
        "segthor": "Patient_05; Patient_06",
    }[name]
    message = refusal(name, root, partial=False)
    assert missing in message
    assert "options.partial = true" in message


GONE = {
    "acdc": "training/patient002/patient002_frame09_gt.nii.gz",
    "acdc_h5": "data/slices/patient001_frame01_slice_3.h5",
    "brats2019": "LGG/BraTS19_CBICA_AAB_1/BraTS19_CBICA_AAB_1_t1ce.nii.gz",
    "covid_qu": "Val/Normal/images/Normal (1).png",
    "isic2018": "ISIC2018_Task1-2_Test_Input/ISIC_0000005.jpg",
    "kits19": "data/case_00001/imaging.nii.gz",
    "left_atrium": "2018LA_Seg_Training Set/1D7CUD1955YZPGK8XHJX/mri_norm2.h5",
    "promise12": "training_data/Case01_segmentation.mhd",
    "segthor": "train/Patient_02/GT.nii.gz",
}


@pytest.mark.parametrize("name", sorted(GONE))
def test_a_missing_file_is_named_and_can_be_left_out(name: str, tmp_path: Path) -> None:
    root = MAKERS[name](tmp_path)
    (path,) = [p for p in root.rglob("*") if p.as_posix().endswith(GONE[name])]
    path.unlink()
    said = refusal(name, root)
    if name in ("covid_qu", "isic2018"):  # what is left of the pair is named
        assert "label without image (1)" in said
        assert path.stem in said
    else:
        assert f"file that is missing (1): {GONE[name]}." in said
    assert "1 problem." in said
    with pytest.warns(CuretteWarning, match="1 problem"):
        left = load(name, root, skip_bad=True)
    assert len(left.cases) == CASES[name][0] - 1


BROKEN = {
    name: (GONE[name] if name != "promise12" else "training_data/Case01_segmentation.raw") for name in GONE
}


@pytest.mark.parametrize("name", sorted(BROKEN))
def test_a_damaged_file_is_named_before_training(name: str, tmp_path: Path) -> None:
    root = MAKERS[name](tmp_path / "files")
    (path,) = [p for p in root.rglob("*") if p.as_posix().endswith(BROKEN[name])]
    path.write_bytes(path.read_bytes()[:30])
    chosen = data(name, root)
    with pytest.raises(DataError) as caught:
        prepare(open_dataset(chosen), chosen, Prepare(cache=tmp_path / "cache"))
    assert path.name in str(caught.value)


@pytest.mark.parametrize("name", SEGMENTED)
def test_labels_outside_the_task_are_named_before_training(name: str, tmp_path: Path) -> None:
    chosen = data(name, MAKERS[name](tmp_path / "files"))
    case = open_dataset(chosen).cases[0]
    path: Path = case.label.path
    strange = np.full_like(case.label.read().array, 77)
    if path.suffix == ".gz":
        nifti(path, _native(strange, path), _affine(path))
    elif path.suffix == ".h5":
        releases.hdf5(path, image=case.images[0].read().array[0], label=strange)
    elif path.suffix == ".mhd":
        releases.metaimage(path, strange)
    else:
        png(path, strange.astype(np.uint8))
    with pytest.raises(DataError, match="unknown label value") as caught:
        prepare(open_dataset(chosen), chosen, Prepare(cache=tmp_path / "cache"))
    assert path.name in str(caught.value)


def _affine(path: Path) -> Any:
    return nib.load(path).affine


def _native(array: Any, path: Path) -> Any:
    return to_native(array, FileSource(path, 3, label=True).header()[0])


@pytest.mark.parametrize("name", ["acdc", "kits19", "segthor", "brats2019"])
@pytest.mark.parametrize("which", ["image", "label"])
def test_four_axes_are_named(name: str, which: str, tmp_path: Path) -> None:
    root = MAKERS[name](tmp_path)
    case = load(name, root).cases[0]
    path: Path = (case.images[0] if which == "image" else case.label).path
    nifti(path, np.zeros((*releases.SHAPE, 3), np.int16), _affine(path))
    said = refusal(name, root)
    assert f"{path.name} has 3" in said


@pytest.mark.parametrize("name", sorted(MAKERS))
def test_a_root_that_is_none(name: str, tmp_path: Path) -> None:
    with pytest.raises(SettingError, match=r"data\.root"):
        load(name, None)
    with pytest.raises(DataError, match="There is no folder"):
        load(name, tmp_path / "nowhere")
    refusal(name, tmp_path)
    refusal(name, tmp_path, partial=False)


@pytest.mark.parametrize(
    ("name", "inner"),
    [("acdc", "ACDC/database"), ("kits19", "kits19"), ("kvasir", "kvasir/v2"), ("isic2018", "ISIC/Task1"),
     ("brats2019", "BraTS/MICCAI_BraTS_2019_Data_Training"), ("promise12", "PROMISE12/contest")],
)  # fmt: skip
def test_a_root_some_levels_higher(name: str, inner: str, tmp_path: Path) -> None:
    root = MAKERS[name](tmp_path / inner)
    file = min(p for p in root.rglob("*") if p.is_file())
    junk = tmp_path / "__MACOSX" / file.relative_to(tmp_path)  # what a Mac packs along with each file
    junk.parent.mkdir(parents=True)
    junk.write_bytes(b"?")
    assert len(load(name, tmp_path).cases) == len(load(name, root).cases)


@pytest.mark.parametrize(
    ("name", "folder"), [("kvasir", "polyps"), ("isic2018", "ISIC2018_Task1-2_Test_Input")]
)
def test_two_copies_of_a_folder_are_not_mixed(name: str, folder: str, tmp_path: Path) -> None:
    for copy in ("a", "b"):
        MAKERS[name](tmp_path / copy)
    said = refusal(name, tmp_path)
    assert "name that is there twice" in said
    assert f"/{folder} and b/" in said


def test_a_release_that_is_there_twice_is_named(tmp_path: Path) -> None:
    for copy in ("a", "b"):
        MAKERS["covid_qu"](tmp_path / copy)
    said = refusal("covid_qu", tmp_path)
    assert "data set that is there twice" in said
    assert "a and b" in said


def test_pictures_whose_names_are_in_capitals(tmp_path: Path) -> None:
    root = releases.kvasir(tmp_path)
    for path in sorted(root.rglob("*.jpg"))[::3]:
        path.rename(path.with_suffix(".JPG"))
    assert len(load("kvasir", root).cases) == 16


def test_acdc_parts(tmp_path: Path) -> None:
    root = releases.acdc(tmp_path / "database")
    assert [c.id for c in load("acdc", root).cases][:2] == ["patient001_frame01", "patient001_frame08"]
    assert {c.patient for c in load("acdc", root, part="testing").cases} == {"patient101"}
    both = load("acdc", tmp_path, part="all")  # a level higher is fine
    assert {c.patient: c.split for c in both.cases} == {
        "patient001": "train", "patient002": "train", "patient003": "train", "patient101": "test",
    }  # fmt: skip
    with pytest.raises(SettingError, match="Choose training or testing or all"):
        load("acdc", root, part="train")


def test_acdc_frames_come_from_info(tmp_path: Path) -> None:
    root = releases.acdc(tmp_path)
    folder = root / "training" / "patient001"
    (folder / "Info.cfg").write_text("ED: 1\n")
    assert "Info.cfg that does not name the frames ED and ES (1): training/patient001/Info.cfg" in refusal(
        "acdc", root
    )
    (folder / "Info.cfg").write_text("ED: 3\nES: 8\n")
    said = refusal("acdc", root)
    assert (
        "training/patient001/patient001_frame03.nii.gz; training/patient001/patient001_frame03_gt.nii.gz"
        in said
    )


def test_acdc_slices_and_volumes_hold_the_same(tmp_path: Path) -> None:
    root = releases.acdc_h5(tmp_path)
    slices, volumes = load("acdc_h5", root), load("acdc_h5", root, form="volumes")
    assert (slices.task.dims, volumes.task.dims) == (2, 3)
    assert {c.patient: c.split for c in slices.cases} == {c.patient: c.split for c in volumes.cases}
    whole = volumes.cases[0]
    for z in range(releases.SHAPE[2]):
        flat = next(c for c in slices.cases if c.id == f"{whole.id}_slice_{z}")
        np.testing.assert_array_equal(flat.label.read().array, whole.label.read().array[..., z].T)
        np.testing.assert_array_equal(
            flat.images[0].read().array[0], whole.images[0].read().array[0, ..., z].T
        )


def test_acdc_slices_of_a_release_with_scribbles(tmp_path: Path) -> None:
    root = releases.acdc_h5(tmp_path)
    first = load("acdc_h5", root)
    label = first.cases[1].label.read().array
    for path in root.glob("*.list"):
        path.unlink()
    (root / "data" / "slices").rename(root / "ACDC_training_slices")
    (root / "data").rename(root / "ACDC_training_volumes")
    second = load("acdc_h5", root)
    assert [c.id for c in second.cases] == [c.id for c in first.cases]
    assert {c.split for c in second.cases} == {None}
    np.testing.assert_array_equal(second.cases[1].label.read().array, label)
    assert "ACDC_training_slices has 15 of 1902" in refusal("acdc_h5", root, partial=False)


def test_acdc_lists_that_contradict(tmp_path: Path) -> None:
    root = releases.acdc_h5(tmp_path)
    (root / "val.list").write_text("patient001_frame01\nnonsense\n")
    (root / "test.list").write_text("patient003_frame01\npatient009_frame02\n")
    said = refusal("acdc_h5", root)
    assert "patient on two sides of the split (1): patient001_frame01 in val.list" in said
    assert "line of a list that names no case (1): val.list: nonsense" in said
    assert "listed volume without slices (1): patient009_frame02 in test.list" in said
    assert "patient that is in no list (1): patient002" in said
    assert "file that is missing (1): data/patient009_frame02.h5" in refusal("acdc_h5", root, form="volumes")


def test_kits19_is_read_along_the_body(tmp_path: Path) -> None:
    root = releases.kits19(tmp_path)
    case = load("kits19", root).cases[1]
    volume = case.images[0].read()
    image, label = releases.pair(2, seed=1)
    assert volume.geometry.spacing == pytest.approx((0.8, 0.8, 3))
    assert volume.array.shape == (1, *releases.SHAPE[::-1])
    np.testing.assert_array_equal(volume.array[0], image.T[::-1, ::-1, ::-1])
    np.testing.assert_array_equal(case.label.read().array, label.T[::-1, ::-1, ::-1])


def test_kits19_without_tumour(tmp_path: Path) -> None:
    root = releases.kits19(tmp_path)
    both, kidney = load("kits19", root), load("kits19", root, tumour=False)
    assert kidney.task.classes == {"background": 0, "kidney": 1}
    for a, b in zip(both.cases, kidney.cases, strict=True):
        np.testing.assert_array_equal(b.label.read().array, a.label.read().array > 0)
        assert a.label.stamp != b.label.stamp


def test_brats_channels_regions_and_patients(tmp_path: Path) -> None:
    root = releases.brats2019(tmp_path)
    parts = load("brats2019", root)
    assert [c.patient for c in parts.cases] == ["BraTS19_2013_10", "BraTS19_2013_10", "BraTS19_CBICA_AAB"]
    assert [c.group for c in parts.cases] == ["2013", "2013", "CBICA"]
    offsets = [s.read().array.max() - releases.pair(1)[0].max() for s in parts.cases[0].images]
    assert offsets == [5, 2, 4, 2]  # flair, t1, t1ce, t2 in this order
    whole = load("brats2019", root, channels=("flair",), regions="whole")
    assert (whole.task.channels, whole.task.classes) == (("flair",), {"background": 0, "tumour": 1})
    for a, b in zip(parts.cases, whole.cases, strict=True):
        np.testing.assert_array_equal(b.label.read().array, a.label.read().array > 0)
    with pytest.raises(SettingError, match="choose among flair"):
        load("brats2019", root, channels=("flair", "T2"))
    (root / "name_mapping.csv").write_text("BraTS_2019_subject_ID\nBraTS19_TCIA01_147_1\n")
    assert "(1): BraTS19_TCIA01_147_1" in refusal("brats2019", root, partial=False)
    (root / "name_mapping.csv").write_text("Grade\nHGG\n")
    assert "name_mapping.csv has no column" in refusal("brats2019", root)
    (root / "name_mapping.csv").unlink()
    assert "the training part has 3 of 335" in refusal("brats2019", root, partial=False)


@pytest.mark.parametrize("third", ["TCIA01_147", "TMC_06643"])
def test_brats_of_the_small_sources_is_one_group(tmp_path: Path, third: str) -> None:
    cases = load("brats2019", releases.brats2019(tmp_path, third)).cases
    assert [c.group for c in cases] == ["2013", "2013", "TCIA and TMC"]


def test_brats_without_the_cases_for_validation(tmp_path: Path) -> None:
    releases.brats2019(tmp_path / "MICCAI_BraTS_2019_Data_Training")
    name = "BraTS19_CBICA_AAM_1"
    for channel in ("flair", "t1", "t1ce", "t2"):
        path = tmp_path / "MICCAI_BraTS_2019_Data_Validation" / name / f"{name}_{channel}.nii.gz"
        nifti(path, releases.pair()[0])
    assert len(load("brats2019", tmp_path, partial=False).cases) == 3


def test_brats_channel_on_another_grid(tmp_path: Path) -> None:
    root = releases.brats2019(tmp_path)
    name = "BraTS19_2013_10_1"
    nifti(root / "HGG" / name / f"{name}_t2.nii.gz", np.zeros((6, 8, 4), np.int16))
    assert f"{name}_t2.nii.gz (first 6×8×5, channel 6×8×4)" in refusal("brats2019", root)


def test_promise12_as_first_published(tmp_path: Path) -> None:
    root = releases.promise12(tmp_path)
    (root / "training_data").rename(root / "TrainingData_Part1")
    assert len(load("promise12", root).cases) == 3
    case = load("promise12", root).cases[0]
    releases.metaimage(root / "TrainingData_Part2" / "Case00.mhd", case.images[0].read().array[0])
    said = refusal("promise12", root)
    assert (
        "name that is there twice (1): TrainingData_Part1/Case00.mhd and TrainingData_Part2/Case00.mhd"
        in said
    )


def test_promise12_folders(tmp_path: Path) -> None:
    stored = releases.promise12(tmp_path / "stored")
    (tmp_path / "latest").mkdir()
    (tmp_path / "latest" / "training_data").symlink_to(stored / "training_data")
    assert len(load("promise12", tmp_path / "latest").cases) == 3
    (stored / "test_data").rename(stored / "livechallenge_test_data")
    assert len(load("promise12", stored).cases) == 3


def test_left_atrium_lists(tmp_path: Path) -> None:
    root = releases.left_atrium(tmp_path)
    dataset = load("left_atrium", root)
    assert [c.split for c in dataset.cases] == ["train", "train", "test"]
    assert dataset.cases[0].images[0].read().geometry.spacing == (0.625, 0.625, 0.625)
    assert "which scans are of one patient" in dataset.notes[0]
    (root / "test.list").write_text("2BTR9BTJ36BZBI0P5XQU/mri_norm2.h5\nELSEWHERE\n0RZDK210BSMWAA6467LU\n")
    said = refusal("left_atrium", root, partial=False)
    assert "patient on two sides of the split (1): 0RZDK210BSMWAA6467LU" in said
    assert "allows it) (1): ELSEWHERE" in said
    for name in ("train.list", "test.list"):
        (root / name).unlink()
    assert all(c.split is None for c in load("left_atrium", root).cases)
    assert "has 3 of 100" in refusal("left_atrium", root, partial=False)


def test_left_atrium_patients_are_never_left_out_in_silence(tmp_path: Path) -> None:
    root = releases.left_atrium(tmp_path)
    dataset = load("left_atrium", root / "2018LA_Seg_Training Set")  # the lists lie beside it
    assert [c.split for c in dataset.cases] == ["train", "train", "test"]
    (root / "train.list").write_text("0RZDK210BSMWAA6467LU\n")
    assert "patient that is in no list (1): 1D7CUD1955YZPGK8XHJX" in refusal("left_atrium", root)
    (root / "test.list").unlink()
    assert "train.list is there, but test.list" in refusal("left_atrium", root)


@pytest.mark.parametrize(("name", "path"), [("left_atrium", "test.list"), ("acdc_h5", "train_slices.list")])
def test_a_list_that_is_no_text_is_named(name: str, path: str, tmp_path: Path) -> None:
    root = MAKERS[name](tmp_path)
    (root / path).write_text((root / path).read_text(), encoding="utf-16")
    assert f"{path} cannot be read as text" in refusal(name, root)
    (root / path).write_text((root / path).read_text(encoding="utf-16"), encoding="utf-8-sig")
    assert {c.split for c in load(name, root).cases} >= {"train", "test"}


def test_pictures_keep_the_published_split(tmp_path: Path) -> None:
    for name in ("isic2018", "covid_qu"):
        dataset = load(name, MAKERS[name](tmp_path / name))
        assert {c.split for c in dataset.cases} == {"train", "val", "test"}
        assert any("every image counts as one" in note for note in dataset.notes)
    nested = tmp_path / "isic2018" / "ISIC2018_Task1-2_Test_Input"
    nested.rename(tmp_path / "moved")
    nested.mkdir()
    (tmp_path / "moved").rename(nested / nested.name)  # as some archives unpack
    assert len(load("isic2018", tmp_path / "isic2018").cases) == 6


def test_kvasir_classes(tmp_path: Path) -> None:
    root = releases.kvasir(tmp_path)
    for case in load("kvasir", root).cases:
        assert abs(int(case.images[0].read().array[0, 0, 0]) - 20 * case.target) <= 4
        assert case.images[0].path.parent.name == load("kvasir", root).task.names[case.target]
    path = sorted((root / "kvasir-dataset-v2" / "polyps").iterdir())[0]
    path.write_bytes(b"")  # a damaged file counts as none
    with pytest.warns(CuretteWarning, match="class with a single image"):
        assert len(load("kvasir", root, skip_bad=True).cases) == 14
    path.unlink()
    said = refusal("kvasir", root)
    assert (
        "class with a single image, which cannot be learned and tested (1): kvasir-dataset-v2/polyps/" in said
    )
    path.parent.rename(root / "elsewhere")
    assert "class without images (1): polyps" in refusal("kvasir", root)


@pytest.mark.parametrize("name", ["covid_qu", "isic2018", "kvasir"])
def test_suffixes_in_upper_case_are_read(name: str, tmp_path: Path) -> None:
    root = MAKERS[name](tmp_path)
    for path in [*root.rglob("*.jpg"), *root.rglob("*.png")]:
        if not path.stem.endswith(("0", "(0)")):
            path.rename(path.with_suffix(path.suffix.upper()))
    assert len(load(name, root).cases) == CASES[name][0]
    path = next(p for p in sorted(root.rglob("*.[JP][PN]G")))
    path.with_suffix(path.suffix.lower()).write_bytes(path.read_bytes())
    said = refusal(name, root)
    assert "name that is there twice (1)" in said
    assert f"{path.name} and" in said


def test_patients_that_no_list_names_are_known_by_their_numbers(tmp_path: Path) -> None:
    root = releases.acdc_h5(tmp_path)
    assert "patient004" not in refusal("acdc_h5", root, partial=False)  # its lists name three
    for path in root.glob("*.list"):
        path.unlink()
    assert "(97): patient004; patient005" in refusal("acdc_h5", root, partial=False)


@pytest.mark.parametrize("kind", ["medmnist", "folder", "acdc_h5", "acdc_h5 volumes"])
def test_what_tells_no_spacing_is_not_resampled_to_mm(kind: str, tmp_path: Path) -> None:
    name, _, form = kind.partition(" ")
    options: dict[str, Any] = {"partial": True} if name == "acdc_h5" else {}
    options |= {"form": form} if form else {}
    made = {"medmnist": archive, "folder": pictures, "acdc_h5": releases.acdc_h5}[name](
        tmp_path / ("data.npz" if name == "medmnist" else "data")
    )
    data = Data(dataset=name, root=made, options=options, unit="volume" if form else "image")
    dataset = open_dataset(data)
    flat = dataset.task.dims == 2
    prepare(dataset, data, Prepare(cache=tmp_path, size=(8, 8) if flat else None))
    with pytest.raises(DataError, match=r"does not tell the spacing of its voxels.*Set prepare\.size"):
        prepare(dataset, data, Prepare(cache=tmp_path, spacing=(2, 2) if flat else (2, 2, 2)))
