"""A study whose first units are chosen without a label, from the study file to the report."""

from __future__ import annotations

import csv
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from curette.bench.headline import facts_of
from curette.bench.record import read_record
from curette.bench.study import run_study
from curette.bench.summary import caveats
from curette.errors import DataError, SettingError
from curette.recipe import Study, parse_study
from fakes import FakeLearner
from study_folder import make_study, write_folder
from tiny_study import fake_learner, tiny_study

COLD = "self_supervised(steps=5) > none > k_center"


def _study(start: str = COLD, strategies: tuple[str, ...] = ("random", "entropy"), **query: Any) -> Study:
    wanted = {"initial": 8, "budget": 2, "cycles": 2, "start": start, **query}
    return tiny_study(strategies=list(strategies), query=wanted)


def _first(folder: Path) -> dict[tuple[str, str], list[str]]:
    found: dict[tuple[str, str], list[str]] = {}
    with (folder / "picks.csv").open(newline="") as file:
        for row in csv.DictReader(file):
            if row["cycle"] == "0":
                found.setdefault((row["strategy"], row["seed"]), []).append(row["region"])
    return found


def _file(folder: Path, left_out: str = "") -> str:
    """Features of every slice of the phantom patients, but for one."""
    ids = [f"phantom-{p:04d}@z={z}" for p in range(6) for z in range(8)]
    kept = [name for name in ids if name != left_out]
    rows = np.random.default_rng(0).normal(size=(len(kept), 3)).astype(np.float32)
    np.savez(folder / "f.npz", ids=np.array(kept), features=rows)
    return f'features("{folder / "f.npz"}") > none > k_center'


def test_a_cold_start_runs_is_shared_and_goes_on(tmp_path: Path) -> None:
    study = _study()
    run_study(study, tmp_path / "s", make_learner=fake_learner)
    first = _first(tmp_path / "s")
    assert first["random", "0"] == first["entropy", "0"]
    assert first["random", "0"] != first["random", "1"]
    more = study.model_copy(update={"strategies": (*study.strategies, COLD)})
    run_study(more, tmp_path / "s", make_learner=fake_learner)
    assert _first(tmp_path / "s")[COLD, "0"] == first["random", "0"]


def test_workers_begin_with_the_same_units(tmp_path: Path) -> None:
    for workers in (1, 2):
        run_study(_study(), tmp_path / str(workers), workers=workers, make_learner=fake_learner)
    assert _first(tmp_path / "1") == _first(tmp_path / "2")


def test_another_start_is_another_study(tmp_path: Path) -> None:
    run_study(_study(), tmp_path, make_learner=fake_learner)
    with pytest.raises(SettingError, match=r"\+query\.start = strided_random"):
        run_study(_study("strided_random"), tmp_path, make_learner=fake_learner)


@pytest.mark.parametrize(
    ("start", "says"),
    [
        ("entropy", r"query\.start: 'entropy' asks a model"),
        ("colt_kmeans", r"query\.start: .*cold_kmeans"),
        ('features("gone.npz") > none > k_center', r"no file of features .*gone\.npz"),
    ],
)
def test_a_start_that_cannot_work_is_refused_before_anything_is_written(
    tmp_path: Path, start: str, says: str
) -> None:
    with pytest.raises((SettingError, DataError), match=says):
        run_study(_study(start), tmp_path / "s", make_learner=fake_learner)
    assert not (tmp_path / "s").exists()


def test_a_missing_row_is_named_before_anything_is_trained(tmp_path: Path) -> None:
    class Never(FakeLearner):
        def fit(self, *args: Any, **options: Any) -> Any:
            raise AssertionError("trained")

    def never(study: Study, prepared: Any) -> FakeLearner:
        return Never(prepared.task, prepared)

    whole = _file(tmp_path)
    run_study(_study(whole), tmp_path / "s", make_learner=fake_learner)
    pool = {region for regions in _first(tmp_path / "s").values() for region in regions}
    gone = min(pool)
    text = _file(tmp_path, left_out=gone)
    for study in (_study(text), _study("random", ("random", text))):
        with pytest.raises(DataError, match=rf"f\.npz has no features for 1 regions: '{gone}'"):
            run_study(study, tmp_path / "t", make_learner=never)
    assert not (tmp_path / "t").exists()


def test_the_report_says_how_the_first_units_were_chosen(tmp_path: Path) -> None:
    def budget(study: Study, folder: Path) -> str:
        return dict(facts_of(read_record(write_folder(folder, study)), None, ()))["Budget"]

    plain = make_study()
    assert budget(plain, tmp_path / "a") == "10 slices at the start, then 4 × 5"
    raw = plain.model_dump(mode="json")
    raw["query"]["start"] = "cold_kmeans"
    assert (
        budget(parse_study(raw), tmp_path / "b")
        == "10 slices at the start (chosen by cold_kmeans), then 4 × 5"
    )
    raw["query"]["start"] = "none > none > unit > random"
    assert budget(parse_study(raw), tmp_path / "c") == "10 slices at the start, then 4 × 5"


def test_a_start_that_looks_at_ground_truth_is_in_every_title(tmp_path: Path) -> None:
    study = tiny_study(strategies=["random"], seeds=[0], query={"start": "class_stratified_random"})
    folder = run_study(study, tmp_path / "s", make_learner=fake_learner).path
    record = read_record(folder)
    assert "the first slices are drawn with ground truth" in caveats(record)
    told = dict(facts_of(record, None, ()))["Budget"]
    assert told.startswith(
        "3 slices at the start (chosen by class_stratified_random, which uses ground truth)"
    )
    with (folder / "picks.csv").open(newline="") as file:
        assert sum(row["cycle"] == "0" for row in csv.DictReader(file)) == 3
