"""Data set ``own``: your files as they lie, described by one TOML file beside them instead of being moved or renamed.

    name = "Prostate MR"

    [channels]                                     # name = files, relative to this file
    T2 = "scans/{patient}/{case}_t2.nii.gz"
    ADC = "scans/{patient}/{case}_adc.nii.gz"

    [labels]
    files = "masks/{patient}_{case}.nii.gz"

    [classes]                                      # name = value in the labels; 0 is the background unless one is named so
    background = 0
    tumour = 255

A path holds ``{case}`` or ``{patient}``, which stand for any part of a file or folder name, and may hold ``{split}``
(train, val, test), ``{group}`` (the hospital, scanner or source) and, for classification, ``{class}`` instead of the section
``[labels]``. ``*`` matches anything. A file that fits several paths belongs to the one that says most of its name. Patients of
the same name are one person, in whichever group they are.
"""

from __future__ import annotations

import glob
import re
from pathlib import Path, PurePosixPath
from typing import Any, Literal

import tomlkit
from pydantic import BaseModel, ConfigDict, Field, ValidationError
from tomlkit.exceptions import TOMLKitError

from curette.data.case import Case, Dataset
from curette.data.check import Pair, Problems, check_pairs, utf8, without_lonely
from curette.data.datasets.folder import PARTS, distinct, spatial_axes
from curette.data.io import FileSource, ignored, split_suffix
from curette.data.labels import background_first
from curette.errors import DataError, SettingError, nearest
from curette.registry import register
from curette.task import Task

FILE = "dataset.toml"
_PLACES = ("case", "patient", "split", "class", "group")
_KNOWN = ", ".join(f"{{{place}}}" for place in _PLACES)
_Found = dict[tuple[tuple[str, str], ...], list[Path]]  # files by what the places of a path stand for


class _Labels(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)
    files: str = Field(min_length=1)


