import re
from dataclasses import replace

import pytest

from curette.errors import SettingError
from curette.query.strategy import check, parse_strategy
from fakes import CLASSIFICATION, SEGMENTATION

CANONICAL = {
    "random": "none > none > unit > random",
    "strided_random": "none > none > unit > strided",
    "entropy": "single > entropy > unit > top",
    "least_confidence": "single > least_confidence > unit > top",
    "margin": "single > margin > unit > top",
    "bald": "dropout > mutual_information > unit > top",
    "jsd": "dropout > mutual_information > unit > top",
    "mutual_information": "dropout > mutual_information > unit > top",
    "pcdal": "flips > variance > unit > top",
    "pcdal_lpi": "flips > variance > unit > bottom",
    "core_set": "single > none > unit > k_center",
    "stochastic_batches": "single > entropy > unit > stochastic_batches",
    "bald > stochastic_batches": "dropout > mutual_information > unit > stochastic_batches",
    "pcdal > stochastic_batches(50)": "flips > variance > unit > stochastic_batches(50)",
    "dropout(8) > entropy > top": "dropout(8) > entropy > unit > top",
    "flips > variance > slice > stochastic_batches": "flips > variance > slice > stochastic_batches",
    "ensemble(n=3)>variance>unit(reduce=max)>top": 'ensemble(3) > variance > unit("max") > top',
    "single > entropy > unit(q=0.1, reduce=topq) > top": 'single > entropy > unit("topq", q=0.1) > top',
    "entropy > stochastic_batches(reduce=mean, groups=5)": "single > entropy > unit > stochastic_batches(5)",
}


@pytest.mark.parametrize("text", CANONICAL)
def test_canonical_text(text: str) -> None:
    strategy = parse_strategy(text)
    assert str(strategy) == CANONICAL[text]
    assert strategy.name == text
    again = parse_strategy(str(strategy))
    assert str(again) == str(strategy)
    assert again.parts == strategy.parts
    assert len({strategy, parse_strategy(text)}) == 1


def test_the_granularity_named_like_the_unit_is_the_unit() -> None:
    text = "single > entropy > slice(reduce=max) > top"
    assert str(parse_strategy(text, "slice")) == 'single > entropy > unit("max") > top'
    assert str(parse_strategy(text, "image")) == 'single > entropy > slice("max") > top'


def test_facts_of_strategies() -> None:
    assert parse_strategy("bald").needs == {"member_entropy"}
    assert parse_strategy("pcdal").needs == {"second_moment"}
    assert parse_strategy("core_set").needs == {"embedding"}
    assert parse_strategy("flips > variance > k_center").needs == {"second_moment", "embedding"}
    assert [parse_strategy(t).members for t in ("random", "bald", "ensemble(4) > entropy > top")] == [0, 1, 4]
    assert not parse_strategy("random").truth
    assert parse_strategy("foreground_random_66").truth


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("entopy", "Did you mean 'entropy'? Known: "),
        (
            "variance",
            "'variance' is a scorer, not the name of a whole strategy. Write for example 'dropout(10) > var",
        ),
        ("top", "'top' is a selector, not the name of a whole strategy. Write for example 'entropy > top'"),
        (
            "flips",
            "'flips' are passes, not the name of a whole strategy. Write for example 'flips > entropy > top'",
        ),
        ("bald > tpo", "unknown selector 'tpo'. Did you mean 'top'? Known: "),
        ("blad > top", "Unknown strategy 'blad'. Did you mean 'bald'?"),
        ("single > entropi > top", "unknown scorer 'entropi'. Did you mean 'entropy'?"),
        ("sngle > entropy > top", "unknown passes 'sngle'. Did you mean 'single'?"),
        ("single > entropy > pach > top", "unknown granularity 'pach'"),
        ("top > entropy > single", "'top' is a selector, but stands where the passes belong"),
        ("single > flips > top", "'flips' are passes, but stands where the scorer belongs"),
        ("a > b > c > d > e", "has 5 parts"),
        (
            "bald(3) > top",
            "takes no options. Write it out and set them there: 'dropout(10) > mutual_information",
        ),
        ("dropout(n=many) > variance > top", "option 'n' is 'many'"),
        ("dropout(true) > variance > top", "option 'n' is True"),
        ("dropout(3, 4) > variance > top", "not 2 values"),
        ("dropout(m=3) > variance > top", "has no option 'm'. It takes the options n."),
        ("single > entropy >", "character 19: expected a name"),
    ],
)
def test_texts_that_cannot_be_read(text: str, says: str) -> None:
    with pytest.raises(SettingError) as caught:
        parse_strategy(text)
    assert says in str(caught.value)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        (
            "single > mutual_information > top",
            "needs at least 2, but 'single' makes 1. Write 'dropout(10) > mutual_inf",
        ),
        ("single > variance > top", "compares passes"),
        ("dropout(1) > variance > top", "'dropout(1)' makes 1"),
        ("ensemble(1) > mutual_information > top", "'ensemble(1)' makes 1"),
        ("dropout(0) > entropy > top", "makes no pass"),
        ("none > entropy > top", "the passes 'none' make none. Write 'single > entropy > top'."),
        ("none > variance > top", "Write 'dropout(10) > variance > top'."),
        ("none > none > k_center", "needs embedding of a model"),
        ("single > none > top", "chooses by score, and the scorer 'none' gives none"),
        ("random > stochastic_batches", "chooses by score"),
        ("single > entropy > slice > top", "picks slices, but the study's unit of annotation is the image"),
        ("single > entropy > unit(reduce=topp) > top", "Did you mean 'topq'"),
        ("single > entropy > unit(reduce=topq, q=1.5) > top", "q is 1.5"),
        ("entropy > stochastic_batches(-4)", "groups is -4"),
        ("core_set > k_center(outliers=-1)", "outliers is -1"),
    ],
)
def test_combinations_that_cannot_work(text: str, says: str) -> None:
    strategy = parse_strategy(text)
    with pytest.raises(SettingError) as caught:
        check(strategy, SEGMENTATION, "image", 5)
    assert says in str(caught.value)
    assert f"Strategy '{text}' cannot work" in str(caught.value)


