"""Metrics as registered functions (kind ``metric``): Dice, Hausdorff distance, accuracy, AUROC and their kin.

Everything countable is computed from confusion matrices, all classes at once. A metric sees one of three things, named
by its card's ``of``:

comparison  one case of a segmentation (`Comparison`); returns values [items, foreground classes] of that case, or
            [items, 1] where classes have no value of their own
confusion   the confusion matrix [classes, classes] of all cases together (true × predicted); returns a value per class
scores      probabilities float32 [cases, classes] and truth int64 [cases]; returns a value per class

Averages are taken by `curette.learn.evaluate`. NaN means "undefined for this class"; it is left out there with a warning.
A card also says which ``task`` kinds and ``dims`` it fits, whether it is among the ``usual`` ones that are measured when
a study names none, and whether ``higher`` is better.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from curette.errors import DataError, unknown
from curette.learn.surface import hausdorff_by_class
from curette.registry import components, register
from curette.task import Task

Array = NDArray[np.float64]
Counts = NDArray[np.int64]
BLOCK = 2**20
"""Voxels that are counted at once; bounds the memory of a large volume's slices."""


def metric_names(task: Task, names: Sequence[str] = ()) -> tuple[str, ...]:
    """The metrics to measure for a task: `names` once checked, or all usual ones that fit it.

    Raises `SettingError` for a name that is unknown or does not fit the task, with the nearest that does.
    """
    fitting = {
        name: card
        for name, card in components("metric").items()
        if card.info["task"] == task.kind and task.dims in card.info["dims"]
    }
    for name in names:
        if name not in fitting:
            raise unknown(f"metric of a {task.dims}D {task.kind}", name, fitting)
    return tuple(dict.fromkeys(names)) or tuple(n for n, card in fitting.items() if card.info["usual"])


def confusion(
    prediction: NDArray[Any], truth: NDArray[Any], classes: int, *, ignore: int | None = None
) -> Counts:
    """Count (true class, predicted class) pairs: int64 [classes, classes]. Ignored voxels are in neither.

    Raises `DataError` for values that are neither a class nor `ignore`.
    """
    return np.asarray(confusions(prediction[None], truth[None], classes, ignore=ignore)[0])


