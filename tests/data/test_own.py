import os
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from files import RAS, blob, nifti, png, volume

from curette.bench.sides import groups_of
from curette.data.datasets import open_dataset
from curette.data.prepare import prepare
from curette.errors import CuretteWarning, DataError, SettingError
from curette.recipe import Data, Prepare

TOML = """
name = "Prostate MR"
licence = "ours"

[channels]
T2 = "scans/{patient}/{case}_t2.nii.gz"
ADC = "scans/{patient}/{case}_adc.nii"

[labels]
files = "masks/{patient}_{case}.nii.gz"

[classes]
tumour = 255
background = 0
"""


def load(root: Path | None, skip_bad: bool = False):
    return open_dataset(Data(dataset="own", root=root, skip_bad=skip_bad))


def described(root: Path, text: str) -> Path:
    root.mkdir(parents=True, exist_ok=True)
    (root / "dataset.toml").write_text(text, encoding="utf-8")
    return root


@pytest.fixture
def clinic(tmp_path: Path) -> Path:
    """Two patients, the first with two cases, of two channels each."""
    for seed, (patient, case) in enumerate((("p1", "a"), ("p1", "b"), ("p2", "a"))):
        nifti(tmp_path / "scans" / patient / f"{case}_t2.nii.gz", volume(seed=seed))
        nifti(tmp_path / "scans" / patient / f"{case}_adc.nii", volume(seed=seed + 9))
        nifti(tmp_path / "masks" / f"{patient}_{case}.nii.gz", blob(value=255))
    return described(tmp_path, TOML)


def test_channels_in_files_of_their_own(clinic: Path) -> None:
    dataset = load(clinic)
    assert (dataset.name, dataset.licence) == ("Prostate MR", "ours")
    assert dataset.task.channels == ("T2", "ADC")
    assert (dataset.task.kind, dataset.task.dims) == ("segmentation", 3)
    assert list(dataset.task.classes.items()) == [("background", 0), ("tumour", 255)]
    assert [(c.id, c.patient) for c in dataset.cases] == [("p1-a", "p1"), ("p1-b", "p1"), ("p2-a", "p2")]
    case = dataset.cases[2]
    np.testing.assert_allclose(case.images[1].read().array[0], volume(seed=11), rtol=1e-6)
    assert case.label.read().array.max() == 255
    assert load(clinic / "dataset.toml").cases == dataset.cases
    described(clinic, TOML.replace('"scans/', '"./scans//'))
    assert load(clinic).cases == dataset.cases


def test_pictures_with_the_patient_in_the_name_and_a_split(tmp_path: Path) -> None:
    for part in ("train", "test"):
        for i in range(2):
            png(tmp_path / part / f"{part[1]}{i}_x.png", np.dstack([volume((20, 12)).astype(np.uint8)] * 3))
            png(tmp_path / part / f"{part[1]}{i}_x-mask.png", blob((20, 12)))
    described(
        tmp_path,
        "patient = '^(.*?)_'\nchannels = {photo = '{split}/{case}.png'}\n"
        "labels = {files = '{split}/{case}-mask.png'}\nclasses = {background = 0, mole = 1}",
    )
    assert [c.id for c in load(tmp_path).cases] == ["e0_x", "e1_x", "r0_x", "r1_x"]
    described(
        tmp_path,
        "patient = '^(.*?)_'\nchannels = {photo = '{split}/{case}_x.png'}\n"
        "labels = {files = '{split}/{case}_x-mask.png'}\nclasses = {background = 0, mole = 1}",
    )
    with pytest.raises(DataError, match=r"the key patient looks for \(4\): e0; e1; r0; r1"):
        load(tmp_path)
    described(tmp_path, (tmp_path / "dataset.toml").read_text().replace("'^(.*?)_'", "'^.'"))
    dataset = load(tmp_path)
    assert [(c.id, c.patient, c.split) for c in dataset.cases] == [
        ("e0", "e", "test"), ("e1", "e", "test"), ("r0", "r", "train"), ("r1", "r", "train"),
    ]  # fmt: skip
    assert dataset.task.channels == ("photo red", "photo green", "photo blue")


def test_a_file_belongs_to_the_path_that_says_most_of_its_name(tmp_path: Path) -> None:
    for name in ("a", "b"):
        for ending in ("", "_adc"):
            nifti(tmp_path / f"{name}{ending}.nii.gz", volume(seed=len(ending)))
        nifti(tmp_path / f"{name}_mask.nii.gz", blob())
    described(
        tmp_path,
        "channels = {T2 = '{case}.nii.gz', ADC = '{case}_adc.nii.gz'}\n"
        "labels = {files = '{case}_mask.nii.gz'}\nclasses = {background = 0, x = 1}",
    )
    dataset = load(tmp_path)
    assert [c.id for c in dataset.cases] == ["a", "b"]
    assert [p.path.name for p in dataset.cases[0].images] == ["a.nii.gz", "a_adc.nii.gz"]
    assert dataset.cases[0].label.path.name == "a_mask.nii.gz"


