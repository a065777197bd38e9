"""Who is in the pool, in validation and in the test: by patient, seeded, written once."""

from __future__ import annotations

import json
import warnings
from collections import Counter
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from itertools import pairwise
from pathlib import Path

import numpy as np

from curette.data.case import Dataset
from curette.errors import CuretteWarning, DataError, SettingError
from curette.files import replacing
from curette.recipe import Split
from curette.seeds import spawn

PARTS = ("train", "val", "test")


@dataclass(frozen=True)
class Splits:
    """Case ids of each part, in order. `unused` are the cases that counts left over."""

    train: tuple[str, ...]
    val: tuple[str, ...]
    test: tuple[str, ...]
    unused: tuple[str, ...] = ()

    def save(self, path: Path) -> None:
        """Write as JSON, atomically."""
        path.parent.mkdir(parents=True, exist_ok=True)
        with replacing(path) as draft:
            draft.write_text(json.dumps({"format": 1, **asdict(self)}, indent=1) + "\n", encoding="utf-8")

    @classmethod
    def load(cls, path: Path, dataset: Dataset | None = None) -> Splits:
        """Read what `save` wrote and, given the data set, check it against that.

        Raises `DataError` for a missing or damaged file, a case that is in two parts, that the data set does not have
        or that the file does not know, and for a patient on two sides.
        """
        found = read_parts(path)
        if len(found) != 1:
            raise DataError(
                f"{path} holds {len(found)} folds, not one split. Restore it, or remove it to split anew."
            )
        splits = cls(**found[0])
        splits.check(dataset, str(path))
        return splits

    def check(self, dataset: Dataset | None, source: str = "The split") -> None:
        """Raise `DataError` when parts overlap or, given the data set, do not fit it. `source` opens the message."""
        side: dict[str, str] = {}
        for name, cases in asdict(self).items():
            for case in cases:
                if case in side:
                    raise DataError(
                        f"{source}: case '{case}' is in {side[case]} and in {name}. Keep one of them."
                    )
                side[case] = name
        if dataset is None:
            return
        known = {case.id for case in dataset.cases}
        if gone := sorted(side.keys() - known):
            raise DataError(
                f"{source} names {len(gone)} cases that data set '{dataset.name}' does not have: {_list(gone)}. "
                "Bring the files back, or start a new study."
            )
        if new := sorted(known - side.keys()):
            raise DataError(
                f"{source} does not know {len(new)} cases of data set '{dataset.name}': {_list(new)}. "
                "Take them away, or start a new study."
            )
        _one_side(dataset, {c: s for c, s in side.items() if s != "unused"}, source)


def read_parts(path: Path) -> list[dict[str, tuple[str, ...]]]:
    """The parts, name → case ids, of every split in a file. Raises `DataError` for a missing or damaged file."""
    try:
        raw = json.loads(path.read_text(encoding="utf-8"))
        splits = {1: [raw], 2: raw.get("folds")}[raw["format"]]
        found = [{name: tuple(split.get(name, ())) for name in (*PARTS, "unused")} for split in splits]
        if not found or not all(
            isinstance(c, str) for parts in found for part in parts.values() for c in part
        ):
            raise ValueError("not a list of case ids a part")
    except FileNotFoundError:
        raise DataError(f"There is no file of splits {path}.") from None
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as problem:
        raise DataError(
            f"{path} is not a file of splits: {problem}. Restore it, or remove it to split anew."
        ) from problem
    return found


def split_patients(dataset: Dataset, settings: Split, *, fewer: bool = False) -> Splits:
    """Divide the data set's cases by patient, the same way for the same seed and patients.

    A split the data set brings along is kept (`Split.given`); a part it lacks is drawn from its training patients. With
    `fewer`, for data of which some were left out, patients that are missing are missing in training, and a warning says so.
    Raises `SettingError` when more patients are asked for than there are, `DataError` for a patient on two sides.
    """
    if settings.by_class and dataset.task.kind != "classification":
        raise SettingError(
            f"split.by_class: the images of '{dataset.name}' have no class of their own. Leave it out; it is for "
            "classification."
        )
    given = {case.id: case.split for case in dataset.cases if case.split}
    if settings.given and given:
        if len(given) == len(dataset.cases):
            return _given(dataset, settings, given)
        warnings.warn(
            f"Only {len(given)} of {len(dataset.cases)} cases of '{dataset.name}' bring a split along; "
            "all are divided by patient instead.",
            CuretteWarning,
            stacklevel=2,
        )
    patients = sorted({case.patient for case in dataset.cases})
    test, val, train = _counts(dataset, settings, len(patients), fewer)
    drawn = _drawn(dataset, patients, settings)
    # Test first: asking for fewer or more training patients leaves test and validation as they are.
    side = dict.fromkeys(drawn[:test], "test")
    side |= dict.fromkeys(drawn[test : test + val], "val")
    side |= dict.fromkeys(drawn[test + val : test + val + train], "train")
    return collected(dataset, {case.id: side.get(case.patient, "unused") for case in dataset.cases})


