"""The contract between the loop and whatever learns: fit on labels, predict a stream, keep a model on disk."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from curette.learn.prediction import Prediction
from curette.region import Region
from curette.registry import Bound

Labels = Mapping[Region, NDArray[Any]]
"""Answers of an oracle on the prepared grid: integer class maps [*S] (segmentation) or 0-d arrays (classification)."""


@dataclass(frozen=True)
class Assignment:
    """What one training is asked beside its labels.

    companions  what is trained along (`curette.learn.companions`)
    trigger     ends the training as soon as the next query is due; None: it runs to its end
    cycle       queries before it
    validation  labels that the training may be watched by (`train.validate_every`), and never learns from
    taught      what the model of the cycle before says of units nobody labelled, to be learned like labels
    """

    companions: tuple[Bound, ...] = ()
    trigger: Bound | None = None
    cycle: int = 0
    validation: Labels = field(default_factory=dict)
    taught: Labels = field(default_factory=dict)


NOTHING_MORE = Assignment()
"""Labels are all there is to learn from, and the training runs to its end."""


class Model(Protocol):
    """A trained model, opaque to the loop. `members` is the number of independently trained networks it holds.

    It may have a mapping ``record`` of plain values, which the ledger keeps: how long it was trained, how the looks at the
    validation patients went.
    """

    @property
    def members(self) -> int: ...


class Learner(Protocol):
    """Trains and predicts. Deterministic: the same labels and seed give the same model on the same machine."""

    def fit(
        self,
        labels: Labels,
        *,
        seed: int,
        members: int = 1,
        start: Model | None = None,
        assignment: Assignment = NOTHING_MORE,
    ) -> Model:
        """Train `members` networks from scratch, or on from `start`; member 0 does not depend on `members`."""
        ...

    def predict(
        self, model: Model, regions: Sequence[Region], passes: Bound, needs: frozenset[str], *, seed: int
    ) -> Iterator[Prediction]:
        """Yield predictions for `regions` in the given order, batch by batch, with the fields in `needs` filled."""
        ...

    def encode(self, regions: Sequence[Region], passes: Bound, *, seed: int) -> NDArray[np.float32]:
        """Embeddings [N, d] by passes that are an encoder (`curette.learn.encoders`), without any label or model."""
        ...

    def save(self, model: Model, path: Path) -> None:
        """Write the model to `path` atomically."""
        ...

    def load(self, path: Path) -> Model:
        """Read a model that `save` wrote. Raises `DataError` when the file is missing or truncated."""
        ...


class Images(Protocol):
    """The images of a study on the prepared grid; labels are elsewhere, so that a learner cannot see them.

    May have more, without which whole images are read where a part would do, and all have one size: ``unit_shape(unit)``
    [*S], and ``window(unit, place)``, the part [channels, *part] of an image at a tuple of slices. Labels may have a
    ``window`` likewise, which gives the part [*part] of a class map.
    """

    def batch(self, regions: Sequence[Region]) -> tuple[NDArray[np.float32], NDArray[np.bool_] | None]:
        """Images [B, channels, *S] of the regions, and where they are valid [B, *S] (None: everywhere)."""
        ...


def unit_shape(images: Images, unit: Region) -> tuple[int, ...]:
    """Shape [*S] of a unit's image."""
    ask = getattr(images, "unit_shape", None)
    return tuple(ask(unit)) if ask else images.batch([unit])[0].shape[2:]


def image_window(images: Images, unit: Region, place: tuple[slice, ...]) -> NDArray[np.float32]:
    """The part of a unit's image [channels, *part] at `place`, one slice an axis."""
    ask = getattr(images, "window", None)
    window: NDArray[np.float32] = (
        ask(unit, place) if ask else images.batch([unit])[0][0][(slice(None), *place)]
    )
    return window


def label_window(labels: Labels, unit: Region, place: tuple[slice, ...]) -> NDArray[Any]:
    """The part of a unit's class map [*part] at `place`."""
    ask = getattr(labels, "window", None)
    window: NDArray[Any] = ask(unit, place) if ask else labels[unit][place]
    return window
