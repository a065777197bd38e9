"""Data set ``folder``: your own images, in one of two layouts.

Segmentation, an image and a mask of the same name (any suffix each)::

    root/
        images/   p01_a.png  p01_b.png  p02_a.png
        masks/    p01_a.png  p01_b.png  p02_a.png        (or labels/)

Classification, a sub-folder for each class::

    root/
        healthy/  p01_a.jpg  p02_a.jpg
        ill/      p03_a.jpg

Either may lie one level deeper in ``train``, ``val`` and ``test`` folders, which are then kept as the split. Files are
PNG, JPEG, BMP or TIFF pictures, or NIfTI volumes (then slices are the units). Hidden files, ``Thumbs.db`` and files
that no reader takes are left out; the latter are counted in the notes of the data set.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

import numpy as np
from pydantic import ValidationError

from curette.data.case import Case, Dataset
from curette.data.check import NOT_UTF8, OnDisk, Pair, Problems, check_pairs, printable, utf8, without_lonely
from curette.data.datasets.layout import hidden
from curette.data.io import FileSource, ignored, reader, split_suffix, suffixes
from curette.data.labels import background_first
from curette.errors import DataError, SettingError
from curette.registry import register
from curette.task import Task

PARTS = {
    "train": "train",
    "training": "train",
    "val": "val",
    "valid": "val",
    "validation": "val",
    "test": "test",
}
MOST_VALUES = 32


@dataclass(frozen=True)
class _Layout:
    images: str
    masks: str
    image_suffix: str
    mask_suffix: str
    patient: re.Pattern[str] | None
    colour: str


@register(
    "dataset",
    "folder",
    task="2D or 3D segmentation, 2D classification",
    layout="images/a.png, masks/a.png; or a folder of images for each class; both also in train, val, test",
    source="your own files",
    licence="yours",
    size="any",
)
def folder(
    root: Path | None,
    skip_bad: bool = False,
    *,
    images: str = "images",
    masks: str = "",
    image_suffix: str = "",
    mask_suffix: str = "",
    patient: str = "",
    classes: dict[str, int] | None = None,
    colour: str = "",
) -> Dataset:
    """Images with masks of the same name, or images in one sub-folder per class.

    images, masks   their folders; ``.`` is the root itself; masks are sought in ``masks``, then in ``labels``
    image_suffix,   what ends the names before ``.png``: ``mask_suffix = "_mask"`` pairs ``a.jpg`` with ``a_mask.png``
    mask_suffix
    patient         regular expression whose first group, found in a file name, is the patient; without it, each file is
                    a patient of its own
    classes         name = value in the masks, such as ``{background = 0, tumour = 255}``; the background is the class of
                    that name, else value 0; without it, the masks are scanned and value 7 becomes ``class_7``
    colour          ``grey`` or ``rgb``, where a folder mixes the two

    Raises one `DataError` naming every image without mask, mask without image, pair of different shapes, unreadable file,
    class without or with a single image, sub-folder that is not read and name that is there twice or not UTF-8; with
    `skip_bad` exactly these are left out and warned of.
    """
    if root is None:
        raise SettingError("The data set 'folder' needs data.root: the folder that holds the images.")
    if not root.is_dir():
        raise DataError(f"There is no folder {root}. Point data.root to the folder that holds the images.")
    if colour not in ("", "grey", "rgb"):
        raise SettingError(f"data.options.colour = '{colour}' is neither 'grey' nor 'rgb'.")
    layout = _Layout(images, masks, image_suffix, mask_suffix, _pattern(patient), colour)
    parts = _parts(root)
    problems = Problems(f"folder data in {root}")
    segmented = any((part / images).is_dir() and images for part, _ in parts) and (
        images != "." or masks or mask_suffix
    )
    if segmented:
        return _segmentation(root, parts, layout, classes, problems, skip_bad)
    if classes is not None:
        raise SettingError(
            f"data.options.classes describes masks, but {root} has no folder '{images}'. Name it with options.images."
        )
    return _classification(root, parts, layout, problems, skip_bad)


def _pattern(text: str) -> re.Pattern[str] | None:
    try:
        return re.compile(text) if text else None
    except re.error as problem:
        raise SettingError(f"data.options.patient = '{text}' is no regular expression: {problem}.") from None


def _parts(root: Path) -> list[tuple[Path, str | None]]:
    """The folders to look into, with the part of the split each stands for."""
    below = [p for p in sorted(root.iterdir()) if p.is_dir() and not hidden(p.name)]
    if below and all(p.name.lower() in PARTS for p in below):
        return [(p, PARTS[p.name.lower()]) for p in below]
    return [(root, None)]


def _files(folder: Path, suffix: str, skipped: list[Path]) -> dict[str, list[Path]]:
    """Readable files of a folder by stem, `suffix` taken off; files that end otherwise are not of this kind."""
    found: dict[str, list[Path]] = {}
    for path in sorted(folder.iterdir()) if folder.is_dir() else ():
        if ignored(path) or not path.is_file():
            continue
        stem, known = split_suffix(path)
        if not known:
            skipped.append(path)
        elif stem.endswith(suffix) and stem != suffix:
            found.setdefault(stem[: len(stem) - len(suffix)], []).append(path)
    return found


def _note_unread(folder: Path, root: Path, problems: Problems, apart: Sequence[Path] = ()) -> bool:
    """Note the sub-folders of a folder that hold images, and return whether there are any: nobody looks into them.

    The folder of a study, which may be there too, is none of them.
    """
    noted = False
    for sub in sorted(p for p in folder.iterdir() if p.is_dir() and not hidden(p.name)):
        if (sub / "study.toml").is_file():
            continue
        files = [p for p in sub.rglob("*") if split_suffix(p)[1] and not ignored(p)]
        if files and not any(path.is_relative_to(sub) for path in apart):
            problems.add("sub-folder whose files are not read", f"{_short(sub, root)} ({len(files)})")
            noted = True
    return noted


def _patient(layout: _Layout, case: str, path: Path, problems: Problems) -> str | None:
    if layout.patient is None:
        return case
    found = layout.patient.search(split_suffix(path)[0])
    who = (found[1] if layout.patient.groups else found[0]) if found else None
    if not who:
        problems.add("name without the patient that options.patient looks for", path.name)
    return who


def _segmentation(
    root: Path,
    parts: Sequence[tuple[Path, str | None]],
    layout: _Layout,
    classes: dict[str, int] | None,
    problems: Problems,
    skip_bad: bool,
) -> Dataset:
    skipped: list[Path] = []
    pairs: list[Pair] = []
    for part, split in parts:
        pairs += _match(root, part, split, layout, problems, skipped)
    dims = spatial_axes([pair.image for pair in pairs])
    pairs = [
        Pair(
            p.id, p.patient, FileSource(p.image.path, dims, colour=layout.colour),
            p.label and FileSource(p.label.path, dims, label=True), p.split, shown=p.shown,
        )
        for p in pairs
    ]  # fmt: skip
    pairs = check_pairs(distinct(pairs, problems, layout.patient is not None), problems)
    problems.settle(skip_bad, stacklevel=4)
    if not pairs:
        raise DataError(
            f"{root} holds no image with a mask of the same name. Known suffixes: {', '.join(suffixes())}."
        )
    known = _check_classes(classes) if classes is not None else _scan([p.label for p in pairs if p.label])
    task = _task("segmentation", dims, known, pairs[0])
    return _dataset(root, task, pairs, skipped)


def _match(
    root: Path, part: Path, split: str | None, layout: _Layout, problems: Problems, skipped: list[Path]
) -> list[Pair]:
    """Images and masks of one part that have each other; the rest become problems."""
    where = part / layout.images
    masked = part / (layout.masks or ("masks" if (part / "masks").is_dir() else "labels"))
    if not layout.masks and not masked.is_dir() and layout.mask_suffix:
        masked = where
    if not masked.is_dir():
        raise DataError(f"{part} has no folder '{layout.masks or 'masks'}' beside '{layout.images}'.")
    for folder in sorted({where, masked}):
        _note_unread(folder, root, problems, apart=(where, masked))
    images = _files(where, layout.image_suffix, skipped)
    masks = _files(masked, layout.mask_suffix, skipped)
    if masked.resolve() == where.resolve():  # one folder holds both: what ends like a mask is no image
        taken = {path for paths in masks.values() for path in paths}
        images = {stem: [p for p in paths if p not in taken] for stem, paths in images.items()}
        images = {stem: paths for stem, paths in images.items() if paths}
    pairs = []
    for stem in sorted(images.keys() | masks.keys()):
        image, mask = images.get(stem, []), masks.get(stem, [])
        if len(image) > 1 or len(mask) > 1:
            for paths in (image, mask):
                if len(paths) > 1:
                    problems.add("name that is there twice", " and ".join(_short(p, root) for p in paths))
        elif not mask:
            problems.add("image without label", _short(image[0], root))
        elif not image:
            problems.add("label without image", _short(mask[0], root))
        elif who := _patient(layout, stem, image[0], problems):
            sources = FileSource(image[0], 0), FileSource(mask[0], 0, label=True)
            pairs.append(
                Pair(
                    stem, who, *sources, split, shown=f"{_short(image[0], root)} and {_short(mask[0], root)}"
                )
            )
    return pairs


def _classification(
    root: Path,
    parts: Sequence[tuple[Path, str | None]],
    layout: _Layout,
    problems: Problems,
    skip_bad: bool,
) -> Dataset:
    skipped: list[Path] = []
    folders = [(sub, split) for part, split in parts for sub in sorted(part.iterdir())]
    folders = [(sub, split) for sub, split in folders if sub.is_dir() and not hidden(sub.name)]
    filed = [(sub, split, _files(sub, layout.image_suffix, skipped)) for sub, split in folders]
    for sub, _, files in filed:
        others = any(p.is_file() and not ignored(p) for p in sub.iterdir())
        if (files or not others) and not _note_unread(sub, root, problems) and not files:
            problems.add("class folder without an image", _short(sub, root))
    names = sorted({sub.name for sub, _, files in filed if files and utf8(sub.name)})
    if len(names) < 2:
        raise DataError(
            f"{root} holds neither a folder '{layout.images}' with masks beside it nor two sub-folders with images, one "
            f"for each class. Known suffixes: {', '.join(suffixes())}.{f' {problems}' if problems else ''}"
        )
    pairs = []
    for sub, split, files in filed:
        if files and sub.name not in names:
            problems.add(NOT_UTF8, _short(sub, root))
            continue
        for stem, paths in files.items():
            if len(paths) > 1:
                problems.add("name that is there twice", " and ".join(_short(p, root) for p in paths))
                continue
            case = f"{sub.name}-{stem}"
            if who := _patient(layout, case, paths[0], problems):
                source = FileSource(paths[0], 2, colour=layout.colour)
                shown = _short(paths[0], root)
                pairs.append(Pair(case, who, source, None, split, names.index(sub.name), shown))
    pairs = check_pairs(distinct(pairs, problems, layout.patient is not None), problems)
    pairs = without_lonely(pairs, problems)  # last: a class of two may have lost one to the check
    problems.settle(skip_bad, stacklevel=4)
    if not pairs:
        raise DataError(f"{root} holds no image that can be used.")
    task = _task("classification", 2, {name: i for i, name in enumerate(names)}, pairs[0])
    return _dataset(root, task, pairs, skipped)


def distinct(pairs: list[Pair], problems: Problems, named: bool) -> list[Pair]:
    """Case ids must not clash across parts of the split: those that do get the part's name in front.

    So do their patients, unless they are `named`, which says that a patient of that name is the same one in every part.
    """
    count = Counter(pair.id for pair in pairs)
    if max(count.values(), default=1) > 1:
        renamed = [(p, f"{p.split}-{p.id}" if p.split and count[p.id] > 1 else p.id) for p in pairs]
        count = Counter(case for _, case in renamed)
        for p, case in renamed:
            if count[case] > 1:
                problems.add("name that is there twice", p.shown)
        pairs = [
            replace(p, id=case, patient=p.patient if named else case)
            for p, case in renamed
            if count[case] == 1
        ]
    for p in pairs:
        if "@" in p.id:
            problems.add("name with '@', which case ids may not hold", p.shown)
    return [p for p in pairs if "@" not in p.id]


def spatial_axes(sources: Sequence[OnDisk]) -> Literal[2, 3]:
    """Spatial axes of most images that can be read, with as many of both of the first; others are found out by the check.

    What may be either, a volume of one slice, is what the others are, and flat among itself.
    """
    found: Counter[Literal[2, 3]] = Counter()
    for source in sources:
        if axes := _axes(source.path):
            found[axes] += 1
            if 2 * found[axes] > len(sources):  # whatever the others are
                break
    return found.most_common(1)[0][0] if found else 2


def _axes(path: Path) -> Literal[2, 3] | None:
    """Spatial axes of an image; None for one that may have either or cannot be read, which the check will name."""
    try:
        header = reader(path).info["header"]
        if len(header(path, None)[0].shape) == 3:
            return 3
    except Exception:  # decoders raise whatever they like
        return None
    try:
        return None if len(header(path, 3)[0].shape) == 3 else 2
    except Exception:
        return 2


def _check_classes(classes: dict[str, Any]) -> dict[str, int]:
    if not isinstance(classes, dict) or any(
        isinstance(v, bool) or not isinstance(v, int) for v in classes.values()
    ):
        raise SettingError(
            f"data.options.classes = {classes!r} must give each class name its value in the masks."
        )
    return background_first(classes, "data.options.classes")


def _scan(masks: Sequence[OnDisk]) -> dict[str, int]:
    """Class names from the values in the masks; files that cannot be read are left to `prepare`, which names them."""
    values: set[int] = {0}
    for mask in masks:
        try:
            found = np.unique(mask.read().array)
        except DataError:
            continue
        if len(found) > MOST_VALUES:
            raise DataError(
                f"{mask.name} holds {len(found)} different values, too many for classes. JPEG and smooth scaling change "
                "values: save masks as PNG without either, or name the values with data.options.classes."
            )
        values.update(found.tolist())
    if len(values) > 255:
        raise DataError(
            f"The masks hold {len(values)} different values. Name the classes with data.options.classes."
        )
    return {"background" if v == 0 else f"class_{v}": v for v in sorted(values, key=lambda v: (v != 0, v))}


def _task(
    kind: Literal["classification", "segmentation"], dims: Literal[2, 3], classes: dict[str, int], first: Pair
) -> Task:
    count = first.image.header()[1]
    channels = (
        ("red", "green", "blue") if count == 3 and dims == 2 else tuple(f"channel_{i}" for i in range(count))
    )
    try:
        return Task(
            kind=kind,
            dims=dims,
            classes=classes,
            channels=("image",) if count == 1 else channels,
        )
    except ValidationError as problem:
        reason = problem.errors()[0]["msg"].removeprefix("Value error, ")
        raise SettingError(
            f"data.options.classes: {reason}. Name each class with its value in the masks."
        ) from None


def _dataset(root: Path, task: Task, pairs: Sequence[Pair], skipped: Sequence[Path]) -> Dataset:
    kinds = Counter("".join(p.suffixes[-1:]) or "no suffix" for p in skipped)
    left = "files left out that no reader takes"
    notes = tuple(f"{count} {left} ({printable(kind)})" for kind, count in kinds.items())
    cases = (Case(p.id, p.patient, (p.image,), p.label, p.target, p.split) for p in pairs)
    return Dataset(root.resolve().name, task, tuple(sorted(cases, key=lambda c: c.id)), notes=notes)


def _short(path: Path, root: Path) -> str:
    return path.relative_to(root).as_posix()
