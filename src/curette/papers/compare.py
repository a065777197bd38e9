"""Our table beside the paper's, cell by cell, and whether the orders the paper claims appear in ours.

Differences are paired by seed, as everywhere in `curette.bench`: strategies of one seed share their first labels.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from statistics import fmean, stdev

from curette.bench import statistics
from curette.bench.record import MEAN, StudyRecord, higher_is_better
from curette.papers.paper import Claim, Part, Row
from curette.papers.table import LAST, QUERIES, Column, Table, Value

BySeed = dict[int, float]


@dataclass(frozen=True)
class Reading:
    """What one arm has measured so far, and how many units the pool of each seed had (folds have their own)."""

    record: StudyRecord
    pools: Mapping[int, int] = field(default_factory=dict)


@dataclass(frozen=True)
class Cell:
    """Ours beside the paper's: NaN where there is none. `sd` is over n seeds, NaN for one; `difference` is ours minus
    the paper's, NaN where other data were used or the units are others."""

    ours: float
    sd: float
    n: int
    paper: Value
    difference: float


@dataclass(frozen=True)
class Ordering:
    """One claim on one metric of one table, as means over its budgets, the initial one left out.

    paper      difference printed, positive: the first is better, also where lower values are
    ours       the same difference here, in the paper's unit, with its 95 % t-interval over n seeds (NaN for one)
    p          two-sided sign-flip p of it, `smallest` the least that n seeds can give
    """

    table: str
    metric: str
    cls: str
    claim: Claim
    paper: float
    ours: float = math.nan
    low: float = math.nan
    high: float = math.nan
    n: int = 0
    p: float = math.nan
    smallest: float = math.nan

    @property
    def appears(self) -> bool | None:
        """Whether ours has the paper's order; None where there is nothing to compare."""
        if not self.n or math.isnan(self.paper) or self.paper == 0:
            return None
        return self.ours * self.paper > 0

    @property
    def beyond_noise(self) -> bool | None:
        """Whether the interval of the seeds excludes 0; None for a single seed or none."""
        return None if math.isnan(self.low) else self.low > 0 or self.high < 0

    @property
    def verdict(self) -> str:
        """In words."""
        if not self.n:
            return "not run"
        if self.appears is None:
            return "the paper prints no difference"
        order = "appears" if self.appears else ("no difference" if self.ours == 0 else "reversed")
        if self.beyond_noise is None:
            return f"{order}; one seed, noise unknown"
        return f"{order}, {'beyond' if self.beyond_noise else 'within'} the seed noise"


@dataclass(frozen=True)
class Compared:
    """One table with ours beside it."""

    table: Table
    cells: dict[str, tuple[Cell, ...]]
    orderings: tuple[Ordering, ...]


def compare(part: Part, arms: Mapping[str, Reading]) -> tuple[Compared, ...]:
    """Every table of a part; `arms` holds what was measured, by the name of the arm. What is not there is NaN."""
    return tuple(_compared(part, table, arms) for table in part.published())


def _compared(part: Part, table: Table, arms: Mapping[str, Reading]) -> Compared:
    columns = table.columns
    found = {
        name: [_measured(part, part.row(name), table, i, arms) for i in range(len(columns))]
        for name in table.rows
    }
    cells = {
        name: tuple(
            _cell(found[name][i], table.value(name, i), columns[i].same and not part.stand_in)
            for i in range(len(columns))
        )
        for name in table.rows
    }
    groups = list(dict.fromkeys(c.group for c in columns if part.metrics.get(c.metric, c.metric)))
    claims = [c for c in part.claims if c.better in table.rows and c.worse in table.rows]
    orderings = tuple(
        _ordering(part, table, group, claim, found, arms) for group in groups for claim in claims
    )
    return Compared(table, cells, orderings)


def _cell(runs: BySeed, paper: Value, levels: bool) -> Cell:
    values = list(runs.values())
    if not values:
        return Cell(math.nan, math.nan, 0, paper, math.nan)
    ours = fmean(values)
    apart = ours - paper.mean if levels else math.nan
    return Cell(ours, stdev(values) if len(values) > 1 else math.nan, len(values), paper, apart)


