"""Running a part of a paper: its studies one after the other, then the tables beside the paper's."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

from curette.bench.folder import StudyFolder
from curette.bench.jobs import MakeLearner, torch_learner
from curette.bench.progress import Progress
from curette.bench.record import read_record
from curette.bench.report import build_report
from curette.bench.study import run_study
from curette.errors import CuretteError, SettingError, unknown
from curette.papers.compare import Reading, compare
from curette.papers.outcome import outcome, write_outcome
from curette.papers.paper import Paper, Part, Scale
from curette.query.strategy import parse_strategy
from curette.recipe import Study


def plan(
    part: Part,
    scale: Scale,
    data: Path | None = None,
    *,
    seeds: int | None = None,
    only: Sequence[str] = (),
    skip_bad: bool = False,
    options: Mapping[str, Any] | None = None,
) -> tuple[Part, dict[str, Study]]:
    """The studies of a part by arm, the main one first, and the part with the rows that are run.

    seeds     how many seeds instead of the recipe's: 0, 1, …
    only      rows or strategies of the part; others are left out, and so are arms that lose all rows
    skip_bad  go on without files that cannot be used
    options   of the data set, laid over the recipe's

    Raises `SettingError` for what the part cannot do: data where it reads none or none where it reads some, an unknown
    row, a strategy that cannot be read.
    """
    if part.unavailable:
        raise SettingError(f"The part '{part.name}' cannot be run: {part.unavailable}")
    if part.needs_data and data is None:
        raise SettingError(
            f"The part '{part.name}' needs --data: {part.what}. `curette datasets {part.dataset}` tells how its folder is "
            "laid out and where it is from."
        )
    if not part.needs_data and data is not None:
        raise SettingError(f"The part '{part.name}' makes its data up and reads no files: leave --data out.")
    if seeds is not None and seeds < 1:
        raise SettingError(f"--seeds is {seeds}, but must be 1 or more.")
    part = _restricted(part, only)
    studies: dict[str, Study] = {}
    for arm in part.arms_of(scale):
        if not part.rows_of(arm):
            continue
        study = part.study(None if data is None else data.expanduser().resolve(), scale, arm)
        if seeds is not None:
            study = study.model_copy(update={"seeds": tuple(range(seeds))})
        changes = {"skip_bad": skip_bad, "options": study.data.options | dict(options or {})}
        study = study.model_copy(update={"data": study.data.model_copy(update=changes)})
        for text in study.strategies:
            parse_strategy(text, study.data.unit)
        studies[arm.name] = study
    return part, studies


def run(
    paper: Paper,
    part: Part,
    scale: Scale,
    studies: dict[str, Study],
    folder: Path,
    *,
    workers: int = 1,
    on_progress: Callable[[Progress], None] | None = None,
    on_prepare: Callable[[int, int], None] | None = None,
    make_learner: MakeLearner = torch_learner,
) -> dict[str, Any]:
    """Run what is not run yet and write tables and reports; returns what ``paper.json`` holds.

    The main arm is in `folder`, others in folders below it named after them. Jobs that fail are raised at the end, when
    the tables hold what is there. Raises what `curette.bench.study.run_study` raises.
    """
    failed: list[CuretteError] = []
    for arm, study in studies.items():
        try:
            run_study(
                study,
                place(folder, arm),
                workers=workers,
                on_progress=on_progress,
                on_prepare=on_prepare,
                make_learner=make_learner,
            )
        except CuretteError as problem:
            if type(problem) is not CuretteError:  # wrong data or settings: nothing was run
                raise
            failed.append(problem)
    found = write_tables(paper, part, scale, studies, folder)
    if failed:
        raise CuretteError(" ".join(map(str, failed)))
    return found


def write_tables(
    paper: Paper, part: Part, scale: Scale, studies: dict[str, Study], folder: Path
) -> dict[str, Any]:
    """Write ``paper.md``, ``paper.csv``, ``paper.json`` and the reports from what has been measured so far."""
    there = {arm: place(folder, arm) for arm in _started(studies, folder)}
    readings = {arm: Reading(read_record(path), _pools(path)) for arm, path in there.items()}
    found = outcome(paper, part, scale, compare(part, readings), _changes(part, scale, studies))
    write_outcome(found, list(dict.fromkeys((folder, *there.values()))))
    for path in there.values():
        build_report(path)
    return found


def place(folder: Path, arm: str) -> Path:
    """The study folder of an arm."""
    return folder / arm if arm else folder


def _changes(part: Part, scale: Scale, studies: Mapping[str, Study]) -> list[str]:
    """What is read otherwise than the recipe has it, as options of the command line."""
    found: dict[str, None] = {}
    for arm in part.arms_of(scale):
        if arm.name in studies:
            data, recipe = studies[arm.name].data, part.study(None, scale, arm).data
            found |= dict.fromkeys(["--skip-bad"] * data.skip_bad)
            for key, value in data.options.items():
                if key not in recipe.options or recipe.options[key] != value:
                    found[f"--option {key}={json.dumps(value)}"] = None
    return list(found)


def _started(studies: dict[str, Study], folder: Path) -> list[str]:
    return [arm for arm in studies if (place(folder, arm) / "study.toml").is_file()]


def _pools(folder: Path) -> dict[int, int]:
    """How many units could be picked from, by seed."""
    with closing(StudyFolder(folder).open_ledger()) as ledger:
        seeds = {run.id: run.seed for run in ledger.runs()}
        return {seeds[e.run]: int(e.data["pool"]) for e in ledger.events(None, "opened")}


def _restricted(part: Part, only: Sequence[str]) -> Part:
    """The part with strategies in the named rows alone; the others stay in its tables, empty."""
    if not only:
        return part
    known = {name for row in part.rows if row.strategy for name in (row.name, row.strategy)}
    for name in only:
        if name not in known:
            raise unknown(
                f"row or strategy of '{part.name}'", name, [r.name for r in part.rows if r.strategy]
            )
    rows = tuple(
        row if row.name in only or row.strategy in only else replace(row, strategy="", missing="left out")
        for row in part.rows
    )
    return replace(part, rows=rows)
