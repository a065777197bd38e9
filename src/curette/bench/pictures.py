"""Pictures of what was picked, taken while its model and its labels are at hand."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from curette.bench.gallery import LIMIT, save_gallery
from curette.bench.planes import AXIS, stacked, telling
from curette.data.prepared import Prepared
from curette.learn.learner import Learner
from curette.loop.shared import Picked
from curette.query.sweep import maps
from curette.region import Region
from curette.seeds import derive

Views = tuple[NDArray[Any], NDArray[Any], NDArray[Any], NDArray[Any] | None]
"""Images, truths, predictions and score maps of some picks; of volumes, one slice of each."""


def keep_pictures(folder: Path, prepared: Prepared, learner: Learner, picked: Picked) -> None:
    """Add the first picks of a query to the gallery of the study in `folder`."""
    regions = list(picked.regions[:LIMIT])
    units = [region.unit for region in regions]
    labels = prepared.labels(units)
    slices: list[int] = []
    if prepared.volumes:
        slices = [_shown(prepared, region, labels[region.unit]) for region in regions]
        views = _of_volumes(prepared, learner, picked, units, slices)
    else:
        prediction, score_map = maps(learner, picked.model, units, picked.strategy, seed=_seed(picked))
        truth = np.stack([labels[unit] for unit in units])
        views = (prepared.batch(units)[0], truth, prediction, score_map)
    save_gallery(
        folder,
        picked.run.name,
        picked.run.seed,
        picked.cycle,
        regions,
        [np.nan if score is None else score for score in picked.scores[:LIMIT]],
        *views,
        classes=prepared.task.names,
        slices=slices,
    )


def _shown(prepared: Prepared, region: Region, label: NDArray[Any]) -> int:
    """The slice of a volume that is shown: the middle one where the whole volume has one class."""
    if prepared.task.kind == "classification":
        return prepared.unit_shape(region.unit)[AXIS] // 2
    return telling(region, label, prepared.task.ignore)


def _of_volumes(
    prepared: Prepared, learner: Learner, picked: Picked, units: Sequence[Region], slices: Sequence[int]
) -> Views:
    """One slice of each volume, or the class of the volume; one volume is in memory at a time."""
    planes, labels = [], prepared.labels(units)
    for unit, z in zip(units, slices, strict=True):
        found, score = maps(learner, picked.model, [unit], picked.strategy, seed=_seed(picked))
        image = prepared.window(unit, (slice(None), slice(None), slice(z, z + 1)))[..., 0]
        maps_of = (labels[unit], found[0], None if score is None else score[0])
        planes.append((image, *(m[..., z] if m is not None and m.ndim else m for m in maps_of)))
    images, truths, predictions, scores = zip(*planes, strict=True)
    score_map = None if scores[0] is None else stacked(scores)
    return stacked(images), stacked(truths), stacked(predictions), score_map


def _seed(picked: Picked) -> int:
    return derive(picked.run.seed, picked.cycle, "sweep")
