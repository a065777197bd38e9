"""Data set ``covid_qu``: the part of COVID-QU-Ex with outlines of infections in chest X-rays.

Infection Segmentation Data/        (packed twice: a folder of this name within another)
    Train/
        COVID-19/       images/covid_1.png …   infection masks/covid_1.png …   lung masks/ (not used)
        Non-COVID/      the same; its infection masks are empty, as are those of
        Normal/
    Val/  Test/

Layout of the archive at Kaggle (anasmohammedtahir/covidqu), Tahir et al. (2021); infection masks hold 0 and 255.
"""

from __future__ import annotations

from pathlib import Path

from curette.data.case import Dataset
from curette.data.check import Pair
from curette.data.datasets.layout import Release, files, folders, release, segmentation, unique
from curette.data.io import FileSource
from curette.errors import DataError
from curette.registry import register

_COUNTS = {
    "Train": {"COVID-19": 1864, "Non-COVID": 932, "Normal": 932},
    "Val": {"COVID-19": 466, "Non-COVID": 233, "Normal": 233},
    "Test": {"COVID-19": 583, "Non-COVID": 292, "Normal": 291},
}


@register(
    "dataset",
    "covid_qu",
    paper="Tahir et al., Computers in Biology and Medicine 2021",
    source="https://www.kaggle.com/datasets/anasmohammedtahir/covidqu",
    licence="see source",
    layout="Infection Segmentation Data/Train/COVID-19/images/….png, infection masks/….png; Val, Test; Non-COVID, Normal",
    task="2D segmentation of COVID-19 infection in chest X-rays; about half the masks are empty",
    size="5826 images: 3728 for training, 932 for validation, 1166 for testing",
)
def covid_qu(root: Path | None, skip_bad: bool = False, *, partial: bool = False) -> Dataset:
    """Chest X-rays with outlines of infection, split as published, healthy ones and other pneumonias with empty masks.

    Patients are not published, so every image counts as one. Unless `partial`, every part must have all its images. Raises
    one `DataError` that names every image without mask, mask without image, and bad pair.
    """
    reading = release("covid_qu", root, "Train, Val and Test", partial)
    inner = [
        p.parent for p in folders(reading.root, "Train") if (p / "COVID-19" / "infection masks").is_dir()
    ]
    if not inner:
        raise DataError(f"{root} holds no folder Train/COVID-19/infection masks. Unpack the archive there.")
    if len(inner) > 1:
        reading.problems.add("data set that is there twice", " and ".join(map(reading.short, inner)))
    pairs: list[Pair] = []
    for part, counts in _COUNTS.items():
        for kind, count in counts.items():
            found = _pairs(reading, inner[0] / part / kind, f"{part.lower()}-{kind}", part.lower())
            reading.count(f"{part}/{kind}", len(found), count)
            pairs += found
    notes = ("patients are not published: every image counts as one",)
    task = segmentation({"infection": 255}, ("X-ray",), 2)
    return reading.dataset(task, pairs, skip_bad, notes=notes)


def _pairs(reading: Release, folder: Path, prefix: str, split: str) -> list[Pair]:
    images, masks = (
        {p.stem: p for p in unique(files(folder / name, ".png"), reading, suffixed=True)}
        for name in ("images", "infection masks")
    )
    for name in sorted(images.keys() - masks.keys()):
        reading.problems.add("image without label", reading.short(images[name]))
    for name in sorted(masks.keys() - images.keys()):
        reading.problems.add("label without image", reading.short(masks[name]))
    pairs = []
    for name in sorted(images.keys() & masks.keys()):
        case = f"{prefix}-{name}"
        sources = FileSource(images[name], 2, colour="grey"), FileSource(masks[name], 2, label=True)
        pairs.append(Pair(case, case, *sources, split, shown=reading.short(images[name])))
    return pairs
