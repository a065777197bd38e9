"""Selectors around selectors: quotas, caps, parts of a budget, prefilters, costs and duplicates."""

from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from curette import registry
from curette.errors import CuretteWarning, DataError, SettingError
from curette.query.candidates import Candidates, Labelled
from curette.query.selectors.nested import with_picks
from curette.query.strategy import check, parse_strategy
from curette.region import Region
from curette.registry import Bound, Component, bind, register
from fakes import SEGMENTATION
from query.pools import pool_of

RNG = np.random.default_rng
CALLS: list[tuple[int, int, int]] = []


@pytest.fixture(autouse=True, scope="module")
def _spy() -> Iterator[None]:
    """A selector that is taken out again, so that no other test sees it."""

    @register("selector", "spy_for_wrappers", scores=True)
    def spy(candidates: Candidates, budget: int, rng: np.random.Generator, labelled: Labelled):
        """The highest scores; writes down sizes of pool, batch and labelled set."""
        CALLS.append((len(candidates), budget, len(labelled)))
        return np.argsort(-candidates.score, kind="stable")[:budget]

    yield
    del registry._components["selector", "spy_for_wrappers"]


def pick(text: str, pool: Candidates, budget: int, *, seed: int = 0, labelled=None) -> list[int]:
    selector = parse_strategy(f"single > entropy > {text}").selector
    return selector(pool, budget, RNG(seed), labelled or Labelled()).tolist()


class TestPerClass:
    pool = replace(
        pool_of([9, 8, 7, 6, 5, 4, 3, 2, 1, 0]), predicted=np.array([1] * 6 + [0] * 3 + [4], np.int32)
    )

    def test_equal_shares(self) -> None:
        assert pick("per_class(top)", self.pool, 3) == [6, 0, 9]
        assert sorted(pick("per_class(top)", self.pool, 7)) == [0, 1, 2, 6, 7, 8, 9]  # class 4 has one only

    def test_proportional_shares(self) -> None:
        assert sorted(pick("per_class(top, share=proportional)", self.pool, 3)) == [0, 1, 6]

    def test_more_classes_than_picks(self) -> None:
        found = {tuple(sorted(pick("per_class(top)", self.pool, 2, seed=s))) for s in range(40)}
        assert found == {(0, 6), (0, 9), (6, 9)}  # the best of two classes, drawn at random
        assert pick('per_class(top, "proportional")', self.pool, 1) == [0]

    def test_unwanted_regions_fill_no_quota(self) -> None:
        score = np.where(self.pool.predicted == 0, -np.inf, self.pool.score).astype(np.float32)
        assert sorted(pick("per_class(top)", self.pool.rescored(score), 4)) == [0, 1, 2, 9]
        assert pick("per_class(top)", self.pool.rescored(score), 9)[7:] == [6, 7]

    def test_each_class_knows_the_picks_of_those_before(self) -> None:
        CALLS.clear()
        pick("per_class(spy_for_wrappers)", self.pool, 6)
        assert [seen for _, _, seen in CALLS] == [0, 3, 5] or [seen for _, _, seen in CALLS] == [0, 2, 5]

    def test_farthest_points_keep_away_from_the_picks_of_other_classes(self) -> None:
        points = np.array([[0], [1], [10], [9.9], [0.2]])
        pool = replace(pool_of(np.zeros(5), embedding=points), predicted=np.array([0, 0, 0, 1, 1], np.int32))
        seen = Labelled([Region("z")], np.array([9], np.int32), np.array([[0.0]], np.float32))
        assert pick("per_class(k_center)", pool, 2, labelled=seen) == [2, 4]

    def test_without_a_model_there_are_no_classes(self) -> None:
        strategy = parse_strategy("none > none > per_class(random)")
        with pytest.raises(SettingError, match=r"single > none > per_class\(random\)"):
            check(strategy, SEGMENTATION, "slice", 2)


