"""Doing jobs in this process or in several. Nothing here knows what a job is about."""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import signal
import threading
import traceback
import warnings
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from multiprocessing.connection import Connection, wait
from typing import Any, Protocol

from curette.errors import CuretteError, CuretteWarning

Report = Callable[[Any], None]

_START = "spawn"  # how workers begin: a fork would inherit threads, locks and CUDA in any state


class Job(Protocol):
    """A piece of work; `after` names another one that must be over, done or failed, before it begins."""

    @property
    def key(self) -> str: ...

    @property
    def after(self) -> str | None: ...


class Bench(Protocol):
    """Does jobs, telling `report` about every step."""

    def do(self, job: Any, report: Report) -> None: ...

    def close(self) -> None: ...


class Materials(Protocol):
    """What a process opens its bench from; goes to other processes, so it can be pickled."""

    def open(self) -> Bench: ...


@dataclass(frozen=True)
class Failure:
    """A job that could not be done: one sentence for people, and the traceback if there is one."""

    job: str
    message: str
    trace: str = ""


def run_here(jobs: Sequence[Job], materials: Materials, report: Report) -> list[Failure]:
    """Do the jobs in order in this process. One that fails does not stop the others."""
    failures: list[Failure] = []
    queue = _Queue(jobs)
    bench: Bench | None = None
    try:
        while job := queue.take():
            try:
                bench = bench or materials.open()
                bench.do(job, report)
            except Exception as problem:
                failures.append(_failure(job.key, problem))
            queue.over.add(job.key)
    finally:
        if bench is not None:
            bench.close()
    return failures


def run_processes(jobs: Sequence[Job], materials: Materials, workers: int, report: Report) -> list[Failure]:
    """Do the jobs in up to `workers` processes, each with its share of the cores.

    A worker that dies, for want of memory say, fails its job only; another takes its place. `report` is called in this
    process. Whatever ends this process ends the workers.
    """
    failures: list[Failure] = []
    queue = _Queue(jobs)
    crew: list[_Worker] = []
    try:
        while True:
            idle = [w for w in crew if w.job is None]
            while (idle or len(crew) < workers) and (job := queue.take()):
                if not idle:
                    idle = [_Worker(materials, _threads(workers))]
                    crew += idle
                idle.pop().give(job)
            busy = {w.pipe: w for w in crew if w.job is not None}
            if not busy:
                return failures
            for pipe in wait(list(busy)):
                worker = busy[pipe]
                failed = worker.listen(report)
                if failed is not None:
                    failures.append(failed)
                if worker.job is None:
                    queue.over.add(worker.last)
                if not worker.alive:
                    worker.end()
                    crew.remove(worker)
    finally:
        for worker in crew:
            worker.end()


class _Queue:
    """Jobs not begun yet, and the keys of those that are over."""

    def __init__(self, jobs: Sequence[Job]) -> None:
        self.waiting, self.over = list(jobs), set[str]()

    def take(self) -> Job | None:
        """The first job that can begin now."""
        for job in self.waiting:
            if job.after is None or job.after in self.over:
                self.waiting.remove(job)
                return job
        return None


class _Worker:
    """A process and the pipe to it."""

    def __init__(self, materials: Materials, threads: int) -> None:
        context: Any = multiprocessing.get_context(_START)
        self.pipe, theirs = context.Pipe()
        self.process = context.Process(target=_work, args=(theirs, materials), daemon=True)
        with _few_threads(threads):
            self.process.start()
        theirs.close()  # so that the pipe ends when the worker does
        self.job: Job | None = None
        self.last = ""
        self.alive = True

    def give(self, job: Job) -> None:
        self.job, self.last = job, job.key
        with contextlib.suppress(OSError):  # it is dead: `listen` will find out and say so
            self.pipe.send(job)

    def listen(self, report: Report) -> Failure | None:
        """Take one message; a failure, if that is what it says."""
        assert self.job is not None
        job = self.job
        try:
            kind, content = self.pipe.recv()
        except (EOFError, OSError):
            self.alive, self.job = False, None
            self.process.join()
            return Failure(job.key, _death(self.process.exitcode))
        if kind == "step":
            report(content)
        elif kind == "warning":
            warnings.warn(content, CuretteWarning, stacklevel=2)
        else:
            self.job = None
            if kind == "failed":
                return Failure(job.key, *content)
        return None

    def end(self) -> None:
        """Stop the process. It may be in the midst of a step: the ledger allows for that."""
        self.process.terminate()
        self.process.join(5)
        if self.process.is_alive():
            self.process.kill()
            self.process.join()
        self.pipe.close()


def _work(pipe: Connection, materials: Materials) -> None:
    """A worker's life."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches the whole group; the first process decides
    _die_with_parent()
    warnings.simplefilter("always", CuretteWarning)
    shown = warnings.showwarning

    def forward(message: Any, category: type[Warning], *rest: Any) -> None:
        if issubclass(category, CuretteWarning):
            pipe.send(("warning", str(message)))
        else:
            shown(message, category, *rest)

    warnings.showwarning = forward  # type: ignore[assignment]
    bench: Bench | None = None
    while True:
        job = pipe.recv()
        try:
            bench = bench or materials.open()
            bench.do(job, lambda step: pipe.send(("step", step)))
            pipe.send(("done", None))
        except Exception as problem:
            failure = _failure(job.key, problem)
            pipe.send(("failed", (failure.message, failure.trace)))


def _die_with_parent() -> None:
    """End this process the moment its parent is gone: nobody would read its work, and the folder is free for others."""
    parent = multiprocessing.parent_process()
    assert parent is not None

    def watch() -> None:
        parent.join()
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()


def _failure(job: str, problem: Exception) -> Failure:
    if isinstance(problem, CuretteError):
        return Failure(job, str(problem))
    trace = "".join(traceback.format_exception(problem))
    return Failure(job, f"{type(problem).__name__}: {problem}".rstrip(": ") + ".", trace)


def _death(code: int | None) -> str:
    if code is not None and code < 0:
        name = signal.Signals(-code).name
        why = ", most likely for want of memory" if -code == getattr(signal, "SIGKILL", 9) else ""
        return f"Its worker process was ended by {name}{why}."
    return f"Its worker process ended with exit code {code}."


def _threads(workers: int) -> int:
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return max(1, cores // workers)


_THREADS = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS")


@contextlib.contextmanager
def _few_threads(threads: int) -> Iterator[None]:
    """Let processes that start meanwhile use so many threads for numerics, unless the user has asked for fewer."""
    before = {name: os.environ.get(name) for name in _THREADS}
    for name, value in before.items():
        os.environ[name] = str(min(threads, int(value))) if value and value.isdigit() else str(threads)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value
