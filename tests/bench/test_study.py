from __future__ import annotations

import csv
import json
import os
import re
import signal
import subprocess
import sys
import tomllib
from contextlib import closing
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import pytest

import curette
from curette.bench.gallery import load_gallery
from curette.bench.progress import Progress
from curette.bench.study import StudyFolder, run_study
from curette.errors import CuretteError, CuretteWarning, DataError, SettingError
from curette.loop.ledger import Ledger
from curette.loop.state import steps
from curette.recipe import Study, load_study
from fakes import FakeLearner
from tiny_study import STRATEGIES, fake_learner, tiny_study

TABLES = ("results.csv", "picks.csv")


def _run(study: Study, folder: Path, **options: Any) -> StudyFolder:
    return run_study(study, folder, **{"make_learner": fake_learner} | options)


def _tables(folder: Path) -> list[bytes]:
    return [(folder / name).read_bytes() for name in TABLES]


def _files(folder: Path) -> dict[str, bytes]:
    return {str(p.relative_to(folder)): p.read_bytes() for p in folder.rglob("*") if p.is_file()}


def test_a_study_leaves_everything_a_report_needs(tmp_path: Path) -> None:
    study = tiny_study(gallery=True)
    place = _run(study, tmp_path / "out")
    rows = (place.path / "results.csv").read_text().splitlines()
    runs = {tuple(row.split(",")[:4]) for row in rows[1:]}
    expected = {
        (s, str(seed), str(c), str(3 + 2 * c)) for s in STRATEGIES for seed in (0, 1) for c in range(3)
    }
    assert runs == expected
    picks = (place.path / "picks.csv").read_text().splitlines()
    assert len(picks) == 1 + 3 * 2 * (3 + 2 + 2)
    stages = {row.split(",")[3] for row in (place.path / "timings.csv").read_text().splitlines()[1:]}
    assert stages == {"train", "measure", "shared_sweep", "sweep", "select"}
    assert load_study(place.study) == study
    assert place.splits.exists()
    assert (place.path / "data.json").exists()
    assert len(list(place.models.iterdir())) == 6
    assert not place.failures.exists()
    galleries = sorted(p.name for p in (place.path / "gallery").iterdir())
    assert galleries == sorted(f"{s}-{seed}-{c}.npz" for s in STRATEGIES for seed in (0, 1) for c in (1, 2))


def test_the_first_images_come_from_every_hospital(tmp_path: Path) -> None:
    """Nine patients of one hospital and three of another, by a draw that gives each the same, and queries that do too."""
    for number in range(12):
        values = np.random.default_rng(number).normal(size=(16, 16, 4)).astype(np.float32)
        label = np.zeros((16, 16, 4), np.uint8)
        label[4:12, 4:12] = 1
        folder = tmp_path / "data" / ("north" if number < 9 else "south")
        folder.mkdir(parents=True, exist_ok=True)
        for name, array in (("", values), ("_mask", label)):
            nib.save(nib.Nifti1Image(array, np.eye(4)), folder / f"{number}{name}.nii.gz")
    (tmp_path / "data" / "dataset.toml").write_text(
        '[channels]\nMR = "{group}/{case}.nii.gz"\n[labels]\nfiles = "{group}/{case}_mask.nii.gz"\n'
        "[classes]\nbackground = 0\norgan = 1\n"
    )
    even = 'stratified_by_group(share="equal")'
    study = tiny_study(
        data={"dataset": "own", "root": tmp_path / "data", "options": {}},
        split={"train": 10, "test": 2},
        query={"initial": 4, "budget": 2, "start": f"none > none > {even}"},
        strategies=["random", f"single > entropy > {even}"],
        prepare={"cache": tmp_path / "cache"},
    )
    place = _run(study, tmp_path / "out")
    with (place.path / "picks.csv").open(newline="") as file:
        picks = list(csv.DictReader(file))
    for seed in ("0", "1"):
        for cycle in ("0", "1", "2"):
            by_hospital = [
                row["region"].split("-")[0]
                for row in picks
                if row["seed"] == seed
                and row["cycle"] == cycle
                and (cycle == "0" or row["strategy"] != "random")
            ]
            assert by_hospital.count("north") == by_hospital.count("south") > 0


