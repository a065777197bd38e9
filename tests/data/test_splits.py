from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from curette.data.case import Case, Dataset
from curette.data.splits import Splits, split_patients
from curette.errors import CuretteWarning, DataError, SettingError
from curette.recipe import Split
from curette.task import Task

TASK = Task(kind="classification", dims=2, classes={"no": 0, "yes": 1})


def dataset(patients: int, each: int = 2, parts: tuple[str, ...] = ()) -> Dataset:
    cases = [
        Case(f"c{p:03d}-{i}", f"p{p:03d}", (), target=0, split=parts[p % len(parts)] if parts else None)
        for p in range(patients)
        for i in range(each)
    ]
    return Dataset("made", TASK, tuple(cases))


def patients(ids: tuple[str, ...]) -> set[str]:
    return {i[1:4] for i in ids}


@given(
    n=st.integers(4, 60),
    shares=st.sampled_from([(0.7, 0.0, 0.3), (0.5, 0.25, 0.25), (0.6, 0.0, 0.4), (0.3, 0.3, 0.3)]),
    seed=st.integers(0, 5),
)
def test_shares_divide_patients_never_cases(n, shares, seed) -> None:
    whole = dataset(n)
    splits = split_patients(whole, Split(train=shares[0], val=shares[1], test=shares[2], seed=seed))
    sides = [patients(part) for part in (splits.train, splits.val, splits.test, splits.unused)]
    assert sum(map(len, sides)) == n
    assert len(set.union(*sides)) == n
    assert all(
        len(part) == 2 * len(side)
        for part, side in zip((splits.train, splits.val, splits.test), sides, strict=False)
    )
    if sum(shares) == 1:
        assert not splits.unused
    assert all(abs(len(side) - share * n) <= 1 for side, share in zip(sides, shares, strict=False))
    assert splits == split_patients(
        replace(whole, cases=whole.cases[::-1]),
        Split(train=shares[0], val=shares[1], test=shares[2], seed=seed),
    )


@given(
    sizes=st.lists(st.integers(1, 40), min_size=1, max_size=4),
    counts=st.tuples(st.integers(1, 20), st.integers(0, 20), st.integers(1, 20)),
    seed=st.integers(0, 5),
)
def test_each_class_has_its_share_of_every_part(sizes, counts, seed) -> None:
    train, val, test = counts
    assume(sum(counts) <= sum(sizes))
    cases = [Case(f"{k}-{i}", f"{k}-{i}", (), target=k) for k, n in enumerate(sizes) for i in range(n)]
    task = TASK.model_copy(update={"classes": {str(k): k for k in range(len(sizes))}})
    settings = Split(train=train, val=val, test=test, seed=seed, by_class=True)
    splits = split_patients(Dataset("made", task, tuple(cases)), settings)
    assert [len(part) for part in (splits.train, splits.val, splits.test)] == [train, val, test]
    for part in (splits.train, splits.val, splits.test):
        for k, n in enumerate(sizes):
            assert abs(sum(i.startswith(f"{k}-") for i in part) - len(part) * n / sum(sizes)) <= 2


def test_equal_classes_are_divided_equally_and_by_the_seed() -> None:
    cases = tuple(Case(f"{k}-{i:03d}", f"{k}-{i:03d}", (), target=k) for k in range(2) for i in range(100))
    whole = Dataset("made", TASK, cases)
    found = [
        split_patients(whole, Split(train=100, val=50, test=50, seed=s, by_class=True)) for s in (0, 0, 1)
    ]
    for part, n in ((found[0].train, 50), (found[0].val, 25), (found[0].test, 25)):
        assert sum(i.startswith("0-") for i in part) == sum(i.startswith("1-") for i in part) == n
    assert found[0] == found[1] != found[2]
    drawn = split_patients(whole, Split(train=100, val=50, test=50))
    assert sum(i.startswith("0-") for i in drawn.test) != 25  # by chance; this draw is not even


def test_counts_and_what_they_leave() -> None:
    splits = split_patients(dataset(30, 1), Split(train=12, val=3, test=5))
    assert [len(p) for p in (splits.train, splits.val, splits.test, splits.unused)] == [12, 3, 5, 10]
    more = split_patients(dataset(30, 1), Split(train=20, val=3, test=5))
    assert (more.test, more.val) == (splits.test, splits.val)
    assert set(splits.train) < set(more.train)
    assert split_patients(dataset(30, 1), Split(train=12, val=3, test=5, seed=1)).test != splits.test


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        (Split(train=20, val=3, test=8), r"train 20, val 3 and test 8 need 31 patients, but 'made' has 30"),
        (Split(train=2.5, test=8), r"split\.train = 2\.5 is neither"),
        (Split(train=0.9, test=0.01), r"split\.test = 0\.01 of 30 patients is none"),
        (Split(train=0.9, test=0.5), r"sum to 1\.4"),
        (Split(train=0.01, test=29), "counts of patients or shares"),
    ],
)
def test_what_cannot_be_divided(settings: Split, said: str) -> None:
    with pytest.raises(SettingError, match=said):
        split_patients(dataset(30, 1), settings)


def test_by_class_is_for_images_with_a_class() -> None:
    segmentation = Task(kind="segmentation", dims=2, classes={"no": 0, "yes": 1})
    with pytest.raises(
        SettingError, match=r"split\.by_class: the images of 'made' have no class of their own"
    ):
        split_patients(replace(dataset(30), task=segmentation), Split(by_class=True))


