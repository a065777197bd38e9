"""The papers' experiments as studies: settings, strategies, rows."""

from __future__ import annotations

from pathlib import Path

import pytest

from curette.errors import SettingError
from curette.papers import PAPERS, find_paper
from curette.papers.compare import Compared, compare
from curette.papers.paper import GENERATED, SCALES, Arm, Part, Scale, merged
from curette.papers.reproduce import plan
from curette.query.strategy import parse_strategy
from curette.recipe import Study
from curette.registry import components
from curette.text import read


def only_table(part: Part) -> Compared:
    (found,) = compare(part, {})
    return found


PARTS = [
    pytest.param(part, id=f"{paper.name}-{part.name}") for paper in PAPERS.values() for part in paper.parts
]
STUDIES = [
    pytest.param(part, scale, arm, id=f"{paper.name}-{part.name}-{scale}-{arm.name or 'main'}")
    for paper in PAPERS.values()
    for part in paper.parts
    for scale in SCALES
    for arm in part.arms_of(scale)
    if not part.unavailable
]


@pytest.mark.parametrize("part", PARTS)
def test_every_printed_row_has_a_strategy_or_a_reason(part: Part) -> None:
    for table in part.published():
        for name in table.rows:
            row = part.row(name)
            assert bool(row.strategy) != bool(row.missing) or part.unavailable, name
    for claim in part.claims:
        part.row(claim.better)
        part.row(claim.worse)
        assert claim.better != claim.worse


@pytest.mark.parametrize("part", PARTS)
def test_every_strategy_of_the_papers_can_be_read(part: Part) -> None:
    for row in part.rows:
        if row.strategy:
            parse_strategy(row.strategy)


@pytest.mark.parametrize(("part", "scale", "arm"), STUDIES)
def test_every_study_is_valid(part: Part, scale: Scale, arm: Arm) -> None:
    study = part.study(None, scale, arm)
    assert study.data.dataset == part.dataset
    assert len(study.strategies) == len({row.strategy for row in part.rows_of(arm)})
    if scale == "full":
        assert study.train.model == part.full["train"]["model"]


@pytest.mark.parametrize(("part", "scale", "arm"), STUDIES)
def test_rows_share_what_the_study_trains_along(part: Part, scale: Scale, arm: Arm) -> None:
    """Where a recipe gives every strategy a companion, no row may train another one of that name."""
    study = part.study(Path("data"), scale, arm)
    given = {str(read("companion", text)) for text in study.train.companions}
    for text in study.strategies:
        strategy = parse_strategy(text, study.data.unit, study.train.companions)
        assert given <= {str(companion) for companion in strategy.companions}, text


def test_small_studies_have_seeds_to_compare_by() -> None:
    for paper in PAPERS.values():
        for part in paper.parts:
            if not part.unavailable:
                assert len(part.study(None, "small").seeds) >= 2, part.name


def test_stand_ins_stand_for_a_part_with_the_same_tables() -> None:
    for paper in PAPERS.values():
        for part in paper.parts:
            if part.stand_in:
                real = paper.part(part.stands_for)
                assert not real.stand_in
                assert part.tables == real.tables
                assert [row.name for row in part.rows] == [row.name for row in real.rows]


def test_each_paper_can_be_run_on_something_everybody_has() -> None:
    at_hand = {*GENERATED, "msd", "medmnist"}
    for paper in PAPERS.values():
        assert any(part.dataset in at_hand for part in paper.parts), paper.name
        assert paper.choices


def test_parts_on_made_up_data_are_those_of_data_sets_without_files() -> None:
    assert {n for n, c in components("dataset").items() if c.info["layout"] == "no files"} == GENERATED


@pytest.mark.parametrize(("part", "scale", "arm"), STUDIES)
def test_training_on_all_labels_is_one_training_at_either_scale(part: Part, scale: Scale, arm: Arm) -> None:
    if arm.name == "full-data":
        study = part.study(Path("data") if part.needs_data else None, scale, arm)
        assert (study.query.initial, study.query.budget, study.query.cycles) == ("100%", 0, 1)


def test_the_region_level_is_said_to_be_a_later_step() -> None:
    paper = find_paper("melanoma")
    assert "later step" in paper.later[0]
    with pytest.raises(SettingError, match="later step"):
        plan(paper.part("regions"), "full")


