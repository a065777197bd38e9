"""Runs that pick parts of units: what is asked, labelled, trained on and recorded."""

from __future__ import annotations

import math
import warnings
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from test_experiment import _finish_all, _Stop, _story

from curette.errors import ContractError, CuretteWarning, SettingError
from curette.loop.experiment import Experiment, advance_together
from curette.loop.ledger import Ledger
from curette.loop.merge import whole_units
from curette.loop.shared import Setup, of_whole_units
from curette.query.start import check_start
from curette.query.strategy import check, parse_strategy
from curette.region import Region
from fakes import CLASSIFICATION, SEGMENTATION, VOLUMES, FakeImages, FakeLearner
from tiny_study import make_runs, make_setup

FLAT = [
    "single > entropy > patch(6, 6) > top",
    "none > none > patch(6, 6) > random",
    "dropout(4) > variance > patch(6, 6, overlap=0.3, known=0.5, stride=2, beta=2) > per_class(k_center)",
    "dropout(4) > entropy > patch_by_class(6, 5, beta=exponential) > class_quota",
    "single > entropy > patch(40, 5) > stochastic_batches",
    "none > none > foreground_patch(6, 6) > random",
]
DEEP = [
    "single > entropy > patch(4, 4, 4) > top",
    "none > none > patch(4, 4, 4) > random",
    "single > none > patch(4, 4, 4) > k_center",
    "none > none > foreground_patch(4, 4, 3, share=0.33) > random",
]


def _setup(folder: Path, dims: int, **changes: Any) -> Setup:
    images = FakeImages(SEGMENTATION if dims == 2 else VOLUMES)
    return make_setup(folder, images=images, learner=FakeLearner(images.task, images), **changes)


@pytest.mark.parametrize(("dims", "texts"), [(2, FLAT), (3, DEEP)], ids=["2D", "3D"])
def test_patches_are_picked_labelled_and_never_overlap_beyond_what_is_allowed(
    tmp_path: Path, dims: int, texts: list[str]
) -> None:
    start = 3 if dims == 2 else 1
    setup = _setup(tmp_path, dims, initial=start, budget=5, cycles=4)
    group = make_runs(setup, texts)
    _finish_all(group)
    for run in group:
        events = setup.ledger.events(run.run.id, "picked")
        regions = [Region.parse(str(e.region)) for e in events]
        first, rest = regions[:start], regions[start:]
        assert not any(r.box for r in first)  # the initial set are whole units, the same for all strategies
        assert len(rest) == len(set(rest)) == 15
        assert set(first) <= set(setup.pool)
        assert {r.unit for r in rest} <= set(setup.pool) - set(first)
        size = tuple(min(n, s) for n, s in zip(run.strategy.granularity.args, setup.size, strict=True))
        for region in rest:
            assert tuple(b - a for a, b in region.box) == size
            assert all(b <= s for (_, b), s in zip(region.box, setup.size, strict=True))
        if "overlap" not in run.strategy.granularity.options:
            assert not any(a.overlaps(b) for i, a in enumerate(rest) for b in rest[:i])
        submitted = setup.ledger.events(run.run.id, "submitted")
        voxels = {str(e.region): e.data["voxels"] for e in submitted}
        assert {voxels[str(r)] for r in rest} == {math.prod(size)}
        labelled = [e.data["labelled"] for e in setup.ledger.events(run.run.id, "trained")]
        assert labelled == [start, start + 5, start + 10, start + 15]


def test_the_learner_is_given_whole_units_and_knows_nothing_outside_the_boxes(tmp_path: Path) -> None:
    given: list[dict[Region, np.ndarray]] = []

    class Spy(FakeLearner):
        def fit(self, labels: Any, **options: Any) -> Any:
            given.append({region: labels[region] for region in labels})
            return super().fit(labels, **options)

    images = FakeImages()
    setup = make_setup(tmp_path, images=images, learner=Spy(images.task, images), budget=6)
    run = make_runs(setup, ["single > entropy > patch(5, 7) > top"])[0]
    while run.advance():
        pass
    picked = [Region.parse(str(e.region)) for e in setup.ledger.events(run.run.id, "picked")]
    known = set(setup.pool)
    for cycle, labels in enumerate(given):
        boxes = [r for r in picked[: 3 + 6 * cycle] if r.box]
        assert set(labels) == {r.unit for r in picked[: 3 + 6 * cycle]} <= known
        for unit, label in labels.items():
            truth = images.labels([unit])[unit]
            inside = np.full(images.size, unit in picked[:3])
            for box in boxes:
                if box.unit == unit:
                    inside[box.slices] = True
            np.testing.assert_array_equal(label, np.where(inside, truth, images.task.ignore))


