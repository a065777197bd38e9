"""Data set ``brats2019``: the training part of the Brain Tumor Segmentation challenge 2019, four MR channels.

MICCAI_BraTS_2019_Data_Training/
    HGG/BraTS19_2013_10_1/      BraTS19_2013_10_1_flair.nii.gz  …_t1  …_t1ce  …_t2  …_seg
    LGG/…
    name_mapping.csv            names every case in its column BraTS_2019_subject_ID

Layout and label values after the data page of the challenge: 1 necrotic and non-enhancing core, 2 oedema, 4 enhancing tumour;
3 is not used. The last number of a name counts a patient's scans, its second word is where the case came from: the challenge
of 2013, CBICA, or hospitals of TCIA and TMC.
"""

from __future__ import annotations

import csv
from pathlib import Path

from curette.data.case import Dataset
from curette.data.check import Pair
from curette.data.datasets.layout import Release, choice, folders, release, segmentation, unique
from curette.data.io import FileSource
from curette.errors import DataError, SettingError
from curette.registry import register

CHANNELS = ("flair", "t1", "t1ce", "t2")
CLASSES = {"necrotic core": 1, "oedema": 2, "enhancing tumour": 4}
_CASES = 335  # 259 of high grade and 76 of low grade


@register(
    "dataset",
    "brats2019",
    paper="Menze et al., IEEE Transactions on Medical Imaging 2015",
    source="https://www.med.upenn.edu/cbica/brats2019/data.html",
    licence="on registration, see source",
    layout="HGG/BraTS19_2013_10_1/BraTS19_2013_10_1_flair.nii.gz, …_t1, …_t1ce, …_t2, …_seg; LGG; name_mapping.csv",
    task="3D segmentation of the parts of a brain tumour, or of all of it, in MR",
    size="335 training cases, 259 of high grade and 76 of low grade",
)
def brats2019(
    root: Path | None,
    skip_bad: bool = False,
    *,
    channels: tuple[str, ...] = CHANNELS,
    regions: str = "parts",
    partial: bool = False,
) -> Dataset:
    """Brain MR with gliomas, skull-stripped, 1 mm voxels, four channels.

    `channels` are those to read, among flair, t1, t1ce, t2. `regions` is ``parts`` or ``whole``, one class of all tumour.
    Unless `partial`, the cases of name_mapping.csv, or 335 if it is not there, must be present. Raises one `DataError` that
    names every missing case and file, and every bad one.
    """
    whole = choice("regions", regions, ("parts", "whole")) == "whole"
    if not channels or len(set(channels)) < len(channels) or set(channels) - set(CHANNELS):
        raise SettingError(f"data.options.channels = {list(channels)}: choose among {', '.join(CHANNELS)}.")
    reading = release("brats2019", root, "HGG, LGG and name_mapping.csv", partial)
    cases = folders(reading.root, "BraTS19_*")
    # Cases for validation lie elsewhere and have no labels.
    graded = [p for p in cases if p.parent.name in ("HGG", "LGG")]
    found = unique(graded or cases, reading)
    _check_complete(reading, found)
    pairs = []
    for folder in found:
        images = [folder / f"{folder.name}_{channel}.nii.gz" for channel in channels]
        label = folder / f"{folder.name}_seg.nii.gz"
        if reading.has(*images, label):
            first, *more = (FileSource(path, 3) for path in images)
            patient, shown = folder.name.rpartition("_")[0], reading.short(images[0])
            source = folder.name.split("_")[1]
            pairs.append(
                Pair(
                    folder.name,
                    patient,
                    first,
                    FileSource(label, 3, label=True),
                    shown=shown,
                    more=tuple(more),
                    group=source if source in ("2013", "CBICA") else "TCIA and TMC",
                )
            )
    task = segmentation({"tumour": 1} if whole else CLASSES, tuple(channels))
    return reading.dataset(task, pairs, skip_bad, merge=((2, 1), (4, 1)) if whole else ())


def _check_complete(reading: Release, found: list[Path]) -> None:
    near = sorted({folder for p in found for folder in (p.parent, p.parent.parent)})
    tables = [p for folder in (reading.root, *near) if (p := folder / "name_mapping.csv").is_file()]
    if not tables:
        reading.count("the training part", len(found), _CASES)
        return
    try:
        rows = list(csv.DictReader(tables[0].read_text(encoding="utf-8-sig").splitlines()))
        listed = [row["BraTS_2019_subject_ID"] for row in rows]
    except (KeyError, UnicodeDecodeError, csv.Error):
        raise DataError(f"{tables[0]} has no column BraTS_2019_subject_ID. Download it again.") from None
    reading.expect("case", (name for name in listed if name and name != "NA"), {p.name for p in found})
