"""A study's folder: where its files are, who may write to it, and whether the study is still the one it was started with."""

from __future__ import annotations

import difflib
import os
import sys
import warnings
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import tomlkit

import curette
from curette.bench.tables import write_text
from curette.errors import CuretteWarning, SettingError
from curette.loop.ledger import Ledger
from curette.query.strategy import Strategy
from curette.recipe import Study, dump_study, parse_study


@dataclass(frozen=True)
class StudyFolder:
    """The files of one study. Everything but the ledger can be made again from it."""

    path: Path

    @property
    def study(self) -> Path:
        """The study with every setting spelt out, as it was last run."""
        return self.path / "study.toml"

    @property
    def ledger(self) -> Path:
        return self.path / "ledger.db"

    @property
    def splits(self) -> Path:
        return self.path / "splits.json"

    @property
    def models(self) -> Path:
        return self.path / "models"

    @property
    def failures(self) -> Path:
        """Tracebacks of jobs that failed in the last run; not there when none did."""
        return self.path / "failures.txt"

    def open_ledger(self, *, create: bool = False) -> Ledger:
        """Open the ledger. Raises `DataError` when there is none, unless it may be made."""
        return Ledger(self.ledger, create=create)

    def check_place(self) -> None:
        """Raise `SettingError` when the folder cannot be written to or made; nothing is left behind."""
        try:
            if self.path.is_dir():
                probe = self.path / f".{os.getpid()}.probe"
                probe.touch()
                probe.unlink()
                return
            nearest = next(p for p in (self.path, *self.path.absolute().parents) if p.exists())
            if not nearest.is_dir():
                raise NotADirectoryError(0, f"{nearest} is a file")
            if not os.access(nearest, os.W_OK | os.X_OK):
                raise PermissionError(0, f"no permission to write in {nearest}")
        except OSError as problem:
            raise SettingError(
                f"The study folder {self.path} cannot be written to: {problem.strerror}. Give another one with --out."
            ) from None

    def check_study(self, study: Study, strategies: Sequence[Strategy]) -> None:
        """Raise `SettingError` when the folder holds runs of other settings, with the difference.

        Strategies and seeds may be added, and the name, the gallery, the places of data and cache may change: none of it
        alters what is recorded. A strategy or seed that has runs here may not be left out or written otherwise, since
        the folder's tables would no longer be those of its study. A ``study.toml`` without a ledger is somebody's own.
        """
        if not self.ledger.exists():
            if self.study.exists():
                raise SettingError(
                    f"{self.study} would be overwritten, and there is no ledger.db that shows it to be a copy. Write to a "
                    "folder of its own (--out)."
                )
            return
        with closing(self.open_ledger()) as ledger:
            recipes, runs = ledger.recipes(), ledger.runs()
        for text in recipes.values():
            started = _read(text)
            if started.decisive() != study.decisive():
                raise SettingError(
                    f"The study in {self.path} was started with other settings:\n{_difference(started, study)}\n"
                    "Set them back to go on with it, or write to a new folder (--out) to start anew."
                )
        names = {str(s): s.name for s in strategies}
        for run in runs:
            if names.get(run.strategy, run.name) != run.name:
                raise SettingError(
                    f"strategies: '{names[run.strategy]}' is in {self.path} under the name '{run.name}' already. Write "
                    "it so."
                )
        asked = {(text, seed) for text in names for seed in study.seeds}
        gone = [f"'{r.name}' with seed {r.seed}" for r in runs if (r.strategy, r.seed) not in asked]
        if gone:
            raise SettingError(
                f"The study in {self.path} was started with strategies or seeds that are not in it any more: "
                f"{', '.join(gone)}. Put them back (more may be added), or write to a new folder (--out)."
            )

    def write_study(self, study: Study, ledger: Ledger) -> None:
        """Record the settings: in the ledger, where they stay, and as ``study.toml`` for people.

        Warns when earlier runs were made by another version of curette, which may compute otherwise.
        """
        others = {run.code for run in ledger.runs()} - {curette.__version__}
        if others:
            warnings.warn(
                f"The study in {self.path} was started with curette {', '.join(sorted(others))} and goes on with "
                f"{curette.__version__}; results may not be comparable.",
                CuretteWarning,
                stacklevel=2,
            )
        if not ledger.recipes():
            ledger.add_recipe(study.digest(), dump_study(study))
        write_text(self.study, dump_study(study))

    @contextmanager
    def lock(self) -> Iterator[None]:
        """Hold the folder for one run. The system frees it when the process ends, however it ends.

        Raises `SettingError` while another process holds it.
        """
        try:
            self.path.mkdir(parents=True, exist_ok=True)
            file = (self.path / ".lock").open("a+", encoding="utf-8")
        except OSError as problem:
            raise SettingError(
                f"The study folder {self.path} cannot be written to: {problem.strerror}. Give another one with --out."
            ) from None
        with file:
            try:
                _lock(file)
            except (BlockingIOError, PermissionError):
                raise SettingError(
                    f"Another `curette run` is at work in {self.path}. Wait for it, or stop it; the study can go on "
                    "afterwards."
                ) from None
            except OSError as problem:
                warnings.warn(
                    f"{self.path} is on a disk that cannot be locked ({problem.strerror}); see to it that no other "
                    "`curette run` writes there.",
                    CuretteWarning,
                    stacklevel=3,
                )
            yield


def _lock(file: Any) -> None:
    if sys.platform == "win32":
        import msvcrt

        file.seek(0)
        msvcrt.locking(file.fileno(), msvcrt.LK_NBLCK, 1)
    else:
        import fcntl

        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)


def _read(text: str) -> Study:
    return parse_study(tomlkit.parse(text).unwrap(), "The study in the ledger")


def _difference(started: Study, now: Study) -> str:
    """Unified diff of the settings that decide results, a line each, only those that changed."""
    before, after = (sorted(_flat(study.decisive())) for study in (started, now))
    return "\n".join(difflib.unified_diff(before, after, "as started", "now", n=0, lineterm=""))


def _flat(value: Any, name: str = "") -> Iterator[str]:
    if isinstance(value, dict) and value:
        for key, inner in value.items():
            yield from _flat(inner, f"{name}.{key}" if name else key)
    else:
        yield f"{name} = {value}"