def test_the_gallery_shows_the_picks_of_the_table(tmp_path: Path) -> None:
    place = _run(tiny_study(gallery=True, seeds=[0]), tmp_path)
    rows = [row.split(",") for row in (place.path / "picks.csv").read_text().splitlines()[1:]]
    for name in ("entropy", "random"):
        kept = load_gallery(place.path / "gallery" / f"{name}-0-2.npz")
        assert list(kept.regions) == [row[4] for row in rows if row[0] == name and row[2] == "2"]
        assert kept.classes == ("background", "cortex", "medulla", "nodule")
        assert kept.image.shape == (2, 1, 16, 16)
        assert (kept.score_map is None) == (name == "random")


def test_a_study_may_begin_and_end_with_all_labels(tmp_path: Path) -> None:
    """The reference that a curve is shown beside; a start larger than the pool is refused with the pool's size."""
    whole = {"initial": 32, "cycles": 1}
    run_study(tiny_study(strategies=["random"], seeds=[0], query=whole), tmp_path / "all")
    results = (tmp_path / "all" / "results.csv").read_text().splitlines()[1:]
    assert {row.split(",")[3] for row in results} == {"32"}
    with pytest.raises(SettingError, match="the pool has 32"):
        run_study(tiny_study(strategies=["random"], query=whole | {"initial": 33}), tmp_path / "more")


def test_a_finished_study_is_not_done_again(tmp_path: Path) -> None:
    _run(tiny_study(), tmp_path)
    before = _tables(tmp_path)
    (tmp_path / "results.csv").unlink()

    def never(study: Study, prepared: Any) -> FakeLearner:
        raise AssertionError("a learner was made")

    seen: list[Progress] = []
    _run(tiny_study(), tmp_path, make_learner=never, on_progress=seen.append)
    assert _tables(tmp_path) == before
    assert [(p.done, p.total) for p in seen] == [(78, 78)]


def test_more_workers_give_the_same_tables(tmp_path: Path) -> None:
    study = tiny_study()
    _run(study, tmp_path / "one")
    _run(study, tmp_path / "two", workers=2)
    assert _tables(tmp_path / "one") == _tables(tmp_path / "two")


def test_progress_counts_every_step_once_and_tells_the_time_left(tmp_path: Path) -> None:
    seen: list[Progress] = []
    study = tiny_study()
    _run(study, tmp_path / "a", on_progress=seen.append)
    total = 6 * steps(3)
    assert [p.done for p in seen] == list(range(total + 1))
    assert {p.total for p in seen} == {total}
    assert seen[0].step is None
    left = [p.seconds_left for p in seen]
    assert left[0] is None
    assert left[-1] == 0
    assert all(v is not None and v > 0 for v in left[40:70])

    def stop(progress: Progress) -> None:
        if progress.done == 30:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        _run(study, tmp_path / "b", on_progress=stop)
    seen.clear()
    _run(study, tmp_path / "b", on_progress=seen.append)
    assert [p.done for p in seen] == list(range(30, total + 1))


def test_ctrl_c_leaves_tables_and_a_folder_that_goes_on(tmp_path: Path) -> None:
    def stop(progress: Progress) -> None:
        if progress.done == 50:
            raise KeyboardInterrupt

    study = tiny_study()
    _run(study, tmp_path / "a")
    for workers in (1, 2):
        folder = tmp_path / f"b{workers}"
        with pytest.raises(KeyboardInterrupt):
            _run(study, folder, workers=workers, on_progress=stop)
        assert 1 < len(_tables(folder)[0].splitlines()) < len(_tables(tmp_path / "a")[0].splitlines())
        _run(study, folder)
        assert _tables(folder) == _tables(tmp_path / "a")


