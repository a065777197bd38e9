"""From one batch's prediction to candidates: scorer, then granularity, each held to its contract."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import pairwise

import numpy as np
from array_api_compat import array_namespace

from curette.errors import ContractError
from curette.learn.prediction import Array, Prediction
from curette.query.candidates import Candidates, Labelled
from curette.region import Region
from curette.registry import Bound


def score_map(scorer: Bound, prediction: Prediction) -> Array:
    """What the scorer makes of a prediction: a map [B, *S] or one number a region [B]; 0 for a pool scorer.

    Raises `ContractError` naming the scorer if it returns another shape.
    """
    if scorer.component.info.get("pool"):
        mean = prediction.mean
        return array_namespace(mean).zeros_like(mean[(slice(None),) + (0,) * (mean.ndim - 1)])
    scores = scorer(prediction)
    batch, _, *space = prediction.mean.shape
    shape = tuple(getattr(scores, "shape", ()))
    if shape not in ((batch, *space), (batch,)):
        raise ContractError(
            f"The scorer '{scorer}' returned shape {shape} for probabilities {tuple(prediction.mean.shape)}. "
            f"It must return a map {(batch, *space)} or one number a region {(batch,)}."
        )
    return scores


def score(scorer: Bound, granularity: Bound, prediction: Prediction, taken: frozenset[Region]) -> Candidates:
    """The candidates of one batch, without patients. Raises `ContractError` naming a part that breaks its contract."""
    candidates = granularity(score_map(scorer, prediction), prediction, taken)
    if not isinstance(candidates, Candidates):
        raise ContractError(
            f"The granularity '{granularity}' returned {type(candidates).__name__}, not Candidates."
        )
    return candidates


def rescored(
    scorer: Bound, candidates: Candidates, rng: np.random.Generator, labelled: Labelled
) -> Candidates:
    """The candidates with the scores of a pool scorer; with any other scorer, as they are.

    The pool scorer sees the candidates in region order. Raises `ContractError` if it returns another shape than [N].
    """
    if not scorer.component.info.get("pool") or not len(candidates):
        return candidates
    order = None if candidates.ordered else candidates.order
    found = np.asarray(
        scorer(candidates if order is None else candidates.take(order), rng, labelled), np.float32
    )
    if found.shape != (len(candidates),):
        raise ContractError(
            f"The scorer '{scorer}' returned shape {found.shape} for {len(candidates)} candidates; it must be one "
            "number each."
        )
    if order is None:
        return candidates.rescored(found)
    score = np.empty_like(found)
    score[order] = found
    return candidates.rescored(score)


def unscored(regions: Sequence[Region], patient: Mapping[str, int]) -> Candidates:
    """Candidates for strategies that never look at a model: score 0, predicted class -1 (unknown), no features."""
    n = len(regions)
    return Candidates(
        regions=regions,
        score=np.zeros(n, np.float32),
        patient=np.fromiter((patient[r.case] for r in regions), np.int32, n),
        predicted=np.full(n, -1, np.int32),
        cost=np.ones(n, np.float32),
        ordered=in_order(regions),
    )


def in_order(regions: Sequence[Region]) -> bool:
    """Whether regions rise strictly, which also proves them distinct."""
    keys = ((r.case, r.axis, r.index, r.box) for r in regions)
    return all(a < b for a, b in pairwise(keys))
