"""A study folder as a report sees it: the settings and the three tables, read and checked, nothing computed."""

from __future__ import annotations

import csv
import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

from curette.bench.wording import VALIDATION
from curette.errors import DataError, SettingError
from curette.recipe import Study, load_study

if TYPE_CHECKING:
    from curette.query.strategy import Strategy

MEAN = "mean"
RANDOM = "none > none > unit > random"
FORESEEN = ("predicted_accuracy", "predicted_loss")
"""Outputs of companions that are measured against the truth."""
_PRIMARY = ("dice_3d", "dice_2d", "balanced_accuracy", "accuracy", "auroc")


class Result(NamedTuple):
    """One line of ``results.csv``: a metric of one class (or ``mean``) after one training."""

    strategy: str
    seed: int
    cycle: int
    labelled: int
    metric: str
    cls: str
    value: float


class Pick(NamedTuple):
    """One line of ``picks.csv``."""

    strategy: str
    seed: int
    cycle: int
    rank: int
    region: str
    score: float


class Foreseen(NamedTuple):
    """One line of ``predicted_accuracy.csv`` or ``predicted_loss.csv``: of a test unit, what a companion says and what is."""

    strategy: str
    seed: int
    cycle: int
    cls: str
    predicted: float
    real: float


class PseudoLabels(NamedTuple):
    """One line of ``pseudo_labels.csv``: what a training was taught besides labels."""

    strategy: str
    seed: int
    cycle: int
    units: int
    voxels: int


class Timing(NamedTuple):
    """One line of ``timings.csv``; `peak_mb` is NaN where it was not measured."""

    strategy: str
    seed: int
    cycle: int
    stage: str
    seconds: float
    peak_mb: float


Runs = dict[int, dict[int, tuple[int, float]]]
"""Of one strategy: seed → cycle → (labelled units, value)."""


@dataclass(frozen=True)
class StudyRecord:
    """What a study folder holds so far. A study that still runs is a valid record."""

    folder: Path
    study: Study
    results: tuple[Result, ...]
    picks: tuple[Pick, ...]
    timings: tuple[Timing, ...]
    foreseen: dict[str, tuple[Foreseen, ...]] = field(default_factory=dict)
    pseudo_labels: tuple[PseudoLabels, ...] = ()

    @cached_property
    def strategies(self) -> tuple[str, ...]:
        """Strategies in the order of the study; those only the tables know come last."""
        return tuple(dict.fromkeys((*self.study.strategies, *(r.strategy for r in self.results))))

    @cached_property
    def seeds(self) -> tuple[int, ...]:
        return tuple(dict.fromkeys((*self.study.seeds, *(r.seed for r in self.results))))

    @cached_property
    def metrics(self) -> tuple[str, ...]:
        """Measured metrics, the one that conclusions are drawn from first."""
        found = tuple(dict.fromkeys(metric for _, metric, _ in self._runs))
        order = [m for m in (*self.study.metrics, *_PRIMARY) if m in found]
        return tuple(dict.fromkeys((*order, *found)))

    def classes(self, metric: str) -> tuple[str, ...]:
        """What `metric` was measured of: ``mean`` first where it is there, then the classes."""
        found = dict.fromkeys(cls for _, m, cls in self._runs if m == metric)
        return tuple(sorted(found, key=lambda c: c != MEAN))

    @cached_property
    def _runs(self) -> dict[tuple[str, str, str], Runs]:
        """By (strategy, metric, class); values that are not defined are left out."""
        table: dict[tuple[str, str, str], Runs] = {}
        for r in self.results:
            if not math.isfinite(r.value):
                continue
            runs = table.setdefault((r.strategy, r.metric, r.cls), {})
            runs.setdefault(r.seed, {})[r.cycle] = (r.labelled, r.value)
        return table

    def runs(self, strategy: str, metric: str, cls: str = MEAN) -> Runs:
        """Seed → cycle → (labelled, value) of one strategy, only what is measured."""
        return self._runs.get((strategy, metric, cls), {})

    def trainings(self, strategy: str, seed: int) -> int:
        """How many cycles of a run are evaluated."""
        return len({r.cycle for r in self.results if r.strategy == strategy and r.seed == seed})

    @cached_property
    def unfinished(self) -> dict[tuple[str, int], int]:
        """(strategy, seed) → evaluated cycles, of the runs that have fewer than the study asks for."""
        planned = ((s, seed) for s in self.strategies for seed in self.seeds)
        reached = {run: self.trainings(*run) for run in planned}
        return {run: n for run, n in reached.items() if n < self.study.query.cycles}

    @cached_property
    def control(self) -> str | None:
        """The strategy that is plain random, by meaning rather than by name; None when there is none."""
        found = {s: self._read(s) for s in self.strategies}
        plain = [s for s in self.strategies if self.canonical(s) == RANDOM]
        return next(iter(plain), None) or next(
            (s for s, read in found.items() if read and _chance(read)), None
        )

    @cached_property
    def what(self) -> str:
        """What budgets count: the study's unit, or its parts (``patch``, ``superpixel``), or ``pick`` where strategies
        pick different things."""
        parts = {read.part if read else "" for read in map(self._read, self.strategies)}
        return (parts.pop() or self.study.data.unit) if len(parts) == 1 else "pick"

    @cached_property
    def sizes(self) -> int:
        """How many sizes of regions the strategies pick: whole units are one, patches of 32 × 32 another, superpixels of
        about 100 pixels a third."""
        read = [r for r in map(self._read, self.strategies) if r]
        return len({_size(r) if r.cuts else () for r in read})

    def canonical(self, strategy: str) -> str:
        """The four-part form of a strategy's text, or the text itself when parts of it are not installed here."""
        return str(self._read(strategy) or strategy)

    def _read(self, strategy: str) -> Strategy | None:
        from curette.query.strategy import parse_strategy

        try:
            return parse_strategy(strategy, self.study.data.unit)
        except SettingError:
            return None