def test_sigterm_ends_a_study_as_ctrl_c_does(tmp_path: Path) -> None:
    def stop(progress: Progress) -> None:
        if progress.done == 20:
            os.kill(os.getpid(), signal.SIGTERM)

    before = signal.getsignal(signal.SIGTERM)
    with pytest.raises(SystemExit) as leaving:
        _run(tiny_study(), tmp_path, on_progress=stop)
    assert leaving.value.code == 128 + signal.SIGTERM
    assert signal.getsignal(signal.SIGTERM) is before
    assert (tmp_path / "results.csv").exists()
    _run(tiny_study(), tmp_path)


EDITS: list[tuple[dict[str, Any], str]] = [
    ({"query": {"budget": 3}}, "-query.budget = 2\n+query.budget = 3"),
    ({"train": {"steps": 7}}, "-train.steps = 800\n+train.steps = 7"),
    (
        {"data": {"options": {"patients": 7, "size": [16, 16, 8], "seed": 3}}},
        "-data.options.patients = 6\n+data.opt",
    ),
    ({"metrics": ["dice_2d"]}, "+metrics = ['dice_2d']"),
    ({"split": {"seed": 4}}, "-split.seed = 0\n+split.seed = 4"),
]


@pytest.mark.parametrize(
    ("edit", "difference"), EDITS, ids=lambda e: next(iter(e)) if isinstance(e, dict) else ""
)
def test_a_study_edited_after_it_started_is_refused_with_the_difference(
    tmp_path: Path, edit: dict[str, Any], difference: str
) -> None:
    _run(tiny_study(), tmp_path)
    before = _files(tmp_path)
    with pytest.raises(SettingError, match="started with other settings") as refused:
        _run(tiny_study(**edit), tmp_path)
    assert difference in str(refused.value)
    assert "--out" in str(refused.value)
    changed = [
        line
        for line in str(refused.value).splitlines()
        if line[:1] in "+-" and line[:3] not in ("+++", "---")
    ]
    assert len(changed) <= 2
    assert _files(tmp_path) == before


def test_editing_the_study_file_in_the_folder_does_not_help(tmp_path: Path) -> None:
    place = _run(tiny_study(), tmp_path)
    place.study.write_text(place.study.read_text().replace("budget = 2", "budget = 3"))
    with pytest.raises(SettingError, match=r"-query\.budget = 2\n\+query\.budget = 3"):
        _run(load_study(place.study), tmp_path)


def test_strategies_and_seeds_may_be_added_and_nothing_recorded_changes(tmp_path: Path) -> None:
    small = tiny_study(strategies=["entropy", "random"], seeds=[1])
    large = tiny_study(strategies=["random", "bald", "entropy"], seeds=[0, 1], name="other", gallery=True)
    _run(small, tmp_path / "a")
    before = _tables(tmp_path / "a")
    _run(large, tmp_path / "a")
    _run(large, tmp_path / "b")
    assert _tables(tmp_path / "a") == _tables(tmp_path / "b")
    for old, new in zip(before, _tables(tmp_path / "a"), strict=True):
        assert set(old.splitlines()) <= set(new.splitlines())
    assert load_study(tmp_path / "a" / "study.toml").name == "other"


@pytest.mark.parametrize("fewer", [{"seeds": [0]}, {"strategies": ["random", "entropy"]}])
def test_strategies_and_seeds_with_runs_may_not_be_left_out(tmp_path: Path, fewer: dict[str, Any]) -> None:
    _run(tiny_study(), tmp_path)
    with pytest.raises(
        SettingError, match=r"not in it any more: '(random|bald)' with seed [01].*Put them back"
    ):
        _run(tiny_study(**fewer), tmp_path)


BAD: list[tuple[dict[str, Any], str]] = [
    (
        {"query": {"budget": 30}},
        r"query\.budget: 3 initial units and 2 queries of 30 make 63, but the pool has 32",
    ),
    ({"strategies": ["random", "entropie"]}, r"'entropie'.*Did you mean 'entropy'"),
    (
        {"strategies": ["entropy", "single > entropy > slice > top"]},
        r"strategies: 'entropy' and 'single > .*' are the same",
    ),
    ({"strategies": ["entropy", "none > entropy > top"]}, r"'none > entropy > top' cannot work"),
    ({"metrics": ["dice_4d"]}, "dice_4d"),
    ({"data": {"dataset": "fantom"}}, "Did you mean 'phantom'"),
    ({"split": {"test": 20}}, "test 20"),
    (
        {"query": {"start": "none > none > stratified_by_group"}},
        r"where cases came from, which this data set does not tell.*\{group\}",
    ),
]


