"""Whether a folder holds a data set whole: every file it should have is there, can be read to the end, and fits."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from curette.data.addresses import parts_of
from curette.data.case import Case, Dataset
from curette.data.check import BadFilesError, Problems
from curette.data.datasets import open_dataset
from curette.data.download import matches
from curette.data.labels import encode
from curette.errors import CuretteWarning, DataError, SettingError
from curette.recipe import Data
from curette.task import Task


@dataclass(frozen=True)
class Integrity:
    """What was found: `problems` by kind, each a text that names a file; `notes` are odd but no reason not to go on.

    `cases` and `patients` are those that can be used.
    """

    dataset: str
    cases: int
    patients: int
    problems: dict[str, list[str]] = field(default_factory=dict)
    notes: tuple[str, ...] = ()

    @property
    def whole(self) -> bool:
        return not self.problems


def examine(data: Data, progress: Callable[[int, int], None] | None = None) -> Integrity:
    """Open a data set and read each of its files to the end, one case in memory at a time.

    Other than opening it for a study, which looks at headers only, this finds files that are damaged in the middle and
    labels with values outside of the task. `progress` is called with (cases done, cases in all). Raises `DataError` where
    there is nothing to look at, such as no folder or no list of files, and `SettingError` for wrong options.
    """
    problems = Problems(f"{data.dataset} data")
    dataset = _opened(data, problems)
    if dataset is None:
        return Integrity(data.dataset, 0, 0, problems.found)
    good: list[Case] = []
    unspaced: list[str] = []
    for done, case in enumerate(dataset.cases):
        if _whole(case, dataset.task, problems, unspaced):
            good.append(case)
        if progress:
            progress(done + 1, len(dataset.cases))
    notes = (*dataset.notes, *_unlike_published(data))
    if unspaced and dataset.task.kind == "segmentation":
        blind = f"{len(unspaced)} files do not tell the spacing of their voxels, such as {min(unspaced)}: "
        notes += (f"{blind}distances are in voxels, not in mm",)
    return Integrity(dataset.name, len(good), len({c.patient for c in good}), problems.found, notes)


def _opened(data: Data, problems: Problems) -> Dataset | None:
    """The data set, or what can be used of it; None when that is nothing."""
    try:
        return open_dataset(data.model_copy(update={"skip_bad": False}))
    except BadFilesError as problem:
        problems.found.update(problem.problems.found)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", CuretteWarning)  # what it says is known by now
            return open_dataset(data.model_copy(update={"skip_bad": True}))
    except (DataError, SettingError):  # nothing is left; as settings these were fine the first time
        return None


def _whole(case: Case, task: Task, problems: Problems, unspaced: list[str]) -> bool:
    """Read the files of a case; what is wrong with them becomes problems. `unspaced` gets images of unknown spacing."""
    before = len(problems)
    shapes: dict[str, tuple[int, ...]] = {}
    for source in case.images:
        try:
            volume = source.read()
            shapes[source.name] = volume.array.shape[1:]
            unspaced += [] if volume.geometry.spaced else [source.name]
        except DataError as problem:
            problems.add("file that cannot be used", str(problem).removesuffix("."))
    if case.label is not None:
        try:
            raw = case.label.read().array
            encode(raw, task, case.label.name)
            shapes[case.label.name] = raw.shape
        except DataError as problem:
            problems.add("file that cannot be used", str(problem).removesuffix("."))
    if len(set(shapes.values())) > 1:
        told = ", ".join(f"{name} is {'×'.join(map(str, shape))}" for name, shape in shapes.items())
        problems.add("files of one case with different shapes", told)
    return len(problems) == before


def _unlike_published(data: Data) -> list[str]:
    """Single files that have a published file's name, but not its checksum."""
    if data.root is None:
        return []
    folder = data.root.parent if data.root.is_file() else data.root
    notes = []
    for files in parts_of(data.dataset).values():
        for remote in files:
            path: Path = folder / remote.name
            mine = path == data.root if data.root.is_file() else path.is_file()
            if mine and not remote.unpack and remote.checksum and not matches(path, remote.checksum):
                notes.append(
                    f"{path} can be read, but is not the published file: that one has "
                    f"{remote.checksum.replace(':', ' ')}"
                )
    return notes
