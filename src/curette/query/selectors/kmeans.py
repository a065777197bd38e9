"""The regions nearest to the centres of as many clusters, and regions drawn as k-means draws its first centres."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from curette.errors import SettingError
from curette.query.candidates import Candidates, Labelled
from curette.query.clustering import Clusters, cluster
from curette.query.farthest import farthest_first
from curette.query.seeding import by_squared_distance, first
from curette.query.space import Space, features, warn_of
from curette.registry import register


@register(
    "selector",
    "kmeans",
    needs={"embedding"},
    examples=("kmeans(with_labelled=false, standardise=false)",),
    paper="Nguyen & Smeulders 2004, Active learning using pre-clustering; as in PAAL 2024",
)
def kmeans(
    candidates: Candidates,
    budget: int,
    rng: np.random.Generator,
    labelled: Labelled,
    *,
    with_labelled: bool = True,
    standardise: bool = True,
    restarts: int = 10,
) -> NDArray[np.int64]:
    """k-means with as many clusters as picks; of each cluster the region nearest to its centre, large clusters first.

    Euclidean distance between embeddings, by default each feature scaled to unit variance over pool and labelled set.
    Up to a million regions × picks the best of `restarts` runs of Lloyd's algorithm, beyond that mini-batches. Clusters
    without a member are made up for by the regions farthest from all that is labelled or picked.

    The papers cluster the pool alone, so that successive cycles visit the same places again (``with_labelled=false``, and
    ``standardise=false`` for their unscaled features). curette lets the labelled regions stand as further centres that do
    not move: a region nearer to one of these than to the centre of its cluster neither pulls at it nor is picked for it.

    Time O(N d (budget + M)), extra memory O(N). Raises `SettingError` if `restarts` is below 1.
    """
    if restarts < 1:
        raise SettingError(f"Selector 'kmeans': restarts is {restarts}, but must be 1 or more.")
    points, seen = features(candidates, labelled)
    space = Space(points, seen, standardise=standardise)
    warn_of(~space.good)
    known = space.nearest(seen) if len(seen) else None
    found = cluster(space, budget, rng, fixed=known if with_labelled else None, restarts=restarts)
    picks = nearest_to_centres(found, budget)
    return _filled(space, seen, picks, budget)


@register(
    "selector",
    "k_means_pp",
    needs={"embedding"},
    examples=('k_means_pp("largest", with_labelled=false)',),
    paper="Arthur & Vassilvitskii 2007; for active learning: Holzmüller et al. 2023 (BMDAL)",
)
def k_means_pp(
    candidates: Candidates,
    budget: int,
    rng: np.random.Generator,
    labelled: Labelled,
    *,
    start: str = "uniform",
    with_labelled: bool = True,
    standardise: bool = True,
) -> NDArray[np.int64]:
    """Regions drawn one after another, each with a probability proportional to its squared distance to all before it.

    The labelled set counts as drawn before, unless ``with_labelled=false``. Where nothing is, the first pick is random,
    or by `start` the region farthest from the mean (``"largest"``) or nearest to it (``"centre"``). Between chance and
    `k_center`: prefers what is far from everything known, but does not chase single outliers. What some packages call
    "kmeans++" takes the farthest region every time, without chance; that is `k_center` here.

    Time O(N d (M + budget)), extra memory O(N). Raises `SettingError` for an unknown start.
    """
    points, seen = features(candidates, labelled)
    space = Space(points, seen, standardise=standardise)
    warn_of(~space.good)
    begin = first(space, start, rng)
    if with_labelled and len(seen):
        return by_squared_distance(space, space.nearest(seen), budget, rng)
    return by_squared_distance(space, np.full(len(points), np.inf, np.float32), budget, rng, begin=begin)


def nearest_to_centres(found: Clusters, budget: int) -> NDArray[np.int64]:
    """Of each cluster the member nearest to its centre, large clusters first; the first member wins ties."""
    members = np.flatnonzero(found.of >= 0)
    order = members[np.lexsort((found.distance[members], found.of[members]))]
    _, where, size = np.unique(found.of[order], return_index=True, return_counts=True)
    picks = order[where]
    return picks[np.lexsort((picks, -size))][:budget].astype(np.int64)


def _filled(
    space: Space, seen: NDArray[np.float32], picks: NDArray[np.int64], budget: int
) -> NDArray[np.int64]:
    """The picks, and up to the budget the points farthest from them and the labelled set."""
    if len(picks) == budget:
        return picks
    distance = space.nearest(np.concatenate([seen, space.points[picks]]))
    distance[picks] = -np.inf
    return np.concatenate([picks, farthest_first(space, distance, budget - len(picks))])
