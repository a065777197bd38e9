"""Folds by patient: stratified, written once, nobody on both sides."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from curette.data.case import Case, Dataset
from curette.data.folds import Folds, divide
from curette.data.splits import Splits, split_patients
from curette.errors import CuretteWarning, DataError, SettingError
from curette.recipe import Split, parse_study
from curette.task import Task

TASK = Task(kind="classification", dims=2, classes={"a": 0, "b": 1, "c": 2})
SLICES = Task(kind="segmentation", dims=3, classes={"background": 0, "organ": 1})


def _classified(*counts: int) -> Dataset:
    """Two images of each patient; class c has counts[c] patients."""
    kinds = [c for c, n in enumerate(counts) for _ in range(n)]
    order = sorted(range(len(kinds)), key=lambda i: (7 * i) % (len(kinds) + 1))  # classes mixed along the ids
    cases = [
        Case(f"c{p:03d}-{i}", f"p{p:03d}", (), target=kinds[k]) for p, k in enumerate(order) for i in (0, 1)
    ]
    return Dataset("made", TASK, tuple(cases))


def _volumes(patients: int) -> Dataset:
    return Dataset("made", SLICES, tuple(Case(f"v{p:03d}", f"p{p:03d}", ()) for p in range(patients)))


def _patients(ids: tuple[str, ...]) -> set[str]:
    return {i[1:4] for i in ids}


@given(
    counts=st.lists(st.integers(6, 23), min_size=1, max_size=3),
    folds=st.integers(2, 5),
    order=st.sampled_from(["random", "sorted"]),
    val=st.sampled_from([0, 2, 0.2]),
    seed=st.integers(0, 3),
)
def test_everybody_is_tested_once_and_classes_are_spread(
    counts: list[int], folds: int, order: str, val: float, seed: int
) -> None:
    whole = _classified(*counts)
    settings = Split(folds=folds, order=order, val=val, seed=seed)
    made = divide(whole, settings)
    kind = {case.id[1:4]: case.target for case in whole.cases}
    tested = [_patients(s.test) for s in made.splits]
    assert len(made) == folds
    assert sum(map(len, tested)) == len(set.union(*tested)) == sum(counts)
    assert max(map(len, tested)) - min(map(len, tested)) <= 1
    for splits, test in zip(made.splits, tested, strict=True):
        sides = [_patients(splits.train), _patients(splits.val), test]
        assert sum(map(len, sides)) == len(set.union(*sides)) == sum(counts)
        assert len(splits.train) == 2 * len(sides[0])
        assert len(sides[1]) == (round(val * sum(counts)) if val < 1 else val)
        each = Counter(kind[p] for p in test)
        assert all(n // folds <= each[c] <= -(-n // folds) for c, n in enumerate(counts))
        of_rest = len(sides[1]) / (sum(counts) - len(test))
        aside = Counter(kind[p] for p in sides[1])
        assert all(abs(aside[c] - of_rest * (n - each[c])) <= 1 for c, n in enumerate(counts))
    made.check(whole)
    assert made == divide(replace(whole, cases=whole.cases[::-1]), settings)


def test_sorted_folds_are_cut_along_the_ids() -> None:
    made = divide(_volumes(12), Split(folds=5, order="sorted"))
    assert [sorted(_patients(s.test)) for s in made.splits] == [
        ["000", "001", "002"],
        ["003", "004", "005"],
        ["006", "007"],
        ["008", "009"],
        ["010", "011"],
    ]
    assert divide(_volumes(12), Split(folds=5)) != made
    assert divide(_volumes(12), Split(folds=5)) != divide(_volumes(12), Split(folds=5, seed=1))


def test_a_seed_has_a_fold() -> None:
    made = divide(_volumes(10), Split(folds=5))
    assert [made.number(s) for s in (0, 4, 5, 12)] == [0, 4, 0, 2]
    assert made.of(7) == made.splits[2]


def test_without_folds_there_is_the_split_there_was() -> None:
    assert divide(_volumes(10), Split(seed=3)).splits == (split_patients(_volumes(10), Split(seed=3)),)


def test_a_patient_of_several_classes_counts_for_the_most_frequent() -> None:
    cases = [Case(f"{p}-{i}", p, (), target=t) for p in "abcdef" for i, t in enumerate([1, 1, 0])]
    with_few = Dataset("made", TASK, (*cases, *(Case(f"{p}-0", p, (), target=0) for p in "uvwxyz")))
    for splits in divide(with_few, Split(folds=3)).splits:
        tested = {case.split("-")[0] for case in splits.test}
        assert len(tested & set("abcdef")) == len(tested & set("uvwxyz")) == 2


def test_what_cannot_be_cut() -> None:
    with pytest.raises(SettingError, match=r"split\.folds = 5, but 'made' has 4 patients"):
        divide(_volumes(4), Split(folds=5))
    with pytest.raises(SettingError, match=r"split\.val: 8 patients cannot be taken from the 8 of fold 1"):
        divide(_volumes(10), Split(folds=5, val=8))
    given_split = replace(_volumes(10), cases=tuple(replace(c, split="train") for c in _volumes(10).cases))
    with pytest.raises(SettingError, match=r"split\.folds: .* brings a split along.*split\.given = false"):
        divide(given_split, Split(folds=5))
    assert len(divide(given_split, Split(folds=5, given=False))) == 5
    with pytest.warns(CuretteWarning, match=r"a class has only 2 patients .* 3 of 5 folds test none of it"):
        divide(_classified(9, 2), Split(folds=5))


@pytest.mark.parametrize(
    ("split", "says"),
    [
        ({"folds": 1}, "a single fold leaves no pool"),
        ({"folds": -1}, r"'split\.folds'"),
        ({"folds": 5, "test": 0.2}, "test and folds both say who is tested"),
        ({"folds": 5, "test": 0.2, "train": 0.8}, "train and test and folds both say"),
        ({"folds": 5, "order": "size"}, r"'split\.order'"),
    ],
)
def test_settings_that_contradict_each_other(split: dict[str, object], says: str) -> None:
    raw = {"strategies": ["random"], "data": {"dataset": "phantom"}}
    with pytest.raises(SettingError, match=says):
        parse_study(raw | {"split": split})
    assert parse_study(raw | {"split": {"folds": 5, "val": 10}}).split.val == 10
    assert not {"folds", "order"} & parse_study(raw).decisive()["split"].keys()


def test_stored_and_loaded(tmp_path: Path) -> None:
    whole, path = _classified(6, 7), tmp_path / "study" / "splits.json"
    made = divide(whole, Split(folds=3, val=2))
    made.save(path)
    assert Folds.load(path) == Folds.load(path, whole) == made
    assert len(json.loads(path.read_text())["folds"]) == 3
    with pytest.raises(DataError, match="holds 3 folds, not one split"):
        Splits.load(path)
    single = divide(whole, Split())
    single.save(path)
    assert Splits.load(path, whole) == single.splits[0]
    assert Folds.load(path, whole) == single


def test_a_patient_on_both_sides_is_named(tmp_path: Path) -> None:
    whole, path = _classified(6, 7), tmp_path / "splits.json"
    made = divide(whole, Split(folds=3))
    first, second, third = made.splits
    moved = second.train[0]
    torn = replace(second, train=second.train[1:], test=(*second.test, moved))
    Folds((first, torn, third)).save(path)
    with pytest.raises(
        DataError, match=rf"splits\.json, fold 2 puts patient 'p{moved[1:4]}' in test .* in train"
    ):
        Folds.load(path, whole)
    twice = [c for c in first.test if c[1:4] == first.test[0][1:4]]
    other = replace(
        second, train=tuple(c for c in second.train if c not in twice), test=(*second.test, *twice)
    )
    Folds((first, other, third)).save(path)
    with pytest.raises(DataError, match=rf"patient 'p{twice[0][1:4]}' is tested in fold 1 and in fold 2"):
        Folds.load(path, whole)
    Folds((first, replace(second, train=second.train[1:]), third)).save(path)
    with pytest.raises(DataError, match="fold 2 does not know 1 cases"):
        Folds.load(path, whole)


@pytest.mark.parametrize(
    "content", ['{"format": 2}', '{"format": 2, "folds": []}', '{"format": 2, "folds": [3]}']
)
def test_damaged_file_of_folds(content: str, tmp_path: Path) -> None:
    path = tmp_path / "splits.json"
    path.write_text(content)
    with pytest.raises(DataError, match=r"splits\.json is not a file of splits"):
        Folds.load(path)
