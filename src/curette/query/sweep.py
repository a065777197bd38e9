"""One streaming pass over the pool that serves every strategy which asks the model in the same way."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from curette.errors import ContractError
from curette.learn.encoders import Encode, encodes, trained
from curette.learn.learner import Learner, Model
from curette.learn.prediction import Prediction
from curette.query.arrays import to_numpy
from curette.query.candidates import Candidates, kept
from curette.query.occasion import Occasion
from curette.query.parts import pooled
from curette.query.scoring import blind, in_order, score, score_map, unscored
from curette.query.strategy import Strategy
from curette.region import Region
from curette.registry import Bound, bind
from curette.task import Task


def sweep(
    learner: Learner,
    model: Model | None,
    regions: Sequence[Region],
    strategies: Sequence[Strategy],
    *,
    seed: int,
    patient: Mapping[str, int],
    task: Task,
    taken: frozenset[Region] = frozenset(),
    encode: Encode | None = None,
    occasion: Occasion | None = None,
) -> dict[Strategy, Candidates]:
    """Score a pool for several strategies at once.

    Strategies with the same passes share one pass over the pool, and those with the same scorer and granularity share
    their columns. Predictions are thrown away batch by batch; only `Candidates` are kept. Strategies whose passes are
    ``none`` or an encoder never touch the model, which may then be None.

    regions   the pool, best in region order, which spares sorting later
    patient   case id → number of its patient
    taken     regions that must not be picked any more
    encode    gives the features of strategies whose passes are an encoder, see `curette.loop.features`; without it,
              the encoder is trained on just these regions, for this call
    occasion  which query it is, for granularities that ask; its seed and the pool's size are filled in here

    Raises `ContractError` naming the part that returned something of the wrong shape, or the learner if its
    predictions are not those of the regions asked for.
    """
    when = replace(occasion or Occasion(), seed=seed, units=len(regions))
    found: dict[Strategy, Candidates] = {}
    asking: dict[Bound, list[Strategy]] = {}
    features: dict[Bound, NDArray[np.float32]] = {}
    for strategy in strategies:
        if strategy.passes.name == "none" or encodes(strategy.passes):
            left = blind(strategy, regions, taken, when)
            looks = encodes(strategy.passes) and "embedding" in strategy.needs and left
            if looks and strategy.passes not in features:
                features[strategy.passes] = _encoded(learner, strategy.passes, left, seed, encode)
            found[strategy] = unscored(
                left, patient, features[strategy.passes] if looks else None, when.shape
            )
        else:
            asking.setdefault(strategy.passes, []).append(strategy)
    for passes, group in asking.items():
        assert model is not None, "strategies that look at predictions need a model"
        needs = frozenset().union(*(s.needs for s in group))
        columns = {
            _measure(s): _Columns(
                len(regions),
                frozenset().union(*(o.needs for o in group if _measure(o) == _measure(s))) | s.makes,
            )
            for s in group
        }
        for prediction in _predict(learner, model, regions, passes, needs, seed, task):
            for (scorer, granularity), column in columns.items():
                column.add(score(scorer, granularity, column.part(prediction), taken, when))
        done = {measure: column.finish(patient) for measure, column in columns.items()}
        found |= {s: done[_measure(s)] for s in group}
    return {s: found[s] for s in strategies}


def recall(
    learner: Learner,
    model: Model,
    regions: Sequence[Region],
    strategy: Strategy,
    *,
    seed: int,
    encode: Encode | None = None,
) -> tuple[NDArray[np.float32] | None, dict[str, NDArray[Any]]]:
    """Embeddings [M, d] and columns of labelled regions as the strategy needs them, from the same passes as the pool's.

    The embeddings are None and the columns empty where nothing needs them, or where there are no regions. Of a part they
    are those of its unit; the embedding is that of the part if the strategy looks at maps of features. `encode` is
    that of the sweep. Raises `ContractError` without it for an encoder that is trained on the regions it is given, as
    the features of two trainings do not compare.
    """
    needs = kept(strategy.needs)
    if not needs or not regions:
        return None, {}
    if encodes(strategy.passes):
        if encode is None and trained(strategy.passes):
            raise ContractError(
                f"The features of '{strategy.passes}' for the labelled set must come from the training that gave those of "
                "the pool. Give `sweep` and `recall` the same `encode`, see `curette.loop.features`."
            )
        units = [region.unit for region in regions]
        return _encoded(learner, strategy.passes, units, seed, encode), {}
    units = sorted({region.unit for region in regions})
    parts: dict[Region, list[int]] = {}
    for row, region in enumerate(regions):
        parts.setdefault(region.unit, []).append(row)
    maps_too = strategy.needs & {"feature_map"}
    found: dict[str, NDArray[Any]] = {}
    for prediction in _predict(learner, model, units, strategy.passes, needs | maps_too, seed, None):
        rows = [parts[unit] for unit in prediction.regions]
        unit_of = np.repeat(np.arange(len(rows)), [len(r) for r in rows])
        at = np.concatenate(rows)
        for name in needs:
            values = _remembered(prediction, name, [regions[i] for i in at], unit_of)
            if name not in found:
                found[name] = np.empty((len(regions), *values.shape[1:]), np.float32)
            found[name][at] = values
    return found.pop("embedding", None), found


def _remembered(
    prediction: Prediction, name: str, regions: Sequence[Region], unit: NDArray[np.int64]
) -> NDArray[Any]:
    """A column, or the embedding, of regions that are, or lie in, the units of a prediction: `unit` says in which row."""
    values = to_numpy(prediction.embedding if name == "embedding" else prediction.columns[name])[unit]
    if name == "embedding" and prediction.feature_map is not None:
        parts = [i for i, region in enumerate(regions) if region.box]
        cut = [regions[i] for i in parts]
        values = values.astype(np.float32)
        values[parts] = pooled(to_numpy(prediction.feature_map), unit[parts], cut, prediction.mean.shape[2:])
    return values


def maps(
    learner: Learner, model: Model, regions: Sequence[Region], strategy: Strategy, *, seed: int
) -> tuple[NDArray[np.uint8], NDArray[np.float32] | None]:
    """What a strategy saw in a handful of regions: predicted classes [n, *S] and its score map [n, *S].

    The map is None where there is none to see: for strategies that measure nothing, whose prediction comes from a single
    pass, and for scores that are one number a region, as in classification. Holds all n maps in memory.
    """
    blind = strategy.passes.name == "none" or encodes(strategy.passes)
    passes = bind("passes", "single") if blind else strategy.passes
    measures = strategy.scorer.name != "none"
    classes: list[NDArray[np.uint8]] = []
    scores: list[NDArray[np.float32]] = []
    for prediction in _predict(learner, model, regions, passes, strategy.scorer.needs, seed, None):
        classes.append(to_numpy(prediction.mean).argmax(axis=1).astype(np.uint8))
        if measures:
            scores.append(to_numpy(score_map(strategy.scorer, prediction)).astype(np.float32))
    if not classes:
        return np.empty(0, np.uint8), None
    found = np.concatenate(scores) if measures else None
    return np.concatenate(classes), found if found is not None and found.ndim > 1 else None


def _encoded(
    learner: Learner, passes: Bound, regions: Sequence[Region], seed: int, encode: Encode | None
) -> NDArray[np.float32]:
    """Features of images alone [N, d]."""
    return learner.encode(regions, passes, seed=seed) if encode is None else encode(passes, regions)


def _measure(strategy: Strategy) -> tuple[Bound, Bound]:
    return strategy.scorer, strategy.granularity


def _predict(
    learner: Learner,
    model: Model,
    regions: Sequence[Region],
    passes: Bound,
    needs: frozenset[str],
    seed: int,
    task: Task | None,
) -> Iterator[Prediction]:
    """The learner's predictions, checked to be of these regions in this order, with every field asked for."""
    name, at = type(learner).__name__, 0
    for prediction in learner.predict(model, regions, passes, needs, seed=seed):
        batch = len(prediction.regions)
        if list(prediction.regions) != list(regions[at : at + batch]):
            raise ContractError(f"{name} predicted other regions than those asked for, at position {at}.")
        if task is not None and prediction.mean.shape[1] != len(task.classes):
            raise ContractError(
                f"{name} predicts {prediction.mean.shape[1]} classes, but the task has {len(task.classes)}."
            )
        for field in needs:
            if getattr(prediction, field, None) is None and field not in prediction.columns:
                raise ContractError(f"{name} left out '{field}', which a strategy with '{passes}' needs.")
        at += batch
        yield prediction
    if at != len(regions):
        raise ContractError(f"{name} predicted {at} of {len(regions)} regions.")


