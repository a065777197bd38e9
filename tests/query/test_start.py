"""`query.start`: which strategies may choose the first units, and what the others are told."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from curette.errors import DataError, SettingError
from curette.query.start import check_start, start_strategy
from curette.query.strategy import PRESETS, check, parse_strategy
from curette.recipe import Query
from fakes import CLASSIFICATION, SEGMENTATION

COLD = [name for name, preset in PRESETS.items() if preset.text.startswith("self_supervised")]


def _check(text: str, initial: int = 5) -> None:
    check_start(start_strategy(Query(start=text), "slice"), SEGMENTATION, "slice", initial)


@pytest.mark.parametrize(
    "text",
    [
        "random",
        " random ",
        "none > none > random",
        "none > none > unit > random",
        "none > none > slice > random",
    ],
)
def test_chance_is_the_default_however_it_is_written(text: str) -> None:
    assert start_strategy(Query(start=text), "slice") is None
    assert start_strategy(Query()) is None


@pytest.mark.parametrize(
    "text",
    [
        "strided_random",
        "class_stratified_random",
        "none > none > stratified_by_group",
        *COLD,
        "self_supervised(steps=50, width=16) > none > k_center",
        "self_supervised > none > random",
        "self_supervised > none > cap(k_center, patient=2)",
    ],
)
@pytest.mark.parametrize("task", [SEGMENTATION, CLASSIFICATION], ids=lambda t: t.kind)
def test_strategies_that_ask_no_model_may_start(text: str, task) -> None:
    start = start_strategy(Query(start=text), "slice")
    assert start is not None
    check_start(start, task, "slice", 5)


def test_there_are_presets_for_the_start() -> None:
    assert {"cold_kmeans", "cold_typiclust", "cold_prob_cover", "cold_core_set"} <= set(COLD)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        (
            "entropy",
            r"query\.start: 'entropy' asks a model \('single'\), and there is none before.*self_supervised",
        ),
        ("core_set", r"query\.start: 'core_set' asks a model"),
        ("ensemble > none > k_center", r"asks a model \('ensemble'\)"),
        ("cold_kmean", r"query\.start: .*cold_kmean.*Did you mean 'cold_kmeans'"),
        ("a >", r"query\.start: "),
        ("self_supervised(steps=0) > none > k_center", r"query\.start: .*steps is 0, but must be 1 or more"),
        ("self_supervised > none > k_center(outliers=-1)", r"query\.start: .*outliers is -1"),
        ("self_supervised > none > top", r"query\.start: .*'top' chooses by score"),
        (
            "self_supervised > entropy > top",
            r"query\.start: .*'entropy' needs predictions, and the passes 'self_superv",
        ),
        ("none > none > k_center", r"query\.start: .*needs embedding of a model"),
        ("foreground_random_33", r"query\.start: 'foreground_random_33' looks at ground truth"),
        ("self_supervised > none > per_class(k_center)", r"no model yet, take a selector that needs none"),
        ("none > none > per_class(random)", r"goes by the class a model predicts, and these passes ask none"),
        ("self_supervised > none > predicted_foreground_random", r"no model to ask\. Write 'random'"),
        (
            "none > none > class_quota",
            r"no model to ask\. Write 'random'.*'self_supervised > none > k_center'",
        ),
        ("self_supervised > none > deduplicate(top)", r"chooses by score.*no model to ask\. Write 'random'"),
    ],
)
def test_others_are_told_why_not(text: str, says: str) -> None:
    with pytest.raises(SettingError, match=says):
        _check(text)


def test_a_missing_file_shows_before_anything_is_trained(tmp_path: Path) -> None:
    text = f'features("{tmp_path / "gone.npz"}") > none > k_center'
    with pytest.raises(DataError, match=r"no file of features .*gone\.npz"):
        _check(text)
    np.savez(tmp_path / "gone.npz", ids=np.array(["a"]), features=np.ones((1, 2)))
    _check(text)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        (
            "self_supervised > entropy > top",
            r"'entropy' needs predictions.*'self_supervised > none > k_center'",
        ),
        ("self_supervised > none > badge", r"'none > badge.*' needs probabilities of a model"),
        ("self_supervised > none > patch(8,8) > k_center", r"'patch\(.*' cannot take apart.*Write 'unit'"),
        ("self_supervised(width=2) > none > k_center", "width is 2, but must be 8 or more"),
        ("self_supervised(depth=2) > none > k_center", "has no option 'depth'"),
        ("self_supervised > none > image > k_center", "picks images, but the study's unit"),
    ],
)
def test_what_an_encoder_cannot_do_in_any_cycle(text: str, says: str) -> None:
    with pytest.raises(SettingError, match=says):
        check(parse_strategy(text, "slice"), SEGMENTATION, "slice", 5)


def test_an_encoder_asks_for_no_network_and_no_truth() -> None:
    strategy = parse_strategy("cold_kmeans")
    assert (strategy.members, strategy.truth) == (0, False)
    assert strategy.needs == {"embedding"}