def test_a_unit_labelled_as_a_whole_beats_its_boxes_and_later_boxes_beat_earlier_ones() -> None:
    unit, other = Region("a", 2, 1), Region("b", 2, 1)
    boxes = [replace(unit, box=((0, 2), (0, 3))), replace(unit, box=((1, 3), (1, 2)))]
    labels = {box: np.full([b - a for a, b in box.box], i, np.uint8) for i, box in enumerate(boxes)}
    merged = whole_units(labels, lambda _: (4, 4), 255)
    assert list(merged) == [unit]
    expected = [[0, 0, 0, 255], [0, 1, 0, 255], [255, 1, 255, 255], [255] * 4]
    np.testing.assert_array_equal(merged[unit], expected)
    whole = {**labels, unit: np.full((4, 4), 7, np.uint8), other: np.zeros((4, 4), np.uint8)}
    merged = whole_units(whole, lambda _: (4, 4), 255)
    assert sorted(merged) == [unit, other]
    assert set(np.unique(merged[unit])) == {7}
    plain = {unit: np.zeros((4, 4), np.uint8)}
    assert whole_units(plain, lambda _: (4, 4), 255) is plain


@pytest.mark.parametrize("before", [True, False], ids=["before", "after"])
def test_a_run_killed_around_any_commit_ends_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, before: bool
) -> None:
    texts = FLAT[:4]
    undisturbed = make_setup(tmp_path / "a")
    _finish_all(make_runs(undisturbed, texts))
    record, deaths = Ledger.record, 0

    def dying(self: Ledger, events: Any) -> bool:
        nonlocal deaths
        deaths += 1
        if deaths % 2:
            if not before:
                record(self, events)
            raise _Stop
        return record(self, events)

    monkeypatch.setattr(Ledger, "record", dying)
    for _attempt in range(200):
        setup = make_setup(tmp_path / "b")
        try:
            _finish_all(make_runs(setup, texts))
            break
        except _Stop:
            setup.ledger.close()
    assert deaths >= 2 * len(texts) * 4
    assert _story(setup.ledger) == _story(undisturbed.ledger)


def test_alone_or_together_the_picks_are_the_same(tmp_path: Path) -> None:
    together, apart = make_setup(tmp_path / "a"), make_setup(tmp_path / "b")
    _finish_all(make_runs(together, FLAT))
    for run in make_runs(apart, FLAT):
        while run.advance():
            pass
    assert _story(together.ledger) == _story(apart.ledger)


def test_the_batch_size_of_the_sweep_changes_no_pick(tmp_path: Path) -> None:
    stories = []
    for batch in (1, 5, 64):
        images = FakeImages()
        setup = make_setup(tmp_path / str(batch), learner=FakeLearner(images.task, images, batch))
        group = make_runs(setup, FLAT)
        _finish_all(group)
        stories.append([[e.region for e in setup.ledger.events(r.run.id, "picked")] for r in group])
    assert stories[0] == stories[1] == stories[2]


def test_patches_run_out_with_a_warning_and_the_run_ends(tmp_path: Path) -> None:
    setup = _setup(tmp_path, 3, budget=3, initial=2, cycles=9)  # two volumes left, of 2 × 2 × 1 patches each
    group = make_runs(
        setup, ["single > entropy > patch(8, 8, 8, stride=8) > top", "none > none > patch(8, 8, 8) > random"]
    )
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always", CuretteWarning)
        _finish_all(group)
    told = [str(w.message) for w in said]
    assert sum("cycle 3 picks only 2 of 3 patches" in t and "stride=8" in t for t in told) == 1
    assert sum("picks only 0 of 3 patches" in t and "The run ends at cycle" in t for t in told) == 2
    for run in group:
        assert run.advance() is None
        ends = setup.ledger.events(run.run.id, "finished")
        assert [e.data["why"] for e in ends] == ["pool exhausted"]
    top = setup.ledger.events(group[0].run.id, "trained")
    assert [e.data["labelled"] for e in top] == [2, 5, 8, 10]


def test_parts_leave_the_rest_of_a_unit_in_the_pool_so_the_budget_may_be_larger_than_it(
    tmp_path: Path,
) -> None:
    setup = make_setup(tmp_path, initial=3, budget=40)
    (run,) = make_runs(setup, ["single > entropy > patch(4, 4) > top"])
    while run.advance():
        pass
    assert setup.ledger.events(run.run.id, "trained")[-1].data["labelled"] == 83
    with pytest.raises(SettingError, match=r"query\.budget"):
        make_runs(setup, ["entropy"])
    part = parse_strategy("none > none > patch(4, 4) > random")
    assert of_whole_units(setup.budget, part, part).initial == 0
    assert of_whole_units(setup.budget, parse_strategy("entropy")) == setup.budget


