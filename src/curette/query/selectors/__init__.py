"""Selectors, one file each idea. Importing this package registers them."""

from curette.query.selectors import (
    batch_bald,
    cap,
    chance,
    core_gcn,
    core_set,
    cost,
    deduplicate,
    foreground,
    kmeans,
    noisy,
    per_class,
    prefilter,
    ranking,
    split,
    stochastic_batches,
    stratified,
)

__all__ = [
    "batch_bald",
    "cap",
    "chance",
    "core_gcn",
    "core_set",
    "cost",
    "deduplicate",
    "foreground",
    "kmeans",
    "noisy",
    "per_class",
    "prefilter",
    "ranking",
    "split",
    "stochastic_batches",
    "stratified",
]