def _given(dataset: Dataset, settings: Split, given: dict[str, str]) -> Splits:
    source = f"The split that data set '{dataset.name}' brings along"
    if strange := sorted(set(given.values()) - set(PARTS)):
        raise DataError(f"{source} has a part '{strange[0]}'. Known: {', '.join(PARTS)}.")
    _one_side(dataset, given, source)
    present = set(given.values())
    if "train" not in present:
        raise DataError(f"{source} has no training cases. Set split.given = false to draw one.")
    total = len({case.patient for case in dataset.cases})
    pool = _drawn(dataset, {c.patient for c in dataset.cases if given[c.id] == "train"}, settings)
    wanted = {
        name: number_of(name, getattr(settings, name), total) for name in PARTS[1:] if name not in present
    }
    if sum(wanted.values()) >= len(pool):
        asked = " and ".join(f"{count} for {name}" for name, count in wanted.items())
        raise SettingError(
            f"split: {asked} cannot be taken from the {len(pool)} training patients of '{dataset.name}'. Ask for fewer."
        )
    moved: dict[str, str] = {}
    for name, count in wanted.items():
        moved |= dict.fromkeys(pool[len(moved) : len(moved) + count], name)
    return collected(
        dataset,
        {
            c.id: moved.get(c.patient, "train") if given[c.id] == "train" else given[c.id]
            for c in dataset.cases
        },
    )


def number_of(name: str, value: float, total: int) -> int:
    """How many of `total` patients a setting means. Raises `SettingError` for part of a patient, and for a share of none."""
    count = value if value >= 1 else float(round(value * total))
    if count != int(count):
        raise SettingError(
            f"split.{name} = {value:g} is neither a whole number of patients nor a share below 1."
        )
    if value > 0 and count == 0:
        raise SettingError(f"split.{name} = {value:g} of {total} patients is none. Ask for a larger share.")
    return int(count)


def _counts(dataset: Dataset, settings: Split, total: int, fewer: bool) -> tuple[int, int, int]:
    """Numbers of patients for test, validation, training."""
    order = ("test", "val", "train")
    values = [getattr(settings, name) for name in order]
    if any(0 < v < 1 for v in values):
        if any(v >= 1 for v in values):
            raise SettingError("split: give counts of patients or shares below 1, not both.")
        if sum(values) > 1 + 1e-9:
            raise SettingError(f"split: the shares sum to {sum(values):g}, more than 1.")
        # Bounds are rounded, not counts: counts could add up to more than there are, or leave someone out.
        bounds = [round(float(b) * total) for b in np.cumsum([0.0, *values])]
        test, val, train = (b - a for a, b in pairwise(bounds))
        for name, value, count in zip(order, values, (test, val, train), strict=True):
            if value > 0 and count == 0:
                raise SettingError(
                    f"split.{name} = {value:g} of {total} patients is none. Ask for a larger share."
                )
        return test, val, train
    test, val, train = (number_of(name, value, total) for name, value in zip(order, values, strict=True))
    if fewer and test + val < total < test + val + train:
        warnings.warn(
            f"split.train: {total - test - val} patients in place of {train}, as '{dataset.name}' has {total}, and data.skip_bad "
            "or its option partial lets some be missing.",
            CuretteWarning,
            stacklevel=2,
        )
        return test, val, total - test - val
    if test + val + train > total:
        raise SettingError(
            f"split: train {train}, val {val} and test {test} need {test + val + train} patients, "
            f"but '{dataset.name}' has {total}. Ask for fewer."
        )
    return test, val, train


def classes_of(dataset: Dataset) -> list[list[str]]:
    """Patients in the order of their ids, those of each class together; all in one group where images have no class.

    A patient counts for the class most of the images have.
    """
    seen: dict[str, Counter[int]] = {}
    for case in dataset.cases:
        seen.setdefault(case.patient, Counter())[-1 if case.target is None else case.target] += 1
    kind = {who: min(count, key=lambda c: (-count[c], c)) for who, count in seen.items()}
    return [sorted(p for p in kind if kind[p] == c) for c in sorted(set(kind.values()))]


def _drawn(dataset: Dataset, patients: Iterable[str], settings: Split) -> list[str]:
    """The patients in the order of a draw; with `by_class` every stretch of it has about its share of each class."""
    if not settings.by_class:
        return shuffled(patients, settings.seed)
    place: dict[str, tuple[float, int]] = {}
    wanted = set(patients)
    for number, group in enumerate(classes_of(dataset)):
        own = shuffled(wanted.intersection(group), settings.seed)
        place |= {p: ((i + 0.5) / len(own), number) for i, p in enumerate(own)}
    return sorted(place, key=place.__getitem__)


def shuffled(patients: Iterable[str], seed: int) -> list[str]:
    """The patients in the order that the seed of the split draws."""
    ordered = np.array(sorted(patients), dtype=object)
    return [str(p) for p in ordered[spawn(seed, 0, "split").permutation(len(ordered))]]


def collected(dataset: Dataset, side: dict[str, str]) -> Splits:
    """The split that puts each case (by id) on its side."""
    ids = sorted(case.id for case in dataset.cases)
    return Splits(*(tuple(i for i in ids if side[i] == part) for part in (*PARTS, "unused")))


def _one_side(dataset: Dataset, side: dict[str, str], source: str) -> None:
    sides: dict[str, dict[str, str]] = {}
    for case in dataset.cases:
        if case.id in side:
            sides.setdefault(case.patient, {}).setdefault(side[case.id], case.id)
    torn = {patient: found for patient, found in sides.items() if len(found) > 1}
    if torn:
        patient = min(torn)
        places = " and ".join(f"in {name} (case '{case}')" for name, case in torn[patient].items())
        more = f" and {len(torn) - 1} more patients" if len(torn) > 1 else ""
        raise DataError(
            f"{source} puts patient '{patient}' {places}{more}: a test would then ask about patients the model knows. "
            "Correct it, or set split.given = false to divide by patient."
        )


def _list(ids: list[str]) -> str:
    return ", ".join(ids[:20]) + (" …" if len(ids) > 20 else "")
