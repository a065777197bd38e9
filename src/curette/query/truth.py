"""What is known of the pool besides images and predictions, for the parts of a strategy that are marked as using it.

Ground truth is for controls of a simulation alone; the groups of cases, such as hospitals, are known before any label.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from curette.errors import SettingError
from curette.query.candidates import Candidates
from curette.region import Region
from curette.task import Task


def revealed(candidates: Candidates, labels: Mapping[Region, NDArray[Any]] | None, task: Task) -> Candidates:
    """The candidates with a column ``truth`` [N, C]: the share of each class in the region, ignored pixels left out.

    In classification 1 for the class and 0 for the others. `labels` are what the oracle says of every candidate; it is
    read one region at a time. Raises `SettingError` if it is None: the oracle is people, who have not said yet.
    """
    if labels is None:
        raise SettingError(
            "a strategy that looks at ground truth works in simulations only, where the oracle knows all labels."
        )
    classes = len(task.classes)
    found = np.zeros((len(candidates), classes), np.float32)
    for row, region in zip(found, candidates.regions, strict=True):
        label = np.asarray(labels[region])
        known = label[label != task.ignore]
        counts = np.bincount(known.ravel(), minlength=classes)[:classes]
        row[:] = counts / max(int(counts.sum()), 1)
    return replace(candidates, columns={**candidates.columns, "truth": found})


def no_groups(name: str) -> SettingError:
    """What to raise where `name` goes by groups and there are none."""
    return SettingError(
        f"'{name}' goes by where cases came from, which this data set does not tell. Use 'stratified', which goes by patient, "
        "or the data set 'own' with {group} in its paths."
    )


def grouped(candidates: Candidates, group: Mapping[str, int]) -> Candidates:
    """The candidates with a column ``group`` [N], the number of the group their case is in; as they are without groups."""
    if not group:
        return candidates
    found = np.fromiter((group[r.case] for r in candidates.regions), np.int32, len(candidates))
    return replace(candidates, columns={**candidates.columns, "group": found})