def test_patients_that_were_left_out_are_missing_in_training() -> None:
    settings = Split(train=20, val=3, test=8)
    with pytest.warns(CuretteWarning, match=r"split\.train: 19 patients in place of 20, as 'made' has 30"):
        splits = split_patients(dataset(30, 1), settings, fewer=True)
    whole = split_patients(dataset(30, 1), Split(train=19, val=3, test=8))
    assert splits == whole
    assert split_patients(dataset(31, 1), settings, fewer=True) == split_patients(dataset(31, 1), settings)
    with pytest.raises(SettingError, match="need 31 patients, but 'made' has 11"):
        split_patients(dataset(11, 1), settings, fewer=True)  # nobody would be left to train on


def test_given_split_is_kept_or_not() -> None:
    whole = dataset(9, parts=("train", "val", "test"))
    splits = split_patients(whole, Split(train=1, test=1))
    assert [len(p) for p in (splits.train, splits.val, splits.test)] == [6, 6, 6]
    assert patients(splits.val) == {"001", "004", "007"}
    drawn = split_patients(whole, Split(train=5, test=2, given=False))
    assert [len(p) for p in (drawn.train, drawn.val, drawn.test)] == [10, 0, 4]


def test_parts_that_were_not_given_come_from_training() -> None:
    whole = dataset(20, parts=("train", "test"))
    splits = split_patients(whole, Split(train=0.5, val=0.2, test=0.3))
    assert [len(patients(p)) for p in (splits.train, splits.val, splits.test)] == [6, 4, 10]
    assert not split_patients(whole, Split()).val
    no_test = split_patients(dataset(20, parts=("train", "val")), Split(test=4))
    assert [len(patients(p)) for p in (no_test.train, no_test.val, no_test.test)] == [6, 10, 4]
    with pytest.raises(SettingError, match="10 for val cannot be taken from the 10 training patients"):
        split_patients(whole, Split(val=10))
    with pytest.raises(DataError, match="no training cases"):
        split_patients(dataset(4, parts=("val", "test")), Split())


def test_given_for_some_only_warns_and_draws() -> None:
    whole = dataset(10)
    some = replace(whole, cases=(replace(whole.cases[0], split="test"), *whole.cases[1:]))
    with pytest.warns(CuretteWarning, match="Only 1 of 20 cases of 'made'"):
        splits = split_patients(some, Split())
    assert len(splits.train) == 14


def test_patient_on_both_sides_of_a_given_split() -> None:
    whole = dataset(6, parts=("train", "test"))
    torn = replace(whole, cases=(*whole.cases[:2], replace(whole.cases[2], patient="p000"), *whole.cases[3:]))
    with pytest.raises(
        DataError, match=r"patient 'p000' in train \(case 'c000-0'\) and in test \(case 'c001-0'\)"
    ):
        split_patients(torn, Split())
    assert split_patients(torn, Split(given=False)).train


def test_a_part_nobody_knows() -> None:
    with pytest.raises(DataError, match="has a part 'dev'"):
        split_patients(dataset(6, parts=("train", "dev")), Split())


def test_stored_and_loaded(tmp_path: Path) -> None:
    whole = dataset(12)
    splits = split_patients(whole, Split(train=5, val=2, test=3))
    splits.save(tmp_path / "study" / "splits.json")
    assert Splits.load(tmp_path / "study" / "splits.json") == splits
    assert Splits.load(tmp_path / "study" / "splits.json", whole) == splits
    assert [p.name for p in (tmp_path / "study").iterdir()] == ["splits.json"]


def test_stored_split_that_no_longer_fits(tmp_path: Path) -> None:
    path, whole = tmp_path / "splits.json", dataset(12)
    splits = split_patients(whole, Split(train=5, val=2, test=3))
    splits.save(path)
    with pytest.raises(DataError, match=r"splits\.json names 2 cases .*does not have: c000-0, c000-1"):
        Splits.load(path, replace(whole, cases=whole.cases[2:]))
    with pytest.raises(DataError, match=r"splits\.json does not know 1 cases .*: c012-0"):
        Splits.load(path, replace(whole, cases=(*whole.cases, Case("c012-0", "p012", ()))))
    moved = replace(splits, train=splits.train[1:], test=(*splits.test, splits.train[0]))
    moved.save(path)
    with pytest.raises(DataError, match=f"splits.json puts patient 'p{splits.train[0][1:4]}'"):
        Splits.load(path, whole)
    replace(splits, val=splits.train[:1]).save(path)
    with pytest.raises(DataError, match=f"case '{splits.train[0]}' is in train and in val"):
        Splits.load(path)


@pytest.mark.parametrize(
    "content", ["", "{", "[]", '{"train": []}', '{"format": 1, "train": 3}', '{"format": 1, "train": [3]}']
)
def test_damaged_file_of_splits(content: str, tmp_path: Path) -> None:
    path = tmp_path / "splits.json"
    with pytest.raises(DataError, match="There is no file of splits"):
        Splits.load(path)
    path.write_text(content)
    with pytest.raises(DataError, match=r"splits\.json is not a file of splits"):
        Splits.load(path)