@pytest.mark.parametrize(("change", "message"), BAD)
def test_what_cannot_work_is_said_before_anything_is_written(
    tmp_path: Path, change: dict[str, Any], message: str
) -> None:
    folder = tmp_path / "out"
    with pytest.raises(SettingError, match=message):
        _run(tiny_study(**change), folder)
    assert not folder.exists()


def test_a_folder_that_cannot_be_written_to(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").write_text("mine")
    for folder in (tmp_path / "file", tmp_path / "file" / "out"):
        with pytest.raises(
            SettingError, match=r"study folder .* cannot be written to: .* is a file\. .*--out"
        ):
            _run(tiny_study(), folder)
    assert (tmp_path / "file").read_text() == "mine"
    with monkeypatch.context() as patch:
        patch.setattr(os, "access", lambda *_: False)
        with pytest.raises(SettingError, match="no permission"):
            _run(tiny_study(), tmp_path / "out")

    def forbidden(*_args: Any, **_options: Any) -> None:
        raise PermissionError(13, "Permission denied")

    with monkeypatch.context() as patch:
        patch.setattr(Path, "touch", forbidden)
        with pytest.raises(SettingError, match="Permission denied"):
            _run(tiny_study(), tmp_path)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["file"]


def test_a_study_file_of_ones_own_is_not_overwritten(tmp_path: Path) -> None:
    (tmp_path / "study.toml").write_text("# my comments")
    with pytest.raises(SettingError, match=r"study\.toml would be overwritten.*--out"):
        _run(tiny_study(), tmp_path)
    assert _files(tmp_path) == {"study.toml": b"# my comments"}


def test_a_recorded_strategy_keeps_its_name(tmp_path: Path) -> None:
    _run(tiny_study(), tmp_path)
    renamed = tiny_study(strategies=["random", "single > entropy > slice > top", "bald"])
    with pytest.raises(SettingError, match=r"under the name 'entropy' already"):
        _run(renamed, tmp_path)


def test_another_version_of_the_code_is_warned_about(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    _run(tiny_study(seeds=[0]), tmp_path)
    old = curette.__version__
    monkeypatch.setattr(curette, "__version__", "99.0")
    with pytest.warns(CuretteWarning, match=rf"started with curette {re.escape(old)} and goes on with 99\.0"):
        _run(tiny_study(seeds=[0]), tmp_path)


def test_a_folder_of_something_else_is_refused(tmp_path: Path) -> None:
    (tmp_path / "ledger.db").write_text("holiday photos, a long list of them; " * 20)
    with pytest.raises(DataError, match=r"ledger\.db cannot be used"):
        _run(tiny_study(), tmp_path)


def test_two_runs_in_one_folder_refuse_politely(tmp_path: Path) -> None:
    def second(progress: Progress) -> None:
        if progress.done == 5:
            with pytest.raises(SettingError, match="Another `curette run` is at work"):
                _run(tiny_study(), tmp_path)

    _run(tiny_study(), tmp_path, on_progress=second)
    _run(tiny_study(), tmp_path)


def test_the_lock_goes_with_its_process(tmp_path: Path) -> None:
    script = (
        "import os, sys, signal; from pathlib import Path; from curette.bench.folder import StudyFolder\n"
        "with StudyFolder(Path(sys.argv[1])).lock(): os.kill(os.getpid(), signal.SIGKILL)"
    )
    done = subprocess.run([sys.executable, "-c", script, tmp_path], check=False)
    assert done.returncode == -signal.SIGKILL
    with StudyFolder(tmp_path).lock():
        pass


def test_a_disk_without_locks_is_warned_about(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def no_locks(_file: Any) -> None:
        raise OSError(37, "No locks available")

    monkeypatch.setattr("curette.bench.folder._lock", no_locks)
    with pytest.warns(CuretteWarning, match="cannot be locked"), StudyFolder(tmp_path).lock():
        pass


class _Faulty(FakeLearner):
    """Cannot do dropout."""

    def predict(self, model: Any, regions: Any, passes: Any, needs: Any, *, seed: int) -> Any:
        if passes.name == "dropout":
            raise RuntimeError("out of memory")
        return super().predict(model, regions, passes, needs, seed=seed)


def _faulty(study: Study, prepared: Any) -> _Faulty:
    return _Faulty(prepared.task, prepared)


@pytest.mark.parametrize("workers", [1, 2])
def test_a_strategy_that_fails_is_named_and_the_others_are_done(tmp_path: Path, workers: int) -> None:
    study = tiny_study()
    with pytest.raises(CuretteError) as failed:
        _run(study, tmp_path, workers=workers, make_learner=_faulty)
    assert str(failed.value).startswith(
        "2 runs failed. 'bald' with seed 0, 'bald' with seed 1: RuntimeError: out"
    )
    assert "failures.txt" in str(failed.value)
    told = (tmp_path / "failures.txt").read_text()
    assert "the start of seed 0: RuntimeError" in told
    assert "in predict" in told
    rows = _tables(tmp_path)[0].decode().splitlines()
    reached = {tuple(row.split(",")[:3]) for row in rows[1:]}
    assert {c for s, seed, c in reached if (s, seed) == ("entropy", "1")} == {"0", "1", "2"}
    assert {c for s, seed, c in reached if (s, seed) == ("bald", "1")} == {"0"}
    _run(study, tmp_path)
    assert not (tmp_path / "failures.txt").exists()
    _run(study, tmp_path / "b")
    assert _tables(tmp_path) == _tables(tmp_path / "b")


def test_splits_that_do_not_fit_the_data_are_refused(tmp_path: Path) -> None:
    place = _run(tiny_study(), tmp_path)
    text = place.splits.read_text()
    place.splits.write_text(text.replace('"phantom-0005"', '"phantom-0099"'))
    with pytest.raises(DataError, match=r"splits\.json"):
        _run(tiny_study(), tmp_path)
    place.splits.unlink()
    _run(tiny_study(), tmp_path)
    assert place.splits.read_text() == text


@pytest.mark.parametrize(
    ("part", "message"), [("test", "test cases are not those"), ("train", "pool had 32 units")]
)
def test_splits_edited_after_the_start_are_refused(tmp_path: Path, part: str, message: str) -> None:
    place = _run(tiny_study(), tmp_path)
    splits = json.loads(place.splits.read_text())
    splits["unused"] = [splits[part].pop()]
    place.splits.write_text(json.dumps(splits))
    with pytest.raises(SettingError, match=message):
        _run(tiny_study(), tmp_path)


def test_the_ledger_names_settings_code_and_data(tmp_path: Path) -> None:
    study = tiny_study(seeds=[0])
    place = _run(study, tmp_path)
    with closing(Ledger(place.ledger, create=False)) as ledger:
        (digest,) = ledger.recipes()
        assert digest == study.digest()
        assert tomllib.loads(ledger.recipes()[digest])["query"]["budget"] == 2
        assert {run.recipe for run in ledger.runs()} == {digest}
        assert {run.code for run in ledger.runs()} == {curette.__version__}
        for event in ledger.events(None, "opened"):
            assert event.data["pool"] == 32
            assert len(event.data["data"]) == 16


def test_workers_must_be_one_or_more(tmp_path: Path) -> None:
    with pytest.raises(SettingError, match="--workers is 0"):
        _run(tiny_study(), tmp_path, workers=0)


def test_running_a_study_does_not_import_torch_until_it_trains() -> None:
    script = "import sys, curette.bench.study; assert 'torch' not in sys.modules"
    subprocess.run([sys.executable, "-c", script], check=True)
