"""Who is on which side of a seed: the pool, validation and the test."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from curette.data.prepared import Prepared
from curette.data.splits import Splits
from curette.errors import DataError
from curette.learn.learner import Labels
from curette.loop.oracle import SimulatedOracle
from curette.loop.shared import digest
from curette.region import Region


@dataclass(frozen=True)
class Sides:
    """The units that can be picked, and the cases with a label set aside for validation and for the test."""

    pool: tuple[Region, ...]
    validation: tuple[str, ...]
    test: tuple[str, ...]

    def patients(self, prepared: Prepared) -> dict[str, int]:
        """Number of patients on each side."""
        cases = {"train": [r.case for r in self.pool], "val": self.validation, "test": self.test}
        return {side: len({prepared.patient(case) for case in found}) for side, found in cases.items()}

    def validation_labels(self, prepared: Prepared) -> Labels:
        """Labels of the units that are set aside for validation."""
        return prepared.labels(prepared.regions(self.validation))

    def watched_by(self, prepared: Prepared) -> dict[str, Any]:
        """What the labels of the validation units would have cost, had they been picked, and which cases they are of."""
        oracle, labels = SimulatedOracle(prepared), self.validation_labels(prepared)
        costs = [oracle.cost(region, label) for region, label in labels.items()]
        return {
            "units": len(costs),
            "voxels": sum(cost.voxels for cost in costs),
            "foreground": sum(cost.foreground for cost in costs),
            "cases": digest(self.validation),
        }


def divided(prepared: Prepared, splits: Splits, source: str) -> Sides:
    """The sides of a split, of cases with a label only.

    Raises `DataError`, which names `source`, when nobody with a label is in the pool or in the test.
    """
    train, validation, test = (
        tuple(case for case in cases if prepared.has_label(case))
        for cases in (splits.train, splits.val, splits.test)
    )
    for name, found in (("training", train), ("test", test)):
        if not found:
            raise DataError(f"No case of the {name} split of {source} has a label.")
    return Sides(tuple(prepared.regions(train)), validation, test)


def groups_of(prepared: Prepared, cases: Sequence[str]) -> dict[str, int]:
    """The number of the group each case is in, groups in alphabetical order; {} where no case tells its group."""
    named = {case: prepared.group(case) for case in cases}
    numbers = {name: i for i, name in enumerate(sorted(set(named.values())))}
    return {case: numbers[name] for case, name in named.items()} if any(named.values()) else {}
