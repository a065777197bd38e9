"""A study that is killed at random moments, again and again, ends as an undisturbed one does, to the byte."""

from __future__ import annotations

import multiprocessing
import os
import signal
import sqlite3
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import pytest

from curette.bench import executors
from curette.bench.study import run_study
from curette.recipe import Study, dump_study
from tiny_study import slow_learner, tiny_study

KILLS = 20
TABLES = ("results.csv", "picks.csv")
STUDY = tiny_study(gallery=True)


def _life(study: Study, folder: Path, workers: int, began: Any) -> None:
    """One life of a study's process, from a process that has everything imported already."""
    executors._START = "fork"  # so have its workers; otherwise most kills would hit their imports
    run_study(study, folder, workers=workers, make_learner=slow_learner, on_progress=lambda _: began.set())


def _start(context: Any, folder: Path, workers: int) -> Any:
    """Begin a life; returns when the first job is about to begin, or the life is over."""
    began = context.Event()
    process = context.Process(target=_life, args=(STUDY, folder, workers, began))
    process.start()
    while process.is_alive() and not began.wait(0.01):
        pass
    return process


def _compare(folder: Path, undisturbed: Path) -> None:
    for table in TABLES:
        assert (folder / table).read_bytes() == (undisturbed / table).read_bytes(), table
    galleries = sorted(p.name for p in (undisturbed / "gallery").glob("*.npz"))
    assert sorted(p.name for p in (folder / "gallery").glob("*.npz")) == galleries
    with sqlite3.connect(folder / "ledger.db") as connection:
        assert connection.execute("PRAGMA integrity_check").fetchone() == ("ok",)
        assert connection.execute("PRAGMA foreign_key_check").fetchall() == []
        half = "SELECT count(*) FROM events WHERE kind = 'submitted'"
        picked = "SELECT count(*) FROM events WHERE kind = 'picked'"
        assert connection.execute(half).fetchone() == connection.execute(picked).fetchone()


@pytest.mark.parametrize("workers", [1, 2])
def test_a_study_killed_again_and_again_ends_as_if_it_never_was(tmp_path: Path, workers: int) -> None:
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload([__name__, "tiny_study", "curette.data.datasets", "curette.bench.study"])
    first = _start(context, tmp_path / "undisturbed", workers)
    start = time.perf_counter()
    first.join()
    span = time.perf_counter() - start
    assert first.exitcode == 0
    rng = np.random.default_rng(workers)
    kills, folder = 0, tmp_path / "killed"
    while True:
        life = _start(context, folder, workers)
        if (
            kills < 1.5 * KILLS
        ):  # some die at once, in the midst of a step, between two, and while they resume
            life.join(rng.uniform(0, span / KILLS))
        else:
            life.join()
        if life.exitcode is not None:
            assert life.exitcode == 0
            break
        os.kill(life.pid, signal.SIGKILL)
        life.join()
        kills += 1
    assert kills >= KILLS
    _compare(folder, tmp_path / "undisturbed")


@pytest.mark.slow
@pytest.mark.timeout(3600)
def test_the_command_killed_again_and_again_ends_as_if_it_never_was(tmp_path: Path) -> None:
    """The same through ``curette run`` and real networks, its lives taking turns with one worker and two."""
    study = tiny_study(
        strategies=["random", "bald"],
        train={"steps": 6, "batch": 4},
        query={"initial": 3, "budget": 2, "cycles": 6, "batch": 8},  # more steps than the kills let pass
    )
    file = tmp_path / "tiny.toml"
    file.write_text(dump_study(study))
    assert _command(file, tmp_path / "undisturbed", 1).wait() == 0
    rng = np.random.default_rng(0)
    kills, folder = 0, tmp_path / "killed"
    while True:
        life = _command(file, folder, 1 + kills % 2)
        if kills < KILLS or rng.random() < 0.5:
            _wait_for_steps(life, folder, int(rng.integers(0, 2)))
            time.sleep(rng.uniform(0, 0.2))
        else:
            life.wait()
        if life.poll() is not None:
            assert life.returncode == 0
            break
        life.kill()
        life.wait()
        kills += 1
    assert kills >= KILLS
    _compare(folder, tmp_path / "undisturbed")


def _command(file: Path, folder: Path, workers: int) -> psutil.Popen:
    arguments = ["run", str(file), "--out", str(folder), "--workers", str(workers)]
    return psutil.Popen(
        [sys.executable, "-m", "curette", *arguments],
        env=os.environ | {"OMP_NUM_THREADS": "1"},
        stdout=subprocess.DEVNULL,
    )


def _wait_for_steps(life: psutil.Popen, folder: Path, steps: int) -> None:
    """Return once so many steps are recorded, or the life is over."""
    wanted = _events(folder) + steps
    while life.poll() is None and _events(folder) < wanted:
        time.sleep(0.01)


def _events(folder: Path) -> int:
    """How many steps there are, by the events that come once a step."""
    if not (folder / "ledger.db").exists():
        return 0
    with sqlite3.connect(f"file:{folder / 'ledger.db'}?mode=ro", uri=True) as connection:
        try:
            kinds = "('queried', 'trained', 'measured', 'finished')"
            found = connection.execute(f"SELECT count(*) FROM events WHERE kind IN {kinds}").fetchone()
        except sqlite3.OperationalError:  # the tables are being made
            return 0
    connection.close()
    return int(found[0])