def test_what_is_said_of_the_small_scale_is_what_it_has() -> None:
    def asked(paper: str, part: str, scale: Scale = "small") -> Study:
        found = find_paper(paper).part(part)
        return found.study(Path("data") if found.needs_data else None, scale)

    said = {name: " ".join(paper.choices) for name, paper in PAPERS.items()}
    for part in ("isic2018", "phantom"):
        query = asked("melanoma", part).query
        assert isinstance(query.initial, int)
        assert isinstance(query.budget, int)
        last = query.initial + (query.cycles - 1) * query.budget
        assert f"{query.cycles} " in said["melanoma"]
        assert f"on {query.initial} to {last}" in said["melanoma"]
    assert (asked("sbc-al", "acdc").query.cycles, asked("sbc-al", "acdc", "full").query.cycles) == (5, 9)
    assert "the first five budgets" in said["sbc-al"]
    for part in ("acdc", "segthor", "hippocampus", "phantom"):
        study = asked("paal", part)
        assert (study.query.initial, study.query.budget, study.query.cycles) == ("5%", "5%", 4)
        assert (study.split.folds, study.train.patience, study.train.schedule) == (0, 0, "constant")
        assert study.train.warmup * (study.train.epochs or 0) == 5
    assert "ends at 20 %" in said["paal"]
    assert "a constant learning rate after a rise over five epochs" in said["paal"]
    for part in ("kvasir", "covid", "brats", "pneumonia", "phantom-3d"):
        study = asked("pcdal", part)
        assert (study.train.validate_every, study.train.keep) == (0, "last")
        assert 60 <= study.train.steps <= 200
    assert "60 to 200 batches a training, small networks, no validation" in said["pcdal"]


def test_choices_about_numbers_of_one_scale_say_which() -> None:
    of_full = (
        "1280",
        "400 epochs",
        "18,750",
        "256 × 256",
        "30,000",
        "4000",
        "66,512",
        "batches of 64",
        "8140",
    )
    for paper in PAPERS.values():
        for text in paper.choices:
            if any(number in text for number in of_full):
                assert "full scale" in text.lower() or "Small scale" in text, text


def test_what_is_not_run_is_said() -> None:
    assert "Table V" in find_paper("pcdal").later[0]
    assert not find_paper("sbc-al").later


def test_pairs_of_sets_of_views_say_which_has_more() -> None:
    number = {"One": 1, "Two": 2, "Three": 3, "Four": 4, "Five": 5}
    for claim in find_paper("pcdal").part("kvasir-flips").claims:
        better, worse = (number[row.split()[0]] for row in (claim.better, claim.worse))
        assert claim.what == ("more views" if better > worse else "fewer views")


def test_melanomas_validation_column_is_measured_where_there_are_validation_pictures() -> None:
    paper = find_paper("melanoma")
    for scale in SCALES:
        assert paper.part("isic2018").study(Path("data"), scale).measure_val
        assert not paper.part("phantom").study(None, scale).measure_val
    for part, metrics in (("isic2018", {"dice_2d", "dice_2d_val"}), ("phantom", {"dice_2d"})):
        assert {o.metric for o in only_table(paper.part(part)).orderings} == metrics


def test_unknown_papers_parts_and_rows_are_named() -> None:
    with pytest.raises(SettingError, match=r"Unknown paper 'pcdla'. Did you mean 'pcdal'"):
        find_paper("pcdla")
    paper = find_paper("paal")
    with pytest.raises(SettingError, match="Did you mean 'segthor'"):
        paper.part("segtor")
    with pytest.raises(SettingError, match="Did you mean 'LeastConf'"):
        paper.part().row("LeastCnf")


def test_settings_are_laid_over_each_other() -> None:
    below = {"train": {"model": "a", "options": {"w": 1}, "steps": 3}, "query": {"total": "10%"}}
    above = {"train": {"model": "b", "steps": 1}, "query": {"total": None}, "seeds": [0]}
    assert merged(below, above) == {"train": {"model": "b", "steps": 1}, "query": {}, "seeds": [0]}
    assert merged(below, {"train": {"options": {"v": 2}}})["train"]["options"] == {"w": 1, "v": 2}
