"""Evaluation on a fixed test set: one streaming pass, one case in memory, every metric on the original grid."""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np
from array_api_compat import array_namespace, to_device
from numpy.typing import NDArray

from curette.errors import ContractError, CuretteWarning, SettingError
from curette.learn.learner import Learner, Model
from curette.learn.metrics import Comparison, confusion, metric_names
from curette.region import Region
from curette.registry import bind, get
from curette.task import Task

MEAN = "mean"
AXIAL = 2
"""The axis along which volumes that were predicted as a whole are cut into slices."""
ONE_EMPTY = "hd95_one_empty"
"""Counts of cases, by class, whose Hausdorff distance is the diagonal because prediction or truth is empty."""


@dataclass(frozen=True)
class Measurement:
    """One number of an evaluation. `cls` is a class name, or ``mean`` over the classes."""

    metric: str
    cls: str
    value: float


class Truth(Protocol):
    """What an evaluation needs of a prepared data set (`curette.data.prepare.Prepared` is one)."""

    @property
    def task(self) -> Task: ...

    def regions(self, case_ids: Sequence[str]) -> list[Region]:
        """All units of the cases, the units of a case one after the other."""
        ...

    def restore(self, case_id: str, stack: NDArray[Any]) -> NDArray[Any]:
        """Bring class maps of all units of a case [units, *S] back to its original canonical grid."""
        ...

    def truth(self, case_id: str) -> Any:
        """The label on the original canonical grid in training indices, or the class of a case."""
        ...

    def spacing(self, case_id: str) -> tuple[float, ...]:
        """Millimetres along each axis of that grid."""
        ...


def evaluate(
    learner: Learner,
    model: Model,
    prepared: Truth,
    case_ids: Sequence[str],
    *,
    metrics: Sequence[str] = (),
    seed: int = 0,
) -> list[Measurement]:
    """Measure a model on the labelled cases `case_ids`, with one plain pass per unit.

    `metrics` are names as in docs/metrics.md; none means the usual ones of the task. Each gives one row per class and
    a row ``mean``. Values of a class are averaged over items (slices, volumes or images), the mean is taken over classes
    first and then over items. With a Hausdorff distance come counts ``hd95_one_empty`` per class.

    A class for which a metric is undefined, such as the AUROC of a class that no case has, is left out with a warning.
    Raises `SettingError` for metrics that do not fit and for an empty list of cases, `ContractError` when the learner
    does not answer every region in order.
    """
    names = metric_names(prepared.task, metrics)
    if not case_ids:
        raise SettingError("There is no case to evaluate on. Give the split at least one test patient.")
    units = _units(learner, model, prepared.regions(case_ids), seed)
    if prepared.task.kind == "classification":
        return _classification(units, prepared, names)
    return _segmentation(units, prepared, names)


def _units(
    learner: Learner, model: Model, regions: list[Region], seed: int
) -> Iterator[tuple[Region, NDArray[Any]]]:
    """Every region with the probabilities [C] of its classes, or with its class map uint8 [*S]."""
    import curette.learn.passes  # noqa: F401  (registers `single`)

    done = 0
    for prediction in learner.predict(
        model, regions, bind("passes", "single"), frozenset({"mean"}), seed=seed
    ):
        answered = list(prediction.regions)
        if answered != regions[done : done + len(answered)] or len(prediction.mean) != len(answered):
            raise ContractError(
                f"The learner's predictions do not follow the regions asked for, at number {done}."
            )
        done += len(answered)
        yield from zip(answered, _decide(prediction.mean), strict=True)
    if done != len(regions):
        raise ContractError(f"The learner predicted {done} of {len(regions)} regions.")


def _decide(mean: Any) -> NDArray[Any]:
    """Class maps uint8 [B, *S] of probabilities [B, C, *S], reduced where they lie; probabilities [B, C] as they are."""
    if mean.ndim > 2:
        xp = array_namespace(mean)
        mean = xp.astype(xp.argmax(mean, axis=1), xp.uint8)
    return np.asarray(to_device(mean, "cpu"))


@dataclass
class _Means:
    """Running sums of a metric's rows, one per item; items × classes are never kept."""

    total: Any = 0.0
    items: int = 0

    def add(self, rows: NDArray[np.float64]) -> None:
        self.total = self.total + rows.sum(axis=0)
        self.items += len(rows)