class Description(BaseModel):
    """What ``dataset.toml`` may hold. `patient` finds the patient in a case's name where no path has ``{patient}``."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str = ""
    licence: str = "unknown"
    source: str = ""
    dims: Literal[2, 3] | None = None
    colour: Literal["", "grey", "rgb"] = ""
    patient: str = ""
    channels: dict[str, str] = Field(min_length=1)
    labels: _Labels | None = None
    classes: dict[str, int | str] = Field(default_factory=dict)


@register(
    "dataset",
    "own",
    task="2D or 3D segmentation or classification",
    layout="dataset.toml, which describes how your files lie: channels, labels, classes",
    source="your own files",
    licence="as dataset.toml says",
    size="any",
)
def own(root: Path | None, skip_bad: bool = False) -> Dataset:
    """Your own files as they lie, described by one TOML file: channels, labels, classes, patients.

    `root` is that file, or the folder that holds it as ``dataset.toml``. Raises `SettingError` that names the key of the
    file that cannot be used, and one `DataError` naming every channel and label that is missing, unreadable or lies on
    another grid than the first channel; with `skip_bad` exactly these are left out and warned of.
    """
    if root is None:
        raise SettingError(
            f"The data set 'own' needs data.root: the file {FILE}, or the folder that holds it."
        )
    path = root if root.is_file() else root / FILE
    told = describe(path)
    problems = Problems(f"own data described in {path}")
    pairs, names = _pairs(told, path, problems)
    pairs = without_lonely(check_pairs(pairs, problems), problems)
    problems.settle(skip_bad)
    if not pairs:
        raise SettingError(f"{path}: channels.{next(iter(told.channels))} matches no file that can be used.")
    task = _task(told, path, pairs[0], names)
    cases = (
        Case(p.id, p.patient, (p.image, *p.more), p.label, p.target, p.split, p.group)
        for p in sorted(pairs, key=lambda p: p.id)
    )
    return Dataset(told.name or path.resolve().parent.name, task, tuple(cases), told.licence, told.source)


def describe(path: Path) -> Description:
    """Read a description. Raises `DataError` where there is none, `SettingError` naming each key that cannot be used."""
    try:
        text = path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as problem:
        raise DataError(f"{path} cannot be read: {problem}. Point data.root to a file like {FILE}.") from None
    try:
        found = Description.model_validate(tomlkit.parse(text).unwrap())
    except TOMLKitError as problem:
        raise SettingError(f"{path} is not TOML: {problem}.") from None
    except ValidationError as problem:
        raise SettingError(f"{path}: " + "; ".join(_complaint(e) for e in problem.errors()) + ".") from None
    _check_paths(found, path)
    return found


def _complaint(error: Any) -> str:
    key = ".".join(str(part) for part in error["loc"] if part not in ("int", "str"))
    if error["type"] == "extra_forbidden":
        hint = nearest(key, Description.model_fields).strip().lower()
        return f"there is no key '{key}'" + (f" ({hint})" if hint else "")
    return f"{key}: {error['msg'].lower()}"


def _check_paths(told: Description, path: Path) -> None:
    places: dict[str, set[str]] = {}
    files = {f"channels.{name}": text for name, text in told.channels.items()}
    if told.labels:
        files["labels.files"] = told.labels.files
    for key, text in files.items():
        places[key] = set(re.findall(r"\{(.*?)\}", text))
        if strange := sorted(places[key] - set(_PLACES)):
            raise SettingError(f"{path}: {key} holds {{{strange[0]}}}. Known: {_KNOWN}.")
        if Path(text).is_absolute() or ".." in Path(text).parts:
            raise SettingError(f"{path}: {key} = '{text}' must lie below the folder of this file.")
    first = next(iter(places))
    if not places[first] & {"case", "patient"}:
        raise SettingError(
            f"{path}: {first} names one file only. Put {{case}} or {{patient}} where names differ."
        )
    for key, found in places.items():
        if key != "labels.files" and found != places[first]:
            raise SettingError(f"{path}: {key} and {first} must hold the same of {_KNOWN}.")
        if not found <= places[first]:
            raise SettingError(
                f"{path}: {key} holds {{{min(found - places[first])}}}, which {first} does not tell."
            )
    if (told.labels is None) == ("class" not in places[first]):
        raise SettingError(
            f"{path} needs either labels.files (segmentation) or {{class}} in the paths of channels (classification)."
        )
    if told.labels and (not told.classes or any(isinstance(v, str) for v in told.classes.values())):
        raise SettingError(
            f"{path}: classes must give each class its value in the labels, such as background = 0."
        )
    try:
        re.compile(told.patient)
    except re.error as problem:
        raise SettingError(
            f"{path}: patient = '{told.patient}' is no regular expression: {problem}."
        ) from None


def _found(text: str, folder: Path) -> _Found:
    """Files that match a path, by what its places stand for. Suffixes match whichever case they are in."""
    text = PurePosixPath(text).as_posix()  # './scans//a' is 'scans/a'
    suffix = split_suffix(Path(text))[1]
    seen: set[str] = set()
    pattern = wild = ""
    for piece in re.split(r"(\{\w+\}|\*)", text[: len(text) - len(suffix)]):
        name = piece.strip("{}")
        wild += "*" if piece == "*" or piece.startswith("{") else glob.escape(piece)
        if piece == "*":
            pattern += "[^/]*"
        elif not piece.startswith("{"):
            pattern += re.escape(piece)
        elif name in seen:
            pattern += f"(?P=p_{name})"
        else:
            pattern += f"(?P<p_{name}>[^/]+?)"
            seen.add(name)
    pattern += f"(?i:{re.escape(suffix)})"
    wild += "".join(f"[{c}{c.upper()}]" if c.isalpha() else c for c in suffix)
    found: _Found = {}
    for path in sorted(folder.glob(wild)):
        match = re.fullmatch(pattern, path.relative_to(folder).as_posix())
        if match and path.is_file() and not ignored(path):
            values = tuple(sorted((k.removeprefix("p_"), v) for k, v in match.groupdict().items()))
            found.setdefault(values, []).append(path)
    return found


def _closest(matched: dict[str, _Found]) -> dict[str, _Found]:
    """Each file only under the path that says most of its name: a_mask.png is ``{case}_mask.png``, not ``{case}.png``."""
    said = {text: len(re.sub(r"\{\w+\}|\*", "", text)) for text in matched}
    most: dict[Path, int] = {}
    for text, found in matched.items():
        for path in (p for paths in found.values() for p in paths):
            most[path] = max(most.get(path, 0), said[text])
    kept = {
        text: {key: [p for p in paths if said[text] == most[p]] for key, paths in found.items()}
        for text, found in matched.items()
    }
    return {text: {key: paths for key, paths in found.items() if paths} for text, found in kept.items()}


def _pairs(told: Description, path: Path, problems: Problems) -> tuple[list[Pair], tuple[str, ...]]:
    """Cases whose files are all there, and in classification the names of the classes; the rest become problems."""
    folder = path.parent
    texts = {f"channels.{name}": text for name, text in told.channels.items()}
    if told.labels:
        texts["labels.files"] = told.labels.files
    matched = _closest({text: _found(text, folder) for text in texts.values()})
    for place, text in texts.items():
        if not matched[text]:
            raise SettingError(f"{path}: {place} matches no file: '{text}'.")
    channels = {name: matched[text] for name, text in told.channels.items()}
    labels = matched[told.labels.files] if told.labels else {}
    keys = sorted({key for found in channels.values() for key in found})
    names = tuple(told.classes) or tuple(sorted({c for k in keys if utf8(c := dict(k).get("class", ""))}))
    values = [str(told.classes.get(name, name)) for name in names]
    first_files = [p for paths in channels[next(iter(channels))].values() for p in paths]
    dims = told.dims or spatial_axes([FileSource(p, 0) for p in first_files])
    pairs, used = [], set()
    for key in keys:
        of = dict(key)
        case = _name(of)
        images = [_one(found.get(key, []), f"channels.{n}", case, problems) for n, found in channels.items()]
        label = None
        if told.labels:
            part = tuple((k, v) for k, v in key if f"{{{k}}}" in told.labels.files)
            used.add(part)
            label = _one(labels.get(part, []), "labels.files", case, problems)
        patient = _patient(told, of, case, problems)
        split = PARTS.get(of["split"].lower()) if "split" in of else None
        if "split" in of and split is None:
            problems.add("file whose {split} is none of train, val, test", f"{case} ({of['split']})")
        if "class" in of and of["class"] not in values:
            problems.add("file whose {class} is not under classes", f"{case} ({of['class']})")
        elif all(images) and (label or not told.labels) and patient and ("split" in of) == bool(split):
            first, *more = [FileSource(p, dims, colour=told.colour) for p in images if p]
            target = values.index(of["class"]) if "class" in of else None
            truth = FileSource(label, dims, label=True) if label else None
            shown = first.path.relative_to(folder).as_posix()
            pairs.append(
                Pair(case, patient, first, truth, split, target, shown, tuple(more), of.get("group", ""))
            )
    for part in sorted(set(labels) - used):
        problems.add("label without image", labels[part][0].relative_to(folder).as_posix())
    named = bool(told.patient) or "{patient}" in next(iter(told.channels.values()))
    return distinct(pairs, problems, named), names


def _name(of: dict[str, str]) -> str:
    """The case's id: class, group, patient and case, as far as the paths tell them, without saying the patient twice."""
    parts = [of[place] for place in ("class", "group", "patient", "case") if place in of]
    if "patient" in of and of.get("case", "").startswith(of["patient"]):
        parts.remove(of["patient"])
    return "-".join(parts)


