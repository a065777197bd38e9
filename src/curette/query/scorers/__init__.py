"""Scorers, one file a family. Importing this package registers them."""

from curette.query.scorers import certainty, disagreement, graph, nothing

__all__ = ["certainty", "disagreement", "graph", "nothing"]
