"""Tables of long texts, for people who choose: cells wrap, and a narrow window stacks columns."""

from __future__ import annotations

import shutil
import sys
import textwrap
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from curette.cli.catalogue import form
from curette.query.facts import Facts, named
from curette.query.presets import FAMILIES

_NAME, _COST, _GAP = 23, 14, 2
_WIDE = 132
"""From this many columns on, when it helps and when it fails stand side by side."""
_HEADER = ("strategy", "cost, needs", "when it helps", "when it fails", "paper")


def print_strategies(only: str | None = None) -> None:
    """Every named strategy under its family: what it needs and costs, when it helps, when it fails, its source.

    With `only`, those of that family.
    """
    width = _width()
    header = _HEADER if width >= _WIDE else (*_HEADER[:2], "when it helps, when it fails [paper]")
    print_wrapped([header], _widths(width))
    for family, about in FAMILIES.items():
        members = [facts for facts in named() if facts.preset.family == family]
        if members and only in (None, family):
            print("\n" + "\n".join(textwrap.wrap(f"{family.upper()}: {about}", width)))
            print_wrapped([_cells(facts, width) for facts in members], _widths(width), emphasis=0)


def print_strategy(name: str) -> None:
    """All there is to know of one named strategy. `name` may be an alias."""
    facts = Facts(name)
    preset = facts.preset
    rows = {
        "in full": preset.text,
        "also known as": ", ".join(facts.aliases),
        "family": preset.family,
        "needs": ", ".join(facts.needs) or "a trained network",
        "cost": facts.cost,
        "helps": preset.when,
        "fails": preset.fails,
        "paper": preset.paper,
        "parts": "\n".join(
            f"{part.name}: {part.component.summary}"
            for part in facts.strategy.parts
            if part.name not in ("none", "unit")
        ),
        "sources": "\n".join(preset.notes),
    }
    print_facts(name, rows)


def print_facts(title: str, rows: Mapping[str, str]) -> None:
    """A title and what there is to say about it, a line each; empty texts are left out."""
    print(_bold(title))
    shown = [[label, text] for label, text in rows.items() if text]
    print_wrapped(shown, [15, max(30, _width() - 15 - _GAP)], emphasis=0)


def print_parts(parts: Mapping[str, Sequence[Mapping[str, Any]]]) -> None:
    """The parts by kind, as `catalogue.strategies` describes them: how to write each, and what it is."""
    width = _width()
    for kind, cards in parts.items():
        print(f"\nPARTS: {kind}")
        rows = [(form(card), card["summary"]) for card in cards]
        left = min(38, max(len(text) for text, _ in rows))
        print_wrapped(rows, [left, width - left - _GAP], emphasis=0)
    print("\nPut together:  passes > scorer > granularity > selector,  or  NAME > selector")
    print("Behind it, each after a +:  companions, a trigger, a teacher")
    print("Ask about one: curette strategies NAME")


def print_wrapped(rows: Sequence[Sequence[str]], widths: Sequence[int], emphasis: int | None = None) -> None:
    """Print rows whose cells wrap to `widths`; a cell's own line breaks stay. Column `emphasis` is bold.

    A first cell with a word too long for its column stands above the others.
    """
    for row in rows:
        cells = [_wrap(cell, width) for cell, width in zip(row, widths, strict=True)]
        if max(map(len, cells[0])) > widths[0]:
            print("\n".join(_bold(line) if emphasis == 0 else line for line in cells[0]))
            cells[0] = [""]
        for i in range(max(map(len, cells))):
            line = [
                (cell[i] if i < len(cell) else "").ljust(w) for cell, w in zip(cells, widths, strict=True)
            ]
            if emphasis is not None and line[emphasis].strip():
                line[emphasis] = _bold(line[emphasis])
            print((" " * _GAP).join(line).rstrip())


def _cells(facts: Facts, width: int) -> list[str]:
    preset = facts.preset
    name = "\n".join([facts.name, *(f"= {alias}" for alias in facts.aliases)])
    cost = "\n".join([facts.cost, *facts.needs])
    if width >= _WIDE:
        return [name, cost, preset.when, preset.fails, preset.paper]
    source = f"[{preset.paper}]" if preset.paper else ""
    fails = f"Fails: {preset.fails}" if preset.fails else ""
    return [name, cost, "\n".join(filter(None, (preset.when, fails, source)))]


def _widths(width: int) -> list[int]:
    if width < _WIDE:
        return [_NAME, _COST, max(24, width - _NAME - _COST - 2 * _GAP)]
    rest = width - _NAME - _COST - 4 * _GAP
    return [_NAME, _COST, rest * 2 // 5, rest * 2 // 5, rest - 2 * (rest * 2 // 5)]


def _wrap(text: str, width: int) -> list[str]:
    return list(_lines(text, width)) or [""]


def _lines(text: str, width: int) -> Iterator[str]:
    for line in text.split("\n"):
        yield from textwrap.wrap(line, width, break_long_words=False, break_on_hyphens=False) or [""]


def _width() -> int:
    return max(72, shutil.get_terminal_size((100, 24)).columns)


def _bold(text: str) -> str:
    return f"\x1b[1m{text}\x1b[0m" if sys.stdout.isatty() else text