@pytest.mark.parametrize("place", ["case", "patient"])
def test_numbers_that_begin_anew_in_each_part_of_the_split(place: str, tmp_path: Path) -> None:
    for part, names in (("train", ("1", "2")), ("test", ("1", "3"))):
        for name in names:
            png(tmp_path / part / "img" / f"{name}.png", volume((20, 12)).astype(np.uint8))
            png(tmp_path / part / "seg" / f"{name}.png", blob((20, 12)))
    text = (
        "channels = {grey = '{split}/img/{case}.png'}\nlabels = {files = '{split}/seg/{case}.png'}\n"
        "classes = {background = 0, x = 1}"
    )
    described(tmp_path, text.replace("{case}", f"{{{place}}}"))
    cases = load(tmp_path).cases
    assert [c.id for c in cases] == ["2", "3", "test-1", "train-1"]
    # A number is another patient in each part; what the paths call a patient is the same one.
    known = ["2", "3", "1", "1"] if place == "patient" else [c.id for c in cases]
    assert [c.patient for c in cases] == known


def test_hospitals_that_count_alike(tmp_path: Path) -> None:
    for seed, hospital in enumerate(("north", "south", "south")):
        nifti(tmp_path / hospital / f"{max(1, seed)}.nii.gz", volume(seed=seed))
        nifti(tmp_path / hospital / f"{max(1, seed)}_mask.nii.gz", blob(value=1))
    files = '[channels]\nMR = "{group}/{case}.nii.gz"\n[labels]\nfiles = "{group}/{case}_mask.nii.gz"\n'
    dataset = load(described(tmp_path, f"{files}[classes]\nbackground = 0\ntumour = 1\n"))
    found = [(c.id, c.patient, c.group) for c in dataset.cases]
    assert found == [(f"{g}-{n}", f"{g}-{n}", g) for g, n in (("north", 1), ("south", 1), ("south", 2))]
    prepared = prepare(dataset, Data(dataset="own", unit="volume"), Prepare(cache=tmp_path / "cache"))
    assert [prepared.group(c) for c in prepared.case_ids] == ["north", "south", "south"]
    assert groups_of(prepared, prepared.case_ids) == {"north-1": 0, "south-1": 1, "south-2": 1}


def test_a_class_with_a_single_image(tmp_path: Path) -> None:
    for name in ("ill/a", "ill/b", "well/a", "well/b", "rare/a", "rare/b"):
        png(tmp_path / f"{name}.png", volume((20, 12)).astype(np.uint8))
    (tmp_path / "rare" / "b.png").write_bytes(b"")
    described(tmp_path, "channels = {photo = '{class}/{case}.png'}")
    with pytest.raises(DataError, match=r"class with a single image.* \(1\): rare/a\.png"):
        load(tmp_path)
    with pytest.warns(CuretteWarning, match="2 problems"):
        assert len(load(tmp_path, skip_bad=True).cases) == 4


def test_classification_by_folder(tmp_path: Path) -> None:
    for name in ("0_healthy", "1_ill"):
        for i in range(2):
            png(tmp_path / name / f"{i}.png", volume((20, 12)).astype(np.uint8))
    described(tmp_path, "channels = {xray = '{class}/{case}.png'}")
    assert load(tmp_path).task.classes == {"0_healthy": 0, "1_ill": 1}
    described(
        tmp_path, "channels = {xray = '{class}/{case}.png'}\nclasses = {ill = '1_ill', healthy = '0_healthy'}"
    )
    dataset = load(tmp_path)
    assert (dataset.task.kind, dataset.task.classes) == ("classification", {"ill": 0, "healthy": 1})
    assert [(c.id, c.target) for c in dataset.cases] == [
        ("0_healthy-0", 1), ("0_healthy-1", 1), ("1_ill-0", 0), ("1_ill-1", 0),
    ]  # fmt: skip
    described(tmp_path, "channels = {xray = '{class}/{case}.png'}\nclasses = {ill = '1_ill', other = 2}")
    with pytest.raises(DataError, match=r"\{class\} is not under classes \(2\): 0_healthy-0"):
        load(tmp_path)