class _Columns:
    """Candidates in the making: arrays of the pool's size, allocated once and filled batch by batch.

    A granularity may yield more than one candidate a region; then the arrays double.
    """

    def __init__(self, size: int, needs: frozenset[str]) -> None:
        self.needs = kept(needs)
        self.regions: list[Region] = []
        self.arrays: dict[str, NDArray[Any]] = {
            "score": np.empty(size, np.float32),
            "predicted": np.empty(size, np.int32),
            "cost": np.empty(size, np.float32),
        }
        for name in self.needs:
            self.arrays[name] = np.empty((size, 0), np.float32)

    def part(self, prediction: Prediction) -> Prediction:
        """The prediction without what these candidates need not keep."""
        return replace(
            prediction,
            embedding=prediction.embedding if "embedding" in self.needs else None,
            columns={name: column for name, column in prediction.columns.items() if name in self.needs},
        )

    def add(self, batch: Candidates) -> None:
        start = len(self.regions)
        self.regions.extend(batch.regions)
        stop = len(self.regions)
        for name, array in self.arrays.items():
            new = batch.columns[name] if name in batch.columns else getattr(batch, name)
            if start == 0 and name in self.needs:  # of one number a region, or many
                self.arrays[name] = array = np.empty((len(array), *new.shape[1:]), np.float32)
            if stop > len(array):
                room = np.empty((max(stop, 2 * len(array)), *array.shape[1:]), array.dtype)
                room[:start] = array[:start]
                self.arrays[name] = array = room
            array[start:stop] = new

    def finish(self, patient: Mapping[str, int]) -> Candidates:
        n = len(self.regions)
        numbers = np.fromiter((patient[r.case] for r in self.regions), np.int32, n)
        columns = {name: array[:n] for name, array in self.arrays.items()}
        own = {name: columns.pop(name) for name in ("score", "predicted", "cost")}
        return Candidates(
            regions=self.regions,
            patient=numbers,
            embedding=columns.pop("embedding", None),
            columns=columns,
            ordered=in_order(self.regions),
            **own,
        )
