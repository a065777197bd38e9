"""Studies in folds, with budgets in percent, from the study file to the report."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from curette.bench.headline import facts_of
from curette.bench.record import read_record
from curette.bench.report import build_report
from curette.bench.study import StudyFolder, run_study
from curette.bench.summary import summary
from curette.bench.trace import read_trace
from curette.data.folds import Folds
from curette.errors import DataError, SettingError
from curette.loop.ledger import Event
from curette.recipe import Study
from curette.region import Region
from tiny_study import fake_learner, tiny_study

COLD = "self_supervised(steps=5) > none > k_center"


def _study(**changes: Any) -> Study:
    """Six patients of eight slices in three folds."""
    wanted: dict[str, Any] = {
        "strategies": ["random", "entropy"],
        "seeds": [0, 1, 3],
        "query": {"initial": "10%", "budget": "6.67%", "cycles": 3},
    }
    raw = tiny_study(**wanted | changes).model_dump(mode="json", exclude_none=True)
    raw["split"] = {"folds": 3, "val": 0} | changes.get("split", {})
    return Study.model_validate(raw)


def _events(folder: Path, kind: str) -> dict[int, list[Event]]:
    ledger = StudyFolder(folder).open_ledger()
    try:
        return {run.seed: ledger.events(run.id, kind) for run in ledger.runs()}
    finally:
        ledger.close()


def test_each_seed_has_its_fold_and_all_strategies_of_a_seed_share_it(tmp_path: Path) -> None:
    folder = run_study(_study(), tmp_path / "s", make_learner=fake_learner).path
    folds = Folds.load(folder / "splits.json")
    record, trace = read_record(folder), read_trace(folder)
    assert len(folds) == 3
    assert {r.labelled for r in record.results} == {3, 5, 7}  # 32 slices: 3.2 and 2.13
    for run in trace:
        assert run.begun["fold"] == {"number": folds.number(run.run.seed) + 1, "of": 3}
        assert run.begun["patients"] == {"train": 4, "val": 0, "test": 2}
        assert run.begun["budget"] == {"initial": 3, "query": 2, "cycles": 3}
    for pick in record.picks:
        assert Region.parse(pick.region).case in folds.of(pick.seed).train
    first = {s: {p.region for p in record.picks if (p.seed, p.cycle) == (s, 0)} for s in (0, 1, 3)}
    assert all(len(regions) == 3 for regions in first.values())  # the same for both strategies
    tested = {s: e[0].data["test"] for s, e in _events(folder, "opened").items()}
    assert tested[0] == tested[3] != tested[1]

    facts = dict(facts_of(record, None, trace))
    assert facts["Budget"] == "3 (10%) slices at the start, then 2 × 2 (6.67%)"
    assert "seed 1: fold 2 of 3 with 4 patients in the pool, 2 in the test" in facts["Folds"]
    assert "seed 3: fold 1 of 3" in facts["Folds"]
    page = build_report(folder).read_text()
    assert "7 (21.9 %)" in page
    assert "With 7 labelled slices" in page
    assert "6 in 3 folds (6 patients)" in page
    told = summary(record, trace)["seeds"][1]
    assert (told["seed"], told["fold"], told["pool"]) == (1, {"number": 2, "of": 3}, 32)
    json.dumps(told)


def test_a_study_in_folds_goes_on_and_notices_other_folds(tmp_path: Path) -> None:
    folder = tmp_path / "s"
    run_study(_study(seeds=[0]), folder, make_learner=fake_learner)
    before = (folder / "splits.json").read_bytes()
    run_study(_study(seeds=[0, 1]), folder, make_learner=fake_learner)
    assert (folder / "splits.json").read_bytes() == before
    raw = json.loads(before)
    raw["folds"] = raw["folds"][::-1]
    (folder / "splits.json").write_text(json.dumps(raw))
    with pytest.raises(SettingError, match="The pool had 32 units when the study started"):
        run_study(_study(seeds=[0, 1]), folder, make_learner=fake_learner)
    raw["folds"][0]["train"].append(raw["folds"][0]["test"].pop())
    (folder / "splits.json").write_text(json.dumps(raw))
    run_cases = raw["folds"][0]
    assert not set(run_cases["train"]) & set(run_cases["test"])
    with pytest.raises(SettingError, match="The pool had"):
        run_study(_study(seeds=[0, 1]), folder, make_learner=fake_learner)
    raw["folds"][0]["test"].append(raw["folds"][0]["train"][0])
    (folder / "splits.json").write_text(json.dumps(raw))
    with pytest.raises(DataError, match=r"fold 1: case '.*' is in train and in test"):
        run_study(_study(seeds=[0, 1]), folder, make_learner=fake_learner)


def test_folds_and_a_single_split_are_not_taken_for_each_other(tmp_path: Path) -> None:
    run_study(_study(seeds=[0]), tmp_path / "s", make_learner=fake_learner)
    (tmp_path / "t").mkdir()
    (tmp_path / "t" / "splits.json").write_bytes((tmp_path / "s" / "splits.json").read_bytes())
    with pytest.raises(SettingError, match=r"holds 3 splits, but split\.folds is 0"):
        run_study(tiny_study(), tmp_path / "t", make_learner=fake_learner)


def test_features_of_an_encoder_are_those_of_a_fold(tmp_path: Path) -> None:
    study = _study(strategies=["random", COLD], seeds=[0, 1, 3])
    folder = run_study(study, tmp_path / "s", make_learner=fake_learner).path
    used = {
        seed: {e.data["features"] for e in events if "features" in e.data}
        for seed, events in _events(folder, "queried").items()
    }
    assert all(len(names) == 1 for names in used.values())
    assert len(set.union(*used.values())) == 3  # of seeds 0 and 3 too, which train encoders of their own
    assert len(list((folder / "models").glob("*.features.npy"))) == 3


def test_a_total_in_percent(tmp_path: Path) -> None:
    raw = _study(seeds=[0]).model_dump(mode="json", exclude_none=True)
    raw["query"] = {"initial": 3, "total": "30%", "cycles": 4}
    folder = run_study(Study.model_validate(raw), tmp_path / "s", make_learner=fake_learner).path
    record, trace = read_record(folder), read_trace(folder)
    assert sorted({r.labelled for r in record.results}) == [3, 5, 7, 9]  # 9.6 slices at the most
    facts = dict(facts_of(record, None, trace))
    assert facts["Budget"] == "3 slices at the start, then 3 × 2 (an even share), at most 30% in all"
    raw["query"]["total"] = "7%"
    study = Study.model_validate(raw)
    with pytest.raises(SettingError, match=r"query\.total: 2 \(7%\) of the pool's 32 units are fewer than"):
        run_study(study, tmp_path / "t", make_learner=fake_learner)
