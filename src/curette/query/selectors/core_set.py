"""Core-set selection: cover the pool's features with as small a radius as possible."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from curette.errors import SettingError
from curette.query.candidates import Candidates, Labelled
from curette.query.farthest import farthest_first
from curette.query.seeding import first
from curette.query.space import Space, features, projected, warn_of
from curette.registry import register


@register(
    "selector",
    "k_center",
    needs={"embedding"},
    examples=("k_center(standardise=false, outliers=2)", 'k_center(rho=0.05, start="largest", pca=2)'),
    paper="Sener & Savarese 2018, Active learning for convolutional neural networks: a core-set approach",
)
def k_center(
    candidates: Candidates,
    budget: int,
    rng: np.random.Generator,
    labelled: Labelled,
    *,
    standardise: bool = True,
    outliers: int = 0,
    rho: float = 0.0,
    start: str = "centre",
    pca: int = 0,
) -> NDArray[np.int64]:
    """Greedy k-center: again and again the region farthest from everything labelled or picked so far.

    Euclidean distance between embeddings, by default each feature scaled to unit variance over pool and labelled set.
    Begins from the labelled set; if there is none, with the region nearest the mean (``start="centre"``), farthest from
    it (``"largest"``) or by chance (``"uniform"``). Its radius is at most twice the smallest possible.

    The robust form passes over the regions that are farther still at each pick, as odd scans otherwise win: `outliers`
    of them, or the share `rho` of the pool and at least one if `rho` is above 0. `pca` compares only that many leading
    principal components; the projected features are then held in memory besides the embeddings.

    The paper refines the greedy answer by mixed-integer programs that may leave outliers uncovered, and the released
    script forbids all outliers and needs a commercial solver; curette keeps the greedy answer and passes over outliers
    in it. Some other packages compute distances in float16, all pairs at once, which overflow; here everything is float32
    and linear in the pool: time O(N d (M + budget)), extra memory O(N). PAAL's variant scales all features by one number
    and keeps 50 components: ``k_center(standardise=false, pca=50)`` picks the same.

    Raises `SettingError` if `outliers` or `pca` is negative, `rho` outside [0, 1), or `start` unknown.
    """
    _check(outliers, rho, pca)
    points, seen = features(candidates, labelled)
    if 0 < pca < points.shape[1]:
        points, seen = projected(points, seen, pca, standardise)
        standardise = False
    space = Space(points, seen, standardise=standardise)
    warn_of(~space.good)
    begin = -1 if len(seen) else first(space, start, rng)
    skip = max(outliers, 1, math.floor(rho * len(points))) if rho else outliers
    return farthest_first(space, space.nearest(seen), budget, skip=skip, begin=begin)


def _check(outliers: int, rho: float, pca: int) -> None:
    if outliers < 0:
        raise SettingError(f"Selector 'k_center': outliers is {outliers}, but must be 0 or more.")
    if not 0 <= rho < 1:
        raise SettingError(
            f"Selector 'k_center': rho is {rho:g}, but is a share of the pool, 0 or more and below 1."
        )
    if pca < 0:
        raise SettingError(f"Selector 'k_center': pca is {pca}, but must be 0 (all features) or more.")
