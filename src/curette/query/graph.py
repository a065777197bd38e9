"""A small graph network on the features of pool and labelled set: who looks like whom, and who is labelled.

Every region is joined with every other by the cosine of their features, so the graph has n² edges. None of them is ever
written down: with rows x of length 1, A = X Xᵀ - I and D its column sums, (A D⁻¹ + I) S = X (Xᵀ D⁻¹ S) - D⁻¹ S + S, which
takes time O(n d) a column of S.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from curette.query.space import blocks, unit

_LONELY = 1e-9  # a column sum below this share of n is rounding: such a region is joined with itself only


class Graph:
    """Rows of one or more feature arrays [n, d] as one graph, each column of its matrix summing to 2.

    Cosines of features that may be negative cancel each other, and a sum near 0 would blow up the division: the
    similarity is then (1 + cos)/2, which is the cosine of rows with one constant feature more.
    """

    def __init__(self, *arrays: NDArray[np.float32]) -> None:
        self.arrays = arrays
        self.size = sum(len(a) for a in arrays)
        self.shifted = any(float(a.min(initial=0)) < 0 for a in arrays)
        total = sum(rows.sum(axis=0, dtype=np.float64) for _, rows in self.blocks())
        self.own = np.empty(self.size)
        degree = np.empty(self.size)
        for block, rows in self.blocks():
            self.own[block] = np.einsum("ij,ij->i", rows, rows)  # 1, or 0 for a row of zeros
            degree[block] = rows.astype(np.float64) @ total - self.own[block]
        joined = degree > _LONELY * self.size
        self.inverse = np.where(joined, 1 / np.where(joined, degree, 1), 0.0)

    def blocks(self) -> Iterator[tuple[slice, NDArray[np.float32]]]:
        """Slices of the n nodes and their rows [·, d] of length 1, a few at a time."""
        start = 0
        for array in self.arrays:
            for block in blocks(len(array), array.shape[1]):
                rows = unit(np.asarray(array[block], np.float32))
                if self.shifted:
                    constant = (rows != 0).any(axis=1, keepdims=True).astype(np.float32)
                    rows = np.hstack([rows, constant]) * np.float32(0.5**0.5)
                yield slice(start + block.start, start + block.start + len(rows)), rows
            start += len(array)

    def spread(self, values: NDArray[np.floating]) -> NDArray[np.float64]:
        """(A D⁻¹ + I) S for values S [n]."""
        weighted = self.inverse * values
        return np.asarray(self._through(weighted) - self.own * weighted + values)

    def back(self, values: NDArray[np.floating]) -> NDArray[np.float64]:
        """The same with the matrix transposed, as gradients need it."""
        return np.asarray(self.inverse * (self._through(values) - self.own * values) + values)

    def spread_rows(self) -> Iterator[tuple[slice, NDArray[np.float32]]]:
        """(A D⁻¹ + I) X, a few rows at a time."""
        inner = sum(
            (rows.T @ (rows * self.inverse[block, None].astype(np.float32))).astype(np.float64)
            for block, rows in self.blocks()
        )
        for block, rows in self.blocks():
            keep = (1 - self.own[block] * self.inverse[block])[:, None].astype(np.float32)
            yield block, rows @ np.asarray(inner, np.float32) + keep * rows

    def _through(self, values: NDArray[np.floating]) -> NDArray[np.float64]:
        """X (Xᵀ v) for v [n]."""
        inner = sum(rows.T @ values[block] for block, rows in self.blocks())
        found = np.empty(self.size)
        for block, rows in self.blocks():
            found[block] = rows @ inner
        return found


@dataclass
class GraphNetwork:
    """Two graph layers: h = ReLU(Â X W), logit = Â h v, where Â is the matrix of the graph."""

    hidden: NDArray[np.float32]
    last: NDArray[np.float32]

    def features(self, graph: Graph) -> NDArray[np.float32]:
        """h and the logit of every node, [n, width + 1]."""
        h = np.concatenate([self._activate(rows) for _, rows in graph.spread_rows()])
        return np.hstack([h, graph.spread(h @ self.last)[:, None].astype(np.float32)])

    def logits(self, graph: Graph) -> NDArray[np.float64]:
        """The logit [n] of every node: high for those that look labelled."""
        found = np.empty(graph.size)
        for block, rows in graph.spread_rows():
            found[block] = self._activate(rows) @ self.last
        return graph.spread(found)

    def _activate(self, rows: NDArray[np.float32]) -> NDArray[np.float32]:
        return np.asarray(np.maximum(rows @ self.hidden, 0))


@dataclass(frozen=True)
class Training:
    """How a graph network is trained: full-batch steps of Adam, with weight decay and dropout of h."""

    steps: int = 200
    width: int = 128
    unlabelled: float = 1.2
    lr: float = 1e-3
    decay: float = 5e-4
    dropout: float = 0.3


def train(graph: Graph, labelled: NDArray[np.bool_], rng: np.random.Generator, how: Training) -> GraphNetwork:
    """Teach a network to tell labelled nodes [n] from the others."""
    rows = np.concatenate([part for _, part in graph.spread_rows()])
    bound = 1 / np.sqrt(how.width)
    hidden = rng.uniform(-bound, bound, (rows.shape[1], how.width)).astype(np.float32)
    last = rng.uniform(-1, 1, how.width).astype(np.float32)
    network = GraphNetwork(hidden, last)
    adam = _Adam(how)
    for _ in range(how.steps):
        keep = (rng.random((graph.size, how.width), np.float32) >= how.dropout) / np.float32(1 - how.dropout)
        _, gradients = loss_and_gradients(
            network, graph, rows, labelled, keep.astype(np.float32), how.unlabelled
        )
        adam.step((network.hidden, network.last), gradients)
    return network


def loss_and_gradients(
    network: GraphNetwork,
    graph: Graph,
    rows: NDArray[np.float32],
    labelled: NDArray[np.bool_],
    keep: NDArray[np.float32],
    unlabelled: float,
) -> tuple[float, tuple[NDArray[np.float32], NDArray[np.float32]]]:
    """The loss and its gradients by both weights; `rows` is Â X, and `keep` [n, width] what dropout leaves of h."""
    active = rows @ network.hidden
    h = np.maximum(active, 0) * keep
    logit = graph.spread(h @ network.last)
    value, slope = loss(logit, labelled, unlabelled)
    by_node = graph.back(slope).astype(np.float32)
    by_hidden = by_node[:, None] * network.last * keep * (active > 0)
    return value, (rows.T @ by_hidden, h.T @ by_node)


def loss(
    logit: NDArray[np.float64], labelled: NDArray[np.bool_], unlabelled: float
) -> tuple[float, NDArray[np.float64]]:
    """- mean ln s over labelled nodes - `unlabelled` · mean ln(1 - s) over the others, and its slope by the logits."""
    sign = np.where(labelled, -1.0, 1.0)
    counts = np.where(labelled, labelled.sum(), (~labelled).sum())
    weight = np.where(labelled, 1.0, unlabelled) / np.maximum(counts, 1)
    value = float((weight * np.logaddexp(0, sign * logit)).sum())
    return value, weight * sign * np.exp(-np.logaddexp(0, -sign * logit))


@dataclass
class _Adam:
    """Kingma & Ba 2015, with weight decay added to the gradients."""

    how: Training
    count: int = 0
    first: list[NDArray[np.float32]] = field(default_factory=list)
    second: list[NDArray[np.float32]] = field(default_factory=list)

    def step(
        self, weights: tuple[NDArray[np.float32], ...], gradients: tuple[NDArray[np.float32], ...]
    ) -> None:
        """Change the weights in place."""
        if not self.first:
            self.first = [np.zeros_like(w) for w in weights]
            self.second = [np.zeros_like(w) for w in weights]
        self.count += 1
        for w, g, m, v in zip(weights, gradients, self.first, self.second, strict=True):
            g = g + np.float32(self.how.decay) * w
            m += np.float32(0.1) * (g - m)
            v += np.float32(0.001) * (g * g - v)
            slow, fast = 1 - 0.9**self.count, 1 - 0.999**self.count
            w -= np.float32(self.how.lr / slow) * m / (np.sqrt(v / np.float32(fast)) + np.float32(1e-8))