@dataclass
class _Tally:
    means: dict[str, _Means] = field(default_factory=dict)
    counts: Any = 0
    one_empty: Any = 0


def _segmentation(
    units: Iterator[tuple[Region, NDArray[Any]]], prepared: Truth, names: tuple[str, ...]
) -> list[Measurement]:
    cards = {name: get("metric", name) for name in names}
    per_case = [name for name, card in cards.items() if card.info["of"] == "comparison"]
    tally = _Tally({name: _Means() for name in per_case})
    for regions, stack in _cases(units):
        case = _compare(prepared, regions, stack)
        if not case.whole.any():
            continue  # every voxel is ignored: there is nothing to measure
        for name in per_case:
            tally.means[name].add(cards[name].function(case))
        tally.counts = tally.counts + case.whole
        tally.one_empty = tally.one_empty + case.one_empty.astype(np.int64)
    if np.ndim(tally.counts) == 0:
        raise SettingError("No test case has an annotated voxel. Evaluate on cases that are labelled.")
    task = prepared.task
    measured = []
    for name, card in cards.items():
        mean = tally.means.get(name)
        values = card.function(tally.counts) if mean is None else mean.total / mean.items
        measured += _rows(name, task, values)
    if any(name.startswith("hd") for name in names):
        counts = zip(task.foreground, tally.one_empty, strict=True)
        measured += [Measurement(ONE_EMPTY, cls, float(n)) for cls, n in counts]
    return measured


def _cases(
    units: Iterator[tuple[Region, NDArray[Any]]],
) -> Iterator[tuple[list[Region], NDArray[Any]]]:
    """Gather the units of a case; only that case is held."""
    regions: list[Region] = []
    maps: list[NDArray[Any]] = []
    for region, labels in units:
        if regions and region.case != regions[0].case:
            yield regions, np.stack(maps)
            regions, maps = [], []
        regions.append(region)
        maps.append(labels)
    if regions:
        yield regions, np.stack(maps)


def _compare(prepared: Truth, regions: list[Region], stack: NDArray[Any]) -> Comparison:
    case_id, task = regions[0].case, prepared.task
    truth = np.asarray(prepared.truth(case_id))
    axis = regions[0].axis if regions[0].axis >= 0 else AXIAL
    return Comparison(
        prediction=prepared.restore(case_id, stack),
        truth=truth,
        classes=len(task.names),
        spacing=prepared.spacing(case_id),
        ignore=task.ignore,
        axis=axis if truth.ndim == 3 else None,
    )


def _classification(
    units: Iterator[tuple[Region, NDArray[Any]]], prepared: Truth, names: tuple[str, ...]
) -> list[Measurement]:
    scores, truth = [], []
    for region, probabilities in units:
        scores.append(probabilities)
        truth.append(int(prepared.truth(region.case)))
    found, true = np.stack(scores), np.array(truth)
    task = prepared.task
    counts = confusion(found.argmax(axis=1), true, len(task.names))
    measured = []
    for name in names:
        card = get("metric", name)
        values = card.function(found, true) if card.info["of"] == "scores" else card.function(counts)
        measured += _rows(name, task, values)
    return measured


def _rows(name: str, task: Task, values: NDArray[np.float64]) -> list[Measurement]:
    """Rows of the defined classes and their mean; a metric with a single value for all classes is only a mean."""
    if len(values) == 1 and len(task.foreground) > 1:
        return [Measurement(name, MEAN, float(values[0]))]
    pairs = list(zip(task.foreground, values, strict=True))
    defined = [Measurement(name, cls, float(v)) for cls, v in pairs if np.isfinite(v)]
    if len(defined) < len(pairs):
        missing = ", ".join(cls for cls, v in pairs if not np.isfinite(v))
        warnings.warn(
            f"{name} is undefined for {missing}: the test cases do not hold what it needs. "
            "It is averaged over the other classes.",
            CuretteWarning,
            stacklevel=4,
        )
    if not defined:
        return []
    return [*defined, Measurement(name, MEAN, float(np.mean([m.value for m in defined])))]
