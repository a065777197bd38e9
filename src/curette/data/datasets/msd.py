"""Data set ``msd``: a task of the Medical Segmentation Decathlon (Antonelli et al. 2022), or anything laid out like it.

Task04_Hippocampus/
    dataset.json      labels, modality (channels) and the list of training pairs
    imagesTr/         hippocampus_001.nii.gz …; several channels are a fourth axis
    labelsTr/         the same names
    imagesTs/         not used: it has no labels
"""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from typing import Any, Literal

from pydantic import ValidationError

from curette.data.case import Case, Dataset
from curette.data.check import Pair, Problems, check_pairs
from curette.data.io import FileSource, ignored, split_suffix
from curette.errors import DataError, SettingError
from curette.registry import register
from curette.task import Task


@register(
    "dataset",
    "msd",
    paper="Antonelli et al., Nature Communications 2022",
    task="3D segmentation (slices or volumes)",
    layout="dataset.json, imagesTr/hippocampus_001.nii.gz …, labelsTr/…; several channels are a fourth axis",
    source="http://medicaldecathlon.com",
    licence="CC BY-SA 4.0",
    size="10 tasks, 2,633 volumes in all, those for training labelled",
)
def msd(root: Path | None, skip_bad: bool = False) -> Dataset:
    """A task folder of the Medical Segmentation Decathlon, as its dataset.json describes it; each case is taken for a patient.

    The release does not say whether two cases, such as the hippocampi of `Task04_Hippocampus`, are of one person.

    Raises one `DataError` that names every listed file that is missing or unreadable, every image without label, label
    without image, label of another shape than its image, and every file in imagesTr or labelsTr that is not listed.
    With `skip_bad` exactly these are left out and warned of.
    """
    if root is None:
        raise SettingError("The data set 'msd' needs data.root: the folder that holds dataset.json.")
    facts = _description(root)
    task = _task(facts, root)
    problems = Problems(f"msd data in {root}")
    pairs = check_pairs(_pairs(facts, root, task.dims, problems), problems, len(task.channels))
    problems.settle(skip_bad)
    if not pairs:
        raise DataError(f"{root / 'dataset.json'} lists no training pair that can be used.")
    cases = tuple(Case(p.id, p.patient, (p.image,), p.label) for p in sorted(pairs, key=lambda p: p.id))
    return Dataset(
        name=str(facts.get("name") or root.resolve().name),
        task=task,
        cases=cases,
        licence=str(facts.get("licence") or facts.get("license") or "unknown"),
        source=str(facts.get("reference") or ""),
    )


def _description(root: Path) -> dict[str, Any]:
    path = root / "dataset.json"
    try:
        facts = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise DataError(
            f"There is no {path}. Point data.root to the folder that holds dataset.json."
        ) from None
    except (OSError, ValueError) as problem:
        raise DataError(f"{path} cannot be read: {problem}. Download it again.") from problem
    wanted = (("labels", dict), ("modality", dict), ("training", list))
    for key, kind in wanted:
        if not isinstance(facts, dict) or not isinstance(facts.get(key), kind):
            raise DataError(f"{path} has no '{key}' as the Medical Segmentation Decathlon defines it.")
    for entry in facts["training"]:
        if not isinstance(entry, dict) or not all(isinstance(entry.get(k), str) for k in ("image", "label")):
            raise DataError(f"{path}: the training entry {entry!r} does not name an image and a label.")
    return dict(facts)


def _task(facts: dict[str, Any], root: Path) -> Task:
    dims: Literal[2, 3] = 2 if facts.get("tensorImageSize") == "2D" else 3
    try:
        names = {int(value): str(name) for value, name in facts["labels"].items()}
        ordered = dict(sorted(names.items(), key=lambda item: (item[0] != 0, item[0])))
        if 0 not in ordered:
            raise ValueError("no label has value 0, the background")
        if len(set(ordered.values())) < len(ordered):
            raise ValueError(f"two labels have the same name: {list(ordered.values())}")
        channels = tuple(str(c) for _, c in sorted(facts["modality"].items(), key=lambda item: int(item[0])))
        return Task(
            kind="segmentation", dims=dims, classes={n: v for v, n in ordered.items()}, channels=channels
        )
    except ValidationError as problem:
        reason = problem.errors()[0]["msg"]
    except ValueError as problem:
        reason = str(problem)
    raise DataError(f"{root / 'dataset.json'}: the labels or modalities cannot be used: {reason}.")


def _pairs(facts: dict[str, Any], root: Path, dims: int, problems: Problems) -> list[Pair]:
    """The listed pairs whose files exist; what is missing or not listed becomes a problem."""
    pairs: list[Pair] = []
    listed: set[Path] = set()
    for entry in facts["training"]:
        image, label = root / entry["image"], root / entry["label"]
        if ignored(image) or ignored(label):
            continue  # macOS packs "._" files, and some lists were made from such a folder
        listed |= {image, label}
        there = image.is_file(), label.is_file()
        if there == (True, True):
            case = split_suffix(image)[0]
            sources = FileSource(image, dims), FileSource(label, dims, label=True)
            pairs.append(Pair(case, case, *sources, shown=entry["image"].removeprefix("./")))
        elif there == (True, False):
            problems.add(
                "image without label", f"{_short(image, root)} (label {_short(label, root)} is missing)"
            )
        elif there == (False, True):
            problems.add(
                "label without image", f"{_short(label, root)} (image {_short(image, root)} is missing)"
            )
        else:
            problems.add(
                "pair in dataset.json that is missing", f"{_short(image, root)}, {_short(label, root)}"
            )
    for case, count in Counter(pair.id for pair in pairs).items():
        if count > 1:
            problems.add("case listed more than once", case)
            pairs = [pair for pair in pairs if pair.id != case]
    for path in sorted(set(_files(root / "imagesTr")) - listed):
        partner = root / "labelsTr" / path.name
        kind = "image that dataset.json does not list" if partner.is_file() else "image without label"
        problems.add(kind, _short(path, root))
    for path in sorted(set(_files(root / "labelsTr")) - listed):
        if not (root / "imagesTr" / path.name).is_file():
            problems.add("label without image", _short(path, root))
    return pairs


def _files(folder: Path) -> list[Path]:
    if not folder.is_dir():
        return []
    return [p for p in folder.iterdir() if p.is_file() and not ignored(p) and split_suffix(p)[1]]


def _short(path: Path, root: Path) -> str:
    return path.relative_to(root).as_posix() if path.is_relative_to(root) else str(path)
