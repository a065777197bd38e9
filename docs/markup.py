"""Markdown from values and docstrings."""

from __future__ import annotations

import re
from collections.abc import Iterable

NOTE = "<!-- Made by docs/generate.py from the code; change it there. -->"


def page(parts: Iterable[str]) -> str:
    return "\n\n".join([NOTE, *parts]) + "\n"


def table(header: Iterable[str], rows: Iterable[Iterable[str]]) -> str:
    """A Markdown table."""
    lines = [list(header), *map(list, rows)]
    lines.insert(1, ["---"] * len(lines[0]))
    return "\n".join(
        "| " + " | ".join(c.replace("|", "\\|").replace("\n", " ") for c in line) + " |" for line in lines
    )


def prose(doc: str) -> str:
    """A docstring as Markdown: shapes such as [B, *S] stay text, aligned terms become a list, indented blocks code."""
    return "\n\n".join(_paragraph(block) for block in re.split(r"\n\s*\n", doc.strip("\n")) if block.strip())


def _paragraph(block: str) -> str:
    lines = block.split("\n")
    if all(line.startswith("    ") for line in lines):
        return "```\n" + "\n".join(line[4:] for line in lines) + "\n```"
    if all(re.match(r"\S+(, \S+)*\s{2,}\S|\s{2,}\S", line) for line in lines) and re.match(r"\S", block):
        return "\n".join(map(_term, lines))
    return _escaped(block)


def _term(line: str) -> str:
    """A line of aligned terms, or what continues one."""
    term, text = re.fullmatch(r"(\S+(?:, \S+)*)?\s{2,}(.*)", line).groups()  # type: ignore[union-attr]
    return f"- `{term.strip('`')}` {_escaped(text)}" if term else f"  {_escaped(text)}"


def _escaped(text: str) -> str:
    """Text whose signs mean themselves, but for `code`."""
    spans = re.split(r"(``.+?``|`[^`\n]+`)", text, flags=re.S)
    return "".join(s if s.startswith("`") else re.sub(r"([*_<\[\\])", r"\\\1", s) for s in spans)