def test_the_first_set_may_be_patches_too(tmp_path: Path) -> None:
    start = parse_strategy("none > none > patch(4, 4) > random")
    setup = make_setup(tmp_path, initial=40, budget=4, start=start)
    group = make_runs(setup, ["single > entropy > patch(4, 4) > top", "none > none > patch(4, 4) > random"])
    _finish_all(group)
    first = [[e.region for e in setup.ledger.events(r.run.id, "picked") if e.cycle == 0] for r in group]
    assert first[0] == first[1]
    regions = [Region.parse(str(r)) for r in first[0]]
    assert len(set(regions)) == 40
    units = [r.unit for r in regions]
    assert {units.count(u) for u in setup.pool} == {1, 2}  # round by round over 32 slices


def test_the_start_is_checked_against_the_dimensions_of_units_not_of_volumes() -> None:
    start = parse_strategy("none > none > patch(4, 4) > random")
    check_start(start, VOLUMES, "slice", 5)
    with pytest.raises(SettingError, match=r"query\.start: .* the units have 3"):
        check_start(start, VOLUMES, "image", 5)


def test_a_setup_without_the_shape_of_units_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ContractError, match=r"Setup\.size"):
        Experiment(make_setup(tmp_path, size=()), parse_strategy(FLAT[0]), 0)


@pytest.mark.parametrize("text", [*FLAT[:3], "single > entropy > patch_by_class(3, 3) > class_quota"])
def test_classification_is_refused_with_a_clear_message(text: str) -> None:
    with pytest.raises(
        SettingError, match=r"picks parts of images, and in classification an image has one label"
    ):
        check(parse_strategy(text), CLASSIFICATION, "image", 5)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("single > entropy > patch > top", "needs a size in pixels along each axis"),
        ("single > entropy > patch(0, 4) > top", r"1 or more, not \(0, 4\)"),
        ("single > entropy > patch(4.5, 4) > top", r"1 or more, not \(4.5, 4\)"),
        ("none > none > patch(-4, 4) > random", r"1 or more, not \(-4, 4\)"),
        ("single > entropy > patch(4, 4, 4) > top", "has 3 dimensions, but the units have 2"),
        ("none > none > patch(4, 4, 4) > random", "has 3 dimensions, but the units have 2"),
        ("single > entropy > patch(4, stride=[2, 2, 2]) > top", "a stride of 2, 2, 2 has 3 dimensions"),
        ("single > entropy > patch(4, 4, overlap=1.5) > top", "overlap is 1.5, but is a share"),
        ("single > entropy > patch(4, 4, known=-0.1) > top", "known is -0.1, but is a share"),
        ("single > entropy > patch(4, 4, stride=[1, 2, 3]) > top", "stride is"),
        ("single > entropy > patch(4, 4, per_unit=0) > top", "per_unit is 0"),
        ("single > entropy > patch(4, 4, beta=-1) > top", "beta is -1"),
        ("single > entropy > patch(4, 4, beta=sigmoid(tau=0)) > top", "tau is 0"),
        ("single > entropy > patch(4, 4, beta=exponential(0)) > top", "must be above 0"),
        ('single > entropy > patch(4, 4, beta=exponential(schedule_end="soon")) > top', "schedule_end"),
        ("single > entropy > patch_by_class(4, 4, share=2) > class_quota", "share is 2"),
        ("single > entropy > unit_by_class > class_quota(2)", "share is 2"),
        ("single > entropy > patch(4, 4) > class_quota", "Use 'patch_by_class' or"),
        ("none > none > unit_by_class > random", "looks at predictions"),
        ("single > entropy > foreground_patch(4, 4) > top", "draws without looking at a model"),
        ("none > none > foreground_patch(4, 4, share=2) > random", "share is 2"),
    ],
)
def test_impossible_patches_are_refused_before_any_training(text: str, says: str) -> None:
    with pytest.raises(SettingError, match=says):
        check(parse_strategy(text), VOLUMES, "slice", 5)


def test_advance_together_serves_patches_and_units_from_one_sweep(tmp_path: Path) -> None:
    setup = make_setup(tmp_path)
    group = make_runs(setup, ["entropy", "single > entropy > patch(4, 4) > top"])
    while any(run.state().cycle == 0 for run in group):
        advance_together(group)
    counts: Any = setup.learner
    sweeps = counts.sweeps
    advance_together(group)
    assert counts.sweeps - sweeps == 1