@pytest.mark.parametrize("task", [SEGMENTATION, CLASSIFICATION], ids=lambda t: t.kind)
@pytest.mark.parametrize("text", [*CANONICAL, "dropout > entropy > k_center", "single > none > random"])
def test_combinations_that_work(text: str, task) -> None:
    check(parse_strategy(text), task, "slice", 0)


def test_a_negative_budget_is_refused() -> None:
    with pytest.raises(SettingError, match="budget is -1"):
        check(parse_strategy("random"), SEGMENTATION, "image", -1)


def test_what_is_added_stands_behind_the_parts_in_one_order() -> None:
    strategy = parse_strategy("single > entropy > top + ceal(decay=0) + every(5)")
    assert str(strategy) == "single > entropy > unit > top + every + ceal(decay=0)"
    assert parse_strategy(str(strategy)) == replace(strategy, name=str(strategy))
    assert parse_strategy(strategy.spelt_out).added == strategy.added
    assert [str(strategy.trigger), str(strategy.teacher)] == ["every", "ceal(decay=0)"]
    assert strategy.companions == ()


def test_what_is_written_stands_for_what_the_preset_adds() -> None:
    assert str(parse_strategy("ceal").teacher) == "ceal"
    assert str(parse_strategy("ceal + ceal(start=0.2)").teacher) == "ceal(0.2)"
    assert (
        str(parse_strategy("ceal > random + plateau(4)"))
        == "single > entropy > unit > random + plateau(4) + ceal"
    )


@pytest.mark.parametrize(
    ("text", "companion"),
    [
        ("sbc_al", "structure_boundary(sfp_rate=0.01)"),
        ("entropy", "structure_boundary(sfp_rate=0.01)"),
        ("entropy + structure_boundary", "structure_boundary(sfp_rate=0.01)"),
        ("entropy + structure_boundary(sfp_rate=0.5)", "structure_boundary(sfp_rate=0.5)"),
        ("entropy + structure_boundary(sfp_rate=1)", "structure_boundary"),
    ],
)
def test_a_companion_named_without_options_is_the_studys(text: str, companion: str) -> None:
    """Or a strategy that names one would be trained otherwise than those it is compared with."""
    strategy = parse_strategy(text, companions=["structure_boundary(sfp_rate=0.01)"])
    assert [str(found) for found in strategy.companions] == [companion]
    assert parse_strategy(strategy.spelt_out).companions == strategy.companions


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("entropy + top", "'top' is a selector"),
        ("entropy + dropout(3)", "'dropout' are passes"),
        ("entropy + sometimes", "Unknown addition 'sometimes'"),
        ("entropy + plateau + every", "cannot both be added"),
        ("entropy + ceal > top", "character 16"),
        ("entropy + every(fast=1)", "no option 'fast'"),
    ],
)
def test_what_cannot_be_added(text: str, said: str) -> None:
    with pytest.raises(SettingError, match=re.escape(said)):
        parse_strategy(text)
