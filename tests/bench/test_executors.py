from __future__ import annotations

import os
import signal
import sys
import time
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil
import pytest

from curette.bench import executors
from curette.bench.executors import Failure, run_here, run_processes
from curette.errors import CuretteWarning, SettingError


@dataclass(frozen=True)
class Task:
    key: str
    what: str = "work"
    after: str | None = None


@dataclass(frozen=True)
class Shop:
    """Materials whose bench notes in a folder what it did."""

    folder: Path

    def open(self) -> Bench:
        return Bench(self.folder)


class Bench:
    def __init__(self, folder: Path) -> None:
        self.folder = folder
        if (folder / "closed").exists():
            raise SettingError("The shop is closed.")

    def do(self, job: Task, report: Any) -> None:
        (self.folder / job.key).write_text(f"{os.getpid()} {os.environ.get('OMP_NUM_THREADS')}")
        report((job.key, 1))
        match job.what:
            case "refuse":
                raise SettingError("The setting x is wrong.")
            case "break":
                raise ZeroDivisionError("a bug")
            case "die":
                os.kill(os.getpid(), signal.SIGKILL)
            case "leave":
                os._exit(3)
            case "warn":
                warnings.warn("something odd", CuretteWarning, stacklevel=1)
            case "hang":
                time.sleep(600)
        report((job.key, 2))

    def close(self) -> None:
        (self.folder / "over").touch()


@pytest.fixture(autouse=True)
def _no_worker_stays() -> Iterator[None]:
    yield
    me = psutil.Process()
    assert not [c for c in me.children() if "spawn_main" in " ".join(c.cmdline())]


def test_jobs_in_this_process_follow_their_order(tmp_path: Path) -> None:
    steps: list[Any] = []
    jobs = [Task("b", after="a"), Task("a"), Task("c", after="b")]
    assert run_here(jobs, Shop(tmp_path), steps.append) == []
    assert steps == [(key, n) for key in "abc" for n in (1, 2)]
    assert (tmp_path / "over").exists()


def test_a_job_that_fails_here_does_not_stop_the_others(tmp_path: Path) -> None:
    steps: list[Any] = []
    jobs = [Task("a", "break"), Task("on a", after="a"), Task("b"), Task("c", "refuse", after="b")]
    failures = run_here(jobs, Shop(tmp_path), steps.append)
    assert [(f.job, f.message) for f in failures] == [
        ("a", "ZeroDivisionError: a bug."),
        ("c", "The setting x is wrong."),
    ]
    assert "in do" in failures[0].trace
    assert failures[1].trace == ""
    assert steps.index(("a", 1)) < steps.index(("on a", 2))
    assert ("b", 2) in steps


def test_ctrl_c_here_passes_through_and_the_bench_is_closed(tmp_path: Path) -> None:
    def stop(_step: Any) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run_here([Task("a")], Shop(tmp_path), stop)
    assert (tmp_path / "over").exists()


def test_workers_do_all_jobs_after_what_they_build_on_with_their_share_of_cores(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OMP_NUM_THREADS", "64")
    monkeypatch.setattr(executors, "_threads", lambda workers: 40 // workers)
    steps: list[Any] = []
    jobs = [Task("a1", after="a"), Task("a"), Task("b"), Task("b1", "warn", after="b"), Task("a2", after="a")]
    with pytest.warns(CuretteWarning, match="something odd"):
        assert run_processes(jobs, Shop(tmp_path), 2, steps.append) == []
    assert sorted(steps) == sorted((job.key, n) for job in jobs for n in (1, 2))
    for later, earlier in (("a1", "a"), ("a2", "a"), ("b1", "b")):
        assert steps.index((earlier, 2)) < steps.index((later, 1))
    notes = [(tmp_path / job.key).read_text().split() for job in jobs]
    assert 1 <= len({pid for pid, _ in notes}) <= 2
    assert str(os.getpid()) not in {pid for pid, _ in notes}
    assert {threads for _, threads in notes} == {"20"}
    assert os.environ["OMP_NUM_THREADS"] == "64"


def test_a_worker_that_dies_fails_its_job_by_name_and_another_goes_on(tmp_path: Path) -> None:
    jobs = [
        Task("a", "die"),
        Task("on a", after="a"),
        Task("b", "leave"),
        Task("c", "break"),
        Task("d"),
        Task("e"),
    ]
    failures = run_processes(jobs, Shop(tmp_path), 2, lambda step: None)
    found = {f.job: f.message for f in failures}
    assert found == {
        "a": "Its worker process was ended by SIGKILL, most likely for want of memory.",
        "b": "Its worker process ended with exit code 3.",
        "c": "ZeroDivisionError: a bug.",
    }
    assert all((tmp_path / key).exists() for key in ("d", "e", "on a"))


def test_a_bench_that_cannot_be_opened_fails_every_job(tmp_path: Path) -> None:
    (tmp_path / "closed").touch()
    jobs = [Task("a"), Task("b")]
    expected = [Failure(key, "The shop is closed.") for key in "ab"]
    assert run_here(jobs, Shop(tmp_path), lambda step: None) == expected
    found = run_processes(jobs, Shop(tmp_path), 2, lambda step: None)
    assert sorted(found, key=lambda f: f.job) == expected


def test_ctrl_c_ends_the_workers(tmp_path: Path) -> None:
    def stop(_step: Any) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run_processes([Task("a", "hang"), Task("b", "hang")], Shop(tmp_path), 2, stop)
    began = [int(note.read_text().split()[0]) for note in tmp_path.glob("[ab]")]
    assert began
    assert not any(_runs(pid) for pid in began)


def test_workers_end_when_the_first_process_is_killed(tmp_path: Path) -> None:
    """They would go on writing into a folder that the next run believes its own."""
    script = "\n".join(
        [
            "import sys; from pathlib import Path",
            "from test_executors import Shop, Task",
            "from curette.bench.executors import run_processes",
            "if __name__ == '__main__':",
            "    jobs = [Task('a', 'hang'), Task('b', 'hang')]",
            "    run_processes(jobs, Shop(Path(sys.argv[1])), 2, lambda step: None)",
        ]
    )
    program = tmp_path / "program.py"
    program.write_text(script)
    here = Path(__file__).parent
    process = psutil.Popen(
        [sys.executable, program, tmp_path],
        env=os.environ | {"PYTHONPATH": f"{here}{os.pathsep}{here.parent}"},
    )
    try:
        workers = [_pid(tmp_path / key) for key in "ab"]
        assert all(psutil.pid_exists(pid) for pid in workers)
    finally:
        process.kill()
        process.wait()
    for _ in range(600):
        if not any(_runs(pid) for pid in workers):
            return
        time.sleep(0.05)
    raise AssertionError("the workers went on without their first process")


def _pid(note: Path) -> int:
    for _ in range(1200):
        if note.exists() and (text := note.read_text()):
            return int(text.split()[0])
        time.sleep(0.05)
    raise AssertionError(f"no worker began '{note.name}'")


def _runs(pid: int) -> bool:
    try:
        return bool(psutil.Process(pid).status() != psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return False
