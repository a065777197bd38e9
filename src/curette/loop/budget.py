"""What a run may label, in numbers: the study's settings once the pool is known."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal

from curette.errors import SettingError
from curette.recipe import Query


@dataclass(frozen=True)
class Budget:
    """Units (or parts of units) that a run labels.

    initial  before the first training
    query    at each query
    cycles   trainings; there are cycles - 1 queries
    """

    initial: int
    query: int
    cycles: int

    @property
    def total(self) -> int:
        """What is labelled at the end."""
        return self.initial + (self.cycles - 1) * self.query


def budget_of(query: Query, pool: int) -> Budget:
    """The budget that settings mean in a pool of so many units.

    A share of the pool is rounded down, as in the release of PAAL (2024), but never to nothing; it is taken of the written
    decimal number, so that "29%" of 100 are 29. With `Query.total` each query gets (total - initial) // queries, as in that
    release: the paper prints total // queries, by which the last query would go over the total. Raises `SettingError` when
    the total is less than the start needs, or leaves a query nothing.
    """
    initial, queries = _number(query.initial, pool), query.cycles - 1
    if query.total is None:
        return Budget(initial, _number(query.budget, pool), query.cycles)
    total = _number(query.total, pool)
    if total < initial:
        raise SettingError(
            f"query.total: {_told(query.total, total)} of the pool's {pool} units are fewer than the "
            f"{_told(query.initial, initial)} of query.initial. Raise query.total, or lower query.initial."
        )
    each = (total - initial) // queries if queries else 0
    if queries and not each:
        raise SettingError(
            f"query.total: {_told(query.total, total)} of the pool's {pool} units leave nothing for {queries} queries after the "
            f"{_told(query.initial, initial)} of query.initial. Raise query.total, or lower query.cycles."
        )
    return Budget(initial, each, query.cycles)


def _number(amount: int | str, pool: int) -> int:
    if isinstance(amount, int):
        return amount
    return max(1, int(Decimal(amount.rstrip("%")) * pool // 100))


def _told(amount: int | str, number: int) -> str:
    return str(number) if isinstance(amount, int) else f"{number} ({amount})"
