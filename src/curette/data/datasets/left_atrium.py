"""Data set ``left_atrium``: the training part of the 2018 Atrial Segmentation Challenge as HDF5 volumes.

2018LA_Seg_Training Set/
    0RZDK210BSMWAA6467LU/       mri_norm2.h5: arrays image and label, [x, y, z]
    …                           100 folders
train.list  test.list           names of folders, 80 and 20 (beside the folder above, or in it), both or neither

Layout of the UA-MT code base (Yu et al. 2019), which cropped the challenge's volumes around the atrium and normalised them.
The files hold no spacing; the challenge's voxels are 0.625 mm wide along every axis (Xiong et al. 2021).
"""

from __future__ import annotations

from pathlib import Path

from curette.data.case import Dataset
from curette.data.check import Pair
from curette.data.datasets.layout import Release, hidden, lines, release, segmentation
from curette.data.hdf5 import Hdf5Source
from curette.errors import DataError
from curette.registry import register

SPACING = (0.625, 0.625, 0.625)
_FILE = "mri_norm2.h5"


@register(
    "dataset",
    "left_atrium",
    paper="Xiong et al., Medical Image Analysis 2021",
    source="https://github.com/yulequan/UA-MT/tree/master/data",
    licence="that of the challenge",
    layout="2018LA_Seg_Training Set/ID/mri_norm2.h5, train.list, test.list",
    task="3D segmentation of the left atrium in late gadolinium-enhanced MR",
    size="100 scans, 80 for training and 20 for testing",
)
def left_atrium(root: Path | None, skip_bad: bool = False, *, partial: bool = False) -> Dataset:
    """Contrast-enhanced heart MR, cropped around the left atrium, 0.625 mm voxels; each scan is taken for a patient.

    The challenge's 154 scans are of fewer patients. The release does not say which scans are of one patient, so those may lie
    on both sides of a split, the published one included.

    Where train.list and test.list are there, they are the split and say what must be there; else, unless `partial`, 100
    folders must. Raises one `DataError` that names every patient in neither list, every missing and every bad file; one for
    a list without the other; and `MissingExtraError` without h5py.
    """
    reading = release("left_atrium", root, "'2018LA_Seg_Training Set' and train.list", partial)
    inner = reading.root / "2018LA_Seg_Training Set"
    folder = inner if inner.is_dir() else reading.root
    found = {p.name for p in folder.iterdir() if p.is_dir() and not hidden(p.name)}
    split = _split(reading, folder)
    if split:
        for case in sorted(found - set(split)):
            if (folder / case / _FILE).is_file():
                reading.problems.add("patient that is in no list", case)
        found &= set(split)
        reading.expect("case", split, found)
    else:
        reading.count(folder.name, len(found), 100)
    pairs = []
    for case in sorted(found):
        path = folder / case / _FILE
        if reading.has(path):
            sources = Hdf5Source(path, "image", SPACING), Hdf5Source(path, "label", SPACING, label=True)
            pairs.append(Pair(case, case, *sources, split.get(case), shown=reading.short(path)))
    notes = ("the release does not say which scans are of one patient: every scan counts as one",)
    return reading.dataset(segmentation({"left atrium": 1}, ("MR",)), pairs, skip_bad, notes=notes)


def _split(reading: Release, folder: Path) -> dict[str, str]:
    """Part of the split by case; empty where there are no lists. Raises `DataError` where there is only one of the two."""
    places = (reading.root, folder, folder.absolute().parent)  # the lists lie in the folder or beside it
    named = {part: [place / f"{part}.list" for place in places] for part in ("train", "test")}
    found = {part: next((p for p in paths if p.is_file()), None) for part, paths in named.items()}
    other = found["train"] or found["test"]
    split: dict[str, str] = {}
    for part, path in found.items():
        if path is None and other:
            raise DataError(
                f"{other} is there, but {part}.list, the other half of the split, is not. Put it beside that one, or "
                f"remove {other.name} to let curette split the patients."
            )
        for line in lines(path) if path else ():
            case = line.partition("/")[0]  # some lists name the file, not the folder
            if split.setdefault(case, part) != part:
                reading.problems.add("patient on two sides of the split", case)
    return split
