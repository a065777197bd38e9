"""Preprocessing, done once: from a data set to units on one grid, in a cache keyed by files and settings."""

from __future__ import annotations

import hashlib
import json
import math
import warnings

from curette import __version__
from curette.data import cache
from curette.data.build import Build, Progress
from curette.data.case import Dataset
from curette.data.prepared import Prepared
from curette.errors import CuretteWarning, DataError, SettingError
from curette.recipe import Data, Prepare
from curette.region import AXES
from curette.task import Task

__all__ = ["Prepared", "prepare"]
FORMAT = 1  # count up when the same files and settings give other bytes


def prepare(dataset: Dataset, data: Data, settings: Prepare, progress: Progress | None = None) -> Prepared:
    """Return the data set's units on one grid, from the cache when files and settings are those it was made from.

    Intensities: each channel of a case is scaled so that its two percentiles, or the values of the window, become 0 and 1,
    and clipped there.
    `progress` is called with (cases done, cases in all) while the cache is being made. Raises one `DataError` naming
    every file that is bad (or warns and drops their cases, with `Data.skip_bad`), `SettingError` for settings that do
    not fit the task and for a cache folder that cannot be written.
    """
    axis = _unit_axis(dataset.task, data)
    _check_settings(dataset, settings, dataset.task.dims - (axis is not None))
    if not dataset.cases:
        raise DataError(f"Data set '{dataset.name}' has no cases.")
    digest = _digest(dataset, data, settings)
    safe = "".join(c if c.isalnum() else "-" for c in dataset.name.lower())
    folder = cache.root(settings.cache) / f"{safe}-{digest}"
    # What was noticed while building is stored, so that a study that reuses the cache warns as the first one did.
    facts = cache.build(
        folder,
        lambda draft: {"digest": digest, **Build(dataset, data, settings, axis, draft, progress).run()},
    )
    for note in facts["warnings"]:
        warnings.warn(note, CuretteWarning, stacklevel=2)
    return Prepared(folder)


def _unit_axis(task: Task, data: Data) -> int | None:
    if task.dims == 2:
        if data.unit != "image":
            raise SettingError(
                f"data.unit = '{data.unit}' needs volumes, but these are flat images. Set it to 'image'."
            )
        return None
    if data.unit == "image":
        raise SettingError(
            "data.unit = 'image' needs flat images, but these are volumes. Set it to 'slice' or 'volume'."
        )
    if data.unit == "volume":
        return None
    if task.kind == "classification":
        raise SettingError(
            "Slices of volumes cannot be classified: a class belongs to the whole volume. Set data.unit to 'volume'."
        )
    return AXES.index(data.axis)


def _check_settings(dataset: Dataset, settings: Prepare, dims: int) -> None:
    task, (low, high) = dataset.task, settings.percentiles
    if not 0 <= low < high <= 100:
        raise SettingError(f"prepare.percentiles = {[low, high]} must rise within 0 and 100.")
    if settings.window is not None and not -math.inf < settings.window[0] < settings.window[1] < math.inf:
        raise SettingError(
            f"prepare.window = {list(settings.window)} must be two values, the lower one first."
        )
    if settings.size is not None and (len(settings.size) != dims or min(settings.size) < 1):
        count = {2: "two", 3: "three"}[dims]
        raise SettingError(
            f"prepare.size = {list(settings.size)} must be {count} positive numbers of pixels."
        )
    if settings.spacing is not None and (len(settings.spacing) != task.dims or min(settings.spacing) < 0):
        raise SettingError(
            f"prepare.spacing = {list(settings.spacing)} must be {task.dims} numbers of mm; 0 leaves an axis as it is."
        )
    if len(task.classes) > 255 or not 0 <= task.ignore <= 255:
        raise SettingError(
            f"The task has {len(task.classes)} classes and ignore value {task.ignore}; labels are stored in 8 bits."
        )


def _digest(dataset: Dataset, data: Data, settings: Prepare) -> str:
    """Hash of everything the cache depends on. A file that is missing is hashed as such; reading it will say so."""
    facts = {
        "format": FORMAT,
        "version": __version__,
        "name": dataset.name,
        "task": dataset.task.model_dump(),
        "data": data.model_dump(include={"unit", "axis", "skip_bad"}),
        "prepare": settings.model_dump(exclude={"cache"}),
    }
    sha = hashlib.sha256(json.dumps(facts).encode())
    for case in sorted(dataset.cases, key=lambda c: c.id):
        sources = (*case.images, case.label) if case.label else case.images
        stamps = []
        for source in sources:
            try:
                stamps.append(source.stamp)
            except DataError:
                stamps.append(f"{source.name}: missing")
        sha.update(
            json.dumps(
                [case.id, case.patient, case.group, case.target, case.label is not None, stamps]
            ).encode()
        )
    return sha.hexdigest()[:16]