def _one(found: list[Path], key: str, case: str, problems: Problems) -> Path | None:
    if len(found) > 1:
        problems.add(f"several files for one case under {key}", " and ".join(p.name for p in found))
    elif not found:
        problems.add(
            "image without label" if key == "labels.files" else f"missing file of {key}", f"case {case}"
        )
    return found[0] if len(found) == 1 else None


def _patient(told: Description, of: dict[str, str], case: str, problems: Problems) -> str | None:
    if "patient" in of or not told.patient:
        return of.get("patient", case)
    match = re.search(told.patient, of["case"])
    if not match or not match[match.re.groups and 1]:
        problems.add("name without the patient that the key patient looks for", of["case"])
        return None
    return match[match.re.groups and 1]


def _task(told: Description, path: Path, first: Pair, names: tuple[str, ...]) -> Task:
    geometry = first.image.header()[0]
    dims: Literal[2, 3] = 3 if len(geometry.shape) == 3 else 2
    channels: list[str] = []
    for name, source in zip(told.channels, (first.image, *first.more), strict=True):
        count = source.header()[1]
        of = ["red", "green", "blue"] if count == 3 and dims == 2 else [str(i) for i in range(count)]
        channels += [name] if count == 1 else [f"{name} {part}" for part in of]
    try:
        if told.labels is None:
            return Task(
                kind="classification",
                dims=dims,
                classes={n: i for i, n in enumerate(names)},
                channels=tuple(channels),
            )
        classes = background_first({n: int(v) for n, v in told.classes.items()}, f"{path}: classes")
        return Task(kind="segmentation", dims=dims, classes=classes, channels=tuple(channels))
    except ValidationError as problem:
        reason = problem.errors()[0]["msg"].removeprefix("Value error, ")
        raise SettingError(f"{path}: classes: {reason}.") from None
