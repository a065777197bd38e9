"""Data set ``promise12``: prostate MR of the PROMISE12 challenge, MetaImage volumes.

training_data/      (or TrainingData_Part1 to 3, as first published)
    Case00.mhd  Case00.raw  Case00_segmentation.mhd  Case00_segmentation.raw  …  Case49…

Layout after the challenge's page and its archive at Zenodo (record 8026660); Litjens et al. (2014). The folders of its test
parts are not read: they use the same numbers for other patients.
"""

from __future__ import annotations

from pathlib import Path

from curette.data.case import Dataset
from curette.data.check import Pair
from curette.data.datasets.layout import below, release, segmentation, unique
from curette.data.io import FileSource
from curette.registry import register

_TEST = {"test", "testing", "testdata", "test_data", "livechallenge_test_data"}


@register(
    "dataset",
    "promise12",
    paper="Litjens et al., Medical Image Analysis 2014",
    source="https://zenodo.org/records/8026660",
    licence="see source",
    layout="training_data/Case00.mhd, Case00.raw, Case00_segmentation.mhd, Case00_segmentation.raw",
    task="3D segmentation of the prostate in T2-weighted MR",
    size="50 training patients, 1377 slices",
)
def promise12(root: Path | None, skip_bad: bool = False, *, partial: bool = False) -> Dataset:
    """Prostate MR of many scanners, one volume a patient, from the official MetaImage files of the training part.

    Unless `partial`, all 50 cases must be there. Raises one `DataError` that names every missing case, header and raw file,
    and every bad pair, and `MissingExtraError` without SimpleITK.
    """
    reading = release("promise12", root, "training_data with Case00.mhd", partial)
    found = (p for p in below(reading.root, "Case??.mhd") if p.stem[4:].isdigit())
    images = unique(
        (p for p in found if _TEST.isdisjoint(map(str.lower, reading.short(p).split("/")))), reading
    )
    reading.expect("case", (f"Case{n:02d}" for n in range(50)), {p.stem for p in images})
    pairs = []
    for image in images:
        label = image.with_name(f"{image.stem}_segmentation.mhd")
        if reading.has(label):
            sources = FileSource(image, 3), FileSource(label, 3, label=True)
            pairs.append(Pair(image.stem, image.stem, *sources, shown=reading.short(image)))
    return reading.dataset(segmentation({"prostate": 1}, ("T2",)), pairs, skip_bad)