class TestCap:
    pool = pool_of([9, 8, 7, 6, 5, 4, 3], patient=[0, 0, 0, 0, 1, 2, 2])

    def test_at_most_so_many_of_a_patient(self) -> None:
        assert pick("cap(top)", self.pool, 4) == [0, 1, 4, 5]
        assert pick("cap(top, patient=1)", self.pool, 3) == [0, 4, 5]
        assert pick("cap(patient=3, top)", self.pool, 4) == [0, 1, 2, 4]

    def test_it_relaxes_evenly_when_the_batch_cannot_be_filled(self) -> None:
        assert pick("cap(top, patient=1)", self.pool, 5) == [0, 4, 5, 1, 6]
        assert pick("cap(top, patient=1)", self.pool, 7) == [0, 4, 5, 1, 6, 2, 3]

    def test_it_asks_the_selector_for_the_rest_only(self) -> None:
        CALLS.clear()
        pick("cap(spy_for_wrappers)", self.pool, 4)
        assert CALLS == [(7, 4, 0), (3, 2, 2)]

    def test_unwanted_regions_do_not_stand_in_for_full_patients(self) -> None:
        score = np.array([9, 8, 7, 6, -np.inf, 4, 3], np.float32)
        assert pick("cap(top, patient=1)", self.pool.rescored(score), 3) == [0, 5, 1]
        assert pick("cap(top, patient=1)", self.pool.rescored(score), 7)[-1] == 4

    @given(st.lists(st.integers(0, 4), min_size=1, max_size=25), st.integers(1, 4), st.data())
    def test_no_patient_has_more_than_it_must(
        self, patient: list[int], limit: int, data: st.DataObject
    ) -> None:
        pool = pool_of(RNG(0).random(len(patient)), patient=patient)
        budget = data.draw(st.integers(1, len(patient)))
        picks = pick(f"cap(top, patient={limit})", pool, budget)
        sizes, counts = np.bincount(patient), np.bincount(pool.patient[picks], minlength=max(patient) + 1)
        assert counts.sum() == budget == len(set(picks))
        most = max(limit, counts.max())
        if counts.max() > limit:  # then everyone else is full, or as far
            assert (counts >= np.minimum(sizes, most - 1)).all()

    def test_a_cap_below_one(self) -> None:
        with pytest.raises(SettingError, match="patient is 0"):
            pick("cap(top, patient=0)", self.pool, 2)


class TestSplit:
    pool = pool_of([1, 5, 2, 4, 3])

    def test_first_then_second_of_what_is_left(self) -> None:
        assert pick("split(top, bottom)", self.pool, 4) == [1, 3, 0, 2]
        assert pick("split(top, bottom, share=0.66)", self.pool, 3) == [1, 3, 0]
        assert pick("split(top, bottom, share=0)", self.pool, 2) == [0, 2]
        assert pick("split(top, bottom, share=1)", self.pool, 2) == [1, 3]

    @pytest.mark.parametrize(
        ("share", "budget", "first"), [(0.66, 10, 7), (0.66, 20, 13), (0.5, 1, 1), (0.29, 50, 15)]
    )
    def test_rounding(self, share: float, budget: int, first: int) -> None:
        CALLS.clear()
        pick(f"split(spy_for_wrappers, random, share={share})", pool_of(np.arange(60)), budget)
        assert CALLS.pop() == (60, first, 0)

    def test_the_second_keeps_away_from_the_first(self) -> None:
        pool = pool_of([0, 0, 9, 0], embedding=[[0], [1], [10], [9.9]])
        assert pick("split(top, k_center)", pool, 2) == [2, 0]

    def test_a_share_that_is_none(self) -> None:
        with pytest.raises(SettingError, match=r"share is 1\.5"):
            pick("split(top, random, share=1.5)", self.pool, 2)


class TestPrefilter:
    def test_the_best_and_a_few_by_chance(self) -> None:
        pool = pool_of(np.arange(1000, 0, -1))
        CALLS.clear()
        assert pick("prefilter(bottom, keep=20, chance=0)", pool, 3) == [19, 18, 17]
        pick("prefilter(spy_for_wrappers)", pool, 5)
        assert CALLS == [(100, 5, 0)]
        kept = pick("prefilter(top, keep=40, chance=0.25)", pool, 40)
        assert kept[:30] == list(range(30))
        assert len([i for i in kept[30:] if i < 60]) < 5
        drawn = {i for s in range(30) for i in pick("prefilter(top, keep=40, chance=0.25)", pool, 40, seed=s)}
        assert len(drawn) > 200

    def test_never_fewer_than_the_budget(self) -> None:
        assert sorted(pick("prefilter(bottom, keep=2, chance=0)", pool_of([1, 2, 3, 4]), 3)) == [1, 2, 3]

    def test_a_factor_of_one_is_top(self) -> None:
        assert sorted(pick("prefilter(random, factor=1, chance=0)", pool_of([1, 5, 2, 4, 3]), 2)) == [1, 3]

    def test_unwanted_regions_are_not_drawn(self) -> None:
        score = np.where(np.arange(100) < 50, 1.0, -np.inf)
        assert max(pick("prefilter(random, factor=3, chance=0.5)", pool_of(score), 40)) < 50

    @pytest.mark.parametrize(
        ("options", "says"),
        [("keep=-1", "keep is -1"), ("factor=0.5", "factor is 0.5"), ("chance=2", "chance is 2")],
    )
    def test_impossible_options(self, options: str, says: str) -> None:
        with pytest.raises(SettingError, match=says):
            pick(f"prefilter(top, {options})", pool_of([1, 2]), 1)


