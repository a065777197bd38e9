"""Ours beside the paper's on made-up results."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path

import pytest

from curette.bench.record import Result, StudyRecord
from curette.papers import PAPERS
from curette.papers.compare import Compared, Reading, compare
from curette.papers.paper import Arm, Claim, Part
from curette.papers.table import load_table
from curette.recipe import parse_study
from tiny_paper import POOL, tiny_paper

Curves = dict[tuple[str, int], list[float]]


def record(part: Part, arm: int, curves: Curves, *, metric: str = "dice_3d", step: int = 3) -> StudyRecord:
    """Results of strategy and seed by cycle, beginning with 3 labelled units (all, in the arm of all labels)."""
    settings = dict(part.full)
    study = part.study(None, "full", part.arms[arm])
    settings["strategies"] = list(dict.fromkeys([*study.strategies, *(s for s, _ in curves)]))
    settings["query"] = study.query.model_dump() | {"cycles": max(map(len, curves.values()))}
    rows = tuple(
        Result(strategy, seed, cycle, POOL if arm else 3 + step * cycle, metric, "mean", value)
        for (strategy, seed), values in curves.items()
        for cycle, value in enumerate(values)
    )
    return StudyRecord(Path("nowhere"), parse_study(settings), rows, (), ())


def only(compared: tuple[Compared, ...]) -> Compared:
    (found,) = compared
    return found


def pools(*seeds: int) -> dict[int, int]:
    return dict.fromkeys(seeds, POOL)


QUERIES = tiny_paper().part("queries")
SHARES = tiny_paper().part("shares")


def test_a_cell_is_the_mean_over_queries_without_the_initial_training() -> None:
    curves: Curves = {("random", 0): [0.1, 0.6, 0.8], ("random", 1): [0.9, 0.5, 0.5]}
    found = only(compare(QUERIES, {"": Reading(record(QUERIES, 0, curves), pools(0, 1))}))
    cell = found.cells["Random"][0]
    assert cell.ours == pytest.approx(60)
    assert cell.sd == pytest.approx(math.dist((70,), (50,)) / math.sqrt(2))
    assert cell.n == 2
    assert cell.paper.mean == 68.83
    assert cell.difference == pytest.approx(60 - 68.83)


def test_a_run_that_is_not_through_and_a_row_that_was_not_run_are_empty() -> None:
    curves: Curves = {("random", 0): [0.1, 0.6, 0.8], ("random", 1): [0.9, 0.5]}
    found = only(compare(QUERIES, {"": Reading(record(QUERIES, 0, curves), pools(0, 1))}))
    assert (found.cells["Random"][0].ours, found.cells["Random"][0].n) == (pytest.approx(70), 1)
    assert math.isnan(found.cells["Random"][0].sd)
    assert math.isnan(found.cells["Entropy"][0].ours)
    assert math.isnan(found.cells["Random"][1].ours), "the metric of that column was not measured"
    assert {o.verdict for o in found.orderings} == {"not run"}


def test_nothing_measured_at_all_is_a_table_of_the_papers_values() -> None:
    found = only(compare(SHARES, {}))
    assert all(cell.n == 0 for cells in found.cells.values() for cell in cells)
    assert found.cells["VAAL"][0].paper.mean == 66.40


def test_shares_of_the_pool_find_their_cycle() -> None:
    """3, 6 and 9 of 32 are 9.4, 18.75 and 28.1 percent: nearest to 10, 20 and 26.67, and each serves one column."""
    curves: Curves = {("random", 0): [0.1, 0.2, 0.3], ("random", 1): [0.1, 0.2, 0.3]}
    found = only(compare(SHARES, {"": Reading(record(SHARES, 0, curves), {0: POOL, 1: 3 * POOL})}))
    ours = {c.name: cell for c, cell in zip(found.table.columns, found.cells["Random"], strict=True)}
    assert ours["10 %"].ours == pytest.approx(20), (
        "seed 0 at its first training, seed 1, of a larger pool, at its last"
    )
    assert ours["10 %"].n == 2
    assert ours["20 %"].ours == pytest.approx(20)
    assert ours["26.67 %"].ours == pytest.approx(30)
    assert (ours["6.67 %"].n, ours["13.33 %"].n, ours["30 %"].n) == (1, 0, 0)
    assert ours["100 %"].n == 0
    assert math.isnan(ours["10 %"].difference), "other data: no difference of levels"


def test_all_labels_stand_where_the_paper_prints_them() -> None:
    arms = {
        "": Reading(record(SHARES, 0, {("random", 0): [0.1, 0.2, 0.3]}), pools(0)),
        "full-data": Reading(record(SHARES, 1, {("random", 0): [0.9]}), pools(0)),
    }
    found = only(compare(SHARES, arms))
    assert found.cells["Random"][-1].ours == pytest.approx(90)
    assert found.cells["SBC-AL"][-1].ours == pytest.approx(90)
    assert found.cells["Margin"][-1].n == 0


def gained(gains: list[float], metric: str = "dice_3d") -> Compared:
    """Entropy with stochastic batches better by so much, a number a seed."""
    curves: Curves = {}
    for seed, gain in enumerate(gains):
        curves["entropy", seed] = [0.5, 0.6, 0.7]
        curves["entropy > stochastic_batches", seed] = [0.5, 0.6 + gain, 0.7 + gain]
    return only(
        compare(QUERIES, {"": Reading(record(QUERIES, 0, curves, metric=metric), pools(*range(len(gains))))})
    )


@pytest.mark.parametrize(
    ("gains", "verdict"),
    [
        ([0.010, 0.012, 0.011], "appears, beyond the seed noise"),
        ([0.010, -0.004, 0.011], "appears, within the seed noise"),
        ([-0.010, -0.012, -0.011], "reversed, beyond the seed noise"),
        ([-0.010, 0.004, -0.011], "reversed, within the seed noise"),
        ([0.01], "appears; one seed, noise unknown"),
    ],
)
def test_an_order_appears_or_not_and_exceeds_the_noise_or_not(gains: list[float], verdict: str) -> None:
    found = next(
        o for o in gained(gains).orderings if o.claim.better == "Entropy+SB" and o.metric == "dice_3d"
    )
    assert found.verdict == verdict
    assert found.ours == pytest.approx(100 * sum(gains) / len(gains))
    assert found.paper == pytest.approx(71.27 - 67.01)
    assert found.n == len(gains)
    if len(gains) == 3:
        assert found.smallest == 0.25


def test_of_distances_less_is_better() -> None:
    found = next(o for o in gained([-1.0, -1.1, -0.9], "hd95_mm").orderings if o.metric == "hd95_mm")
    assert found.ours == pytest.approx(1.0)
    assert found.paper == pytest.approx(7.026 - 6.689)
    assert found.verdict == "appears, beyond the seed noise"


def test_the_first_training_is_no_part_of_an_order() -> None:
    part = replace(SHARES, claims=(Claim("MaxEntropy", "Random", "against chance"),))
    curves: Curves = {("random", 0): [0.9, 0.2, 0.3], ("entropy", 0): [0.1, 0.3, 0.4]}
    found = only(compare(part, {"": Reading(record(part, 0, curves), pools(0))}))
    (order,) = found.orderings
    assert order.ours == pytest.approx(10)
    assert order.paper == pytest.approx(((87.07 - 84.89) + (88.00 - 86.33)) / 2)


def test_where_the_paper_prints_no_difference_no_order_is_looked_for() -> None:
    assert all(o.appears is None for o in gained([0.01, 0.02]).orderings if o.n == 0)
    part = replace(QUERIES, claims=(Claim("Entropy", "Entropy", "itself"),))
    curves: Curves = {("entropy", 0): [0.5, 0.6, 0.7]}
    order = only(compare(part, {"": Reading(record(part, 0, curves), pools(0))})).orderings[0]
    assert order.verdict == "the paper prints no difference"


def test_columns_of_an_arm_take_no_other_arm() -> None:
    """Initial sets of several sizes, each a study of its own, of which one has been run."""
    table = load_table("stochastic-batches-prostate-initial")
    part = PAPERS["stochastic-batches"].part("prostate-initial")
    study = part.study(Path("data"), "small", part.arms[0])
    rows = tuple(
        Result("random", 0, cycle, 5, "dice_3d", "prostate", 0.5) for cycle in range(study.query.cycles)
    )
    reading = Reading(StudyRecord(Path("nowhere"), study, rows, (), ()), {0: 100})
    found = only(compare(part, {part.arms[0].name: reading}))
    measured = [c.arm for c, cell in zip(table.columns, found.cells["Random"], strict=True) if cell.n]
    assert measured == [part.arms[0].name]


def test_of_what_was_not_run_the_initial_budget_is_left_out_too() -> None:
    """COVID-QU-Ex: PCDAL leads by 0.6, 0.39, 0.46 and 0.47, and not at the shared 10 %."""
    (found,) = [
        o
        for o in only(compare(PAPERS["pcdal"].part("covid"), {})).orderings
        if (o.claim.worse, o.metric) == ("Random", "dice_2d")
    ]
    values = {name: row[:5] for name, row in load_table("pcdal-covid").rows.items()}
    gaps = [a.mean - b.mean for a, b in zip(values["PCDAL"][1:], values["Random"][1:], strict=True)]
    assert values["PCDAL"][0].mean == values["Random"][0].mean
    assert found.paper == pytest.approx(sum(gaps) / 4)
    assert found.verdict == "not run"


def test_levels_in_another_unit_are_not_compared() -> None:
    """The prostate's distances: mm here, voxels in the paper."""
    part = PAPERS["stochastic-batches"].part("prostate")
    study = part.study(Path("data"), "small", Arm())
    rows = tuple(
        Result("random", 0, cycle, 10, metric, "prostate", 0.5)
        for cycle in range(study.query.cycles)
        for metric in ("dice_3d", "hd95_mm")
    )
    found = only(compare(part, {"": Reading(StudyRecord(Path("nowhere"), study, rows, (), ()), {0: 100})}))
    dice, _, distance = found.cells["Random"]
    assert dice.difference == pytest.approx(50 - 68.83)
    assert distance.ours == 0.5
    assert math.isnan(distance.difference)
