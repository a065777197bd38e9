"""Scorers, one file a family. Importing this package registers them."""

from curette.query.scorers import (
    adversarial,
    certainty,
    consistency,
    contour,
    disagreement,
    graph,
    nothing,
    overlap,
    perturbation,
    predicted,
    proper_scores,
    votes,
)

__all__ = [
    "adversarial",
    "certainty",
    "consistency",
    "contour",
    "disagreement",
    "graph",
    "nothing",
    "overlap",
    "perturbation",
    "predicted",
    "proper_scores",
    "votes",
]
