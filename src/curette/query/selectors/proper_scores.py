"""BEMPS batches: regions that are expected to change predictions, each in its own way."""

from __future__ import annotations

from functools import partial

import numpy as np
from numpy.typing import NDArray

from curette.errors import SettingError
from curette.query.candidates import Candidates, Labelled
from curette.query.clustering import cluster
from curette.query.members import filled, information, members_of, shortlist
from curette.query.scorers.proper_scores import Rule, changes, check, divergence, sample, squared
from curette.query.selectors.kmeans import nearest_to_centres
from curette.query.selectors.ranking import highest
from curette.query.space import Space, unit
from curette.registry import register


@register(
    "selector",
    "core_mse",
    needs={"members"},
    min_passes=2,
    examples=("core_mse(keep=1)", "core_mse(prefilter=8, share=0.2)"),
    paper="Tan, Du & Buntine 2021, Diversity enhanced active learning with strictly proper scoring rules",
)
def core_mse(
    candidates: Candidates,
    budget: int,
    rng: np.random.Generator,
    labelled: Labelled,
    *,
    keep: float = 0.5,
    prefilter: int = 20_000,
    share: float = 0.0939,
    most: int = 1000,
) -> NDArray[np.int64]:
    """A batch that gains much squared error over the pool (see the scorer `core_mse`) in different places.

    The share `keep` of highest gain is clustered by where in the pool the gain falls: one vector a region, its gain for
    each of the regions measured on, scaled to length 1; k-means with as many clusters as picks; of each cluster the
    region nearest to its centre. Clusters without one are made up for by chance.

    Choices: the vectors hold the expected change alone. Those of the release also hold the error that no answer changes,
    which is the same for all regions and makes all vectors alike. Only the `prefilter` regions of highest mutual
    information are looked at (a tenth of them drawn at random, never fewer than the budget).

    Raises `SettingError` for a `keep` or `share` outside (0, 1], or `prefilter` or `most` below 1.
    """
    return _batch(candidates, budget, rng, squared, keep, prefilter, share, most, "core_mse")


@register(
    "selector",
    "core_log",
    needs={"members"},
    min_passes=2,
    examples=("core_log(forward=true)",),
    paper="Tan, Du & Buntine 2021, Diversity enhanced active learning with strictly proper scoring rules",
)
def core_log(
    candidates: Candidates,
    budget: int,
    rng: np.random.Generator,
    labelled: Labelled,
    *,
    forward: bool = False,
    keep: float = 0.5,
    prefilter: int = 20_000,
    share: float = 0.0939,
    most: int = 1000,
) -> NDArray[np.int64]:
    """A batch that gains much log score over the pool (see the scorer `core_log`) in different places.

    Otherwise like the selector `core_mse`.
    """
    rule = partial(divergence, forward=forward)
    return _batch(candidates, budget, rng, rule, keep, prefilter, share, most, "core_log")


def _batch(
    candidates: Candidates,
    budget: int,
    rng: np.random.Generator,
    rule: Rule,
    keep: float,
    prefilter: int,
    share: float,
    most: int,
    name: str,
) -> NDArray[np.int64]:
    check(f"Selector '{name}'", share, most)
    if not 0 < keep <= 1:
        raise SettingError(
            f"Selector '{name}': keep is {keep:g}, but is a share of the pool, above 0 and up to 1."
        )
    if prefilter < 1:
        raise SettingError(f"Selector '{name}': prefilter is {prefilter}, but must be 1 or more.")
    members, good = members_of(candidates)
    short = shortlist(information(members, good), max(prefilter, budget), rng)
    if len(short) <= budget:
        return filled(short, good, budget, rng)
    others = sample(members, good, rng, share, most)
    gain = np.empty(len(short), np.float32)
    for rows, change in changes(members[short], others, rule):
        gain[rows] = change.sum(axis=1)
    best = short[np.sort(highest(gain, max(budget, round(keep * len(short)))))]
    vectors = np.empty((len(best), len(others)), np.float32)
    for rows, change in changes(members[best], others, rule):
        vectors[rows] = unit(change.astype(np.float32))
    found = cluster(Space(vectors, standardise=False), budget, rng, restarts=1)
    picks = best[nearest_to_centres(found, budget)]
    kept = np.setdiff1d(best, picks)
    more = rng.choice(kept, min(len(kept), budget - len(picks)), replace=False)
    return filled(np.concatenate([picks, more]), good, budget, rng)
