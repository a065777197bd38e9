"""Quotas by largest remainder, and chance within strata."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from curette.errors import SettingError
from curette.query import selectors  # noqa: F401
from curette.query.candidates import Labelled
from curette.query.selectors.apportion import groups, in_turn, largest_remainder, quotas
from curette.region import Region
from curette.registry import bind
from query.pools import pool_of

RNG = np.random.default_rng


def pick(pool, budget: int, seed: int = 0, labelled=None, **options) -> list[int]:
    return bind("selector", "stratified", **options)(pool, budget, RNG(seed), labelled or Labelled()).tolist()


def test_worked_quotas() -> None:
    sizes = np.array([50, 30, 20])
    assert largest_remainder(sizes, 7).tolist() == [4, 2, 1]
    for seed in range(20):  # 3.5 / 2.1 / 1.4 leaves nothing to chance
        assert quotas(sizes, 7, "proportional", RNG(seed)).tolist() == [4, 2, 1]
    assert largest_remainder(np.array([1, 1, 1]), 4).tolist() == [2, 1, 1]  # equal remainders: the first
    assert largest_remainder(np.array([1, 1, 1]), 4, np.array([2, 0, 1])).tolist() == [1, 2, 1]


def test_a_quota_too_large_for_its_group_goes_to_the_others() -> None:
    assert quotas(np.array([1, 100, 100]), 9, "equal", RNG(0)).tolist() == [1, 4, 4]
    assert quotas(np.array([2, 3, 100]), 90, "equal", RNG(0)).tolist() == [2, 3, 85]


@given(
    st.lists(st.integers(1, 60), min_size=1, max_size=12),
    st.data(),
    st.sampled_from(["equal", "proportional"]),
)
def test_quotas_fill_the_budget_and_fit(sizes: list[int], data: st.DataObject, share: str) -> None:
    room = np.array(sizes)
    budget = data.draw(st.integers(0, int(room.sum())))
    found = quotas(room, budget, share, RNG(0))
    assert found.sum() == budget
    assert ((found >= 0) & (found <= room)).all()
    if share == "proportional":
        assert (np.abs(found - budget * room / room.sum()) < 1).all()
    else:  # no group has two more than another that still has room
        assert all(found[i] + 1 >= found.max() for i in range(len(room)) if found[i] < room[i])


def test_groups_and_turns() -> None:
    assert [g.tolist() for g in groups(np.array([5, 2, 5, 2, 9]))] == [[1, 3], [0, 2], [4]]
    assert in_turn([np.array([4, 5, 6]), np.array([1]), np.array([2, 3])]).tolist() == [4, 1, 2, 5, 3, 6]


def test_every_patient_gets_its_share() -> None:
    pool = pool_of(np.zeros(100), patient=np.repeat([7, 3, 5], [50, 30, 20]))
    picks = pick(pool, 7)
    assert np.bincount(pool.patient[picks], minlength=8).tolist() == [0, 0, 0, 2, 0, 1, 0, 4]
    assert sorted(pool.patient[pick(pool, 6, share="equal")]) == [3, 3, 5, 5, 7, 7]
    assert len(set(pool.patient[picks[:3]])) == 3  # in turn


def test_the_numbers_of_patients_do_not_matter() -> None:
    numbers = np.array([0, 1, 2, 3])
    picks = [
        pick(pool_of(np.zeros(40), patient=np.repeat(n, 10)), 3) for n in (numbers, 3 - numbers, numbers * 9)
    ]
    assert picks[0] == picks[1] == picks[2]


def test_more_patients_than_picks_are_drawn_by_chance() -> None:
    pool = pool_of(np.zeros(40), patient=np.repeat(np.arange(10), 4))
    counts = np.bincount(np.ravel([pool.patient[pick(pool, 3, seed)] for seed in range(600)]), minlength=10)
    np.testing.assert_allclose(counts / 600, 0.3, atol=0.09)


def test_within_a_stratum_all_are_equally_likely() -> None:
    pool = pool_of(np.zeros(8), patient=np.repeat([0, 1], 4))
    counts = np.bincount(np.ravel([pick(pool, 2, seed) for seed in range(800)]), minlength=8)
    np.testing.assert_allclose(counts / 800, 0.25, atol=0.07)


def test_thirds_of_a_volume_count_what_is_labelled_too() -> None:
    regions = [Region("a", 2, z) for z in range(12)]
    done = Labelled(regions[:3] + regions[11:])
    pool = pool_of(np.zeros(8), regions=regions[3:11])
    for seed in range(10):
        picks = pick(pool, 3, seed, done, by="third", share="equal")
        assert sorted(int(pool.regions[i].index // 4) for i in picks) == [0, 1, 2]


def test_thirds_of_boxes_go_by_their_middle() -> None:
    boxes = [Region("a", box=((0, 4), (start, start + 2))) for start in (0, 1, 4, 5, 8, 9)]
    pool = pool_of(np.zeros(6), regions=boxes)
    assert sorted(i // 2 for i in pick(pool, 3, by="third", share="equal")) == [0, 1, 2]


def test_true_classes_get_their_share() -> None:
    truth = np.eye(3, dtype=np.float32)[[0] * 12 + [1] * 6 + [2] * 2]
    pool = replace(pool_of(np.zeros(20)), columns={"truth": truth})

    def drawn(budget: int, seed: int = 0, **options: str) -> list[int]:
        selector = bind("selector", "stratified_by_truth", **options)
        return selector(pool, budget, RNG(seed), Labelled()).tolist()

    def counts(picks: list[int]) -> list[int]:
        return truth[picks].sum(axis=0).astype(int).tolist()

    assert counts(drawn(10)) == [6, 3, 1]
    assert counts(drawn(6, share="equal")) == [2, 2, 2]
    assert counts(drawn(10)[:3]) == [1, 1, 1]  # in turn
    assert {tuple(drawn(10, seed)) for seed in range(5)} != {tuple(drawn(10))}
    with pytest.raises(SettingError, match=r"'stratified_by_truth' looks at ground truth.*Use 'stratified'"):
        bind("selector", "stratified_by_truth")(pool_of(np.zeros(4)), 2, RNG(0), Labelled())


def test_sources_get_their_share() -> None:
    pool = replace(pool_of(np.zeros(20)), columns={"group": np.array([4] * 12 + [0] * 6 + [2] * 2)})

    def counts(budget: int, seed: int = 0, **options: str) -> list[int]:
        picks = bind("selector", "stratified_by_group", **options)(pool, budget, RNG(seed), Labelled())
        return np.bincount(pool.columns["group"][picks], minlength=5)[[4, 0, 2]].tolist()

    assert counts(10) == [6, 3, 1]
    assert counts(6, share="equal") == [2, 2, 2]
    for nothing in (pool_of(np.zeros(4)), replace(pool_of(np.zeros(4)), columns={"truth": np.ones((4, 2))})):
        with pytest.raises(SettingError, match=r"where cases came from.*'own' with \{group\}"):
            bind("selector", "stratified_by_group")(nothing, 2, RNG(0), Labelled())


def test_of_a_segmentation_the_foreground_decides() -> None:
    """Nearly all pixels are background: two images without any foreground, two of each of two organs."""
    truth = np.array(
        [[1, 0, 0], [1, 0, 0], [0.9, 0.07, 0.03], [0.9, 0.1, 0], [0.6, 0.1, 0.3], [0.99, 0, 0.01]]
    )
    pool = replace(pool_of(np.zeros(6)), columns={"truth": truth.astype(np.float32)})
    picks = bind("selector", "stratified_by_truth")(pool, 3, RNG(0), Labelled()).tolist()
    assert sorted(pick // 2 for pick in picks) == [0, 1, 2]


def test_classes_get_their_share() -> None:
    pool = replace(pool_of(np.zeros(10)), predicted=np.array([0] * 8 + [2] * 2, np.int32))
    assert sorted(pool.predicted[pick(pool, 4, by="class", share="equal")]) == [0, 0, 2, 2]
    assert sorted(pool.predicted[pick(pool, 5, by="class")]) == [0, 0, 0, 0, 2]


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"by": "patients"}, "Did you mean 'patient'"),
        ({"share": "even"}, "share"),
        ({"by": "third"}, "whole images have no lower and upper part"),
        ({"by": "class"}, "Write 'single > none > "),
    ],
)
def test_what_cannot_work(options: dict[str, str], says: str) -> None:
    pool = replace(pool_of(np.zeros(4)), predicted=np.full(4, -1, np.int32))
    with pytest.raises(SettingError, match=says):
        pick(pool, 2, **options)
