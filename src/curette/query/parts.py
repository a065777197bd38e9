"""From boxes in the units of a prediction to candidates."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from functools import lru_cache
from typing import Any

import numpy as np
from array_api_compat import array_namespace
from numpy.typing import NDArray

from curette.learn.prediction import Array, Prediction
from curette.query.arrays import to_numpy
from curette.query.boxes import inside
from curette.query.candidates import Candidates
from curette.region import Box, Region


class Found:
    """Candidates in the making: boxes in units of one prediction."""

    def __init__(self, prediction: Prediction) -> None:
        self.prediction = prediction
        self.rows: list[tuple[int, Box, float, int]] = []

    def add(self, unit: int, box: Box, score: float, tag: int = 0) -> None:
        """A patch of the unit in row `unit` of the prediction; `tag` is for the caller."""
        self.rows.append((unit, box, float(score), tag))

    def candidates(self) -> Candidates:
        """All patches with score, predicted class, cost, embedding and columns; by unit and then by box."""
        p, shape = self.prediction, self.prediction.mean.shape[2:]
        self.rows.sort(key=lambda row: row[:2])
        units = np.array([row[0] for row in self.rows], np.int64)
        n, size = len(units), math.prod(shape)
        return Candidates(
            regions=[replace(p.regions[unit], box=box) for unit, box, *_ in self.rows],
            score=np.array([row[2] for row in self.rows], np.float32),
            patient=np.zeros(n, np.int32),
            predicted=self._predicted(),
            cost=np.array([volume(box) / size for _, box, *_ in self.rows], np.float32),
            embedding=self._embedding(units),
            columns={name: to_numpy(column)[units] for name, column in p.columns.items()},
        )

    def tags(self) -> NDArray[np.int64]:
        """The tag of each candidate, in the order of `candidates`, which must have been called."""
        return np.array([row[3] for row in self.rows], np.int64)

    def _predicted(self) -> NDArray[np.int32]:
        """The most frequent foreground class of each patch, 0 if there is none; the lower index wins ties."""
        classes = self.prediction.mean.shape[1]
        if not self.rows:
            return np.empty(0, np.int32)
        label = to_numpy(class_map(self.prediction))
        found = np.zeros(len(self.rows), np.int32)
        for i, (unit, box, *_) in enumerate(self.rows):
            part = label[unit][tuple(slice(a, b) for a, b in box)]
            counts = np.bincount(part.ravel(), minlength=classes)[1:]
            found[i] = counts.argmax() + 1 if counts.any() else 0
        return found

    def _embedding(self, units: NDArray[np.int64]) -> NDArray[np.float32] | None:
        p = self.prediction
        if p.embedding is None:
            return None
        if p.feature_map is None:
            return to_numpy(p.embedding).astype(np.float32)[units]
        return pooled(to_numpy(p.feature_map), [(u, box) for u, box, *_ in self.rows], p.mean.shape[2:])


def pooled(
    features: NDArray[Any], places: Sequence[tuple[int, Box]], shape: Sequence[int]
) -> NDArray[np.float32]:
    """Means of feature maps [B, d, *s] inside boxes, given as (row, box in a unit of `shape`), [len(places), d]."""
    rows = np.empty((len(places), features.shape[1]), np.float32)
    for row, (unit, box) in zip(rows, places, strict=True):
        row[:] = inside(features[unit], box, shape)
    return rows


def class_map(prediction: Prediction) -> Array:
    """The most likely class of each pixel [B, *S], the first of equals, as small integers; 0 where it is not valid."""
    p = prediction.mean
    xp = array_namespace(p)
    top = p[:, 0, ...]
    label = xp.zeros_like(top, dtype=xp.uint8 if p.shape[1] <= 256 else xp.int32)
    for c in range(1, p.shape[1]):  # an arg max across channels is slow
        more = p[:, c, ...] > top
        label = xp.where(more, xp.full_like(label, c), label)
        top = xp.maximum(top, p[:, c, ...])
    if prediction.valid is not None:
        label = xp.where(prediction.valid, label, xp.zeros_like(label))
    return label


@lru_cache(maxsize=4)
def boxes_by_unit(taken: frozenset[Region]) -> dict[Region, tuple[Box, ...]]:
    """The boxes among `taken` by the unit they are in."""
    held: dict[Region, list[Box]] = {}
    for region in sorted(taken):
        if region.box:
            held.setdefault(region.unit, []).append(region.box)
    return {unit: tuple(boxes) for unit, boxes in held.items()}


def volume(box: Box) -> int:
    """Pixels in a box."""
    return math.prod(b - a for a, b in box)