@pytest.mark.parametrize("channels", [1, 2])
def test_image_and_label_in_one_archive(channels: int, tmp_path: Path) -> None:
    shape = (8, 10, 4)
    for i in range(2):
        image = np.stack([volume(shape, 9 * i + c) for c in range(channels)])
        stored = image if channels > 1 else image[0]
        np.savez(tmp_path / f"{i}.npz", image=stored, label=blob(shape), spacing=np.array([1.0, 1.0, 3.0]))
    described(
        tmp_path,
        "dims = 3\nchannels = {CT = '{case}.npz'}\nlabels = {files = '{case}.npz'}\nclasses = {background = 0, a = 1}",
    )
    dataset = load(tmp_path)
    assert dataset.task.channels == (("CT",) if channels == 1 else ("CT 0", "CT 1"))
    read = dataset.cases[1].images[0].read()
    assert read.array.shape == (channels, *shape)
    assert read.geometry.spacing == (1, 1, 3)
    np.testing.assert_array_equal(dataset.cases[0].label.read().array, blob(shape))


def test_every_bad_file_is_named_in_one_message(clinic: Path) -> None:
    (clinic / "scans" / "p1" / "a_adc.nii").unlink()
    (clinic / "masks" / "p1_b.nii.gz").unlink()
    nifti(clinic / "masks" / "p9_a.nii.gz", blob())
    nifti(clinic / "scans" / "p3" / "a_t2.nii.gz", volume())
    nifti(clinic / "scans" / "p3" / "a_adc.nii", volume((8, 9, 4)))
    nifti(clinic / "masks" / "p3_a.nii.gz", blob())
    nifti(clinic / "scans" / "p4" / "a_t2.nii.gz", volume())
    nifti(clinic / "scans" / "p4" / "a_adc.nii", volume(), RAS * [1, 1, 3, 1])
    nifti(clinic / "masks" / "p4_a.nii.gz", blob())
    with pytest.raises(DataError) as caught:
        load(clinic)
    for words in (
        "missing file of channels.ADC (1): case p1-a",
        "image without label (1): case p1-b",
        "label without image (1): masks/p9_a.nii.gz",
        f"channel of another shape than the first (1): {clinic}/scans/p3/a_adc.nii (first 8×10×4, channel 8×9×4)",
        f"channel whose header places it elsewhere than the first (1): {clinic}/scans/p4/a_adc.nii (up to 12.0 mm",
    ):
        assert words in str(caught.value)
    with pytest.warns(CuretteWarning, match="5 problems"):
        assert [c.id for c in load(clinic, skip_bad=True).cases] == ["p2-a"]


def replaced(old: str, new: str) -> Callable[[str], str]:
    return lambda text: text.replace(old, new)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (replaced("[channels]", "[chanels]"), r"no key 'chanels' \(did you mean 'channels'\?\)"),
        (replaced("[channels]", "[channels"), "is not TOML"),
        (replaced("files =", "file ="), r"labels\.files: field required"),
        (replaced("tumour = 255", "tumour = [1]"), r"classes\.tumour"),
        (replaced("tumour = 255", "tumour = '255'"), "classes must give each class its value"),
        (replaced("tumour = 255", "tumour = 0"), "classes: two classes share a label value"),
        (replaced("tumour = 255", ""), "classes: a task needs at least two"),
        (replaced("name =", "dims = 4\nname ="), "dims: input should be 2 or 3"),
        (replaced("name =", "patient = '('\nname ="), "patient = '\\(' is no regular expression"),
        (replaced("{case}_t2", "{study}_t2"), r"channels\.T2 holds \{study\}"),
        (replaced("{case}_t2", "a_t2"), r"channels\.ADC and channels\.T2 must hold the same"),
        (replaced("{patient}/{case}", "a"), r"channels\.T2 names one file only"),
        (
            replaced("{patient}_{case}", "{split}"),
            r"labels\.files holds \{split\}, which channels\.T2 does not",
        ),
        (replaced("scans/", "../scans/"), r"channels\.T2 = .* must lie below"),
        (replaced("scans/", "scan/"), r"channels\.T2 matches no file"),
        (lambda text: text.split("[labels]")[0], r"labels\.files \(segmentation\) or \{class\}"),
    ],
)
def test_descriptions_that_cannot_work_name_the_key(
    change: Callable[[str], str], said: str, clinic: Path
) -> None:
    described(clinic, change(TOML))
    for path in (clinic / "masks").iterdir():
        if "matches no file" in said:
            path.unlink()
    with pytest.raises(SettingError, match=said) as caught:
        load(clinic)
    assert "dataset.toml" in str(caught.value)