class TestCost:
    def test_score_per_cost(self) -> None:
        pool = replace(pool_of([1, 3, 2, 0]), cost=np.array([1, 6, 1, 0.1], np.float32))
        assert pick("cost_aware(top)", pool, 4) == [2, 0, 1, 3]

    def test_with_equal_costs_the_order_stays(self) -> None:
        score = RNG(0).random(30)
        assert pick("cost_aware(top)", pool_of(score), 30) == pick("top", pool_of(score), 30)

    def test_dear_regions_are_not_the_best_of_negative_scores(self) -> None:
        pool = replace(pool_of([-0.9, -0.2, -0.1]), cost=np.array([1, 1, 100], np.float32))
        assert pick("cost_aware(top, zero=-1)", pool, 3) == [1, 0, 2]
        with pytest.warns(CuretteWarning, match="zero="):
            assert pick("cost_aware(top)", pool, 3) == [1, 2, 0]

    def test_quotients_beyond_float32_stay_finite(self) -> None:
        pool = replace(pool_of([1e38, -np.inf, 2]), cost=np.array([1e-5, 1, 1], np.float32))
        assert pick("cost_aware(top)", pool, 3) == [0, 2, 1]

    @pytest.mark.parametrize("cost", [0.0, -1.0, np.nan, np.inf])
    def test_a_cost_must_be_a_positive_number(self, cost: float) -> None:
        pool = replace(pool_of([1, 2]), cost=np.array([1, cost], np.float32))
        with pytest.raises(DataError, match="c0000001"):
            pick("cost_aware(top)", pool, 1)


class TestDeduplicate:
    points = np.array([[0, 0], [0.01, 0], [4, 1], [0, 0.01], [4, 1], [-5, 3]], np.float32)
    pool = pool_of([9, 8, 7, 6, 5, 4], embedding=points)

    def test_near_duplicates_are_passed_over(self) -> None:
        assert pick("deduplicate(top)", self.pool, 3) == [0, 2, 5]

    def test_and_fill_the_batch_where_nothing_else_is_left(self) -> None:
        assert pick("deduplicate(top)", self.pool, 5) == [0, 2, 5, 1, 3]

    def test_what_is_labelled_has_duplicates_too(self) -> None:
        seen = Labelled([Region("z")], np.array([9], np.int32), np.array([[4, 1.01]], np.float32))
        assert pick("deduplicate(top)", self.pool, 2, labelled=seen) == [0, 5]

    def test_the_scale_of_features_does_not_matter_and_zero_means_equal(self) -> None:
        pool = pool_of([9, 8, 7, 6, 5, 4], embedding=self.points * np.float32([1000, 0.001]) + 7)
        assert pick("deduplicate(top)", pool, 3) == [0, 2, 5]
        assert pick("deduplicate(top, within=0)", self.pool, 5) == [0, 1, 2, 3, 5]

    def test_a_crowd_is_looked_around_once(self) -> None:
        points = np.concatenate([RNG(0).normal(0, 1e-4, (500, 3)), RNG(1).normal(0, 1, (20, 3))])
        pool = pool_of(np.arange(520)[::-1], embedding=points)
        CALLS.clear()
        picks = pick("deduplicate(spy_for_wrappers)", pool, 8)
        assert picks == [0, *range(500, 507)]
        assert len(CALLS) == 2

    def test_broken_features_are_nobodys_duplicates(self) -> None:
        points = self.points.copy()
        points[[1, 3]] = np.nan
        assert pick("deduplicate(top)", pool_of([9, 8, 7, 6, 5, 4], embedding=points), 4) == [0, 1, 2, 3]

    def test_a_distance_below_zero(self) -> None:
        with pytest.raises(SettingError, match="within is -1"):
            pick("deduplicate(top, within=-1)", self.pool, 2)


