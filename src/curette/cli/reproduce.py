"""What ``curette reproduce`` prints: the papers, and the paper's table beside ours."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from curette.cli.datasets import data_options
from curette.cli.doctor import cores
from curette.cli.terminal import Meter, print_json, print_table
from curette.errors import CuretteError, DataError, SettingError, unknown
from curette.papers import PAPERS, find_paper
from curette.papers.paper import SCALES, Paper, Part, Scale
from curette.papers.reproduce import plan, run


def list_papers(as_json: bool) -> None:
    """Papers and their parts."""
    if as_json:
        print_json({"papers": [_card(paper) for paper in PAPERS.values()]})
        return
    rows = [
        (paper.name if part is paper.parts[0] else "", part.name, _data(part), part.what)
        for paper in PAPERS.values()
        for part in paper.parts
    ]
    print_table(
        "Papers (curette reproduce PAPER --part PART --data DIR)",
        ("paper", "part", "data", "what it is"),
        rows,
    )
    for paper in PAPERS.values():
        for text in paper.later:
            print(f"note: {paper.name}: {text}")


def reproduce_paper(
    name: str,
    part: str,
    scale: str,
    data: Path | None,
    out: Path | None,
    *,
    workers: int | None,
    seeds: int | None,
    only: tuple[str, ...],
    skip_bad: bool,
    options: tuple[str, ...],
    as_json: bool,
) -> None:
    """Run one part of a paper, or go on with it, and print its tables and orderings.

    Data that cannot be used are an error that names this command's own options beside the settings of a study file.
    """
    paper = find_paper(name)
    chosen, size = paper.part(part), _scale(scale)
    folder = out or Path("runs") / f"{paper.name}-{chosen.name}-{size}"
    given = data_options(options)
    chosen, studies = plan(chosen, size, data, seeds=seeds, only=only, skip_bad=skip_bad, options=given)
    try:
        with Meter(quiet=as_json) as meter:
            found = run(
                paper,
                chosen,
                size,
                studies,
                folder,
                workers=min(cores(), 4) if workers is None else workers,
                on_progress=meter.step,
                on_prepare=meter.prepare,
            )
    except (DataError, SettingError) as problem:
        raise _followable(problem) from problem
    found |= {"folder": str(folder)}
    if as_json:
        print_json(found)
    else:
        _show(found, folder)


def _followable(problem: CuretteError) -> CuretteError:
    """The error, with this command's options for the settings of a study file that its message tells to change."""
    text = str(problem)
    if "was started with other settings" in text:
        return CuretteError(
            f"{text} With `curette reproduce`: --data, --scale, --option and --skip-bad as they were, or another --out."
        )
    found = re.findall(r"(?<!train\.)\boptions\.(\w+)(?: = (true))?", text)
    said = [f"--option {key}={value or 'VALUE'}" for key, value in found]
    said += ["--skip-bad"] * ("skip_bad = true" in text)
    said += ["--data FOLDER"] * ("data.root" in text)
    if not said:
        return problem
    return CuretteError(f"{text} With `curette reproduce`: {' or '.join(dict.fromkeys(said))}.")


def _scale(scale: str) -> Scale:
    for known in SCALES:
        if scale == known:
            return known
    raise unknown("scale", scale, SCALES)


def _data(part: Part) -> str:
    if part.unavailable:
        return "cannot be run"
    return f"{part.dataset}, for {part.stands_for}" if part.stand_in else part.dataset


def _card(paper: Paper) -> dict[str, Any]:
    return {
        "name": paper.name,
        "title": paper.title,
        "citation": paper.citation,
        "parts": [
            {
                "name": part.name,
                "what": part.what,
                "dataset": part.dataset or None,
                "needs_data": part.needs_data and not part.unavailable,
                "stands_for": part.stands_for or None,
                "unavailable": part.unavailable or None,
            }
            for part in paper.parts
        ],
        "choices": list(paper.choices),
        "later": list(paper.later),
    }


def _show(found: dict[str, Any], folder: Path) -> None:
    from curette.bench.beside import load_beside

    beside = load_beside(folder)
    assert beside is not None, "written just before"
    for table in beside["tables"]:
        header = ("ours / paper", *(c["name"] for c in table["columns"]))
        rows = [
            (row["name"], *(f"{c['shown']['ours']} / {c['shown']['paper']}" for c in row["cells"]))
            for row in table["rows"]
        ]
        print_table(table["title"], header, rows, numbers=len(header) - 1)
    if beside["orderings"]:
        header = ("order", "metric", "paper", "ours", "verdict")
        lines = [
            (
                f"{o['better']} > {o['worse']}",
                o["metric"],
                o["shown"]["paper"],
                o["shown"]["ours"],
                o["verdict"],
            )
            for o in beside["orderings"]
        ]
        print_table("Orderings", header, lines)
    for note in (*found["warnings"], *found["later"]):
        print(f"note: {note}")
    print(f"table: {folder / 'paper.md'}")
    if (folder / "report.html").is_file():
        print(f"report: {folder / 'report.html'}")
