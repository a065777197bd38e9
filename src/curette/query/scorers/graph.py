"""UncertainGCN: regions a graph network is least sure to be unlabelled."""

from __future__ import annotations

import warnings

import numpy as np
from numpy.typing import NDArray

from curette.errors import CuretteWarning, SettingError
from curette.query.candidates import Candidates, Labelled
from curette.query.graph import Graph, Training, train
from curette.query.space import features, finite, warn_of
from curette.registry import register


@register(
    "scorer",
    "uncertain_gcn",
    pool=True,
    needs={"embedding"},
    examples=("uncertain_gcn(nodes=12, steps=20, width=8)",),
    paper="Caramalau, Bhattarai & Kim 2021, Sequential graph convolutional network for active learning",
)
def uncertain_gcn(
    candidates: Candidates,
    rng: np.random.Generator,
    labelled: Labelled,
    *,
    nodes: int = 10_000,
    steps: int = 200,
    width: int = 128,
    unlabelled: float = 1.2,
    target: float = 0.1,
) -> NDArray[np.float32]:
    """Minus the distance of a region's chance of being labelled to `target`, as a graph network sees it.

    The network is trained to tell the labelled set from `nodes` random regions of the pool (0: from all) for `steps`
    full-batch steps, with hidden layer `width` and weight `unlabelled` on the pool's side of the loss. It is then asked
    about the whole pool. With nothing labelled there is nothing to tell apart: the scores are chance, with a warning.

    Choices: the release scores only the random regions it trained with; curette scores all of them, on the graph of all,
    by exact propagation in time O(N d · width). The paper divides by sums of cosines, which for features of both signs
    may be near 0; curette then measures (1 + cos)/2. The release declares three layers and uses two, as done here.

    Raises `SettingError` for a number of nodes below 0 or of steps or width below 1.
    """
    how = training("Scorer 'uncertain_gcn'", nodes, steps, width, unlabelled)
    points, seen = features(candidates, labelled)
    good = finite(points)
    warn_of(~good)
    score = np.full(len(points), -np.inf, np.float32)
    if not len(seen):
        warnings.warn(
            "The scorer 'uncertain_gcn' compares the pool with labelled regions, and nothing is labelled: its scores "
            "are chance.",
            CuretteWarning,
            stacklevel=2,
        )
        score[good] = rng.random(int(good.sum()), np.float32)
        return score
    usable = points if good.all() else points[good]
    if not len(usable):
        return score
    some = np.sort(rng.choice(len(usable), nodes, replace=False)) if 0 < nodes < len(usable) else slice(None)
    part = usable[some]
    network = train(Graph(part, seen), np.arange(len(part) + len(seen)) >= len(part), rng, how)
    logit = network.logits(Graph(usable, seen))[: len(usable)]
    score[good] = closeness(1 / (1 + np.exp(-logit)), target)
    return score


def closeness(chance: NDArray[np.float64], target: float) -> NDArray[np.float64]:
    """Minus the distance to the target."""
    return -np.abs(chance - target)


def training(where: str, nodes: int, steps: int, width: int, unlabelled: float) -> Training:
    """The settings both graph strategies share. Raises `SettingError` that begins with `where`."""
    for name, value, least in (("nodes", nodes, 0), ("steps", steps, 1), ("width", width, 1)):
        if value < least:
            raise SettingError(f"{where}: {name} is {value}, but must be {least} or more.")
    if unlabelled <= 0:
        raise SettingError(f"{where}: unlabelled is {unlabelled:g}, but is a weight above 0.")
    return Training(steps=steps, width=width, unlabelled=unlabelled)