def test_the_labelled_set_joined_by_picks() -> None:
    pool = pool_of([1, 2, 3], patient=[4, 5, 6], embedding=[[1], [2], [3]])
    pool = replace(pool, columns={"thumbnail": np.zeros((3, 2)), "only the pool": np.zeros(3)})
    seen = Labelled(
        [Region("z")], np.array([9], np.int32), np.array([[7.0]]), {"thumbnail": np.ones((1, 2))}, {}
    )
    reader = parse_strategy("single > none > k_center").selector
    joined = with_picks(seen, pool, [2, 0], reader)
    assert [str(r) for r in joined.regions] == ["z", "c0000002", "c0000000"]
    assert joined.patient.tolist() == [9, 6, 4]
    assert joined.embedding.tolist() == [[7], [3], [1]]
    assert joined.columns["thumbnail"].tolist() == [[1, 1], [0, 0], [0, 0]]
    assert set(joined.columns) == {"thumbnail"}
    assert joined.labels is seen.labels
    assert with_picks(seen, pool, [], reader) is seen
    assert with_picks(Labelled(), pool, [1], reader).embedding.tolist() == [[2]]


def test_who_looks_at_labels_sees_what_has_labels_only() -> None:
    def reads_labels(candidates: Candidates, budget: int, rng: np.random.Generator, labelled: Labelled):
        """The first regions, after a look at every label."""
        assert labelled.labels is not None
        assert all(labelled.labels[region] is not None for region in labelled.regions)
        return np.arange(budget)

    inner = Bound(Component("selector", "reads_labels", reads_labels, info={"labels": True}))
    seen = Labelled([Region("z")], np.array([9], np.int32), labels={Region("z"): np.array(1)})
    pool = pool_of(np.arange(6), patient=[0, 0, 0, 1, 1, 1])
    for outer in (bind("selector", "cap", inner, 1), bind("selector", "split", inner, inner)):
        assert len(set(outer(pool, 4, RNG(0), seen).tolist())) == 4


class TestTexts:
    @pytest.mark.parametrize(
        ("text", "canonical"),
        [
            ("cap(patient=3, per_class(k_center))", "cap(per_class(k_center), patient=3)"),
            ("cap(selector=per_class(selector=k_center))", "cap(per_class(k_center))"),
            ("split(second=random, first=top, share=0.9)", "split(top, random, share=0.9)"),
            ("split(top, share=0.9, random)", "split(top, random, share=0.9)"),
            ("per_class(top, share=proportional)", 'per_class(top, share="proportional")'),
            (
                "deduplicate(cap(prefilter(k_center, factor=5)))",
                "deduplicate(cap(prefilter(k_center, factor=5)))",
            ),
        ],
    )
    def test_what_is_written_is_printed_in_one_way_and_read_back(self, text: str, canonical: str) -> None:
        strategy = parse_strategy(f"dropout(8) > variance > unit > {text}")
        assert str(strategy.selector) == canonical
        assert parse_strategy(str(strategy)).parts == strategy.parts
        check(strategy, SEGMENTATION, "slice", 4)

    def test_needs_come_from_within(self) -> None:
        assert parse_strategy("single > none > cap(per_class(k_center))").needs == {"embedding"}

    @pytest.mark.parametrize(
        "text", ["per_class(top)", "cap(per_class(power))", "split(random, top)", "prefilter(random)"]
    )
    def test_a_score_is_needed_as_deep_as_it_is_read(self, text: str) -> None:
        with pytest.raises(SettingError, match="chooses by score, and the scorer 'none' gives none"):
            check(parse_strategy(f"single > none > {text}"), SEGMENTATION, "slice", 4)
        check(parse_strategy("single > none > cap(per_class(random))"), SEGMENTATION, "slice", 4)

    def test_ground_truth_is_marked_as_deep_as_it_is_read(self) -> None:
        assert parse_strategy("single > none > split(foreground_random, random)").truth
        assert not parse_strategy("single > none > split(predicted_foreground_random, random)").truth

    @pytest.mark.parametrize(
        ("text", "says"),
        [
            ("per_class", "needs a value for 'selector'"),
            ("cap(3)", r"selector is 3, but must be a selector. Write for example 'cap\(top\)'"),
            ("cap(entropy)", "is a scorer, but stands where the selector belongs"),
            ("split(top)", "needs a value for 'second'"),
            ("split(top, 0.5)", "second is 0.5, but must be a selector"),
            ("cap(patient=2, 3)", "expected 'name=value'"),
        ],
    )
    def test_what_is_no_selector_is_refused(self, text: str, says: str) -> None:
        with pytest.raises(SettingError, match=says):
            check(parse_strategy(f"single > entropy > {text}"), SEGMENTATION, "slice", 4)
