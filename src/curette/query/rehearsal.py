"""A dry run of a strategy on a made-up pool of a few regions: what cannot work fails here, in milliseconds."""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from curette.errors import CuretteWarning
from curette.learn.columns import Pass, combined, wanted
from curette.learn.companions import output_axes
from curette.learn.encoders import encodes
from curette.learn.prediction import Prediction
from curette.learn.stacked import stacked
from curette.query.arrays import to_numpy
from curette.query.candidates import Labelled
from curette.query.occasion import Occasion
from curette.query.scoring import blind, rescored, score, unscored
from curette.query.select import select
from curette.query.truth import grouped, revealed
from curette.region import Region
from curette.task import Task

if TYPE_CHECKING:
    from curette.query.strategy import Strategy

_SIDE, _FEATURES = 6, 3


def rehearse(strategy: Strategy, task: Task, unit: str, *, cold: bool = False) -> None:
    """Score and select once. Passes on what the parts raise, `SettingError` for options out of range among them.

    `unit` is the study's unit of annotation, ``slice`` or ``image``. With `cold` nothing is labelled yet, as in cycle 0;
    that is for strategies that ask no model.
    """
    sliced = unit == "slice" and task.kind == "segmentation"
    task = task.model_copy(update={"dims": 2}) if sliced else task
    rng = np.random.default_rng(0)
    occasion = Occasion(
        budget=2,
        units=4,
        size=(_SIDE,) * task.dims,
        truth=lambda _: _labels(task, rng, 1)[0],
        image=lambda _: _images(task, rng, 1)[0],
    )
    regions = [Region(f"case{i}", *((2, i) if sliced else ())) for i in range(6)]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", CuretteWarning)
        if strategy.passes.name == "none" or encodes(strategy.passes):
            seen = encodes(strategy.passes) and "embedding" in strategy.needs
            features = rng.normal(size=(6, _FEATURES)).astype(np.float32) if seen else None
            patient = {r.case: i // 2 for i, r in enumerate(regions)}
            pool = blind(strategy, regions[:4], frozenset(), occasion)
            candidates = unscored(pool, patient, None if features is None else features[:4], occasion.shape)
            done = None if features is None else features[4:]
            labelled = Labelled() if cold else Labelled(regions[4:], np.array([0, 1], np.int32), done)
        else:
            guess, known = (made_up(part, task, strategy, rng) for part in (regions[:4], regions[4:]))
            candidates = score(strategy.scorer, strategy.granularity, guess, frozenset(), occasion)
            labelled = Labelled(
                regions[4:],
                np.array([0, 1], np.int32),
                known.embedding,
                {name: to_numpy(column) for name, column in known.columns.items()},
                dict(zip(regions[4:], _labels(task, rng, 2), strict=True)),
            )
        if strategy.truth:
            shown = dict(zip(candidates.regions, _labels(task, rng, len(candidates)), strict=True))
            candidates = revealed(candidates, shown, task)
        if strategy.grouped:
            candidates = grouped(candidates, {region.case: i % 2 for i, region in enumerate(regions)})
        candidates = rescored(strategy.scorer, candidates, rng, labelled)
        select(strategy, candidates, min(2, len(candidates)), rng, labelled)


def _labels(task: Task, rng: np.random.Generator, count: int) -> NDArray[np.int64]:
    space = () if task.kind == "classification" else (_SIDE,) * task.dims
    return rng.integers(0, len(task.classes), (count, *space))


def _images(task: Task, rng: np.random.Generator, count: int) -> NDArray[np.float32]:
    return rng.normal(size=(count, len(task.channels), *[_SIDE] * task.dims)).astype(np.float32)


def made_up(regions: list[Region], task: Task, strategy: Strategy, rng: np.random.Generator) -> Prediction:
    """Two random passes, every field and the strategy's columns filled."""
    space = () if task.kind == "classification" else (_SIDE,) * task.dims
    logits = rng.normal(0, 2, (2, len(regions), len(task.classes), *space)).astype(np.float32)
    p = np.exp(logits) / np.exp(logits).sum(axis=2, keepdims=True)
    features = rng.normal(size=(2, len(regions), _FEATURES, *space)).astype(np.float32)
    images = _images(task, rng, len(regions))
    length = {"classes": (len(task.classes),), "space": space}
    said = {
        name: rng.random((len(regions), *(n for axis in axes for n in length[axis])), np.float32)
        for name, axes in output_axes(strategy.needs).items()
    }
    seen = [Pass(images, p[t], logits[t], None, features[t], logits[t], said) for t in range(2)]
    return stacked(
        regions,
        np.moveaxis(p, 0, 1),
        logits=logits.mean(axis=0),
        embedding=rng.normal(size=(len(regions), _FEATURES)).astype(np.float32),
        image=images,
        columns={name: combined(column, seen) for name, column in wanted(strategy.needs).items()},
    )
