"""CoreGCN: core-set selection on what a graph network makes of the features."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from curette.query.candidates import Candidates, Labelled
from curette.query.graph import Graph, train
from curette.query.scorers.graph import training
from curette.query.selectors.core_set import k_center
from curette.query.space import finite, warn_of
from curette.registry import register


@register(
    "selector",
    "core_gcn",
    needs={"embedding"},
    examples=("core_gcn(nodes=12, steps=20, width=8)",),
    paper="Caramalau, Bhattarai & Kim 2021, Sequential graph convolutional network for active learning",
)
def core_gcn(
    candidates: Candidates,
    budget: int,
    rng: np.random.Generator,
    labelled: Labelled,
    *,
    nodes: int = 10_000,
    steps: int = 200,
    width: int = 128,
    unlabelled: float = 1.2,
) -> NDArray[np.int64]:
    """Greedy k-center on the hidden layer and logit of a graph network that tells labelled regions from the pool.

    Nodes of the graph are the labelled set and `nodes` random regions of the pool (never fewer than the budget; 0: all),
    and only these can be picked in this cycle. `steps` full-batch steps with hidden layer `width` and weight
    `unlabelled` on the pool's side of the loss. Needs `width` numbers a node: with ``nodes=0`` more memory than the
    features of a large pool.

    Choices: the random part of the pool is the release's own, and a diversity regulariser by itself; a comparison is
    fair only against strategies that saw a part as small. In another release that carries it, core_gcn runs k-center on
    the raw features, which is `k_center`. Similarities as in the scorer `uncertain_gcn`. Features are not scaled, as in
    the release.

    Raises `SettingError` for a number of nodes below 0 or of steps or width below 1.
    """
    how = training("Selector 'core_gcn'", nodes, steps, width, unlabelled)
    assert candidates.embedding is not None, "`select` checks it"
    points = np.asarray(candidates.embedding)
    good = finite(points)
    warn_of(~good)
    usable, others = np.flatnonzero(good), np.flatnonzero(~good)
    if 0 < nodes < len(usable) and budget < len(usable):
        usable = np.sort(rng.choice(usable, max(nodes, budget), replace=False))
    wanted = min(budget, len(usable))
    if not wanted:
        return others[:budget].astype(np.int64)
    known = _known(labelled, points.shape[1])
    seen = np.asarray(known.embedding)
    graph = Graph(points[usable], seen)
    network = train(graph, np.arange(graph.size) >= len(usable), rng, how)
    found = network.features(graph)
    part = replace(candidates.take(usable), embedding=found[: len(usable)])
    picks = k_center(part, wanted, rng, replace(known, embedding=found[len(usable) :]), standardise=False)
    return np.concatenate([usable[picks], others[: budget - wanted]]).astype(np.int64)


def _known(labelled: Labelled, width: int) -> Labelled:
    """The labelled regions with finite features, in region order."""
    if not len(labelled):
        return Labelled(embedding=np.empty((0, width), np.float32))
    features = np.asarray(labelled.embedding)
    order = [
        i
        for i in sorted(range(len(labelled)), key=lambda i: labelled.regions[i])
        if np.isfinite(features[i]).all()
    ]
    return Labelled([labelled.regions[i] for i in order], embedding=features[order])
