"""Folds: every patient is tested once, and the run of a seed has one fold as its test and the rest as its pool."""

from __future__ import annotations

import json
import warnings
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from curette.data.case import Dataset
from curette.data.splits import Splits, classes_of, collected, number_of, read_parts, shuffled, split_patients
from curette.errors import CuretteWarning, DataError, SettingError
from curette.files import replacing
from curette.recipe import Split
from curette.seeds import spawn


@dataclass(frozen=True)
class Folds:
    """The splits of a study: one for all seeds, or one a fold, of which seed s has number s modulo their count."""

    splits: tuple[Splits, ...]

    def __len__(self) -> int:
        return len(self.splits)

    def number(self, seed: int) -> int:
        """Which fold a seed has, from 0."""
        return seed % len(self.splits)

    def of(self, seed: int) -> Splits:
        """The split of a seed."""
        return self.splits[self.number(seed)]

    def save(self, path: Path) -> None:
        """Write as JSON, atomically; a single split as `Splits` writes it."""
        if len(self) == 1:
            self.splits[0].save(path)
            return
        path.parent.mkdir(parents=True, exist_ok=True)
        text = json.dumps({"format": 2, "folds": [asdict(s) for s in self.splits]}, indent=1)
        with replacing(path) as draft:
            draft.write_text(text + "\n", encoding="utf-8")

    @classmethod
    def load(cls, path: Path, dataset: Dataset | None = None) -> Folds:
        """Read what `save` wrote and, given the data set, check every fold against it.

        Raises `DataError` as `Splits.load` does, naming the fold, and for a patient who is tested in two folds.
        """
        folds = cls(tuple(Splits(**parts) for parts in read_parts(path)))
        folds.check(dataset, str(path))
        return folds

    def check(self, dataset: Dataset | None, source: str = "The split") -> None:
        """Raise `DataError` when a fold does not fit the data set, or a patient is tested twice."""
        for number, splits in enumerate(self.splits, start=1):
            splits.check(dataset, source if len(self) == 1 else f"{source}, fold {number}")
        patient = {case.id: case.patient for case in dataset.cases} if dataset else {}
        tested: dict[str, int] = {}
        for number, splits in enumerate(self.splits, start=1):
            for who in sorted({patient.get(case, case) for case in splits.test}):
                if who in tested:
                    raise DataError(
                        f"{source}: patient '{who}' is tested in fold {tested[who]} and in fold {number}. Keep one of them."
                    )
                tested[who] = number


def divide(dataset: Dataset, settings: Split, *, fewer: bool = False) -> Folds:
    """Divide the data set's patients as the settings say: once (`split_patients`), or into folds.

    With folds, patients are taken in the order of their ids, which is how PAAL (2024) cuts its five, or by a draw with
    `Split.seed`, and cut into as many runs of nearly equal length; in classification each class by itself, a patient
    counting for the class most of the images have. Validation patients are drawn from the rest of each fold, of each class
    its share. `fewer` is as in `split_patients`. Raises `SettingError` when there are too few patients, or the data set brings a
    split along that is to be kept.
    """
    if not settings.folds:
        return Folds((split_patients(dataset, settings, fewer=fewer),))
    _check(dataset, settings)
    groups = classes_of(dataset)
    fold = _numbered(groups, settings)
    return Folds(tuple(_split(dataset, settings, groups, fold, k) for k in range(settings.folds)))


def _check(dataset: Dataset, settings: Split) -> None:
    if settings.given and any(case.split for case in dataset.cases):
        raise SettingError(
            f"split.folds: data set '{dataset.name}' brings a split along, which folds would mix. Set split.given = false to "
            "cut folds of all its patients, or split.folds = 0 to keep its split."
        )
    patients = len({case.patient for case in dataset.cases})
    if patients < settings.folds:
        raise SettingError(
            f"split.folds = {settings.folds}, but '{dataset.name}' has {patients} patients. Ask for fewer folds."
        )


def _numbered(groups: Sequence[Sequence[str]], settings: Split) -> dict[str, int]:
    """Patient → fold. Where patients do not divide evenly, the folds that get one more go round from class to class."""
    fold: dict[str, int] = {}
    first = 0
    for group in groups:
        ordered = list(group) if settings.order == "sorted" else shuffled(group, settings.seed)
        each, more = divmod(len(group), settings.folds)
        start = 0
        for k in range(settings.folds):
            stop = start + each + ((k - first) % settings.folds < more)
            fold |= dict.fromkeys(ordered[start:stop], k)
            start = stop
        first = (first + more) % settings.folds
        if len(groups) > 1 and not each:
            warnings.warn(
                f"split.folds: a class has only {len(group)} patients (such as '{group[0]}'), so {settings.folds - more} of "
                f"{settings.folds} folds test none of it.",
                CuretteWarning,
                stacklevel=4,
            )
    return fold


def _split(
    dataset: Dataset, settings: Split, groups: Sequence[Sequence[str]], fold: dict[str, int], k: int
) -> Splits:
    rng = spawn(settings.seed, k, "validation")
    rest = [[p for p in group if fold[p] != k] for group in groups]
    drawn = [group[i] for group in rest for i in rng.permutation(len(group))]
    count = number_of("val", settings.val, len(fold)) if settings.val else 0
    if count >= len(drawn):
        raise SettingError(
            f"split.val: {count} patients cannot be taken from the {len(drawn)} of fold {k + 1}. Ask for fewer."
        )
    # Every n-th of patients that lie class by class is of each class its share.
    val = {drawn[(2 * i + 1) * len(drawn) // (2 * count)] for i in range(count)}
    side = {p: "test" if fold[p] == k else "val" if p in val else "train" for p in fold}
    return collected(dataset, {case.id: side[case.patient] for case in dataset.cases})
