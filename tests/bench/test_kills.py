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
from tiny_study import slow_learner, tiny_study

from curette.bench import executors
from curette.bench.study import run_study
from curette.recipe import Study, dump_study

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
    galleries = sorted(p.name for p in (undisturbed / "gallery").iterdir())
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
        if kills < 1.5 * KILLS:  # some die at once, in the midst of a step, between two, and while they resume
            life.join(rng.uniform(0, 2 * span / KILLS))
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