def test_no_description(tmp_path: Path) -> None:
    with pytest.raises(SettingError, match=r"data\.root"):
        load(None)
    with pytest.raises(DataError, match=r"dataset\.toml cannot be read"):
        load(tmp_path)


@pytest.mark.parametrize("written", ["png", "PNG"])
def test_suffixes_in_either_case(written: str, tmp_path: Path) -> None:
    for i, ending in enumerate(("png", "PNG", "Png")):
        png(tmp_path / "i [1]" / f"{i}.{ending}", volume((20, 12)).astype(np.uint8))
        png(tmp_path / "m" / f"{i}.png", blob((20, 12)))
    text = "channels = {x = 'i [1]/{case}.png'}\nlabels = {files = 'm/{case}.png'}\nclasses = {background = 0, a = 1}"
    described(tmp_path, text.replace("png", written))
    assert [c.id for c in load(tmp_path).cases] == ["0", "1", "2"]
    png(tmp_path / "m" / "1.PNG", blob((20, 12)))
    with pytest.raises(
        DataError, match=r"several files for one case under labels\.files \(1\): 1\.PNG and 1\.png"
    ):
        load(tmp_path)


def test_a_description_saved_with_a_byte_order_mark(clinic: Path) -> None:
    (clinic / "dataset.toml").write_text(TOML, encoding="utf-8-sig")
    assert len(load(clinic).cases) == 3


@pytest.mark.parametrize(
    ("change", "key"),
    [
        (replaced("scans/{patient}/{case}_t2", "scan/{patient}/{case}_t2"), r"channels\.T2 .* 'scan/"),
        (replaced("_adc.nii", "_adc.mha"), r"channels\.ADC .* 'scans/"),
        (replaced("masks/", "mask/"), r"labels\.files .* 'mask/"),
    ],
)
def test_a_path_that_matches_nothing_is_named_by_its_key(
    change: Callable[[str], str], key: str, clinic: Path
) -> None:
    described(clinic, change(TOML))
    with pytest.raises(SettingError, match=key.replace(" .* ", " matches no file: ")):
        load(clinic)


def test_the_background_is_named_so_or_is_value_0(clinic: Path) -> None:
    described(clinic, TOML.replace("background = 0", "tissue = 0"))
    assert list(load(clinic).task.classes) == ["tissue", "tumour"]
    described(clinic, TOML.replace("background = 0", "tissue = 1"))
    with pytest.raises(SettingError, match=r"dataset\.toml: classes: no class is the background"):
        load(clinic)


def test_channels_are_counted_file_by_file(clinic: Path) -> None:
    for case, two in (("p1/a", "t2.nii.gz"), ("p1/b", "t2.nii.gz"), ("p2/a", "adc.nii")):
        path = clinic / "scans" / f"{case}_{two}"
        nifti(path, np.stack([volume()] * 2, -1))
    with pytest.raises(DataError) as caught:
        load(clinic)
    assert "than 2 (1): " in str(caught.value)
    assert "p2/a_t2.nii.gz has 1" in str(caught.value)
    assert "p2/a_adc.nii has 2" in str(caught.value)
    assert "p1/" not in str(caught.value)
    with pytest.warns(CuretteWarning, match="2 problems"):
        assert load(clinic, skip_bad=True).task.channels == ("T2 0", "T2 1", "ADC")


def test_most_cases_say_how_many_axes_there_are(clinic: Path) -> None:
    for name in ("scans/p1/a_t2.nii.gz", "scans/p1/a_adc.nii", "masks/p1_a.nii.gz"):
        nifti(clinic / name, blob()[..., 0] if "masks" in name else volume()[..., 0])
    with pytest.raises(DataError, match=r"1 problem\..*p1/a_t2\.nii\.gz is a flat image"):
        load(clinic)


def test_names_that_are_not_utf_8(tmp_path: Path) -> None:
    (tmp_path / "i").mkdir()
    (tmp_path / "m").mkdir()
    for name in ("a", os.fsdecode(b"b\xff")):
        for folder in ("i", "m"):
            png(tmp_path / "x.png", blob((20, 12))).rename((tmp_path / folder).joinpath(f"{name}.png"))
    described(
        tmp_path,
        "channels = {x = 'i/{case}.png'}\nlabels = {files = 'm/{case}.png'}\nclasses = {background = 0, a = 1}",
    )
    with pytest.raises(DataError, match=r"name that is not UTF-8; rename it \(1\): i/b\\udcff\.png"):
        load(tmp_path)
    with pytest.warns(CuretteWarning, match="1 problem"):
        assert [c.id for c in load(tmp_path, skip_bad=True).cases] == ["a"]