def _measured(part: Part, row: Row, table: Table, i: int, arms: Mapping[str, Reading]) -> BySeed:
    """By seed, in the paper's unit; empty where nothing stands for the cell."""
    column = table.columns[i]
    reserved = {arm.name for arm in part.arms if arm.reserved}
    strategy, name = row.strategy, row.arm
    if not name and column.arm in reserved:
        # All labels are all labels: whichever strategy the paper prints the value beside, there is one such training.
        name = "" if math.isnan(table.value(row.name, i).mean) else column.arm
        strategy = next((r.strategy for r in part.rows if r.arm == name), "")
        if not name:
            return {}
    reading = arms.get(name or column.arm) or (None if name else arms.get(""))
    if reading is None or not strategy or not part.metrics.get(column.metric, column.metric):
        return {}
    runs = reading.record.runs(strategy, *_where(part, reading.record, column))
    values = {seed: _at(table, column, run, reading, seed) for seed, run in runs.items()}
    return {seed: v * column.scale for seed, v in sorted(values.items()) if not math.isnan(v)}


def _where(part: Part, record: StudyRecord, column: Column) -> tuple[str, str]:
    """Metric and class in our tables; the mean of a single class is that class."""
    metric = part.metrics.get(column.metric, column.metric)
    cls = part.classes.get(column.cls, column.cls)
    classes = record.classes(metric)
    return metric, classes[0] if cls == MEAN and len(classes) == 1 else cls


def _at(
    table: Table, column: Column, run: Mapping[int, tuple[int, float]], reading: Reading, seed: int
) -> float:
    """The value of one run that belongs to a column, NaN where it is not reached."""
    cycles = reading.record.study.query.cycles
    if column.at == LAST:
        return run[cycles - 1][1] if cycles - 1 in run else math.nan
    if column.at == QUERIES:
        wanted = [run[c][1] for c in range(1, cycles) if c in run]
        return fmean(wanted) if wanted and len(wanted) == cycles - 1 else math.nan
    cycle = _cycle(table, column, run, reading.pools.get(seed))
    return math.nan if cycle is None else run[cycle][1]


def _cycle(
    table: Table, column: Column, run: Mapping[int, tuple[int, float]], pool: int | None
) -> int | None:
    """The cycle whose labelled share of the pool is the column's, to a tenth of it and one unit.

    No cycle serves two columns: of those of one curve it belongs to the nearest.
    """
    if column.share is None or not pool or not run:
        return None
    apart = {c: abs(labelled / pool - column.share) for c, (labelled, _) in run.items()}
    best = min(apart, key=lambda c: (apart[c], c))
    others = [c.share for c in table.columns if c.group == column.group and c.share is not None]
    nearest = min(abs(run[best][0] / pool - share) for share in others)
    return best if apart[best] <= min(nearest + 1e-12, 0.1 * column.share + 1 / pool) else None


def _ordering(
    part: Part,
    table: Table,
    group: tuple[str, str],
    claim: Claim,
    found: Mapping[str, Sequence[BySeed]],
    arms: Mapping[str, Reading],
) -> Ordering:
    a, b = found[claim.better], found[claim.worse]
    columns = [
        i for i, c in enumerate(table.columns) if c.group == group and not _initial(part, table, c, arms)
    ]
    printed = [
        i
        for i in columns
        if not math.isnan(table.value(claim.better, i).mean - table.value(claim.worse, i).mean)
    ]
    both = [i for i in printed if a[i] and b[i]]
    up = 1.0 if higher_is_better(group[0]) else -1.0
    gaps = [table.value(claim.better, i).mean - table.value(claim.worse, i).mean for i in both or printed]
    paper = round(up * fmean(gaps), 9) if gaps else math.nan  # 92.1 - 92.1 of two budgets is 0
    seeds = set.intersection(*(set(a[i]) & set(b[i]) for i in both)) if both else set()
    if not seeds:
        return Ordering(table.name, *group, claim, paper)
    ours = {seed: up * fmean(a[i][seed] for i in both) for seed in seeds}
    theirs = {seed: up * fmean(b[i][seed] for i in both) for seed in seeds}
    tested = statistics.compare(ours, theirs)
    low, high = (math.nan if v is None else v for v in (tested.interval.low, tested.interval.high))
    return Ordering(
        table.name, *group, claim, paper, tested.interval.mean, low, high, len(seeds), tested.p, tested.smallest
    )  # fmt: skip


def _initial(part: Part, table: Table, column: Column, arms: Mapping[str, Reading]) -> bool:
    """Whether a column shows the training before the first query, which strategies of a seed share."""
    if column.share is None:
        return False
    reading = arms.get(column.arm) or arms.get("")
    if reading is None:  # nothing was run: it is the column where the paper prints one value for all
        printed = {table.value(row, table.columns.index(column)).mean for row in table.rows}
        return len({mean for mean in printed if not math.isnan(mean)}) == 1
    metric, cls = _where(part, reading.record, column)
    return any(
        _cycle(table, column, run, reading.pools.get(seed)) == 0
        for strategy in reading.record.strategies
        for seed, run in reading.record.runs(strategy, metric, cls).items()
    )
