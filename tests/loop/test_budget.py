"""Budgets in numbers and percent."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from curette.errors import SettingError
from curette.loop.budget import Budget, budget_of
from curette.recipe import Query, dump_study, parse_study


@pytest.mark.parametrize(
    ("query", "pool", "initial", "each", "total"),
    [
        # PAAL on ACDC: 1512 slices
        ({"initial": "5%", "total": "10%", "cycles": 6}, 1512, 75, 15, 150),
        ({"initial": "5%", "total": "50%", "cycles": 21}, 1512, 75, 34, 755),
        ({"initial": "5%", "total": "20%", "cycles": 16}, 1512, 75, 15, 300),
        # PCDAL: Kvasir, COVID-QU-Ex, BraTS
        ({"initial": "10%", "budget": "10%", "cycles": 5}, 4000, 400, 400, 2000),
        ({"initial": "10%", "budget": "10%", "cycles": 5}, 3728, 372, 372, 1860),
        ({"initial": "10%", "budget": "10%", "cycles": 5}, 250, 25, 25, 125),
        ({"initial": "6.67%", "budget": 3, "cycles": 2}, 100, 6, 3, 9),
        ({"initial": 128, "budget": 32, "cycles": 41}, 2594, 128, 32, 1408),
        ({"initial": "1%", "budget": "0.5 %", "cycles": 2}, 20, 1, 1, 2),
        ({"initial": "29%", "cycles": 1}, 100, 29, 10, 29),  # 0.29 * 100 is less than 29 in floats
        ({"initial": 5, "total": 50, "cycles": 1}, 100, 5, 0, 5),
    ],
)
def test_what_settings_mean(query: dict[str, Any], pool: int, initial: int, each: int, total: int) -> None:
    found = budget_of(Query(**query), pool)
    assert (found.initial, found.query, found.total) == (initial, each, total)


@given(st.integers(1, 10**6), st.integers(1, 10**4), st.integers(1, 50))
def test_a_share_is_the_largest_number_within_it(pool: int, hundredths: int, cycles: int) -> None:
    text = f"{hundredths // 100}.{hundredths % 100:02d}%"
    found = budget_of(Query(initial=text, budget=text, cycles=cycles), pool)
    assert found.initial == found.query
    assert found.initial == 1 or found.initial * 10_000 <= hundredths * pool
    assert (found.initial + 1) * 10_000 > hundredths * pool


@given(st.integers(2, 10**5), st.integers(1, 100), st.integers(1, 100), st.integers(2, 30))
def test_a_total_is_never_passed_nor_missed_by_a_unit_a_query(pool: int, a: int, b: int, cycles: int) -> None:
    query = Query(initial=f"{min(a, b)}%", total=f"{max(a, b)}%", cycles=cycles)
    most, first = (max(1, share * pool // 100) for share in (max(a, b), min(a, b)))
    if most - first < cycles - 1:
        with pytest.raises(SettingError, match="leave nothing for"):
            budget_of(query, pool)
        return
    found = budget_of(query, pool)
    assert most - (cycles - 1) < found.total <= most


@pytest.mark.parametrize(
    ("query", "says"),
    [
        (
            {"initial": 30, "total": "10%"},
            r"query\.total: 10 \(10%\) of the pool's 100 units are fewer than the 30",
        ),
        (
            {"initial": "10%", "total": 12, "cycles": 5},
            r"query\.total: 12 of .* nothing for 4 queries after the 10 \(10%\)",
        ),
    ],
)
def test_totals_that_cannot_be(query: dict[str, Any], says: str) -> None:
    with pytest.raises(SettingError, match=says):
        budget_of(Query(**query), 100)


@pytest.mark.parametrize(
    ("query", "says"),
    [
        (
            {"initial": "ten"},
            r"'query\.initial': 'ten' is neither a whole number of units, 1 or more, nor a text",
        ),
        ({"initial": "10"}, r"'query\.initial': '10' is neither"),
        ({"initial": "0%"}, r"'query\.initial': '0%' is neither"),
        ({"initial": 0}, r"'query\.initial': 0 is neither"),
        ({"initial": True}, r"'query\.initial': True is neither"),
        ({"budget": "101%"}, r"'query\.budget': '101%' .* at most 100"),
        ({"budget": -1}, r"'query\.budget': -1 is neither a whole number of units, 0 or more"),
        ({"budget": 2.5}, r"'query\.budget': 2\.5 is neither"),
        ({"total": "-5%"}, r"'query\.total': '-5%' is neither"),
        ({"total": "5%", "budget": 3}, r"budget and total both say"),
    ],
)
def test_wrong_amounts_name_their_setting(query: dict[str, Any], says: str) -> None:
    with pytest.raises(SettingError, match=says):
        parse_study({"strategies": ["random"], "data": {"dataset": "phantom"}, "query": query})


def test_settings_in_percent_are_written_and_read_back() -> None:
    import tomlkit

    raw = {"strategies": ["random"], "data": {"dataset": "phantom"}}
    study = parse_study(raw | {"query": {"initial": " 6.67 % ", "total": "20%"}})
    assert (study.query.initial, study.query.total) == ("6.67%", "20%")
    assert parse_study(tomlkit.parse(dump_study(study)).unwrap()) == study
    assert "total" in study.decisive()["query"]
    assert "total" not in parse_study(raw).decisive()["query"]


def test_a_budget_counts_all_its_queries() -> None:
    assert Budget(3, 2, 4).total == 9
