"""Validation labels: who they are of, that they are counted, and that no training ever looks at a test patient."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from curette.bench import jobs
from curette.bench.headline import brief, facts_of
from curette.bench.jobs import Materials, watches
from curette.bench.record import higher_is_better, read_record
from curette.bench.report import build_report
from curette.bench.study import run_study
from curette.bench.summary import summary
from curette.bench.trace import read_trace
from curette.data.datasets import open_dataset
from curette.data.folds import divide
from curette.data.prepare import prepare
from curette.errors import SettingError
from curette.query.strategy import parse_strategy
from curette.recipe import Split, Study
from fakes import FakeLearner
from tiny_study import fake_learner, tiny_study


def _study(folds: int = 3, **changes: Any) -> Study:
    raw = tiny_study(strategies=["random", "entropy"], **changes).model_dump(mode="json", exclude_none=True)
    raw["split"] = {"folds": folds, "val": 1} if folds else {"train": 3, "val": 1, "test": 2}
    return Study.model_validate(raw)


@pytest.fixture
def watched(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(jobs, "watches", lambda *_: True)


class Spied:
    """Prepared images that remember of which cases something was read."""

    def __init__(self, prepared: Any) -> None:
        self.prepared, self.seen = prepared, set[str]()

    def __getattr__(self, name: str) -> Any:
        return getattr(self.prepared, name)

    def batch(self, regions: Sequence[Any]) -> Any:
        self.seen |= {region.case for region in regions}
        return self.prepared.batch(regions)


class Watching(FakeLearner):
    """Looks at all labels it is given while it trains, those it is watched by too, and remembers whose they were."""

    def __init__(self, task: Any, prepared: Any) -> None:
        super().__init__(task, Spied(prepared))
        self.fitted, self.watched = set[str](), set[str]()

    def fit(self, labels: Mapping[Any, Any], **options: Any) -> Any:
        self.images.seen.clear()
        model = super().fit(labels, **options)
        more = getattr(options.get("assignment"), "validation", {})
        if more:
            self.images.batch(list(more))
        self.watched |= {region.case for region in more}
        self.fitted |= self.images.seen
        return model


@pytest.mark.parametrize("folds", [0, 3])
def test_no_training_looks_at_a_test_patient(folds: int, tmp_path: Path, watched: None) -> None:
    """Neither to learn nor to stop: what a training may see is of patients of the pool and of validation."""
    asked = _study(folds, seeds=[0, 1, 2])
    dataset = open_dataset(asked.data)
    prepared = prepare(dataset, asked.data, asked.prepare)
    splits = divide(dataset, asked.split)
    for seed in asked.seeds:
        learner: Any = Watching(prepared.task, prepared)
        one = asked.model_copy(update={"seeds": (seed,)})
        run_study(one, tmp_path / str(seed), make_learner=lambda *_, found=learner: found)
        side = splits.of(seed)
        whose = {
            name: {prepared.patient(c) for c in getattr(side, name)} for name in ("train", "val", "test")
        }
        assert learner.fitted
        assert not {prepared.patient(c) for c in learner.fitted} & whose["test"]
        assert {prepared.patient(c) for c in learner.watched} <= whose["val"]


@pytest.mark.parametrize("folds", [0, 3])
def test_the_labels_given_are_disjoint_by_patient_from_pool_and_test(folds: int, tmp_path: Path) -> None:
    asked = _study(folds)
    dataset = open_dataset(asked.data)
    prepared = prepare(dataset, asked.data, asked.prepare)
    strategies = tuple(map(parse_strategy, asked.strategies))
    materials = Materials(tmp_path, asked, strategies, prepared, divide(dataset, asked.split), fake_learner)
    patients = []
    for seed in range(3):
        sides = materials.sides(seed)
        labels = sides.validation_labels(materials.prepared)
        whose = {prepared.patient(region.case) for region in labels}
        assert len(labels) == 8
        assert len(whose) == 1
        assert not whose & {prepared.patient(region.case) for region in sides.pool}
        assert not whose & {prepared.patient(case) for case in sides.test}
        for region, label in labels.items():
            np.testing.assert_array_equal(label, prepared.labels([region])[region])
        patients.append(whose)
    assert len(set(map(frozenset, patients))) > 1 if folds else patients[0] == patients[1] == patients[2]


def test_they_are_in_ledger_report_and_summary(tmp_path: Path, watched: None) -> None:
    folder = run_study(_study(0), tmp_path / "s", make_learner=fake_learner).path
    record, trace = read_record(folder), read_trace(folder)
    for run in trace:
        told = run.begun["validation"]
        assert (told["units"], told["voxels"]) == (8, 8 * 16 * 16)
        assert 0 < told["foreground"] < told["voxels"]
    facts = dict(facts_of(record, None, trace))
    assert facts["Validation"] == (
        "8 slices, 2048 voxels, whose labels every strategy uses besides those it picks"
    )
    assert brief(record, trace)[0].startswith(
        "With 7 labelled slices plus 8 slices of validation whose labels every strategy uses, "
    )
    assert summary(record, trace)["seeds"][0]["validation"]["units"] == 8
    splits = json.loads((folder / "splits.json").read_text())
    splits["unused"], splits["val"] = splits["val"], []
    (folder / "splits.json").write_text(json.dumps(splits))
    with pytest.raises(SettingError, match=r"split\.val: .* there are none with a label"):
        run_study(_study(0), folder, make_learner=fake_learner)


def test_other_validation_cases_than_at_the_start_are_refused(tmp_path: Path, watched: None) -> None:
    raw = _study(0).model_dump(mode="json", exclude_none=True)
    raw["split"] = {"train": 2, "val": 1, "test": 2}
    asked = Study.model_validate(raw)
    folder = run_study(asked, tmp_path / "s", make_learner=fake_learner).path
    splits = json.loads((folder / "splits.json").read_text())
    splits["val"], splits["unused"] = splits["unused"], splits["val"]
    (folder / "splits.json").write_text(json.dumps(splits))
    with pytest.raises(SettingError, match="The validation labels are not those the study started with"):
        run_study(asked, folder, make_learner=fake_learner)


def test_patients_set_aside_that_nobody_looks_at_are_not_counted(tmp_path: Path) -> None:
    folder = run_study(_study(0), tmp_path / "s", make_learner=fake_learner).path
    record, trace = read_record(folder), read_trace(folder)
    assert all("validation" not in run.begun for run in trace)
    assert "Validation" not in dict(facts_of(record, None, trace))
    assert summary(record, trace)["seeds"][0]["validation"] is None


def test_metrics_may_be_measured_on_them_too(tmp_path: Path) -> None:
    """For the tables alone: picks and what is measured on the test are the same, and no training sees a label."""
    plain = read_record(run_study(_study(0), tmp_path / "plain", make_learner=fake_learner).path)
    asked = Study.model_validate(_study(0).model_dump(mode="json", exclude_none=True) | {"measure_val": True})
    folder = run_study(asked, tmp_path / "s", make_learner=fake_learner).path
    record, trace = read_record(folder), read_trace(folder)
    assert [pick[:5] for pick in record.picks] == [pick[:5] for pick in plain.picks]
    assert set(plain.results) < set(record.results)
    on_test, on_val = (record.runs("entropy", name) for name in ("dice_3d", "dice_3d_val"))
    assert {seed: run.keys() for seed, run in on_val.items()} == {
        seed: run.keys() for seed, run in on_test.items()
    }
    assert on_val != on_test
    assert record.metrics[0] == plain.metrics[0]
    assert higher_is_better("dice_3d_val")
    assert not higher_is_better("hd95_mm_val")
    for run in trace:
        assert (run.begun["validation"]["units"], run.begun["validation"]["use"]) == (8, "report")
    facts = dict(facts_of(record, None, trace))
    assert facts["Validation"] == (
        "8 slices, 2048 voxels, whose labels are only measured by: nothing is learnt or chosen from them"
    )
    assert "validation" not in brief(record, trace)[0]
    assert "Dice per volume, validation" in build_report(folder).read_text(encoding="utf-8")
    none = asked.model_copy(update={"split": Split(train=3, val=0, test=2)})
    with pytest.raises(SettingError, match=r"split\.val: .*measure_val.*there are none with a label"):
        run_study(none, tmp_path / "none", make_learner=fake_learner)


def test_what_makes_trainings_look() -> None:
    plain, looking = parse_strategy("entropy"), parse_strategy("entropy + plateau")
    assert not watches(tiny_study(), [plain])
    assert watches(tiny_study(train={"validate_every": 1}), [plain])
    assert watches(tiny_study(), [plain, looking])
    assert watches(tiny_study(query={"trigger": "plateau(3)"}), [plain])


def test_trainings_that_look_need_somebody_to_look_at(tmp_path: Path) -> None:
    with pytest.raises(SettingError, match=r"split\.val"):
        run_study(tiny_study(train={"validate_every": 1}), tmp_path / "s", make_learner=fake_learner)
    assert not (tmp_path / "s" / "ledger.db").exists()
