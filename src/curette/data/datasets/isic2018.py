"""Data set ``isic2018``: outlines of skin lesions, task 1 of the ISIC 2018 challenge.

ISIC2018_Task1-2_Training_Input/            ISIC_0000000.jpg …
ISIC2018_Task1_Training_GroundTruth/        ISIC_0000000_segmentation.png …, 0 and 255
ISIC2018_Task1-2_Validation_Input/          and so on, also Test

Layout after the challenge's data page; Codella et al. (2019). A folder within a folder of the same name is fine.
"""

from __future__ import annotations

from pathlib import Path

from curette.data.case import Dataset
from curette.data.check import Pair
from curette.data.datasets.layout import Release, files, folders, release, segmentation, unique
from curette.data.io import FileSource
from curette.registry import register

_PARTS = {"Training": ("train", 2594), "Validation": ("val", 100), "Test": ("test", 1000)}
_ENDING = "_segmentation.png"


@register(
    "dataset",
    "isic2018",
    paper="Codella et al., arXiv:1902.03368, 2019",
    source="https://challenge.isic-archive.com/data/#2018",
    licence="CC BY-NC 4.0",
    layout="ISIC2018_Task1-2_Training_Input/ISIC_0000000.jpg, ISIC2018_Task1_Training_GroundTruth/…_segmentation.png; Validation; Test",
    task="2D segmentation of skin lesions in dermoscopic colour pictures",
    size="2594 training, 100 validation and 1000 test images",
)
def isic2018(root: Path | None, skip_bad: bool = False, *, partial: bool = False) -> Dataset:
    """Dermoscopic pictures with outlines of the lesion, split as the challenge did.

    Patients are not published, so every image counts as one. Unless `partial`, all three parts must be there with all their
    images. Raises one `DataError` that names every image without mask, mask without image, and bad pair.
    """
    reading = release("isic2018", root, "ISIC2018_Task1-2_Training_Input", partial)
    pairs: list[Pair] = []
    for part, (split, count) in _PARTS.items():
        found = _pairs(reading, part, split)
        reading.count(f"the {part} part", len(found), count)
        pairs += found
    task = segmentation({"lesion": 255}, ("red", "green", "blue"), 2)
    notes = ("patients are not published: every image counts as one",)
    return reading.dataset(task, pairs, skip_bad, notes=notes)


def _pairs(reading: Release, part: str, split: str) -> list[Pair]:
    images = _files(reading, f"ISIC2018_Task1-2_{part}_Input", ".jpg")
    masks = _files(reading, f"ISIC2018_Task1_{part}_GroundTruth", _ENDING)
    for case in sorted(images.keys() - masks.keys()):
        reading.problems.add("image without label", reading.short(images[case]))
    for case in sorted(masks.keys() - images.keys()):
        reading.problems.add("label without image", reading.short(masks[case]))
    return [
        Pair(
            case, case, FileSource(images[case], 2, colour="rgb"), FileSource(masks[case], 2, label=True), split,
            shown=reading.short(images[case]),
        )
        for case in sorted(images.keys() & masks.keys())
    ]  # fmt: skip


def _files(reading: Release, folder: str, ending: str) -> dict[str, Path]:
    places = {
        place: [p for p in files(place, ending) if p.name.startswith("ISIC_")]
        for place in folders(reading.root, folder)
    }
    filled = unique((place for place, paths in places.items() if paths), reading)
    found = unique((path for place in filled for path in places[place]), reading, suffixed=True)
    return {path.name[: -len(ending)]: path for path in found}
