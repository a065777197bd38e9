"""Scorers, one file a family. Importing this package registers them."""

from curette.query.scorers import (
    certainty,
    disagreement,
    graph,
    nothing,
    overlap,
    perturbation,
    proper_scores,
    votes,
)

__all__ = [
    "certainty",
    "disagreement",
    "graph",
    "nothing",
    "overlap",
    "perturbation",
    "proper_scores",
    "votes",
]
