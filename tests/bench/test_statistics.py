"""Intervals, paired tests and areas against published numbers and brute force."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from curette.bench.statistics import (
    aubc,
    compare,
    deficiency,
    holm,
    label_saving,
    paired,
    power_note,
    sign_flip,
    smallest_p,
    t_interval,
    wilcoxon,
)
from curette.errors import DataError, SettingError

A = dict(enumerate([0.70, 0.71, 0.69, 0.72, 0.70, 0.73]))
B = dict(enumerate([0.72, 0.74, 0.70, 0.75, 0.71, 0.76]))
numbers = st.floats(-10, 10).map(lambda v: round(v, 6))


def test_a_paired_comparison_gives_the_published_numbers() -> None:
    result = compare(B, A)
    assert result.interval.mean == pytest.approx(0.021667, abs=1e-6)
    assert (result.interval.low, result.interval.high) == pytest.approx((0.011349, 0.031985), abs=1e-6)
    assert result.p == 0.03125
    assert result.p_better == 0.015625
    assert result.wilcoxon == pytest.approx(0.03125)
    assert result.smallest == 0.03125
    assert result.note is None


def test_a_strategy_that_is_worse_is_not_better() -> None:
    assert compare(A, B).p_better == 1.0


@pytest.mark.parametrize(("d", "p"), [([2.1, 1.4, -0.3, 0.8, 1.9], 0.125), ([1, 2, 3, 4, 5, 6], 0.03125)])
def test_sign_flip_gives_the_published_p(d: list[float], p: float) -> None:
    assert sign_flip(d) == p


@given(st.lists(numbers, min_size=1, max_size=8))
def test_sign_flip_counts_all_sign_patterns(d: list[float]) -> None:
    means = [np.mean(np.multiply(signs, d)) for signs in itertools.product((1, -1), repeat=len(d))]
    assert sign_flip(d) == np.mean(np.abs(means) >= abs(np.mean(d)) - 1e-12)
    assert sign_flip(d, "greater") == np.mean(np.array(means) >= np.mean(d) - 1e-12)


@given(st.lists(numbers, min_size=1, max_size=8), st.sampled_from([1e-9, 1e6]))
def test_sign_flip_does_not_depend_on_the_unit(d: list[float], unit: float) -> None:
    assert sign_flip([v * unit for v in d]) == sign_flip(d)


def test_many_pairs_are_sampled_and_agree_with_the_normal_approximation() -> None:
    z = np.random.default_rng(3).normal(0.3, 1, 40)
    p = sign_flip(z)
    t = z.mean() / np.sqrt((z**2).mean() / len(z))  # under sign flips the second moment is fixed
    from scipy.stats import norm

    assert p == pytest.approx(2 * norm.sf(abs(t)), abs=0.01)
    assert p == sign_flip(z)
    assert p != sign_flip(z, rng=np.random.default_rng(1))


def test_sampled_flips_never_give_p_zero() -> None:
    assert sign_flip(np.ones(30), flips=999) == pytest.approx(1 / 1000)


def test_no_difference_at_all_has_p_one() -> None:
    assert sign_flip([0.0, 0.0, 0.0]) == 1.0
    assert wilcoxon([0.0, 0.0, 0.0]) == 1.0


def test_pairing_names_the_seeds_that_are_missing() -> None:
    with pytest.raises(SettingError, match=r"second .* seed 4, 5"):
        paired(A, {k: B[k] for k in range(4)})
    with pytest.raises(SettingError, match=r"first .* seed 7"):
        paired(A, B | {7: 0.5})
    with pytest.raises(SettingError, match="no seed"):
        paired({}, {})


def test_pairing_goes_by_seed_not_by_position() -> None:
    shuffled = {k: B[k] for k in (3, 1, 5, 0, 2, 4)}
    np.testing.assert_allclose(paired(shuffled, A), [0.02, 0.03, 0.01, 0.03, 0.01, 0.03])


def test_one_run_has_no_interval() -> None:
    interval = t_interval([0.7])
    assert (interval.mean, interval.low, interval.high, interval.n) == (0.7, None, None, 1)


@pytest.mark.parametrize("values", [[], [0.5, float("nan")], [float("inf")]])
def test_missing_measurements_are_an_error(values: list[float]) -> None:
    with pytest.raises(DataError, match="finite"):
        t_interval(values)


@pytest.mark.parametrize(
    ("n", "p"), [(3, 0.25), (4, 0.125), (5, 0.0625), (6, 0.03125), (8, 0.0078125), (10, 0.001953125)]
)
def test_smallest_p(n: int, p: float) -> None:
    assert smallest_p(n) == p
    assert sign_flip(np.arange(1, n + 1)) == p


def test_too_few_seeds_are_said_to_be_too_few() -> None:
    assert power_note(3) == "3 seeds cannot reach p < .05 (smallest two-sided p is .25); 6 seeds can."
    assert power_note(1) == "1 seed cannot reach p < .05 (smallest two-sided p is 1); 6 seeds can."
    assert power_note(6) is None


def test_holm_gives_the_published_numbers() -> None:
    p = [0.002178, 0.003013, 0.023981, 0.091721, 0.495025, 1.0]
    np.testing.assert_allclose(holm(p), [0.013065, 0.015066, 0.095925, 0.275163, 0.990051, 1.0], atol=5e-6)


@given(st.permutations([0.01, 0.02, 0.03, float("nan"), 0.8, float("nan")]))
def test_holm_leaves_undefined_tests_out(p: list[float]) -> None:
    adjusted = holm(p)
    kept = ~np.isnan(p)
    assert np.isnan(adjusted[~kept]).all()
    np.testing.assert_array_equal(adjusted[kept], holm(np.array(p)[kept]))
    assert (adjusted[kept] >= np.array(p)[kept]).all()
    assert dict(zip(p, adjusted, strict=True))[0.01] == 0.04


CURVE = [0.50, 0.62, 0.70, 0.74, 0.76]


def test_areas_give_the_published_numbers() -> None:
    x = [20, 40, 80, 160, 320]
    assert aubc(CURVE) == pytest.approx(0.6725)
    assert aubc(CURVE, x, "index") == pytest.approx(0.6725)
    assert aubc(CURVE, x) == pytest.approx(0.717333, abs=1e-6)
    assert aubc(CURVE, x, "log") == pytest.approx(0.6725)


@given(st.floats(0, 1), st.lists(st.integers(1, 1000), min_size=1, max_size=8, unique=True))
def test_a_constant_curve_is_its_own_area(c: float, budgets: list[int]) -> None:
    for scale in ("index", "x", "log"):
        assert aubc([c] * len(budgets), sorted(budgets), scale) == pytest.approx(c)


def test_areas_of_several_curves_at_once() -> None:
    np.testing.assert_allclose(aubc([CURVE, CURVE[::-1]], [1, 2, 3, 4, 5]), [0.6725, 0.6725])


@pytest.mark.parametrize(("x", "scale"), [([1, 1, 2, 3, 4], "x"), ([1, 2], "x"), ([0, 1, 2, 3, 4], "log")])
def test_budgets_that_do_not_grow_are_an_error(x: list[float], scale: str) -> None:
    with pytest.raises(SettingError, match="growing budgets"):
        aubc(CURVE, x, scale)  # type: ignore[arg-type]


def test_label_saving_gives_the_published_number() -> None:
    x = [20, 40, 60, 80, 100]
    random, active = [0.5, 0.6, 0.68, 0.72, 0.75], [0.5, 0.66, 0.72, 0.76, 0.78]
    assert label_saving(x, active, random, 0.72) == pytest.approx(0.25)
    assert aubc(active) - aubc(random) == pytest.approx(0.03875)
    assert label_saving(x, active, random, 0.76) is None
    assert label_saving(x, random, active, 0.76) is None
    assert label_saving(x, active, random, 0.5) == 0
    assert label_saving(x, active, random, 0.70) == pytest.approx(1 - (40 + 20 * 4 / 6) / 70)


def test_deficiency() -> None:
    assert deficiency([0.5, 0.7, 0.8], [0.5, 0.6, 0.8]) == pytest.approx(0.4 / 0.5)
    assert deficiency(CURVE, CURVE) == 1
    assert deficiency([0.5, 0.6], [0.5, 0.6], full=0.9) == 1
    assert deficiency([0.5, 0.6], [0.6, 0.6]) is None
