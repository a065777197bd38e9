"""Write the reference pages that are made from the code: settings, strategies, data sets, networks and metrics.

Run by `make docs`; `tests/test_docs.py` fails while the committed pages differ from what this writes.
"""

from __future__ import annotations

import types
import typing
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from pydantic import BaseModel
from pydantic.fields import FieldInfo
from pydantic_core import PydanticUndefined

from curette.cli import catalogue
from curette.recipe import Study
from curette.registry import components

HERE = Path(__file__).resolve().parent
NOTE = "<!-- Made by docs/generate.py from the code; change it there. -->"

PART_TEXT = {
    "passes": "How the model is asked, and how often.",
    "scorer": "What is measured. Higher = query first, always.",
    "granularity": "What can be picked, and how a map of scores becomes its score.",
    "selector": "How a batch is chosen from the scores, the features, or neither.",
}

SINGULAR = {str: "text", int: "whole number", float: "number", bool: "true or false", Path: "path"}
PLURAL = {str: "texts", int: "whole numbers", float: "numbers"}


def pages() -> dict[str, str]:
    """The text of every generated page by file name."""
    return {
        "settings.md": settings_page(),
        "strategies.md": strategies_page(),
        "components.md": components_page(),
    }


def settings_page() -> str:
    """Every setting of a study file, section by section."""
    out = [
        "# Settings",
        "A study file is TOML. Only `strategies` and `data.dataset` have no default. A setting that does not exist is an "
        "error that suggests the nearest one; `study.toml` in a study's folder spells all of them out as they were used.",
    ]
    for path, model in sections(Study):
        title = f"`[{path}]`" if path else "Top level"
        rows = [_setting(name, field) for name, field in model.model_fields.items() if not _section(field)]
        out += [
            f"## {title}",
            (model.__doc__ or "").strip(),
            table(("setting", "type", "default", "meaning"), rows),
        ]
    return page(out)


def sections(model: type[BaseModel], path: str = "") -> Iterator[tuple[str, type[BaseModel]]]:
    """A settings model and those inside it, each with its TOML section."""
    yield path, model
    for name, field in model.model_fields.items():
        if inner := _section(field):
            yield from sections(inner, f"{path}.{name}" if path else name)


def strategies_page() -> str:
    """The presets and the parts they are made of."""
    found = catalogue.strategies()
    presets = [
        (f"`{s['name']}`", f"`{s['strategy']}`", s["when"] + _truth(s["uses_truth"]), s["paper"])
        for s in found["strategies"]
    ]
    out = [
        "# Strategies",
        "A strategy is a sentence of four parts, and every published method is one with its own words:",
        "```\npasses > scorer > granularity > selector\n```",
        "| write | to get |\n|---|---|\n"
        "| `bald` | a strategy that has a name (below) |\n"
        "| `bald > stochastic_batches` | the same with another selector |\n"
        "| `dropout(20) > entropy > top` | three parts: whole units (images or slices) are picked |\n"
        "| `flips > variance > slice > stochastic_batches` | all four |",
        "Options go in brackets, by position or by name: `dropout(20)`, `dropout(n=20)`. Spaces do not matter. What cannot "
        "work together, such as a scorer that compares passes with a single pass, is refused before anything is trained.",
        "## Named strategies",
        table(("name", "in full", "when to use it", "paper"), presets),
        "## Parts",
        "Own parts join by registration, see the [tutorial](tutorial.md#an-own-scorer).",
    ]
    for kind, cards in found["parts"].items():
        out += [f"### {kind}", PART_TEXT[kind], _cards(cards)]
    return page(out)


def components_page() -> str:
    """Data sets, networks and metrics with their options."""
    import curette.learn.metrics  # noqa: F401  (registers the metrics)

    metrics = [catalogue.describe(c) for c in components("metric").values()]
    return page(
        [
            "# Data sets, networks, metrics",
            "## Data sets",
            "For `data.dataset`, with `data.options`. Formats are described under [Data](data.md).",
            _cards(catalogue.datasets()),
            "## Networks",
            "For `train.model`, with `train.options`.",
            _cards(catalogue.models()),
            "## Metrics",
            "For `metrics`; without it, all usual ones that fit the task. Rules are under [Metrics](metrics.md).",
            _cards(metrics),
        ]
    )


def table(header: Iterable[str], rows: Iterable[Iterable[str]]) -> str:
    """A Markdown table."""
    lines = [list(header), *map(list, rows)]
    lines.insert(1, ["---"] * len(lines[0]))
    return "\n".join(
        "| " + " | ".join(c.replace("|", "\\|").replace("\n", " ") for c in line) + " |" for line in lines
    )


def page(parts: Iterable[str]) -> str:
    return "\n\n".join([NOTE, *parts]) + "\n"


def _cards(cards: Iterable[dict[str, Any]]) -> str:
    rows = [(f"`{catalogue.form(c)}`", c["summary"], c["paper"]) for c in cards]
    return table(("name and options", "what it is", "paper"), rows)


def _truth(used: bool) -> str:
    return " Uses ground truth: for simulations only." if used else ""


def _section(field: FieldInfo) -> type[BaseModel] | None:
    kind = field.annotation
    return kind if isinstance(kind, type) and issubclass(kind, BaseModel) else None


def _setting(name: str, field: FieldInfo) -> tuple[str, str, str, str]:
    limits = [_limit(m) for m in field.metadata]
    meaning = "; ".join(part for part in (field.description or "", ", ".join(filter(None, limits))) if part)
    return f"`{name}`", type_text(field.annotation), _default(field), meaning


def type_text(kind: Any) -> str:
    """A type as a user of TOML thinks of it: ``number``, ``list of texts``, ``"pad" or "resize"``."""
    origin, inner = typing.get_origin(kind), typing.get_args(kind)
    if origin is typing.Literal:
        return " or ".join(f'`"{v}"`' for v in inner)
    if origin in (types.UnionType, typing.Union):
        return " or ".join(type_text(k) for k in inner if k is not types.NoneType)
    if origin is tuple:
        count = "list" if Ellipsis in inner else {2: "two", 3: "three"}.get(len(inner), str(len(inner)))
        of = PLURAL.get(inner[0]) or type_text(inner[0])
        return f"list of {of}" if count == "list" else f"{count} {of}"
    if origin is dict:
        return "table"
    return SINGULAR[kind]


def _default(field: FieldInfo) -> str:
    value = field.get_default(call_default_factory=True)
    if value is PydanticUndefined:
        return "required"
    if value is None:
        return "–"
    if isinstance(value, bool):
        return f"`{str(value).lower()}`"
    if isinstance(value, tuple):
        return f"`{list(value)}`"
    return f'`"{value}"`' if isinstance(value, str) else f"`{value}`"


def _limit(rule: Any) -> str:
    signs = {"gt": "above", "ge": "at least", "lt": "below", "le": "at most", "min_length": "at least"}
    return ", ".join(
        f"{sign} {getattr(rule, name):g}" + (" entry" if name == "min_length" else "")
        for name, sign in signs.items()
        if getattr(rule, name, None) is not None
    )


if __name__ == "__main__":
    for name, text in pages().items():
        (HERE / name).write_text(text, encoding="utf-8")
