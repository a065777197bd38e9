"""Selectors, one file each idea. Importing this package registers them."""

from curette.query.selectors import chance, core_set, ranking, stochastic_batches

__all__ = ["chance", "core_set", "ranking", "stochastic_batches"]
