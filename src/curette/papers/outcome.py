"""What a reproduction leaves: ``paper.md`` to read, ``paper.csv`` to compute with, ``paper.json`` for the report."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import curette
from curette.bench.beside import NAME, NOTHING, load_beside
from curette.bench.statistics import power_note
from curette.bench.tables import write_csv, write_text
from curette.papers.compare import Cell, Compared, Ordering
from curette.papers.paper import Paper, Part, Scale

_CSV = (
    "table", "row", "strategy", "column", "metric", "class", "at", "ours", "sd", "seeds", "paper", "paper_sd", "difference",
)  # fmt: skip


def outcome(
    paper: Paper, part: Part, scale: Scale, compared: Sequence[Compared], changes: Sequence[str] = ()
) -> dict[str, Any]:
    """The stable, documented content of ``paper.json`` (see docs/cli.md); numbers that do not exist are None.

    `changes` are options of the command line by which other files are read than the recipe has.
    """
    return {
        "curette": curette.__version__,
        "paper": paper.name,
        "title": paper.title,
        "citation": paper.citation,
        "part": part.name,
        "what": part.what,
        "scale": scale,
        "stands_for": part.stands_for or None,
        "warnings": warnings_of(part, scale, compared, changes),
        "tables": [_table(part, c) for c in compared],
        "orderings": [_plain(o) for c in compared for o in c.orderings],
        "choices": list(paper.choices),
        "later": list(paper.later),
    }


def warnings_of(
    part: Part, scale: Scale, compared: Sequence[Compared], changes: Sequence[str] = ()
) -> list[str]:
    """What a reader must know before comparing any number."""
    said = []
    if part.stand_in:
        said.append(
            f"Other data than the paper's: '{part.name}' stands for '{part.stands_for}'. Only orderings can be compared, "
            "no level."
        )
    if scale == "small":
        said.append(
            "Small scale: images, patients, training and seeds are cut down. Levels are lower than the paper's, and "
            "differences between strategies may be others."
        )
    if changes:
        said.append(f"Run with {', '.join(changes)}: the data may be others than the recipe's.")
    seeds = max((o.n for c in compared for o in c.orderings), default=0)
    if seeds and (note := power_note(seeds)):
        said.append(note)
    return said


def write_outcome(found: dict[str, Any], folders: Sequence[Path]) -> None:
    """Write the three files into each folder, each replaced in one step."""
    text = json.dumps(found, indent=1, ensure_ascii=False, allow_nan=False) + "\n"
    for folder in folders:
        write_text(folder / NAME, text)
        write_text(folder / "paper.md", _markdown(folder))
        write_csv(folder / "paper.csv", _CSV, [_line(*place) for place in _places(found)])


def _table(part: Part, compared: Compared) -> dict[str, Any]:
    table = compared.table
    rows = []
    for name, cells in compared.cells.items():
        row = part.row(name)
        rows.append(
            {
                "name": name,
                "strategy": row.strategy or None,
                "missing": row.missing or None,
                "cells": [_numbers(cell) for cell in cells],
            }
        )
    columns = [
        {"name": c.name, "metric": c.metric or None, "class": c.cls, "at": c.at} for c in table.columns
    ]
    return {
        "name": table.name,
        "title": table.title,
        "notes": list(table.notes),
        "columns": columns,
        "rows": rows,
    }


def _numbers(cell: Cell) -> dict[str, Any]:
    return {
        "ours": _finite(cell.ours),
        "sd": _finite(cell.sd),
        "seeds": cell.n,
        "paper": _finite(cell.paper.mean),
        "paper_sd": _finite(cell.paper.sd),
        "difference": _finite(cell.difference),
    }


def _plain(o: Ordering) -> dict[str, Any]:
    return {
        "table": o.table,
        "metric": o.metric,
        "class": o.cls,
        "better": o.claim.better,
        "worse": o.claim.worse,
        "what": o.claim.what,
        "difference_paper": _finite(o.paper),
        "difference_ours": _finite(o.ours),
        "low": _finite(o.low),
        "high": _finite(o.high),
        "seeds": o.n,
        "p": _finite(o.p),
        "smallest": _finite(o.smallest),
        "appears": o.appears,
        "beyond_noise": o.beyond_noise,
        "verdict": o.verdict,
    }


def _finite(value: float) -> float | None:
    return value if math.isfinite(value) else None


def _places(
    found: dict[str, Any],
) -> list[tuple[dict[str, Any], dict[str, Any], dict[str, Any], dict[str, Any]]]:
    return [
        (table, row, column, cell)
        for table in found["tables"]
        for row in table["rows"]
        for column, cell in zip(table["columns"], row["cells"], strict=True)
    ]


def _line(
    table: dict[str, Any], row: dict[str, Any], column: dict[str, Any], cell: dict[str, Any]
) -> list[Any]:
    numbers = [cell[k] for k in ("ours", "sd", "seeds", "paper", "paper_sd", "difference")]
    place = [column[k] for k in ("name", "metric", "class", "at")]
    return [table["name"], row["name"], row["strategy"], *place, *numbers]


def _markdown(folder: Path) -> str:
    found = load_beside(folder)
    assert found is not None, "written just before"
    lines = [f"# {found['title']}", "", f"{found['citation']}. {_sentence(found)}", ""]
    lines += [f"**{warning}**\n" for warning in found["warnings"]]
    for table in found["tables"]:
        lines += _cells(table)
    if found["orderings"]:
        lines += _orders(found["orderings"])
    for title, key in (("Choices", "choices"), ("Not reproduced", "later")):
        if found[key]:
            lines += [f"## {title}", "", *(f"- {text}" for text in found[key]), ""]
    return "\n".join(lines)


def _sentence(found: dict[str, Any]) -> str:
    return f"Part `{found['part']}` ({found['what']}), {found['scale']} scale, curette {found['curette']}."


def _cells(table: dict[str, Any]) -> list[str]:
    header = ["", *(c["name"] for c in table["columns"])]
    lines = [f"## {table['title']}", "", "Ours (mean ± deviation over seeds) / the paper's / difference.", ""]
    lines += ["| " + " | ".join(header) + " |", "|---" * len(header) + "|"]
    for row in table["rows"]:
        texts = [" / ".join(cell["shown"].values()) for cell in row["cells"]]
        name = row["name"] + (f" ({row['missing']})" if row["missing"] else "")
        lines.append("| " + " | ".join([name, *texts]) + " |")
    return [*lines, "", *(f"{note}\n" for note in table["notes"])]


def _orders(orderings: list[dict[str, Any]]) -> list[str]:
    lines = [
        "## Orderings",
        "",
        "Means over the budgets of a table, the initial one left out; positive: the first is better.",
        "",
        "| table | metric | pair | compares | the paper's | ours | 95 % interval | p | verdict |",
        "|---|---|---|---|---|---|---|---|---|",
    ]
    for o in orderings:
        metric = o["metric"] + ("" if o["class"] == "mean" else f", {o['class']}")
        cells = [
            o["table"],
            metric,
            f"{o['better']} against {o['worse']}",
            o["what"],
            *o["shown"].values(),
            o["verdict"],
        ]
        lines.append("| " + " | ".join(cells) + " |")
    return [*lines, ""]


__all__ = ["NOTHING", "outcome", "warnings_of", "write_outcome"]