def confusions(
    prediction: NDArray[Any], truth: NDArray[Any], classes: int, *, ignore: int | None = None
) -> Counts:
    """`confusion` of every item of [items, *S] arrays: int64 [items, classes, classes]."""
    if prediction.shape != truth.shape:
        raise DataError(f"A prediction of shape {prediction.shape} cannot be compared to {truth.shape}.")
    items = len(truth)
    counts = np.zeros((items, classes + 1, classes), np.int64)
    step = max(1, BLOCK * items // max(1, truth.size))
    for start in range(0, items, step):
        block = slice(start, start + step)
        known = _known(prediction[block], truth[block], classes, ignore)
        # Ignored voxels get a row of their own behind the classes, so that one count does for all.
        pairs = np.where(known, truth[block], classes).astype(np.intp) * classes + prediction[block]
        n = len(pairs)
        pairs += (np.arange(n) * (classes + 1) * classes).reshape(n, *[1] * (truth.ndim - 1))
        counted = np.bincount(pairs.ravel(), minlength=n * (classes + 1) * classes)
        counts[block] = counted.reshape(n, classes + 1, classes)
    return counts[:, :classes]


def _known(
    prediction: NDArray[Any], truth: NDArray[Any], classes: int, ignore: int | None
) -> NDArray[np.bool_]:
    """Where the truth is a class. Raises `DataError` where it is not ignored either, or the prediction is none."""
    strange = np.unique(prediction[(prediction < 0) | (prediction >= classes)])
    if len(strange):
        raise DataError(f"A prediction holds class {strange[0]}; there are {classes} classes.")
    known = np.asarray((truth >= 0) & (truth < classes) & (truth != ignore))
    unknown_values = np.unique(truth[~known & (truth != ignore)])
    if len(unknown_values):
        raise DataError(
            f"The truth holds the values {unknown_values.tolist()}, which are neither a class nor 'ignore'."
        )
    return known


def dice(counts: Counts) -> Array:
    """Dice 2I / (A + B) per foreground class of confusion matrices [..., C, C]: float64 [..., C - 1].

    A class that neither has is 1, a class that only one of them has is 0.
    """
    both = np.diagonal(counts, axis1=-2, axis2=-1)[..., 1:]
    sizes = (counts.sum(axis=-1) + counts.sum(axis=-2))[..., 1:]
    return np.where(sizes == 0, 1.0, 2.0 * both / np.maximum(sizes, 1))


@dataclass(frozen=True)
class Comparison:
    """Prediction and truth of one case on its original grid, with what several metrics share.

    prediction, truth  class maps [*S]; the truth may hold `ignore`
    classes            number of classes, background included
    spacing            mm along each axis
    ignore             value of voxels in the truth that count nowhere
    axis               array axis along which a volume is cut into slices; None: the case is one image
    """

    prediction: NDArray[Any]
    truth: NDArray[Any]
    classes: int
    spacing: tuple[float, ...]
    ignore: int | None = None
    axis: int | None = None

    @cached_property
    def slices(self) -> Counts:
        """Confusion matrices [slices, C, C] of the slices that have at least one voxel that is not ignored."""
        prediction, truth = (
            m[None] if self.axis is None else np.moveaxis(m, self.axis, 0)
            for m in (self.prediction, self.truth)
        )
        counts = confusions(prediction, truth, self.classes, ignore=self.ignore)
        return counts[counts.any(axis=(1, 2))]

    @cached_property
    def whole(self) -> Counts:
        """Confusion matrix [C, C] of the case."""
        return np.asarray(self.slices.sum(axis=0), dtype=np.int64)

    @property
    def one_empty(self) -> NDArray[np.bool_]:
        """Foreground classes [C - 1] that only the prediction or only the truth has."""
        predicted, true = self.whole.any(axis=0), self.whole.any(axis=1)
        return np.not_equal(predicted, true)[1:]

    @cached_property
    def masks(self) -> tuple[NDArray[Any], NDArray[Any]]:
        """Prediction and truth with background where the truth is ignored."""
        if self.ignore is None or int(self.whole.sum()) == self.truth.size:
            return self.prediction, self.truth
        seen = self.truth != self.ignore
        return self.prediction * seen, self.truth * seen

    def hausdorff(self, percentile: float, definition: Any) -> Array:
        """Distances [1, C - 1] in mm, see `curette.learn.surface`."""
        return hausdorff_by_class(
            *self.masks,
            classes=self.classes,
            spacing=self.spacing,
            percentile=percentile,
            definition=definition,
        )[None]


def _segmentation(
    name: str, of: str, *, dims: tuple[int, ...] = (2, 3), higher: bool = True, usual: bool = True
) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    return register("metric", name, of=of, task="segmentation", dims=dims, higher=higher, usual=usual)


def _classification(name: str, of: str) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    return register("metric", name, of=of, task="classification", dims=(2, 3), higher=True, usual=True)


@_segmentation("dice_2d", "comparison")
def dice_2d(case: Comparison) -> Array:
    """Dice per slice (or 2D image), averaged over slices: small structures weigh as much as large ones."""
    return dice(case.slices)


@_segmentation("dice_3d", "comparison", dims=(3,))
def dice_3d(case: Comparison) -> Array:
    """Dice per volume, averaged over volumes."""
    return dice(case.whole)[None]


@_segmentation("dice_pooled", "confusion")
def dice_pooled(counts: Counts) -> Array:
    """Dice of all cases put together: large structures dominate, as in PAAL (2024)."""
    return dice(counts)


@_segmentation("pixel_accuracy", "comparison")
def pixel_accuracy(case: Comparison) -> Array:
    """Share of a case's pixels (voxels) whose class is predicted, background included; one value, no classes."""
    return np.array([[np.trace(case.whole) / case.whole.sum()]])


@_segmentation("class_pixel_accuracy", "confusion")
def class_pixel_accuracy(counts: Counts) -> Array:
    """Share of a class's pixels (voxels) in the truth of all cases that are predicted as it: its recall.

    For each foreground class; one that the truth never has is 1 if it is never predicted, else 0, as with Dice.
    """
    both = np.diagonal(counts, axis1=-2, axis2=-1)[..., 1:]
    true, predicted = counts.sum(axis=-1)[..., 1:], counts.sum(axis=-2)[..., 1:]
    return np.asarray(np.where(true == 0, predicted == 0, both / np.maximum(true, 1)), np.float64)


@_segmentation("hd95_mm", "comparison", higher=False)
def hd95_mm(case: Comparison) -> Array:
    """Hausdorff distance, the larger of the two directed 95th percentiles (MONAI's definition), in mm per case."""
    return case.hausdorff(95.0, "monai")


@_segmentation("hd95_medpy_mm", "comparison", higher=False, usual=False)
def hd95_medpy_mm(case: Comparison) -> Array:
    """Hausdorff distance, the 95th percentile of both sets of distances together (medpy's definition), in mm per case."""
    return case.hausdorff(95.0, "medpy")


@_segmentation("hd_mm", "comparison", higher=False, usual=False)
def hd_mm(case: Comparison) -> Array:
    """Hausdorff distance, the largest of all boundary distances, in mm per case."""
    return case.hausdorff(100.0, "monai")


@_classification("accuracy", "confusion")
def accuracy(counts: Counts) -> Array:
    """Share of cases whose class is predicted; one value, no classes."""
    return np.array([np.trace(counts) / counts.sum()])


@_classification("balanced_accuracy", "confusion")
def balanced_accuracy(counts: Counts) -> Array:
    """Recall per class and its mean over the classes that occur in the truth."""
    return _share(np.diagonal(counts), counts.sum(axis=1))


@_classification("precision", "confusion")
def precision(counts: Counts) -> Array:
    """Precision per class and its (macro) mean; a class that occurs but is never predicted has 0."""
    values = _share(np.diagonal(counts), counts.sum(axis=0))
    return np.where(np.isnan(values) & (counts.sum(axis=1) > 0), 0.0, values)


@_classification("auroc", "scores")
def auroc(scores: NDArray[Any], truth: NDArray[Any]) -> Array:
    """Area under the receiver operating curve, one class against the rest, and its (macro) mean."""
    from scipy.stats import rankdata  # slow to import, and only this metric wants it

    values = np.full(scores.shape[1], np.nan)
    for c in range(scores.shape[1]):
        positive = truth == c
        n = int(positive.sum())
        if 0 < n < len(truth):
            ranks = rankdata(scores[:, c])[positive].sum()
            values[c] = (ranks - n * (n + 1) / 2) / (n * (len(truth) - n))
    return values


def _share(part: Counts, whole: Counts) -> Array:
    with np.errstate(invalid="ignore"):
        return np.asarray(part / whole)  # 0 / 0 is NaN: undefined
