"""Data set ``acdc_h5``: the ACDC training patients as HDF5 files, the form widely used in semi-supervised work.

ACDC/
    train_slices.list       patient001_frame01_slice_1 …, a line each
    train.list              patient001_frame01 …; so val.list and test.list
    data/slices/            patient001_frame01_slice_1.h5 …: arrays image and label, [height, width]
    data/                   patient001_frame01.h5 …: the same arrays of whole volumes, [slices, height, width]

The layout is that of the SSL4MIS code base (Luo et al. 2020); label values are those of ACDC. The files hold no spacing.

Releases with scribbles (WSL4MIS, Luo et al. 2022) have no lists, and the slices elsewhere. These are read as well, with the
full labels; neither scribbles nor ACDC_training_volumes are:

ACDC/
    ACDC_training_slices/   patient001_frame01_slice_0.h5 …: arrays image, label and scribble
"""

from __future__ import annotations

import re
from pathlib import Path

from curette.data.case import Dataset
from curette.data.check import Pair
from curette.data.datasets.acdc import CLASSES
from curette.data.datasets.layout import Release, choice, lines, release, segmentation
from curette.data.hdf5 import Hdf5Source
from curette.registry import register

_NAME = re.compile(r"(patient\d{3})_frame\d{2}")
_VOLUMES = 200
_SLICES = 1902


@register(
    "dataset",
    "acdc_h5",
    paper="Bernard et al., IEEE Transactions on Medical Imaging 2018",
    source="https://github.com/HiLab-git/SSL4MIS/tree/master/data/ACDC",
    licence="CC BY-NC-SA 4.0 (that of ACDC)",
    layout="data/slices/patient001_frame01_slice_1.h5, data/patient001_frame01.h5, train_slices.list, val.list, test.list; or ACDC_training_slices/patient001_frame01_slice_0.h5",
    task="2D or 3D segmentation of right ventricle, myocardium and left ventricle in cine MR",
    size="100 patients, 200 volumes, 1902 slices",
)
def acdc_h5(
    root: Path | None, skip_bad: bool = False, *, form: str = "slices", partial: bool = False
) -> Dataset:
    """Cardiac MR slices, or volumes, from HDF5 files, with the published split by patient where its lists are there.

    `form` is ``slices`` (flat images) or ``volumes``; with the latter slices can be the units, and scores of whole
    volumes are reported. Spacing is not stored: distances are in pixels. Raises one `DataError` that names every file
    that a list names and that is missing, and every bad file; unless `partial`, the numbers of the release must be there.
    """
    slices = choice("form", form, ("slices", "volumes")) == "slices"
    reading = release("acdc_h5", root, "data and train_slices.list", partial)
    folder = _slices(reading.root) if slices else reading.root / "data"
    found = {p.stem: p for p in sorted(folder.glob("*.h5")) if _NAME.match(p.stem)}
    split = _splits(reading, folder, found, slices)
    reading.count(f"{reading.short(folder)}", len(found), _SLICES if slices else _VOLUMES)
    if not split:  # lists, where they are there, have told what is missing
        reading.expect("patient", (f"patient{n:03d}" for n in range(1, 101)), set(map(_patient, found)))
    if split and (rest := sorted(set(map(_patient, found)) - set(split))):
        reading.problems.add("patient that is in no list", ", ".join(rest))
        found = {stem: path for stem, path in found.items() if _patient(stem) in split}
    spacing = (1.0,) * (2 if slices else 3)
    pairs = [
        Pair(
            stem,
            _patient(stem),
            Hdf5Source(path, "image", spacing, turned=not slices, spaced=False),
            Hdf5Source(path, "label", spacing, label=True, turned=not slices),
            split.get(_patient(stem)),
            shown=reading.short(path),
        )
        for stem, path in found.items()
    ]
    notes = ("the files hold no spacing: distances are in pixels",)
    return reading.dataset(segmentation(CLASSES, ("MR",), 2 if slices else 3), pairs, skip_bad, notes=notes)


def _slices(root: Path) -> Path:
    """The folder of slices in whichever of the two layouts is there."""
    usual, scribbles = root / "data" / "slices", root / "ACDC_training_slices"
    return scribbles if scribbles.is_dir() and not usual.is_dir() else usual


def _patient(name: str) -> str:
    return name[:10]


def _splits(reading: Release, folder: Path, found: dict[str, Path], slices: bool) -> dict[str, str]:
    """Part of the split by patient. Whatever a list names and the folder lacks becomes a problem."""
    split: dict[str, str] = {}
    known = {stem.partition("_slice_")[0] for stem in found}
    for part in ("train", "val", "test"):
        for listed in (f"{part}_slices.list", f"{part}.list"):
            path = reading.root / listed
            for line in lines(path) if path.is_file() else ():
                case = line.removesuffix(".h5")
                if not _NAME.match(case):
                    reading.problems.add("line of a list that names no case", f"{listed}: {case}")
                    continue
                if split.setdefault(_patient(case), part) != part:
                    reading.problems.add("patient on two sides of the split", f"{case} in {listed}")
                whole = "_slice_" not in case
                if slices and whole and case not in known:
                    reading.problems.add("listed volume without slices", f"{case} in {listed}")
                elif slices is not whole and case not in found:
                    reading.problems.add("file that is missing", f"{reading.short(folder)}/{case}.h5")
    return split
