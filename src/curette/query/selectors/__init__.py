"""Selectors, one file each idea. Importing this package registers them."""

from curette.query.selectors import (
    batch_bald,
    chance,
    core_gcn,
    core_set,
    kmeans,
    ranking,
    stochastic_batches,
)

__all__ = [
    "batch_bald",
    "chance",
    "core_gcn",
    "core_set",
    "kmeans",
    "ranking",
    "stochastic_batches",
]