def _size(strategy: Strategy) -> tuple[Any, ...]:
    """What tells one size of parts from another."""
    size = strategy.granularity.settings.get("size")
    return size if isinstance(size, tuple) else (strategy.part, size)


def _chance(strategy: Strategy) -> bool:
    """Whether a strategy is plain random, of whatever size of regions."""
    passes, scorer, _, selector = strategy.parts
    return (passes.name, scorer.name, str(selector)) == ("none", "none", "random") and not strategy.truth


def uses_truth(strategy: str) -> bool:
    """Whether a strategy looks at ground truth (rule: every report says so)."""
    from curette.query.strategy import parse_strategy

    try:
        return parse_strategy(strategy).truth
    except SettingError:
        return False


def higher_is_better(metric: str) -> bool:
    """Whether more of a metric is better, on the test as on validation; of the unregistered ones only the counts that go
    with HD are not."""
    import curette.learn.metrics  # noqa: F401  (registers the metrics)
    from curette.registry import components

    card = components("metric").get(metric.removesuffix(VALIDATION))
    return bool(card.info["higher"]) if card is not None else not metric.startswith("hd")


def read_record(folder: Path) -> StudyRecord:
    """Read a study folder. Raises `DataError` naming the file that is missing or not what it should be."""
    if not (folder / "study.toml").is_file():
        raise DataError(
            f"{folder} is no study folder: it has no study.toml. Give the folder that `curette run` wrote to."
        )
    return StudyRecord(
        folder=folder,
        study=load_study(folder / "study.toml"),
        results=_table(folder / "results.csv", _result),
        picks=_table(folder / "picks.csv", _pick),
        timings=_table(folder / "timings.csv", _timing),
        foreseen={name: _table(folder / f"{name}.csv", _foreseen) for name in FORESEEN},
        pseudo_labels=_table(folder / "pseudo_labels.csv", _pseudo_labels),
    )


Row = TypeVar("Row")


def _table(path: Path, build: Callable[[dict[str, str]], Row]) -> tuple[Row, ...]:
    """Rows of a CSV file; none when the file does not exist yet."""
    if not path.is_file():
        return ()
    try:
        with path.open(newline="", encoding="utf-8") as file:
            return tuple(_rows(csv.DictReader(file), build, path))
    except (OSError, UnicodeDecodeError, csv.Error) as problem:
        raise DataError(f"{path} cannot be read: {problem}.") from None


def _rows(
    reader: Iterable[dict[str, Any]], build: Callable[[dict[str, str]], Row], path: Path
) -> Iterable[Row]:
    for line, row in enumerate(reader, start=2):
        try:
            yield build(row)
        except (KeyError, TypeError, ValueError) as problem:
            raise DataError(
                f"{path}, line {line} is damaged ({problem!r}). "
                "Delete the file and run `curette run` again: it is written anew from ledger.db."
            ) from None


def _result(row: dict[str, str]) -> Result:
    return Result(
        row["strategy"],
        int(row["seed"]),
        int(row["cycle"]),
        int(row["labelled"]),
        row["metric"],
        row["class"],
        float(row["value"] or "nan"),
    )


def _pick(row: dict[str, str]) -> Pick:
    score = float(row["score"] or "nan")
    return Pick(row["strategy"], int(row["seed"]), int(row["cycle"]), int(row["rank"]), row["region"], score)


def _foreseen(row: dict[str, str]) -> Foreseen:
    values = float(row["predicted"]), float(row["real"])
    return Foreseen(row["strategy"], int(row["seed"]), int(row["cycle"]), row["class"], *values)


def _pseudo_labels(row: dict[str, str]) -> PseudoLabels:
    seed, cycle, units, voxels = (int(row[key]) for key in ("seed", "cycle", "units", "voxels"))
    return PseudoLabels(row["strategy"], seed, cycle, units, voxels)


def _timing(row: dict[str, str]) -> Timing:
    peak = float(row["peak_mb"] or "nan")
    return Timing(
        row["strategy"], int(row["seed"]), int(row["cycle"]), row["stage"], float(row["seconds"]), peak
    )
