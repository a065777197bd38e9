"""Settings of training that cannot work together are refused before anything is trained."""

from __future__ import annotations

from typing import Any

import pytest

from curette.bench.training import check_training
from curette.errors import SettingError
from curette.query.strategy import parse_strategy
from curette.task import Task
from tiny_study import tiny_study

TASK = Task(kind="segmentation", dims=2, classes={"background": 0, "organ": 1})
VAL = {"split": {"train": 3, "val": 1, "test": 2}}


def _check(strategy: str = "entropy", **changes: Any) -> None:
    study = tiny_study(**changes)
    check_training(study, [parse_strategy(strategy, "slice", study.train.companions)], TASK)


@pytest.mark.parametrize(
    ("strategy", "changes", "said"),
    [
        ("entropy + every(5)", {}, "train.epochs"),
        ("entropy", {"query": {"trigger": "every(5)"}}, "train.epochs"),
        ("entropy + plateau", {"train": {"epochs": 9}, **VAL}, "train.validate_every"),
        ("entropy + plateau", {"train": {"epochs": 9, "validate_every": 1}}, "split.val"),
        ("entropy", {"train": {"validate_every": 5}}, "split.val"),
        ("entropy", {"train": {"patience": 5}}, "train.patience"),
        ("entropy", {"train": {"keep": "best"}}, "train.keep"),
        ("entropy", {"train": {"start": "continue", "epochs": 9}}, "query.trigger"),
        ("entropy + every(2)", {"train": {"start": "continue"}}, "train.epochs"),
        ("entropy + every(0)", {"train": {"epochs": 9}}, "1 or more"),
        ("entropy + plateau(0)", {"train": {"epochs": 9, "validate_every": 1}, **VAL}, "1 or more"),
        ("entropy", {"query": {"trigger": "sometimes"}}, "Unknown trigger"),
    ],
)
def test_what_cannot_work_names_the_setting(strategy: str, changes: dict[str, Any], said: str) -> None:
    with pytest.raises(SettingError, match=said.replace(".", r"\.")):
        _check(strategy, **changes)


@pytest.mark.parametrize(
    ("strategy", "changes"),
    [
        ("entropy", {}),
        ("entropy + every(5)", {"train": {"epochs": 9}}),
        ("entropy + plateau(3)", {"train": {"epochs": 9, "validate_every": 1, "start": "continue"}, **VAL}),
        ("entropy", {"train": {"validate_every": 50, "patience": 3, "keep": "best"}, **VAL}),
        ("entropy", {"train": {"start": "continue", "epochs": 9}, "query": {"trigger": "every(2)"}}),
    ],
)
def test_what_can_work_passes(strategy: str, changes: dict[str, Any]) -> None:
    _check(strategy, **changes)


def test_settings_that_came_later_leave_older_records_valid() -> None:
    assert "optimiser" not in tiny_study().decisive()["train"]
    assert "trigger" not in tiny_study().decisive()["query"]
    assert tiny_study().digest() != tiny_study(train={"optimiser": "adam"}).digest()
