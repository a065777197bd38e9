"""What the loop asks of a training beside labels: triggers, validation, pseudo-labels, companions."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from curette.loop.experiment import Experiment, advance_together
from curette.region import Region
from curette.text import read
from tiny_study import make_runs, make_setup


def _finish(runs: list[Experiment]) -> None:
    while advance_together(runs):
        pass


def _assignments(runs: list[Experiment]) -> list[Any]:
    return runs[0].setup.learner.assignments  # type: ignore[attr-defined,no-any-return]


def test_a_trigger_ends_every_training_but_the_last(tmp_path: Path) -> None:
    setup = make_setup(tmp_path, trigger=read("trigger", "every(2)"))
    runs = make_runs(setup, ["entropy"])
    _finish(runs)
    assert [str(a.trigger) for a in _assignments(runs)] == ["every(2)", "every(2)", "None"]
    assert [a.cycle for a in _assignments(runs)] == [0, 1, 2]


def test_a_strategy_has_a_trigger_of_its_own_and_then_a_model_of_its_own(tmp_path: Path) -> None:
    runs = make_runs(make_setup(tmp_path), ["random", "entropy", "entropy + every(3)"])
    assert runs[0].model_name(0) == runs[1].model_name(0) != runs[2].model_name(0)
    _finish(runs)
    found = [str(a.trigger) for a in _assignments(runs)]
    assert found.count("every(epochs=3)") + found.count("every(3)") == 2
    picked = [[e.region for e in r.setup.ledger.events(r.run.id, "picked") if e.cycle == 0] for r in runs]
    assert picked[0] == picked[1] == picked[2]  # the first units are everybody's


def test_validation_labels_come_with_every_training(tmp_path: Path) -> None:
    setup = make_setup(tmp_path)
    held = setup.oracle.answer([Region("p05", 2, 3)])
    runs = make_runs(make_setup(tmp_path / "other", validation=lambda: held), ["entropy"])
    _finish(runs)
    assert all(set(a.validation) == {Region("p05", 2, 3)} for a in _assignments(runs))


def test_a_teacher_speaks_of_what_nobody_labelled_and_is_no_label(tmp_path: Path) -> None:
    runs = make_runs(make_setup(tmp_path), ["entropy + ceal(start=0.5)"])
    _finish(runs)
    run, (first, *later) = runs[0], _assignments(runs)
    assert not first.taught
    assert all(a.taught for a in later)
    for cycle, assignment in enumerate(later, start=1):
        labelled = set(run._labelled(cycle))
        assert labelled.isdisjoint(assignment.taught)
        assert set(assignment.taught) <= set(run.setup.pool)
        assert all(np.asarray(label).shape == (16, 16) for label in assignment.taught.values())
    submitted = run.setup.ledger.events(run.run.id, "submitted")
    assert len(submitted) == 3 + 2 * 2  # what the model says of itself is not in the ledger, but counted
    counts = [e.data.get("taught") for e in run.setup.ledger.events(run.run.id, "trained")]
    ignore = run.setup.task.ignore
    voxels = [sum(int((m != ignore).sum()) for m in a.taught.values()) for a in later]
    assert counts[0] is None
    assert counts[1:] == [{"units": len(a.taught), "voxels": n} for a, n in zip(later, voxels, strict=True)]
    assert min(voxels) > 0


def test_a_taught_model_depends_on_its_teacher(tmp_path: Path) -> None:
    runs = make_runs(make_setup(tmp_path), ["entropy", "entropy + ceal", "entropy + ceal(start=0.2)"])
    assert len({run.model_name(0) for run in runs}) == 1  # there is nobody to teach the first
    _finish(runs)
    assert len({run.model_name(1) for run in runs}) == 3


def test_runs_that_share_a_training_both_say_what_was_taught(tmp_path: Path) -> None:
    texts = ["entropy + ceal(start=0.5)", "single > entropy > unit(sum) > top + ceal(start=0.5)"]
    runs = make_runs(make_setup(tmp_path), texts)  # slices are of one size, so that both pick the same
    _finish(runs)
    assert len(_assignments(runs)) == 3
    one, two = ([e.data.get("taught") for e in r.setup.ledger.events(r.run.id, "trained")] for r in runs)
    assert one == two
    assert one[1]["voxels"] > 0


def test_what_was_taught_is_the_same_after_a_restart(tmp_path: Path) -> None:
    text = ["entropy + ceal(start=0.5)"]
    whole = make_runs(make_setup(tmp_path / "whole"), text)
    _finish(whole)
    cut = make_runs(make_setup(tmp_path / "cut"), text)
    for _ in range(6):
        cut[0].advance()
    for file in (tmp_path / "cut" / "models").glob("*"):
        file.unlink()
    cut = make_runs(make_setup(tmp_path / "cut"), text)
    _finish(cut)
    events = [
        [(e.cycle, e.region, e.score) for e in r[0].setup.ledger.events(None, "picked")] for r in (whole, cut)
    ]
    assert events[0] == events[1]
    counts = [[e.data.get("taught") for e in r[0].setup.ledger.events(None, "trained")] for r in (whole, cut)]
    assert counts[0] == counts[1]
