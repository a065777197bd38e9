"""Data set ``kits19``: kidney tumour CT of the KiTS19 challenge, NIfTI volumes.

data/
    case_00000/     imaging.nii.gz  segmentation.nii.gz
    …               up to case_00209; 00210 to 00299 have no segmentation and are not read

Layout of the repository neheller/kits19, whose own script fetches the images; Heller et al. (2021). Volumes are stored slices
first; their headers say so, and they are read in canonical orientation like any other.
"""

from __future__ import annotations

from pathlib import Path

from curette.data.case import Dataset
from curette.data.check import Pair
from curette.data.datasets.layout import folders, release, segmentation, unique
from curette.data.io import FileSource
from curette.registry import register


@register(
    "dataset",
    "kits19",
    paper="Heller et al., Medical Image Analysis 2021",
    source="https://github.com/neheller/kits19",
    licence="CC BY-NC-SA 4.0",
    layout="data/case_00000/imaging.nii.gz, segmentation.nii.gz",
    task="3D segmentation of kidney and tumour in CT",
    size="210 labelled patients",
)
def kits19(
    root: Path | None, skip_bad: bool = False, *, tumour: bool = True, partial: bool = False
) -> Dataset:
    """Abdominal CT with kidneys and kidney tumours, one volume a patient.

    Without `tumour`, tumours count as kidney and that is the only class. Unless `partial`, all 210 labelled cases must be
    there. Raises one `DataError` that names every missing case and file, and every bad pair.
    """
    reading = release("kits19", root, "data with case_00000", partial)
    found = unique((p for p in folders(reading.root, "case_?????") if p.name[5:].isdigit()), reading)
    found = [p for p in found if int(p.name[5:]) < 210]
    reading.expect("case", (f"case_{n:05d}" for n in range(210)), {p.name for p in found})
    pairs = []
    for folder in found:
        image, label = folder / "imaging.nii.gz", folder / "segmentation.nii.gz"
        if reading.has(image, label):
            sources = FileSource(image, 3), FileSource(label, 3, label=True)
            pairs.append(Pair(folder.name, folder.name, *sources, shown=reading.short(image)))
    task = segmentation({"kidney": 1, "tumour": 2} if tumour else {"kidney": 1}, ("CT",))
    return reading.dataset(task, pairs, skip_bad, merge=() if tumour else ((2, 1),))
