"""Scorers, one file a family. Importing this package registers them."""

from curette.query.scorers import certainty, disagreement, nothing

__all__ = ["certainty", "disagreement", "nothing"]
