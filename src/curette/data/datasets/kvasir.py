"""Data set ``kvasir``: endoscopic pictures of the gastrointestinal tract, Kvasir version 2.

kvasir-dataset-v2/
    dyed-lifted-polyps/     0a7bdce4-….jpg …, 1000 in each of eight folders
    …

Layout of the archive kvasir-dataset-v2.zip; Pogorelov et al. (2017).
"""

from __future__ import annotations

from pathlib import Path

from curette.data.case import Dataset
from curette.data.check import Pair
from curette.data.datasets.layout import files, folders, release, unique
from curette.data.io import FileSource
from curette.registry import register
from curette.task import Task

CLASSES = (
    "dyed-lifted-polyps", "dyed-resection-margins", "esophagitis", "normal-cecum", "normal-pylorus", "normal-z-line",
    "polyps", "ulcerative-colitis",
)  # fmt: skip
_EACH = 1000


@register(
    "dataset",
    "kvasir",
    paper="Pogorelov et al., ACM Multimedia Systems 2017",
    source="https://datasets.simula.no/kvasir/",
    licence="research and education only, see source",
    layout="kvasir-dataset-v2/dyed-lifted-polyps/….jpg, a folder for each of eight classes",
    task="2D classification of endoscopic colour pictures into eight findings",
    size="8000 images, 1000 of each class",
)
def kvasir(root: Path | None, skip_bad: bool = False, *, partial: bool = False) -> Dataset:
    """Endoscopic pictures of eight anatomical landmarks, findings and procedures.

    Patients are not published, so every image counts as one. Unless `partial`, each class must have its 1000 images. Raises
    one `DataError` that names every class without folder, class with a single image, and file that cannot be read.
    """
    reading = release("kvasir", root, "the folders of the eight classes", partial)
    pairs: list[Pair] = []
    for target, name in enumerate(CLASSES):
        places = {place: files(place, ".jpg", ".jpeg") for place in folders(reading.root, name)}
        filled = [place for place, pictures in places.items() if pictures]
        if not filled:
            reading.problems.add("class without images", name)
        there = [p for place in unique(filled, reading) for p in places[place]]
        found = {p.stem: p for p in unique(there, reading, suffixed=True)}
        reading.count(name, len(found), _EACH)
        for stem, path in found.items():
            case = f"{name}-{stem}"
            image = FileSource(path, 2, colour="rgb")
            pairs.append(Pair(case, case, image, None, target=target, shown=reading.short(path)))
    task = Task(
        kind="classification", dims=2, classes={name: i for i, name in enumerate(CLASSES)},
        channels=("red", "green", "blue"),
    )  # fmt: skip
    notes = ("patients are not published: every image counts as one",)
    return reading.dataset(task, pairs, skip_bad, notes=notes)
